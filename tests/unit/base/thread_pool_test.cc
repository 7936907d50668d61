// Regions of the pool: who runs, what is seen, what is thrown. Runs under TSan in CI.
#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/error.h"

namespace weir {
namespace {

class Pools : public testing::TestWithParam<int> {};

TEST_P(Pools, EveryIndexRunsOnceInEveryRegion) {
  ThreadPool pool(GetParam());
  for (int round = 0; round < 300; ++round) {
    std::vector<int> seen(static_cast<size_t>(GetParam()), 0);
    pool.run([&](int index, int size) {
      EXPECT_EQ(size, GetParam());
      ++seen[static_cast<size_t>(index)];
    });
    for (const int count : seen) ASSERT_EQ(count, 1);
  }
}

TEST_P(Pools, WhatARegionWroteIsSeenByTheNext) {
  ThreadPool pool(GetParam());
  std::vector<int64_t> values(1000, 0);
  const auto n = static_cast<int64_t>(values.size());
  for (int round = 0; round < 200; ++round)
    pool.run([&](int index, int size) {
      // Each thread takes another part in each round, so it must see what others wrote.
      const int part = (index + round) % size;
      for (int64_t i = n * part / size; i < n * (part + 1) / size; ++i)
        values[static_cast<size_t>(i)] += i;
    });
  for (int64_t i = 0; i < n; ++i) ASSERT_EQ(values[static_cast<size_t>(i)], 200 * i);
}

TEST_P(Pools, TheExceptionOfTheLowestIndexReachesTheCaller) {
  ThreadPool pool(GetParam());
  for (int round = 0; round < 50; ++round) {
    try {
      pool.run([](int index, int size) {
        if (index >= size / 2) throw std::runtime_error(std::to_string(index));
      });
      FAIL() << "no exception";
    } catch (const std::runtime_error& error) {
      EXPECT_EQ(error.what(), std::to_string(GetParam() / 2));
    }
    std::atomic<int> ran = 0;
    pool.run([&](int, int) { ++ran; });
    EXPECT_EQ(ran, GetParam());
  }
}

TEST_P(Pools, ARegionInsideARegionIsRefused) {
  ThreadPool pool(GetParam());
  try {
    pool.run([&](int index, int) {
      if (index == 0) pool.run([](int, int) {});
    });
    FAIL() << "no exception";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::internal);
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, Pools, testing::Values(1, 2, 3, 5, 16));

TEST(ThreadPool, RefusesSillySizes) {
  EXPECT_THROW(ThreadPool(0), Error);
  EXPECT_THROW(ThreadPool(-3), Error);
  EXPECT_THROW(ThreadPool(ThreadPool::kMaxThreads + 1), Error);
}

}  // namespace
}  // namespace weir
