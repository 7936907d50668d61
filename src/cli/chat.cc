#include "cli/chat.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/options.h"
#include "cli/interrupt.h"

namespace weir {
namespace {

constexpr std::string_view kQuotes = "\"\"\"";
constexpr std::string_view kPrompt = "> ";
constexpr std::string_view kMorePrompt = ". ";

struct CommandRow {
  std::string_view name;
  std::string_view argument;
  ChatCommand::Kind kind;
  std::string_view help;
};

using Kind = ChatCommand::Kind;
constexpr std::array<CommandRow, 8> kCommands = {{
    {"help", "", Kind::help, "show this list"},
    {"system", "[TEXT]", Kind::system, "show or set what the model is told first; '-' removes it"},
    {"save", "FILE", Kind::save, "write the conversation to a file"},
    {"load", "FILE", Kind::load, "go on with a saved conversation"},
    {"stats", "", Kind::stats, "times and memory of the last answer"},
    {"clear", "", Kind::clear, "forget the conversation, keep the system text"},
    {"quit", "", Kind::quit, "leave (also Ctrl-D)"},
    {"exit", "", Kind::quit, "leave"},
}};

std::string help_text() {
  std::string result = "Type a message and press Return. Commands:\n";
  for (const CommandRow& row : kCommands) {
    result += fmt::format("  {:<16} {}\n", fmt::format("/{} {}", row.name, row.argument), row.help);
  }
  result +=
      "A line that ends with \\ goes on in the next; \"\"\" begins and ends a text of several "
      "lines.\n"
      "//... is a message that begins with /. Ctrl-C stops an answer or drops a line.\n";
  return result;
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const auto begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

// A path as people type it: ~/ is the home directory.
std::filesystem::path typed_path(const std::string& text) {
  if (text.starts_with("~/")) {
    const char* home = std::getenv("HOME");
    if (home != nullptr) return std::filesystem::path(home) / text.substr(2);
  }
  return text;
}

class Chat {
 public:
  Chat(ChatBackend& backend, LineEditor& editor, const ChatOutput& output,
       Conversation& conversation)
      : backend_(backend), editor_(editor), output_(output), conversation_(conversation) {}

  void run() {
    MessageAssembler assembler;
    while (true) {
      const Line line = editor_.read(std::string(assembler.pending() ? kMorePrompt : kPrompt));
      if (line.end == Line::End::closed && !assembler.pending()) return;
      if (line.end != Line::End::entered) {
        if (line.text.empty() && !assembler.pending()) notice("Ctrl-D or /quit leaves.\n");
        assembler.take();
        continue;
      }
      if (!assembler.push(line.text)) continue;
      const bool quoted = assembler.quoted();
      const std::string text = assembler.take();
      if (trim(text).empty()) continue;
      if (!obey(quoted ? ChatCommand{Kind::message, text} : parse_chat_command(text))) return;
    }
  }

 private:
  void notice(std::string_view text) { output_.notice(text); }

  // False when the person leaves. What files and engines refuse is said, and the chat goes on.
  bool obey(const ChatCommand& command) {
    try {
      if (command.kind == Kind::quit) return false;
      act(command);
    } catch (const Error& error) {
      notice(fmt::format("{}\n", error.what()));
    }
    return true;
  }

  void act(const ChatCommand& command) {
    switch (command.kind) {
      case Kind::message:
        return answer(command.argument);
      case Kind::help:
        return notice(help_text());
      case Kind::system:
        return set_system(command.argument);
      case Kind::save:
        need_file(command, "save");
        save_conversation(conversation_, typed_path(command.argument));
        return notice(fmt::format("Saved {} messages.\n", conversation_.messages.size()));
      case Kind::load:
        need_file(command, "load");
        conversation_ = load_conversation(typed_path(command.argument));
        return notice(fmt::format("Loaded {} messages.\n", conversation_.messages.size()));
      case Kind::stats:
        return notice(backend_.stats());
      case Kind::clear:
        conversation_.messages.clear();
        return notice("The conversation is forgotten.\n");
      case Kind::quit:
        return;
      case Kind::unknown:
        return unknown(command.argument);
    }
  }

  void set_system(const std::string& text) {
    if (text.empty()) {
      notice(conversation_.system.empty() ? "There is no system text.\n"
                                          : conversation_.system + "\n");
      return;
    }
    conversation_.system = text == "-" ? "" : text;
    notice(text == "-" ? "The system text is removed.\n" : "The system text is set.\n");
  }

  static void need_file(const ChatCommand& command, std::string_view name) {
    if (command.argument.empty()) {
      fail(Code::invalid_argument, "/{0} needs the name of a file: /{0} FILE", name);
    }
  }

  void unknown(const std::string& name) {
    std::vector<std::string> names;
    for (const CommandRow& row : kCommands) names.emplace_back(row.name);
    const auto nearest = nearest_name(name, names);
    notice(nearest ? fmt::format("There is no command /{}; did you mean /{}?\n", name, *nearest)
                   : fmt::format("There is no command /{}; /help lists them.\n", name));
  }

  void answer(const std::string& text) {
    conversation_.messages.push_back({"user", text, ""});
    std::string said, ending;
    interrupt_.reset();
    try {
      ending = backend_.answer(
          conversation_,
          [&](std::string_view piece) {
            said += piece;
            output_.text(piece);
          },
          InterruptGuard::flag());
    } catch (...) {
      // As if it had not been asked, so that the next message stands alone.
      conversation_.messages.pop_back();
      if (!said.empty()) output_.text("\n");
      throw;
    }
    output_.text("\n");
    // A broken answer stays: the person has read it and may refer to it.
    conversation_.messages.push_back({"assistant", said, ""});
    if (interrupt_.interrupted()) {
      notice("(stopped)\n");
    } else if (!ending.empty()) {
      notice(fmt::format("({})\n", ending));
    }
  }

  ChatBackend& backend_;
  LineEditor& editor_;
  const ChatOutput& output_;
  Conversation& conversation_;
  // For the whole chat: a second Ctrl-C just after the answer must not end the program either.
  InterruptGuard interrupt_;
};

}  // namespace

ChatCommand parse_chat_command(std::string_view input) {
  const std::string_view text = trim(input);
  if (text.starts_with("//")) return {Kind::message, std::string(text.substr(1))};
  if (!text.starts_with('/')) return {Kind::message, std::string(text)};
  const auto end = text.find_first_of(" \t\n");
  const std::string_view name = text.substr(1, end == std::string_view::npos ? end : end - 1);
  const std::string_view rest =
      end == std::string_view::npos ? std::string_view() : trim(text.substr(end));
  const auto row = std::find_if(kCommands.begin(), kCommands.end(),
                                [name](const CommandRow& r) { return r.name == name; });
  if (row == kCommands.end()) return {Kind::unknown, std::string(name)};
  return {row->kind, std::string(rest)};
}

bool MessageAssembler::push(std::string_view line) {
  if (!pending_) {
    quoted_ = line.starts_with(kQuotes);
    if (quoted_) line.remove_prefix(kQuotes.size());
  } else if (!(quoted_ && text_.empty())) {
    text_ += '\n';
  }
  pending_ = true;
  if (quoted_) {
    if (line.ends_with(kQuotes)) {
      line.remove_suffix(kQuotes.size());
      pending_ = false;
    }
  } else if (line.ends_with('\\') && !line.ends_with("\\\\")) {
    line.remove_suffix(1);
  } else {
    pending_ = false;
  }
  text_ += line;
  // A closing """ on a line of its own adds no line.
  if (quoted_ && !pending_ && text_.ends_with('\n')) text_.pop_back();
  return !pending_;
}

std::string MessageAssembler::take() {
  pending_ = false;
  return std::exchange(text_, {});
}

void run_chat(ChatBackend& backend, LineEditor& editor, const ChatOutput& output,
              Conversation& conversation) {
  Chat(backend, editor, output, conversation).run();
}

}  // namespace weir
