// Answers in Ollama's shape: newline-delimited JSON for chats and generations; embeddings. Refuses
// to know requests' bodies and sockets.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "server/call.h"

namespace weir {

std::unique_ptr<AnswerWriter> make_ollama_writer(const Call& call, AnswerFrame frame);

/// The answer to a call that only loads ("load") or unloads ("unload") a model.
std::string write_ollama_loaded(Endpoint endpoint, const AnswerFrame& frame, const char* reason);

std::string write_ollama_embeddings(const std::vector<std::vector<float>>& vectors,
                                    const std::string& model, int64_t prompt_tokens,
                                    int64_t total_ns, int64_t load_ns);

/// "2026-01-31T12:00:00.123456789Z"
std::string rfc3339(int64_t ns_since_1970);

}  // namespace weir
