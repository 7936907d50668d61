// Answers in OpenAI's shape: whole objects and server-sent events, for chats and completions;
// embeddings. Refuses to know requests' bodies and sockets.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "server/call.h"

namespace weir {

std::unique_ptr<AnswerWriter> make_openai_writer(const Call& call, AnswerFrame frame);

/// One vector for each input. `base64`: little-endian floats in base64 instead of numbers.
std::string write_openai_embeddings(const std::vector<std::vector<float>>& vectors,
                                    const std::string& model, int64_t prompt_tokens, bool base64);

/// RFC 4648, with padding.
std::string encode_base64(std::string_view bytes);

}  // namespace weir
