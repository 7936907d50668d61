#include "engine/chat_prompt.h"

#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "text/tokenizer.h"

namespace weir {
namespace {

/// True if the text, as a user wrote it, names a control token of the vocabulary.
bool holds_special(const Tokenizer& tokenizer, const std::string& text) {
  const auto plain = tokenizer.encode(text, {.add_special = false, .parse_special = false});
  const auto parsed = tokenizer.encode(text, {.add_special = false, .parse_special = true});
  return plain != parsed;
}

nlohmann::ordered_json parsed(const std::string& text, const char* name, bool array) {
  auto json = nlohmann::ordered_json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!(array ? json.is_array() : json.is_object()))
    fail(Code::invalid_argument, "{}: expected a JSON {}", name, array ? "array" : "object");
  return json;
}

}  // namespace

std::vector<int32_t> chat_tokens(const Model& model, std::span<const ChatMessage> messages,
                                 const std::string& tools, const std::string& variables) {
  const auto& tokenizer = model.tokenizer();
  if (tokenizer == nullptr)
    fail(Code::unsupported, "this model has no tokenizer; give token ids instead of a chat");
  if (model.chat_template().empty())
    fail(Code::unsupported,
         "this model has no chat template; use it for plain completion instead of a chat");
  const auto piece = [&](std::optional<int32_t> id) { return id ? tokenizer->piece(*id) : ""; };
  const nlohmann::ordered_json json = chat_messages_json(messages);
  RenderInput input;
  input.messages = &json;
  input.bos_token = piece(tokenizer->bos());
  input.eos_token = piece(tokenizer->eos());
  nlohmann::ordered_json tools_json, variables_json;
  if (!tools.empty()) {
    tools_json = parsed(tools, "tools", true);
    input.tools = &tools_json;
  }
  if (!variables.empty()) {
    variables_json = parsed(variables, "template variables", false);
    for (const auto& [name, value] : variables_json.items()) input.extra[name] = &value;
  }
  const auto segments = ChatTemplate::parse(model.chat_template()).render_segments(input);

  std::string whole;
  bool hostile = false;
  for (const Segment& segment : segments) {
    whole += segment.text;
    hostile = hostile || (!segment.from_template && holds_special(*tokenizer, segment.text));
  }
  // Templates write BOS themselves where the model wants one; add it only where they do not.
  std::vector<int32_t> ids;
  const std::string bos = input.bos_token;
  if (tokenizer->adds_bos() && tokenizer->bos() && (bos.empty() || !whole.starts_with(bos)))
    ids.push_back(*tokenizer->bos());
  const auto append = [&](const std::string& text, bool special) {
    const auto more = tokenizer->encode(text, {.add_special = false, .parse_special = special});
    ids.insert(ids.end(), more.begin(), more.end());
  };
  if (!hostile) {
    append(whole, true);  // in one piece, so that words merge across the borders as in training
  } else {
    for (const Segment& segment : segments) append(segment.text, segment.from_template);
  }
  return ids;
}

}  // namespace weir
