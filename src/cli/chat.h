// The chat of `weir run`: a person at a terminal talks to a model. Owns commands, multi-line input
// and the conversation; refuses to know engines, which stand behind ChatBackend.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "cli/conversation.h"
#include "cli/line_editor.h"

namespace weir {

/// What a chat needs of an engine.
class ChatBackend {
 public:
  virtual ~ChatBackend() = default;

  /// Answers the last message of the conversation. Calls `on_text` with the pieces of the answer;
  /// stops soon after `cancel` becomes true. Returns one sentence if there is something to say
  /// about how it ended ("The context is full."), else nothing. Throws Error.
  virtual std::string answer(const Conversation& conversation,
                             const std::function<void(std::string_view)>& on_text,
                             std::shared_ptr<const std::atomic<bool>> cancel) = 0;

  /// Lines for /stats: about the model and the last answer.
  virtual std::string stats() const = 0;
};

struct ChatOutput {
  std::function<void(std::string_view)> text;    // the answer, as it comes (standard output)
  std::function<void(std::string_view)> notice;  // everything else (standard error)
};

/// Runs until the person leaves. `conversation` may hold a system message and earlier turns, and
/// holds all of it afterwards. Errors of the backend and of files are notices, not exceptions.
void run_chat(ChatBackend& backend, LineEditor& editor, const ChatOutput& output,
              Conversation& conversation);

// The parts, for tests.

struct ChatCommand {
  enum class Kind { message, help, system, save, load, stats, clear, quit, unknown };
  Kind kind = Kind::message;
  std::string argument;  // of the command; the text of a message; the name of an unknown command
};

/// What an entered message means. "//x" is the message "/x".
ChatCommand parse_chat_command(std::string_view input);

/// Puts lines together to messages: a line that ends with one backslash goes on, and between two
/// """ everything does.
class MessageAssembler {
 public:
  /// Takes a line; true when the message is complete.
  bool push(std::string_view line);
  /// The message so far; starts anew.
  std::string take();
  /// Whether a message has begun and needs more lines.
  bool pending() const { return pending_; }
  /// Whether the message was written between """, and so is never a command.
  bool quoted() const { return quoted_; }

 private:
  std::string text_;
  bool pending_ = false;
  bool quoted_ = false;
};

}  // namespace weir
