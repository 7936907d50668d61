// Whether more comes in than the engine takes. Then the threads that serve sockets look at them all
// together every few milliseconds, not at each when something comes: refusing thousands a second
// one by one would interrupt the threads that compute as often, and what one of them loses, all
// wait for.
#pragma once

#include <atomic>
#include <chrono>
#include <thread>

namespace weir {

class Overload {
 public:
  /// A request was refused for want of room.
  void refused() { last_ = std::chrono::steady_clock::now().time_since_epoch(); }

  /// True for a while after every refusal.
  bool lasts() const {
    return std::chrono::steady_clock::now().time_since_epoch() - last_.load() < kMemory;
  }

  /// Sleeps until sockets are looked at again: the same moment for all threads.
  static void wait() {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    std::this_thread::sleep_for(kPace - now % kPace);
  }

 private:
  using Time = std::chrono::steady_clock::duration;
  static constexpr Time kPace = std::chrono::milliseconds(10);
  static constexpr Time kMemory = std::chrono::milliseconds(100);

  std::atomic<Time> last_{Time::min() / 2};
};

}  // namespace weir
