#include "server/messages.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "server/api_error.h"
#include "server/json_body.h"

namespace weir {
namespace {

using nlohmann::json;

constexpr size_t kMostPrompts = 256;

/// The text of a content: a text, null, or a list of text parts.
std::string read_content(json& content, const std::string& path) {
  if (content.is_string()) return std::move(content.get_ref<std::string&>());
  if (content.is_null()) return "";
  if (!content.is_array())
    throw bad_parameter(path, path + " must be a text or a list of text parts");
  std::string text;
  for (size_t i = 0; i < content.size(); ++i) {
    json& part = content[i];
    const std::string at = fmt::format("{}[{}]", path, i);
    if (part.is_string()) {
      text += part.get_ref<std::string&>();
      continue;
    }
    const auto type = part.is_object() ? part.find("type") : part.end();
    if (!part.is_object() || type == part.end() || !type->is_string())
      throw bad_parameter(at, at + " must be an object with a text 'type'");
    if (!is_text(*type, "text") && !is_text(*type, "input_text"))
      throw bad_parameter(at, at + " is of another type than 'text'; this server reads text only");
    const auto member = part.find("text");
    if (member == part.end() || !member->is_string())
      throw bad_parameter(at + ".text", at + ".text must be a text");
    text += member->get_ref<std::string&>();
  }
  return text;
}

/// Clients send the arguments of a call as JSON text, templates expect the object.
void open_arguments(json& call) {
  if (!call.is_object() || !call.contains("function") || !call["function"].is_object()) return;
  json& function = call["function"];
  if (!function.contains("arguments") || !function["arguments"].is_string()) return;
  json parsed = json::parse(function["arguments"].get_ref<const std::string&>(), nullptr, false);
  if (parsed.is_object()) function["arguments"] = std::move(parsed);
}

ChatMessage read_message(json& message, const std::string& path) {
  if (!message.is_object()) throw bad_parameter(path, path + " must be an object");
  const auto role = message.find("role");
  if (role == message.end() || !role->is_string() || role->get_ref<std::string&>().empty())
    throw bad_parameter(path + ".role", path + ".role must be a text such as 'user'");
  ChatMessage result;
  result.role = role->get<std::string>();
  if (result.role == "developer") result.role = "system";  // the same, under a newer name
  const bool has_calls = message.contains("tool_calls") && !message["tool_calls"].is_null();
  const auto content = message.find("content");
  if (content == message.end() || content->is_null()) {
    if (!has_calls) throw bad_parameter(path + ".content", path + ".content must be a text");
  } else {
    result.content = read_content(*content, path + ".content");
  }
  if (message.contains("images")) refuse_member(message, "images", "this server reads text only");
  json extra = json::object();
  for (const auto& [name, value] : message.items()) {
    if (name == "role" || name == "content" || name == "images" || value.is_null()) continue;
    extra[name] = std::move(value);
  }
  if (has_calls && extra["tool_calls"].is_array())
    for (json& call : extra["tool_calls"]) open_arguments(call);
  if (!extra.empty()) result.extra = extra.dump();
  return result;
}

std::vector<int32_t> read_ids(const json& list, const std::string& path) {
  std::vector<int32_t> ids;
  ids.reserve(list.size());
  for (const json& item : list) {
    // A number too large for the check below is no id either.
    if (!item.is_number_integer() || item.get<int64_t>() < 0 || item.get<int64_t>() > INT32_MAX)
      throw bad_parameter(path, path + " must be a list of token ids");
    ids.push_back(item.get<int32_t>());
  }
  return ids;
}

PromptInput read_prompt(json& value, const std::string& path) {
  PromptInput input;
  if (value.is_string()) {
    input.text = std::move(value.get_ref<std::string&>());
    return input;
  }
  if (!value.is_array() || value.empty())
    throw bad_parameter(path, path + " must be a text or a list of token ids");
  input.is_text = false;
  input.tokens = read_ids(value, path);
  return input;
}

}  // namespace

std::vector<ChatMessage> read_messages(json& body) {
  const auto messages = body.find("messages");
  if (messages == body.end() || !messages->is_array() || messages->empty())
    throw bad_parameter("messages", "parameter 'messages' must be a list of at least one message");
  std::vector<ChatMessage> result;
  for (size_t i = 0; i < messages->size(); ++i)
    result.push_back(read_message((*messages)[i], fmt::format("messages[{}]", i)));
  return result;
}

std::string read_tools(const json& body) {
  const auto tools = body.find("tools");
  if (tools == body.end() || tools->is_null()) return "";
  if (!tools->is_array())
    throw bad_parameter("tools", "parameter 'tools' must be a list of function declarations");
  for (const json& tool : *tools)
    if (!tool.is_object() || !tool.contains("function") || !tool["function"].is_object() ||
        !tool["function"].contains("name") || !tool["function"]["name"].is_string())
      throw bad_parameter("tools",
                          "each of 'tools' must be {type: 'function', function: {name, …}}");
  return tools->empty() ? "" : tools->dump();
}

std::vector<PromptInput> read_prompts(json& body, const std::string& name, bool many) {
  const auto value = body.find(name);
  if (value == body.end() || value->is_null())
    throw bad_parameter(name, fmt::format("parameter '{}' is missing", name));
  const bool nested = value->is_array() && !value->empty() &&
                      (value->front().is_string() || value->front().is_array());
  if (!many || !nested) return {read_prompt(*value, name)};
  if (value->size() > kMostPrompts)
    throw bad_parameter(name, fmt::format("parameter '{}' may have at most {} items, but has {}",
                                          name, kMostPrompts, value->size()));
  std::vector<PromptInput> result;
  for (size_t i = 0; i < value->size(); ++i)
    result.push_back(read_prompt((*value)[i], fmt::format("{}[{}]", name, i)));
  return result;
}

void refuse_member(const json& body, const std::string& name, const std::string& why) {
  const auto value = body.find(name);
  if (value == body.end() || value->is_null()) return;
  if (value->is_string() && value->get_ref<const std::string&>().empty()) return;
  if ((value->is_array() || value->is_object()) && value->empty()) return;
  if (value->is_boolean() && !value->get<bool>()) return;
  throw bad_parameter(name, fmt::format("parameter '{}' is not supported: {}", name, why));
}

}  // namespace weir
