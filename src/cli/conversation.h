// A conversation as the chat keeps it and as a file. Owns the JSON form; refuses to render prompts.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "text/chat_template.h"

namespace weir {

struct Conversation {
  std::string system;                 // empty: none
  std::vector<ChatMessage> messages;  // of user and assistant, in turn

  /// What the model is given: the system message, if any, before the others.
  std::vector<ChatMessage> with_system() const;
};

/// {"system": …, "messages": [{"role": …, "content": …}, …]}. Bytes that are not UTF-8 become
/// U+FFFD.
std::string conversation_json(const Conversation& conversation);

/// Throws Error{bad_format} that names what is wrong.
Conversation parse_conversation(std::string_view json);

/// Writes the file atomically. A file that is there already is replaced only if it holds a
/// conversation; else Error{invalid_argument}.
void save_conversation(const Conversation& conversation, const std::filesystem::path& path);

/// Throws not_found, io or bad_format.
Conversation load_conversation(const std::filesystem::path& path);

}  // namespace weir
