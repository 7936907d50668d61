// Conversations, tools and prompts as the dialects share them. Reads JSON into the engine's nouns;
// refuses what a model here cannot take (images, audio) by name.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "text/chat_template.h"

namespace weir {

/// The member `messages`. Takes the texts out of `body`. Throws ApiError that names the place.
std::vector<ChatMessage> read_messages(nlohmann::json& body);

/// The member `tools` as JSON text for the template; empty if there are none.
std::string read_tools(const nlohmann::json& body);

/// A prompt: text, or token ids.
struct PromptInput {
  std::string text;
  std::vector<int32_t> tokens;
  bool is_text = true;
};

/// The member `name`: a text or ids, or (if `many`) a list of these; at least one, at most 256.
std::vector<PromptInput> read_prompts(nlohmann::json& body, const std::string& name, bool many);

/// Refuses a member that is there and neither null, empty, nor false.
void refuse_member(const nlohmann::json& body, const std::string& name, const std::string& why);

}  // namespace weir
