#include "cli/line_editor.h"

#include <histedit.h>

#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <system_error>

#include "base/error.h"

namespace weir {
namespace {

constexpr int kHistoryLines = 1000;

class TerminalEditor final : public LineEditor {
 public:
  explicit TerminalEditor(const std::filesystem::path& history_file)
      : history_file_(history_file.string()) {
    // Editing needs to know how bytes make characters. Numbers keep their C form.
    std::setlocale(LC_CTYPE, "");
    history_ = history_init();
    editor_ = el_init("weir", stdin, stdout, stderr);
    if (history_ == nullptr || editor_ == nullptr) {
      release();
      fail(Code::io, "the terminal could not be set up for line editing");
    }
    set_up_history();
    set_up_editor();
  }
  ~TerminalEditor() override { release(); }
  TerminalEditor(const TerminalEditor&) = delete;
  TerminalEditor& operator=(const TerminalEditor&) = delete;

  Line read(const std::string& prompt) override {
    prompt_ = prompt;
    abandoned_ = false;
    int length = 0;
    el_set(editor_, EL_PREP_TERM, 1);  // or a Ctrl-C right behind the prompt would be a signal
    const char* typed = el_gets(editor_, &length);
    Line line;
    if (abandoned_) {
      line.end = Line::End::abandoned;
      return line;
    }
    if (typed == nullptr || length <= 0) {
      std::fputc('\n', stdout);
      line.end = Line::End::closed;
      return line;
    }
    line.text.assign(typed, static_cast<size_t>(length));
    while (!line.text.empty() && (line.text.back() == '\n' || line.text.back() == '\r')) {
      line.text.pop_back();
    }
    remember(line.text);
    return line;
  }

 private:
  void set_up_history() {
    HistEvent event;
    history(history_, &event, H_SETSIZE, kHistoryLines);
    history(history_, &event, H_SETUNIQUE, 1);
    if (history_file_.empty()) return;
    std::error_code ignored;
    const auto folder = std::filesystem::path(history_file_).parent_path();
    if (!std::filesystem::exists(folder, ignored)) {
      std::filesystem::create_directories(folder, ignored);
      // What people type is their own affair.
      std::filesystem::permissions(folder, std::filesystem::perms::owner_all, ignored);
    }
    history(history_, &event, H_LOAD, history_file_.c_str());
  }

  void set_up_editor() {
    el_set(editor_, EL_CLIENTDATA, this);
    el_set(editor_, EL_PROMPT_ESC, &TerminalEditor::prompt, '\1');
    el_set(editor_, EL_EDITOR, "emacs");
    el_set(editor_, EL_HIST, history, history_);
    el_set(editor_, EL_SIGNAL, 0);
    // While a line is edited, Ctrl-C is a key like others; a signal could hit at any time. (Taking
    // the character away alone, "intr=", has no effect in libedit 3.1.)
    el_set(editor_, EL_SETTY, "-d", "-isig", nullptr);
    // el_set copies these two strings and never frees them.
    el_wset(editor_, EL_ADDFN, L"weir-abandon", L"Abandon the line", &TerminalEditor::abandon);
    el_set(editor_, EL_BIND, "^C", "weir-abandon", nullptr);
    el_set(editor_, EL_BIND, "^R", "em-inc-search-prev", nullptr);
    // The keys of common terminals that libedit does not know by itself.
    el_set(editor_, EL_BIND, "\\e[3~", "ed-delete-next-char", nullptr);
    el_set(editor_, EL_BIND, "\\e[1~", "ed-move-to-beg", nullptr);
    el_set(editor_, EL_BIND, "\\e[4~", "ed-move-to-end", nullptr);
    el_set(editor_, EL_BIND, "\\e[1;5C", "em-next-word", nullptr);
    el_set(editor_, EL_BIND, "\\e[1;5D", "ed-prev-word", nullptr);
    el_source(editor_, nullptr);  // the person's own ~/.editrc
  }

  void remember(const std::string& text) {
    if (text.empty()) return;
    HistEvent event;
    history(history_, &event, H_ENTER, text.c_str());
    // After each line, so that nothing is lost with the program.
    if (!history_file_.empty()) history(history_, &event, H_SAVE, history_file_.c_str());
  }

  void release() {
    if (editor_ != nullptr) el_end(editor_);
    if (history_ != nullptr) history_end(history_);
  }

  static TerminalEditor& self(EditLine* editor) {
    void* data = nullptr;
    el_get(editor, EL_CLIENTDATA, &data);
    return *static_cast<TerminalEditor*>(data);
  }
  static char* prompt(EditLine* editor) { return self(editor).prompt_.data(); }
  static unsigned char abandon(EditLine* editor, wint_t) {
    self(editor).abandoned_ = true;
    std::fputs("^C\n", stdout);
    return CC_NEWLINE;
  }

  std::string history_file_;
  History* history_ = nullptr;
  EditLine* editor_ = nullptr;
  std::string prompt_;
  bool abandoned_ = false;
};

}  // namespace

std::filesystem::path history_path() {
  const char* state = std::getenv("XDG_STATE_HOME");
  // The specification: relative paths there are invalid and to be ignored.
  if (state != nullptr && state[0] == '/') return std::filesystem::path(state) / "weir" / "history";
  const char* home = std::getenv("HOME");
  if (home == nullptr || home[0] != '/') return {};
  return std::filesystem::path(home) / ".local" / "state" / "weir" / "history";
}

std::unique_ptr<LineEditor> make_terminal_editor(const std::filesystem::path& history) {
  return std::make_unique<TerminalEditor>(history);
}

}  // namespace weir
