// What one HTTP request asks for, whatever its dialect, and what writes the answer in that dialect.
// The nouns between codecs and the server; refuses JSON and sockets.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/engine.h"
#include "server/api_error.h"
#include "server/parameters.h"

namespace weir {

struct Call {
  Endpoint endpoint = Endpoint::openai_chat;
  RequestOptions options;
  /// One for each answer: prompt 0's n answers, then prompt 1's, …; embeddings: one an input.
  std::vector<Request> requests;
  std::optional<double> keep_alive;  // seconds; negative: for ever
  bool only_load = false;            // Ollama: nothing to answer, load (or unload) the model
};

/// What an answer says of itself beside its text.
struct AnswerFrame {
  std::string id;                 // unguessable part of "chatcmpl-…"
  std::string model;              // as the client named it, or the name of the default
  int64_t created_ns = 0;         // since 1970
  std::vector<std::string> echo;  // for each request: text to begin with, or empty
  /// Raw bytes of one token, maybe half a character; for log-probabilities.
  std::function<std::string(int32_t)> token_bytes;
};

/// Turns the events of a call into the bytes of its response. Used on one thread at a time. A
/// stream gets its bytes from begin(), event() and end(); a whole answer only from end().
class AnswerWriter {
 public:
  virtual ~AnswerWriter() = default;
  virtual std::string_view content_type() const = 0;
  virtual void begin(std::string& out) = 0;
  virtual void event(size_t choice, const Event& event, std::string& out) = 0;
  /// After the last event of every choice.
  virtual void end(std::string& out) = 0;
  /// Instead of what would follow, in a stream that has begun.
  virtual void fail(const ApiError& error, std::string& out) = 0;
};

/// The writer for a call that generates text.
std::unique_ptr<AnswerWriter> make_answer_writer(const Call& call, AnswerFrame frame);

}  // namespace weir
