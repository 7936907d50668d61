// Lines from a person: editing keys, history kept in a file. Owns the terminal while a line is
// typed; refuses to know what a line means.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

namespace weir {

struct Line {
  enum class End {
    entered,    // Return
    abandoned,  // Ctrl-C: what was typed does not count
    closed,     // Ctrl-D on an empty line, or the end of the input
  };
  End end = End::entered;
  std::string text;  // without the line break
};

class LineEditor {
 public:
  virtual ~LineEditor() = default;
  virtual Line read(const std::string& prompt) = 0;
};

/// Where the history of chats is kept: $XDG_STATE_HOME/weir/history, else
/// ~/.local/state/weir/history; empty if neither place is known.
std::filesystem::path history_path();

/// An editor on the terminal (standard input; prompts on standard output). Lines that are not empty
/// enter the history, which is kept in `history` (none if empty, and none, without an error, if it
/// cannot be read or written: a chat works on a read-only system too).
std::unique_ptr<LineEditor> make_terminal_editor(const std::filesystem::path& history);

}  // namespace weir
