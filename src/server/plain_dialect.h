// The plain dialect: /generate, /tokenize, /detokenize. A prompt in, a text out, with the names of
// the command line. Refuses conversations.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "server/call.h"

namespace weir {

/// Throw ApiError.
Call read_plain_generate(nlohmann::json body, const SamplingParams& defaults);

struct TokenizeCall {
  std::string model;
  Request request;  // the text, as a prompt
  bool with_pieces = false;
};
TokenizeCall read_tokenize(nlohmann::json body);

struct DetokenizeCall {
  std::string model;
  std::vector<int32_t> tokens;
};
DetokenizeCall read_detokenize(nlohmann::json body);

/// Streams are server-sent events: {"text", "token"}, the last with the members of a whole answer.
std::unique_ptr<AnswerWriter> make_plain_writer(const Call& call, AnswerFrame frame);

}  // namespace weir
