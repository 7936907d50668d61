// When sockets are looked at together: for a while after every refusal, and no longer.
#include "server/overload.h"

#include <gtest/gtest.h>

namespace weir {
namespace {

using std::chrono::milliseconds;

TEST(Overload, LastsForAWhileAfterARefusal) {
  Overload overload;
  EXPECT_FALSE(overload.lasts());
  for (int i = 0; i < 2; ++i) {
    const auto start = std::chrono::steady_clock::now();
    overload.refused();
    const bool lasts = overload.lasts();
    const auto took = std::chrono::steady_clock::now() - start;  // a busy machine may take long
    EXPECT_TRUE(lasts || took >= milliseconds(100));
    std::this_thread::sleep_for(milliseconds(150));
    EXPECT_FALSE(overload.lasts());
  }
}

TEST(Overload, ThreadsWaitForTheSameMoment) {
  // Waits end at whole multiples of a pace, so one that follows another takes all of it.
  Overload::wait();
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 5; ++i) Overload::wait();
  EXPECT_GE(std::chrono::steady_clock::now() - start, milliseconds(40));
}

}  // namespace
}  // namespace weir
