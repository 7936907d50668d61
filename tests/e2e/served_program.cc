#include "e2e/served_program.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <thread>

#include "base/file.h"

namespace weir::test {
namespace {

using namespace std::chrono_literals;

/// Ends in the child; only calls that are safe between fork and exec.
[[noreturn]] void become(char* const* argv, int log, const std::vector<std::string>& environment) {
  dup2(log, STDOUT_FILENO);
  dup2(log, STDERR_FILENO);
  for (const std::string& entry : environment) putenv(const_cast<char*>(entry.c_str()));
  execv(argv[0], argv);
  _exit(127);
}

}  // namespace

ServedProgram::ServedProgram(const std::vector<std::string>& arguments,
                             const std::vector<std::string>& environment) {
  std::string pattern = (std::filesystem::temp_directory_path() / "weir-serve-XXXXXX").string();
  const int log = mkstemp(pattern.data());
  log_ = pattern;
  std::vector<std::string> words = {WEIR_PROGRAM, "serve", "--port", "0"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_ = fork();
  if (pid_ == 0) become(argv.data(), log, environment);
  close(log);
  const std::string mark = "Weir serves at http://127.0.0.1:";
  for (int i = 0; i < 3000; ++i) {
    const std::string text = output();
    const auto at = text.find(mark);
    if (at != std::string::npos && text.find('\n', at) != std::string::npos) {
      port_ = static_cast<uint16_t>(std::stoi(text.substr(at + mark.size())));
      return;
    }
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      throw std::runtime_error("the server ended at its start: " + output());
    }
    std::this_thread::sleep_for(10ms);
  }
  throw std::runtime_error("the server does not start: " + output());
}

ServedProgram::~ServedProgram() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  std::filesystem::remove(log_);
}

std::string ServedProgram::output() const { return read_file(log_); }

void ServedProgram::signal(int number) const { kill(pid_, number); }

int ServedProgram::wait(double seconds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (std::chrono::steady_clock::now() < end) {
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }
    std::this_thread::sleep_for(5ms);
  }
  return -1;
}

}  // namespace weir::test
