// Events on their way from an engine's thread to a connection. The engine's side never blocks and
// never throws; what waits is bounded, and a reader too slow for the bound loses its stream.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "engine/engine.h"

namespace weir {

struct Arrival {
  size_t choice = 0;
  Event event;
  std::chrono::steady_clock::time_point at;
};

class EventQueue {
 public:
  static constexpr size_t kLimitBytes = size_t{1} << 20;

  /// `cancel` is set when the bound is passed, so that the engine stops the request.
  explicit EventQueue(std::shared_ptr<std::atomic<bool>> cancel, size_t limit = kLimitBytes)
      : cancel_(std::move(cancel)), limit_(limit) {}

  /// Called by the engine.
  void push(size_t choice, const Event& event) noexcept;

  /// Everything that waits. If nothing does, `wake` will be called once, by the engine's thread,
  /// when something comes; it must not block nor call the queue. Where there is no memory to call
  /// it, it is not.
  std::vector<Arrival> take(std::function<void()> wake);

  /// Forgets a `wake` that was not called, and waits for one that is being called: what it refers
  /// to may go after this.
  void forget_wake();

  /// True if events were lost.
  bool overflowed() const { return overflowed_.load(std::memory_order_acquire); }
  /// True if events were lost because there was no memory for them.
  bool out_of_memory() const { return out_of_memory_.load(std::memory_order_acquire); }

 private:
  const std::shared_ptr<std::atomic<bool>> cancel_;
  const size_t limit_;
  std::atomic<bool> overflowed_ = false, out_of_memory_ = false;
  std::mutex mutex_;
  std::vector<Arrival> waiting_;
  size_t bytes_ = 0;
  std::function<void()> wake_;
};

}  // namespace weir
