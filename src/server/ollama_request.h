// Ollama request bodies: JSON to Call. Refuses sockets and answers.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>

#include "server/call.h"

namespace weir {

/// Throw ApiError. Take texts out of `body`.
Call read_ollama_generate(nlohmann::json body, const SamplingParams& defaults);
Call read_ollama_chat(nlohmann::json body, const SamplingParams& defaults);
Call read_ollama_embed(nlohmann::json body);

/// keep_alive in seconds: a number, or a duration such as "1h30m", "90s", "-1m". Nothing if absent.
std::optional<double> read_keep_alive(const nlohmann::json& body);

/// The body a client sends; as write_openai_request().
std::string write_ollama_request(const Request& request, const std::string& model, bool stream);

}  // namespace weir
