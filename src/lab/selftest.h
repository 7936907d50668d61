// Proves on the user's machine what the test suite proves on ours: every kernel of every ISA this
// processor has equals the reference bit for bit, and the embedded model's answer does not depend
// on threads or on how the prompt is cut. Takes a few seconds.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace weir {

struct SelfTestResult {
  std::string name;  // "kernels avx2", "model: threads", ...
  bool passed = false;
  std::string detail;  // what was compared, or what differs
};

struct SelfTestReport {
  std::string isa;  // the table that ran the model
  std::vector<SelfTestResult> results;
  bool passed() const;
};

SelfTestReport run_self_test(const std::function<void(const SelfTestResult&)>& on_result);

}  // namespace weir
