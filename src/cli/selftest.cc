// weir selftest: proves the numerics contract on this machine.
#include <chrono>
#include <cstdio>

#include "cli/command.h"
#include "lab/selftest.h"

namespace weir::cli {
namespace {

int run() {
  const auto start = std::chrono::steady_clock::now();
  const SelfTestReport report = run_self_test([](const SelfTestResult& r) {
    std::fputs(
        fmt::format("{}  {}: {}\n", r.passed ? "ok    " : "FAILED", r.name, r.detail).c_str(),
        stdout);
    std::fflush(stdout);
  });
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
  std::fputs(fmt::format("{} on {} in {:.1f} s\n", report.passed() ? "passed" : "FAILED",
                         report.isa, time.count())
                 .c_str(),
             stdout);
  return report.passed() ? kSuccess : kFailure;
}

}  // namespace

void add_selftest(Commands& commands) {
  commands.add("selftest", "Prove that every kernel gives the reference's bits on this machine",
               [] { return run(); });
}

}  // namespace weir::cli
