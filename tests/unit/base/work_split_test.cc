// Every unit is done exactly once, whoever comes first.
#include "base/work_split.h"

#include <gtest/gtest.h>

#include <atomic>
#include <vector>

#include "base/thread_pool.h"

namespace weir {
namespace {

TEST(WorkSplit, OneThreadTakesAllSharesInPiecesOfTheGrain) {
  WorkSplit split(3);
  split.reset(101, {4});
  std::vector<int> done(101, 0);
  for (int64_t begin = 0, end = 0; split.claim(1, begin, end);) {
    EXPECT_EQ(begin % 4, 0);
    EXPECT_TRUE(end - begin >= 4 || end == 101) << begin << " to " << end;
    for (int64_t i = begin; i < end; ++i) ++done[static_cast<size_t>(i)];
  }
  EXPECT_EQ(done, std::vector<int>(101, 1));
}

TEST(WorkSplit, BeginsWithTheThreadsOwnShareInLongPieces) {
  WorkSplit split(2);
  split.reset(64, {1});
  int64_t begin = 0, end = 0;
  ASSERT_TRUE(split.claim(1, begin, end));
  EXPECT_EQ(begin, 32);
  EXPECT_EQ(end, 48);
}

TEST(WorkSplit, TakesAsManyQuartersAsAsked) {
  WorkSplit split(2);
  split.reset(64, {4, 3});
  int64_t begin = 0, end = 0;
  ASSERT_TRUE(split.claim(1, begin, end));
  EXPECT_EQ(begin, 32);
  EXPECT_EQ(end, 56);
}

TEST(WorkSplit, LessWorkThanThreads) {
  WorkSplit split(8);
  split.reset(2, {1});
  int64_t begin = 0, end = 0;
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(split.claim(5, begin, end));
    EXPECT_EQ(end - begin, 1);
  }
  EXPECT_FALSE(split.claim(5, begin, end));
  split.reset(0, {1});
  EXPECT_FALSE(split.claim(0, begin, end));
}

TEST(WorkSplit, ManyThreadsDoEachUnitOnce) {
  ThreadPool pool(5);
  WorkSplit split(pool.size());
  std::vector<std::atomic<int>> done(1000);
  for (int round = 1; round <= 200; ++round) {
    const int64_t units = 1000 - round;
    split.reset(units, {1 + round % 7});
    pool.run([&](int thread, int) {
      for (int64_t begin = 0, end = 0; split.claim(thread, begin, end);)
        for (int64_t i = begin; i < end; ++i) ++done[static_cast<size_t>(i)];
    });
    for (int64_t i = 0; i < 1000; ++i)
      ASSERT_EQ(done[static_cast<size_t>(i)].exchange(0), i < units ? 1 : 0) << i;
  }
}

}  // namespace
}  // namespace weir
