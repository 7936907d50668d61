// Which tables there are, in which order, and that WEIR_ISA forces each one by name.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <set>
#include <string>

#include "base/cpu.h"
#include "base/error.h"
#include "kernels/kernels.h"

namespace weir {
namespace {

std::set<std::string> names() {
  std::set<std::string> all;
  for (const kernels::KernelTable* table : kernels::tables()) all.insert(table->isa);
  return all;
}

TEST(Isa, EveryIsaOfThisProcessorHasATable) {
  const CpuFeatures cpu = cpu_features();
  EXPECT_EQ(names().contains("avx2"), cpu.avx2);
  EXPECT_EQ(names().contains("avx512"), cpu.avx512_vnni);
  EXPECT_EQ(names().contains("neon"), cpu.neon_dotprod);
#if defined(__aarch64__)
  EXPECT_TRUE(cpu.neon_dotprod) << "the emulator must offer dot products, else nothing is tested";
#endif
}

TEST(Isa, NamesAreDistinctAndRefIsLast) {
  const kernels::KernelTable* last = nullptr;
  size_t count = 0;
  for (const kernels::KernelTable* table : kernels::tables()) {
    last = table;
    ++count;
  }
  EXPECT_EQ(names().size(), count);
  EXPECT_EQ(last, &kernels::ref_table());
  EXPECT_STREQ(last->isa, "scalar");
}

// The choice is made once a process, so each one is looked at in a child of its own.
[[noreturn]] void exit_with_choice(const std::string& name) {
  setenv("WEIR_ISA", name.c_str(), 1);
  try {
    std::fprintf(stderr, "runs %s", kernels::active_table().isa);
  } catch (const Error& error) {
    std::fputs(error.what(), stderr);
    std::_Exit(3);
  }
  std::_Exit(0);
}

TEST(IsaDeathTest, IsForcedByName) {
  for (const std::string& name : names())
    EXPECT_EXIT(exit_with_choice(name), ::testing::ExitedWithCode(0), "runs " + name);
  EXPECT_EXIT(exit_with_choice("mmx"), ::testing::ExitedWithCode(3), "mmx.*scalar");
}

}  // namespace
}  // namespace weir
