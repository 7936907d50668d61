// Fuzz target: YAML text into parse_policy(). An error must be a typed one; an accepted policy must
// hold only values that its tables allow.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "lab/policy.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace {

const std::vector<std::string>& words() {
  static const std::vector<std::string> kWords = [] {
    std::vector<std::string> list = {"engine:\n",  "model:\n", "generation:\n",
                                     "runtime:\n", "audit:\n", "metadata:\n",
                                     "\n  ",       "- ",       "[",
                                     "]",          "{",        "}",
                                     ", ",         ": ",       "&a ",
                                     "*a",         "!!str ",   "|\n",
                                     "'",          "\"",       "---\n",
                                     "...\n",      "? ",       "<<: ",
                                     "true",       "null",     "-.inf",
                                     "1e400",      "6GiB",     "native",
                                     "f16",        "\t",       "%YAML 1.2\n"};
    const auto add = [&list](const auto& table) {
      for (const auto& info : table.infos()) list.push_back("\n  " + info.name + ": 1");
    };
    add(weir::sampling_options());
    add(weir::runtime_policy_options());
    add(weir::audit_policy_options());
    return list;
  }();
  return kWords;
}

}  // namespace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned int seed) {
  std::minstd_rand random(seed);
  if (random() % 2 == 0) return LLVMFuzzerMutate(data, size, max_size);
  std::string text(reinterpret_cast<const char*>(data), size);
  const std::string& word = words()[random() % words().size()];
  text.insert(text.empty() ? 0 : random() % text.size(), word);
  if (random() % 4 == 0) text.erase(random() % text.size(), 1 + random() % 8);
  const size_t result = std::min(text.size(), max_size);
  std::copy_n(text.data(), result, reinterpret_cast<char*>(data));
  return result;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const weir::Policy policy =
        weir::parse_policy({reinterpret_cast<const char*>(data), size}, "fuzz");
    weir::sampling_options().check(policy.generation);
    weir::runtime_policy_options().check(policy.runtime);
    weir::apply_runtime(policy.runtime, {});
  } catch (const weir::Error& error) {
    if (error.code() == weir::Code::internal) std::abort();
  }
  return 0;
}
