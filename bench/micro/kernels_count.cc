// Runs each hot kernel of the active table (WEIR_ISA) once, with sizes and bytes that never change,
// and has callgrind dump its instruction count under the kernel's name. Prints the instruction set
// and the compiler, which the counts depend on. bench/check runs it and reads the dumps.
#include <valgrind/callgrind.h>

#include <cstdio>
#include <exception>
#include <string>

#include "cases.h"

namespace {

using weir::DTypeInfo;
using weir::bench::RowKernel;
using weir::kernels::KernelTable;

#ifdef __clang__
constexpr const char* kCompiler = "clang++";
#else
constexpr const char* kCompiler = "g++";
#endif

/// The program starts with collection off; the first call is not counted (lazy binding, statics).
template <typename Case>
void count(const std::string& name, Case run) {
  run();
  CALLGRIND_ZERO_STATS;
  CALLGRIND_TOGGLE_COLLECT;
  run();
  CALLGRIND_TOGGLE_COLLECT;
  CALLGRIND_DUMP_STATS_AT(name.c_str());
}

void count_all(const KernelTable& table) {
  // 70 rows: no multiple of a panel; 2304 inputs: a segment and one block more.
  constexpr int64_t kRows = 70, kInputs = 2304;
  for (const DTypeInfo& type : weir::all_dtypes()) {
    if (table.matmul[static_cast<size_t>(type.type)] == nullptr) continue;
    for (const int64_t tokens : {1, 4, 16, 64})
      count("matmul/" + std::string(type.name) + "/" + std::to_string(tokens),
            weir::bench::MatmulCase(table, type.type, kRows, kInputs, tokens));
  }
  for (const int64_t tokens : {1, 16})
    count("attention/f16/" + std::to_string(tokens),
          weir::bench::AttentionCase(table, 512, tokens));
  for (int which = 0; const char* name : weir::bench::kRowKernelNames)
    count(name, weir::bench::RowCase(table, static_cast<RowKernel>(which++), kInputs));
}

}  // namespace

int main() {
  try {
    const KernelTable& table = weir::kernels::active_table();
    std::printf("%s, %s %s\n", table.isa, kCompiler, __VERSION__);
    count_all(table);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "kernels_count: %s\n", error.what());
    return 1;
  }
  return 0;
}
