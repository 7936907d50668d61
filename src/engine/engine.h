// What runs requests, and its nouns: Request, Event, Statistics, Capabilities. Plain structs, so
// that other engines (remote servers, ONNX Runtime) can stand behind the same interface. Knows no
// HTTP.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "decoding/sampler.h"
#include "decoding/sampling_params.h"

namespace weir {

/// One thing to continue: token ids, or text that the engine turns into ids.
struct Request {
  std::string prompt;           // used when `tokens` is empty
  std::vector<int32_t> tokens;  // taken as they are: nothing is added, not even BOS
  bool add_special = true;      // prompt: BOS and the like, as the model's tokenizer has it
  bool parse_special = false;   // prompt: "<|im_end|>" in it becomes that token
  SamplingParams sampling;      // with stop rules, length limit and log-probabilities
  /// Set by another thread to stop the request; it ends with FinishReason::cancelled. Looked at
  /// before every chunk of the prompt and every token.
  std::shared_ptr<const std::atomic<bool>> cancel;
};

enum class FinishReason {
  none,       // not finished
  stop,       // an end-of-generation token, a stop string or a stop id
  length,     // sampling.max_tokens were made
  context,    // the context is full; reported to users as "length" with the statement in `detail`
  cancelled,  // the caller asked
};

/// "stop", "length" (also for `context`), "cancelled" or "" as the API dialects know them.
std::string_view finish_reason_name(FinishReason reason);

/// One step of an answer. Texts of all events joined are the whole answer; every text is complete
/// UTF-8. An event may carry a token and no text (held back), or text and no token (at the end).
struct Event {
  std::string text;
  int32_t token = -1;                        // -1: none
  double log_probability = 0.0;              // of the token, if sampling.logprobs >= 0
  std::vector<TokenLogprob> top;             // the sampling.logprobs likeliest, falling
  FinishReason finish = FinishReason::none;  // the last event has a reason
  std::string detail;                        // last event: one sentence where there is more to say
};

/// Times in seconds on a steady clock.
struct Statistics {
  double load_seconds = 0;  // opening the model, once an engine
  uint64_t seed = 0;        // that was used
  int64_t prompt_tokens = 0;
  int64_t generated_tokens = 0;
  double first_token_seconds = 0;  // from the call to the first token
  double prefill_seconds = 0;
  double decode_seconds = 0;      // from the first token to the last
  int64_t peak_memory_bytes = 0;  // of the process

  /// 0 where nothing was measured. The first token comes out of prefill, the others out of decode.
  double prefill_tokens_per_second() const;
  double decode_tokens_per_second() const;
};

/// What an engine can do with its model. A request that needs more is refused with the reason.
struct Capabilities {
  std::string engine;  // "native"
  std::string model;   // name in the file, or the file's name
  std::string isa;     // kernel table in use
  int threads = 0;
  int64_t context_length = 0;  // tokens a request may use, prompt and answer
  int64_t vocabulary = 0;
  bool text = false;  // has a tokenizer: prompts and answers may be text
  bool chat_template = false;
  bool log_probabilities = false;
};

class Model;

class Engine {
 public:
  virtual ~Engine() = default;

  virtual const Capabilities& capabilities() const = 0;

  /// Runs a request to its end and calls `on_event` for every step, on the calling thread. Throws
  /// Error before the first event where the request cannot run (invalid_argument, limit_exceeded
  /// with both lengths), and numeric when the model gives NaN or infinity. Exceptions of `on_event`
  /// pass through and end the request. One request at a time: a second one waits.
  virtual Statistics run(const Request& request,
                         const std::function<void(const Event&)>& on_event) = 0;
};

/// How a native engine is set up.
struct NativeOptions {
  int threads = 0;              // 0: one for each core this process may use
  int64_t context_length = 0;   // 0: what the model was made for, at most kDefaultContext
  std::string kv_type = "f16";  // f32, f16 or bf16
  int64_t prefill_chunk = 512;  // tokens a forward pass takes at most; never changes an answer
};
inline constexpr int64_t kDefaultContext = 4096;

/// An engine over a loaded model. Throws invalid_argument on a bad option, limit_exceeded when the
/// memory does not suffice.
std::unique_ptr<Engine> make_native_engine(std::shared_ptr<const Model> model,
                                           const NativeOptions& options);

}  // namespace weir
