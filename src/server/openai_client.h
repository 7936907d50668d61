// OpenAI answers as a client reads them: a stream of server-sent events, piece by piece, or a whole
// object. Refuses sockets: bytes come from whoever has them (the load generator, an adapter).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir {

/// What one piece of an answer says, of a chat or a completion.
struct AnswerPiece {
  size_t choice = 0;
  std::string text;
  std::string finish;  // "stop", "length", …; empty: goes on
};

struct AnswerUsage {
  int64_t prompt_tokens = 0, cached_tokens = 0, generated_tokens = 0;
};

struct ReadAnswer {
  std::vector<AnswerPiece> pieces;
  std::optional<AnswerUsage> usage;
  std::string error;  // message of an error object or event
  bool done = false;  // [DONE], or a whole object
};

/// Splits a stream into events, however its bytes are cut. Holds at most 1 MiB of an unfinished
/// event. Throws bad_format on events that are none of OpenAI's.
class OpenAiStreamReader {
 public:
  ReadAnswer push(std::string_view bytes);

 private:
  std::string pending_;
};

/// A body that came in one piece. Throws bad_format.
ReadAnswer read_openai_answer(std::string_view body);

}  // namespace weir
