// Threads that meet on one processor part. Linux only: elsewhere a thread cannot choose.
#include "base/thread_spread.h"

#include <gtest/gtest.h>

#if defined(__linux__)
#include <sched.h>

#include <chrono>
#include <thread>

namespace weir {
namespace {

using std::chrono::milliseconds;

cpu_set_t allowed() {
  cpu_set_t set;
  EXPECT_EQ(sched_getaffinity(0, sizeof set, &set), 0);
  return set;
}

/// Goes to the first processor that the thread may use, and may then use all of `set` again.
void go_to_the_first(const cpu_set_t& set) {
  int first = 0;
  while (!CPU_ISSET(static_cast<size_t>(first), &set)) ++first;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(static_cast<size_t>(first), &one);
  ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
  ASSERT_EQ(sched_setaffinity(0, sizeof set, &set), 0);
}

TEST(ThreadSpread, TheSecondOnAProcessorMovesToAnother) {
  const cpu_set_t set = allowed();
  if (CPU_COUNT(&set) < 2) GTEST_SKIP() << "this machine lends one processor only";
  ThreadSpread spread(2);
  for (int attempt = 0; attempt < 1000 && spread.moves() == 0; ++attempt) {
    // One thread plays both. The system may move it in between, then it tries again.
    go_to_the_first(set);
    spread.settle(0);
    spread.settle(1);
    std::this_thread::sleep_for(milliseconds(2));
  }
  EXPECT_GT(spread.moves(), 0);
  const cpu_set_t after = allowed();
  EXPECT_TRUE(CPU_EQUAL(&set, &after)) << "which processors the thread may use has changed";
}

TEST(ThreadSpread, NobodyMovesWhereNoProcessorIsLeft) {
  const cpu_set_t set = allowed();
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(static_cast<size_t>(sched_getcpu()), &one);
  ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
  ThreadSpread spread(3);
  for (int i = 0; i < 3; ++i) spread.settle(i);
  EXPECT_EQ(spread.moves(), 0);
  const cpu_set_t after = allowed();
  EXPECT_TRUE(CPU_EQUAL(&one, &after));
  ASSERT_EQ(sched_setaffinity(0, sizeof set, &set), 0);
}

TEST(ThreadSpread, MovesOnceInAMillisecond) {
  const cpu_set_t set = allowed();
  ThreadSpread spread(2);
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 2000; ++i) {
    go_to_the_first(set);
    spread.settle(0);
    spread.settle(1);
  }
  const auto took = std::chrono::steady_clock::now() - start;
  EXPECT_LE(spread.moves(), 2 * (took / milliseconds(1) + 1));
}

}  // namespace
}  // namespace weir

#endif
