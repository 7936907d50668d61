// `weir serve` as a child process on a free port, for tests from outside.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace weir::test {

class ServedProgram {
 public:
  /// Starts the program with `arguments` after "serve --port 0" and waits for its start screen.
  explicit ServedProgram(const std::vector<std::string>& arguments,
                         const std::vector<std::string>& environment = {});
  ~ServedProgram();
  ServedProgram(const ServedProgram&) = delete;
  ServedProgram& operator=(const ServedProgram&) = delete;

  uint16_t port() const { return port_; }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  /// Standard output and standard error so far.
  std::string output() const;
  void signal(int number) const;
  /// The exit status; -1 if it does not end in time or ended by a signal.
  int wait(double seconds);

 private:
  pid_t pid_ = -1;
  uint16_t port_ = 0;
  std::string log_;
};

}  // namespace weir::test
