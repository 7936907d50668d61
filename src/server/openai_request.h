// OpenAI request bodies: JSON to Call, and Call to JSON for clients. Refuses sockets and answers.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "server/call.h"

namespace weir {

/// Throws ApiError. Takes texts out of `body`.
Call read_openai_chat(nlohmann::json body, const SamplingParams& defaults);
Call read_openai_completion(nlohmann::json body, const SamplingParams& defaults);
Call read_openai_embeddings(nlohmann::json body);

/// The body a client sends for a request: a chat if it has messages, else a completion. Only what
/// differs from the defaults is written.
std::string write_openai_request(const Request& request, const std::string& model, bool stream);

}  // namespace weir
