// What runs requests, and its nouns: Request, Event, Statistics, Capabilities. Plain structs, so
// that other engines (remote servers, ONNX Runtime) can stand behind the same interface. Knows no
// HTTP.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "decoding/sampler.h"
#include "decoding/sampling_params.h"
#include "text/chat_template.h"

namespace weir {

class Model;
class OpProfile;

enum class Priority { interactive, normal, batch };

/// One thing to continue: token ids, a conversation, or text; the first that is there counts.
struct Request {
  std::vector<int32_t> tokens;        // taken as they are: nothing is added, not even BOS
  std::vector<ChatMessage> messages;  // rendered by the model's chat template
  std::string tools;                  // with messages: JSON array for the template, or empty
  std::string template_variables;     // with messages: JSON object for the template, or empty
  std::string prompt;                 // plain text
  bool add_special = true;            // prompt: BOS and the like, as the model's tokenizer has it
  bool parse_special = false;         // prompt: "<|im_end|>" in it becomes that token
  SamplingParams sampling;            // with stop rules, length limit and log-probabilities
  Priority priority = Priority::normal;
  std::string tenant;            // cached prefixes are shared only within one tenant
  double timeout_seconds = 0;    // 0: none; from submission to the end, then FinishReason::timeout
  bool use_prefix_cache = true;  // false: neither read nor fill the prefix cache
  /// Set by another thread to stop the request; it ends with FinishReason::cancelled. Looked at
  /// before every step of the engine.
  std::shared_ptr<const std::atomic<bool>> cancel;
};

enum class FinishReason {
  none,       // not finished
  stop,       // an end-of-generation token, a stop string or a stop id
  length,     // sampling.max_tokens were made
  context,    // the context is full; reported to users as "length" with the statement in `detail`
  cancelled,  // the caller asked
  timeout,    // Request::timeout_seconds have passed
  error,      // `code` and `detail` say why
};

/// "stop", "length" (also for `context`), "cancelled", "timeout", "error" or "", as the API
/// dialects know them.
std::string_view finish_reason_name(FinishReason reason);

/// Times in seconds on a steady clock.
struct Statistics {
  double load_seconds = 0;  // opening the model, once an engine
  uint64_t seed = 0;        // that was used
  int64_t prompt_tokens = 0;
  int64_t cached_tokens = 0;  // of the prompt, found in the prefix cache and not computed
  int64_t generated_tokens = 0;
  int32_t preemptions = 0;
  double queue_seconds = 0;        // from submission to the first step
  double first_token_seconds = 0;  // from submission to the first token
  double prefill_seconds = 0;
  double decode_seconds = 0;      // from the first token to the last
  int64_t peak_memory_bytes = 0;  // of the process

  /// 0 where nothing was measured. The first token comes out of prefill, the others out of decode.
  double prefill_tokens_per_second() const;
  double decode_tokens_per_second() const;
};

/// One step of an answer. Texts of all events joined are the whole answer; every text is complete
/// UTF-8. An event may carry a token and no text (held back), or text and no token (at the end).
struct Event {
  std::string text;
  int32_t token = -1;                        // -1: none
  double log_probability = 0.0;              // of the token, if sampling.logprobs >= 0
  std::vector<TokenLogprob> top;             // the sampling.logprobs likeliest, falling
  FinishReason finish = FinishReason::none;  // the last event has a reason
  std::string detail;                        // last event: one sentence where there is more to say
  Code code{};                               // last event, FinishReason::error: what kind
  std::optional<Statistics> statistics;      // last event
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
  bool embeddings = false;
  int64_t embedding_width = 0;
};

/// Figures of a running engine, for metrics. Counters only grow.
struct EngineCounters {
  int64_t running = 0, queued = 0;  // requests
  int64_t pages = 0, free_pages = 0, cached_pages = 0, swapped_pages = 0, disk_pages = 0;
  int64_t disk_bytes = 0;
  uint64_t prompt_tokens = 0, cached_tokens = 0, generated_tokens = 0;
  uint64_t finished = 0, cancelled = 0, failed = 0;  // requests
  uint64_t preemptions = 0, evictions = 0, steps = 0, batched_tokens = 0;
};

/// What a request is told where memory is short; the same request may succeed later.
inline constexpr const char* kNoMemory = "there is not enough memory for this request now";

using EventSink = std::function<void(const Event&)>;

class Engine {
 public:
  virtual ~Engine() = default;

  virtual const Capabilities& capabilities() const = 0;

  /// Starts a request and returns; `sink` gets its events in order on a thread of the engine and
  /// must neither block nor throw. Exactly one event has a finish reason, the last. Throws Error
  /// before the first event where the request cannot run: invalid_argument; limit_exceeded with
  /// both lengths; unavailable when the queue is full or the engine is draining.
  virtual void submit(Request request, EventSink sink) = 0;

  /// Throws unavailable where submit() would now, whatever the request. Takes no time.
  virtual void check_room() const = 0;

  /// Runs a request to its end and calls `on_event` for every step, on the calling thread. Throws
  /// as submit() does, and what ended the request (numeric when the model gives NaN or infinity).
  /// Exceptions of `on_event` pass through and end the request.
  virtual Statistics run(const Request& request, const EventSink& on_event) = 0;

  /// Ids of a request's prompt, as submit() would feed them. Throws as submit() does.
  virtual std::vector<int32_t> tokenize(const Request& request) const = 0;
  virtual std::string detokenize(std::span<const int32_t> tokens) const = 0;
  /// Raw bytes of one token by itself, maybe half a character; a control token gives its name.
  virtual std::string token_bytes(int32_t token) const = 0;

  /// One vector of `embedding_width` numbers, of length 1: the mean over the prompt's positions of
  /// the states before the output head. Blocks. Throws unsupported where the model cannot.
  virtual std::vector<float> embed(const Request& request) = 0;

  virtual EngineCounters counters() const = 0;

  /// Takes no more requests; those running may go on for `seconds`, then they end with an error
  /// (unavailable). Returns when none is left and the caches are on disk.
  virtual void drain(double seconds) = 0;
};

/// How a native engine is set up.
struct NativeOptions {
  int threads = 0;                 // 0: one for each core this process may use
  int64_t context_length = 0;      // 0: what the model was made for, at most kDefaultContext
  std::string kv_type = "f16";     // f32, f16, bf16, q8_0 or q4_0
  std::string numerics = "exact";  // or bf16-dot (docs/numerics.md): other answers, faster BF16
  int64_t prefill_chunk = 512;     // tokens a forward pass takes at most; never changes an answer
  int64_t max_batch = 1;           // requests that run at the same time
  int64_t max_queue = 256;         // requests that wait; more are refused with unavailable
  int64_t kv_tokens = 0;           // places in the page pool; 0: max_batch * context_length
  int64_t swap_bytes = 0;          // RAM for the pages of preempted requests and evicted prefixes
  std::string cache_folder = {};   // prefixes that survive restarts; empty: none
  int64_t cache_bytes = 0;         // most bytes there
  /// Told one sentence when that cache stops working (full disk, folder in use) and when it works
  /// again. On any thread; must not throw.
  std::function<void(const std::string&)> cache_notice = {};
  /// Gets the times of all steps; to be read while no request runs, and to outlive the engine.
  OpProfile* profile = nullptr;
};
inline constexpr int64_t kDefaultContext = 4096;

/// An engine over a loaded model. Throws invalid_argument on a bad option, limit_exceeded when the
/// memory does not suffice.
std::unique_ptr<Engine> make_native_engine(std::shared_ptr<const Model> model,
                                           const NativeOptions& options);

}  // namespace weir
