// The description of the machine: what must hold of its caches wherever the program runs.
#include "base/cpu.h"

#include <gtest/gtest.h>

namespace weir {
namespace {

TEST(Cpu, CachesGrowWithTheirLevelWhereTheyAreKnown) {
  const MachineInfo m = machine_info();
  EXPECT_EQ(m.l1d_bytes, first_cache_bytes());
  EXPECT_GE(m.l1d_bytes, 0);
  if (m.l2_bytes > 0) {
    EXPECT_LE(m.l1d_bytes, m.l2_bytes);
  }
  if (m.l3_bytes > 0) {
    EXPECT_LE(m.l2_bytes, m.l3_bytes);
  }
  EXPECT_LT(m.l3_bytes, m.memory_bytes);
}

}  // namespace
}  // namespace weir
