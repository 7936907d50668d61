// From a conversation to the token ids a model expects: its chat template, rendered, and its
// tokenizer, such that what users wrote can never become a control token.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "model/model.h"
#include "text/chat_template.h"

namespace weir {

/// Ids of the conversation, ready for an answer. `tools`: JSON array for the template, `variables`:
/// JSON object of further names for it, each may be empty. Throws unsupported if the model has no
/// tokenizer or no chat template, invalid_argument where the JSON is none, and what the template
/// throws on a conversation it refuses.
std::vector<int32_t> chat_tokens(const Model& model, std::span<const ChatMessage> messages,
                                 const std::string& tools = "", const std::string& variables = "");

}  // namespace weir
