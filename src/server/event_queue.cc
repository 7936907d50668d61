#include "server/event_queue.h"

#include <utility>

namespace weir {
namespace {

size_t size_of(const Event& event) {
  return sizeof(Arrival) + event.text.size() + event.detail.size() +
         event.top.size() * sizeof(TokenLogprob);
}

}  // namespace

void EventQueue::push(size_t choice, const Event& event) noexcept {
  try {
    const std::lock_guard lock(mutex_);
    if (!overflowed_) {
      bytes_ += size_of(event);
      if (bytes_ > limit_) {
        overflowed_ = true;
      } else {
        waiting_.push_back({choice, event, std::chrono::steady_clock::now()});
      }
    }
  } catch (...) {
    out_of_memory_ = true;
  }
  if (overflowed_ || out_of_memory_) *cancel_ = true;
  try {
    const std::lock_guard lock(mutex_);  // who takes or forgets afterwards finds the call ended
    const std::function<void()> wake = std::exchange(wake_, nullptr);
    if (wake) wake();
  } catch (...) {  // the connection looks by itself after a while
  }
}

std::vector<Arrival> EventQueue::take(std::function<void()> wake) {
  const std::lock_guard lock(mutex_);
  std::vector<Arrival> taken;
  taken.swap(waiting_);
  bytes_ = 0;
  if (taken.empty() && !overflowed_ && !out_of_memory_) wake_ = std::move(wake);
  return taken;
}

void EventQueue::forget_wake() {
  const std::lock_guard lock(mutex_);
  wake_ = nullptr;
}

}  // namespace weir
