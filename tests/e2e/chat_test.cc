// The chat of `weir run` on a terminal: a pseudo terminal stands for the person.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/file.h"
#include "support/temp_dir.h"

namespace weir {
namespace {

using ::testing::HasSubstr;

class Terminal {
 public:
  explicit Terminal(const std::filesystem::path& home) {
    const std::string state = home.string();
    pid_ = forkpty(&fd_, nullptr, nullptr, nullptr);
    if (pid_ == 0) {
      setenv("XDG_STATE_HOME", state.c_str(), 1);
      setenv("TERM", "xterm", 1);
      execl(WEIR_PROGRAM, WEIR_PROGRAM, "run", "--temp", "0", nullptr);
      _exit(127);
    }
  }
  ~Terminal() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
    close(fd_);
  }

  void type(const std::string& keys) const {
    ASSERT_EQ(write(fd_, keys.data(), keys.size()), static_cast<ssize_t>(keys.size()));
  }

  /// What the screen gets until `mark` has come behind what was read before; all of it at a
  /// timeout or the end.
  std::string until(const std::string& mark) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (std::chrono::steady_clock::now() < end) {
      const auto at = screen_.find(mark);
      if (at != std::string::npos) {
        const std::string before = screen_.substr(0, at + mark.size());
        screen_.erase(0, at + mark.size());
        return before;
      }
      pollfd ready{fd_, POLLIN, 0};
      if (poll(&ready, 1, 100) <= 0) continue;
      char bytes[4096];
      const ssize_t count = read(fd_, bytes, sizeof bytes);
      if (count <= 0) break;
      screen_.append(bytes, static_cast<size_t>(count));
    }
    ADD_FAILURE() << "'" << mark << "' never came: " << screen_;
    return screen_;
  }

  int exit_code() {
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  int fd_ = -1;
  pid_t pid_ = -1;
  std::string screen_;
};

constexpr const char* kUp = "\x1b[A";
constexpr const char* kCtrlC = "\x03";
constexpr const char* kCtrlD = "\x04";

TEST(Chat, AnswersEditsSavesAndStops) {
  const test::TempDir temp;
  const std::string saved = (temp.path() / "talk.json").string();
  Terminal terminal(temp.path());
  terminal.until("> ");
  terminal.type("What is Weir?\r");
  const std::string answer = terminal.until("\n> ");
  EXPECT_THAT(answer, HasSubstr("Weir is a program"));

  terminal.type("/help\r");
  EXPECT_THAT(terminal.until("\n> "), HasSubstr("/clear"));
  terminal.type("/stats\r");
  EXPECT_THAT(terminal.until("\n> "), HasSubstr("tok/s"));
  terminal.type("/save " + saved + "\r");
  terminal.until("\n> ");
  EXPECT_THAT(read_file(saved), HasSubstr("What is Weir?"));

  // The history brings the line back, the arrow keys edit it.
  terminal.type("/clear\r");
  terminal.until("\n> ");
  terminal.type(std::string(kUp) + kUp + kUp + kUp + kUp + "\r");
  EXPECT_THAT(terminal.until("\n> "), HasSubstr("Weir is a program"));

  // Ctrl-C drops a line, and stops an answer but not the program.
  terminal.type(std::string("half a line") + kCtrlC);
  terminal.until("> ");
  terminal.type("Tell me a story about a fox.\r");
  terminal.until("Once");
  terminal.type(kCtrlC);
  terminal.until("\n> ");
  terminal.type(kCtrlD);
  EXPECT_EQ(terminal.exit_code(), 0);
}

TEST(Chat, GoesOnWithASavedConversation) {
  const test::TempDir temp;
  const std::string saved = (temp.path() / "talk.json").string();
  {
    Terminal terminal(temp.path());
    terminal.until("> ");
    terminal.type("Hello\r");
    terminal.until("\n> ");
    terminal.type("/save " + saved + "\r");
    terminal.until("\n> ");
    terminal.type("/quit\r");
    EXPECT_EQ(terminal.exit_code(), 0);
  }
  Terminal terminal(temp.path());
  terminal.until("> ");
  terminal.type("/load /absent/file\r");
  EXPECT_THAT(terminal.until("\n> "), HasSubstr("/absent/file"));
  terminal.type("/load " + saved + "\r");
  terminal.until("\n> ");
  terminal.type("\"\"\"\rWhat is\rWeir?\r\"\"\"\r");
  EXPECT_THAT(terminal.until("\n> "), HasSubstr("Weir"));
  terminal.type("/nonsense\r");
  EXPECT_THAT(terminal.until("\n> "), HasSubstr("/help"));
  terminal.type(kCtrlD);
  EXPECT_EQ(terminal.exit_code(), 0);
}

}  // namespace
}  // namespace weir
