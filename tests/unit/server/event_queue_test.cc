// The engine's side of an event queue against the connection's: who wakes whom, and until when.
#include "server/event_queue.h"

#include <gtest/gtest.h>

#include <future>
#include <thread>

namespace weir {
namespace {

using std::chrono::milliseconds;

EventQueue queue() { return EventQueue(std::make_shared<std::atomic<bool>>(false)); }

TEST(EventQueue, WakesOnceForWhatComesAfterAnEmptyTake) {
  EventQueue events = queue();
  int woken = 0;
  EXPECT_TRUE(events.take([&] { ++woken; }).empty());
  events.push(0, {});
  events.push(1, {});
  EXPECT_EQ(woken, 1);
  EXPECT_EQ(events.take([&] { ++woken; }).size(), 2u);
  events.push(0, {});
  EXPECT_EQ(woken, 1) << "a take that found something leaves no wake";
}

TEST(EventQueue, ForgetsAWake) {
  EventQueue events = queue();
  bool woken = false;
  events.take([&] { woken = true; });
  events.forget_wake();
  events.push(0, {});
  EXPECT_FALSE(woken);
}

TEST(EventQueue, WhoForgetsAWakeFindsItEnded) {
  EventQueue events = queue();
  std::promise<void> called, may_end;
  std::atomic<bool> ended = false;
  events.take([&] {
    called.set_value();
    may_end.get_future().wait();
    ended = true;
  });
  std::thread engine([&] { events.push(0, {}); });
  called.get_future().wait();
  auto forgotten = std::async(std::launch::async, [&] {
    events.forget_wake();
    return ended.load();
  });
  EXPECT_EQ(forgotten.wait_for(milliseconds(50)), std::future_status::timeout);
  may_end.set_value();
  EXPECT_TRUE(forgotten.get());
  engine.join();
}

}  // namespace
}  // namespace weir
