#include "cli/conversation.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "base/file.h"

namespace weir {
namespace {

using Json = nlohmann::ordered_json;

constexpr uint64_t kMaxFileBytes = uint64_t{64} << 20;

std::string text_member(const Json& object, const char* key, std::string_view where) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) {
    fail(Code::bad_format, "{} of a conversation needs a text \"{}\", but has {}", where, key,
         found == object.end() ? "none" : found->type_name());
  }
  return found->get<std::string>();
}

void refuse_other_keys(const Json& object, std::string_view where, std::string_view first,
                       std::string_view second) {
  for (const auto& member : object.items()) {
    if (member.key() != first && member.key() != second) {
      fail(Code::bad_format,
           "{} of a conversation has the key \"{}\", but only \"{}\" and \"{}\" are known", where,
           member.key(), first, second);
    }
  }
}

ChatMessage parse_message(const Json& item, size_t index) {
  const std::string where = fmt::format("message {}", index + 1);
  if (!item.is_object()) {
    fail(Code::bad_format, "{} of a conversation must be an object, but is {}", where,
         item.type_name());
  }
  refuse_other_keys(item, where, "role", "content");
  ChatMessage message;
  message.role = text_member(item, "role", where);
  message.content = text_member(item, "content", where);
  if (message.role != "user" && message.role != "assistant") {
    fail(Code::bad_format, "{} of a conversation has the role \"{}\", expected user or assistant",
         where, message.role);
  }
  return message;
}

}  // namespace

std::vector<ChatMessage> Conversation::with_system() const {
  std::vector<ChatMessage> result;
  if (!system.empty()) result.push_back({"system", system, ""});
  result.insert(result.end(), messages.begin(), messages.end());
  return result;
}

std::string conversation_json(const Conversation& conversation) {
  Json messages = Json::array();
  for (const ChatMessage& message : conversation.messages) {
    messages.push_back(Json{{"role", message.role}, {"content", message.content}});
  }
  const Json document{{"system", conversation.system}, {"messages", std::move(messages)}};
  return document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Conversation parse_conversation(std::string_view json) {
  Json document;
  try {
    document = Json::parse(json);
  } catch (const Json::exception& error) {
    fail(Code::bad_format, "a conversation must be JSON, but: {}", error.what());
  }
  if (!document.is_object()) {
    fail(Code::bad_format,
         "a conversation must be an object with \"system\" and \"messages\", but is {}",
         document.type_name());
  }
  refuse_other_keys(document, "the top level", "system", "messages");
  Conversation result;
  if (document.contains("system")) result.system = text_member(document, "system", "the top level");
  const auto messages = document.find("messages");
  if (messages == document.end() || !messages->is_array()) {
    fail(Code::bad_format, "the top level of a conversation needs a list \"messages\"");
  }
  for (const Json& item : *messages) {
    result.messages.push_back(parse_message(item, result.messages.size()));
  }
  return result;
}

void save_conversation(const Conversation& conversation, const std::filesystem::path& path) {
  std::error_code ignored;
  if (std::filesystem::exists(path, ignored)) {
    try {
      load_conversation(path);
    } catch (const Error&) {
      fail(Code::invalid_argument,
           "'{}' exists and is not a conversation; it is left as it is, choose another name",
           path.string());
    }
  }
  write_file_atomically(path, conversation_json(conversation));
}

Conversation load_conversation(const std::filesystem::path& path) {
  return parse_conversation(read_file(path, kMaxFileBytes));
}

}  // namespace weir
