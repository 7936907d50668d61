#include "base/thread_spread.h"

#if defined(__linux__)
#include <sched.h>
#endif

namespace weir {

#if defined(__linux__)

namespace {

constexpr std::chrono::milliseconds kPause{1};

/// Moves the calling thread to `processor`; which ones it may use stays as it is.
bool move_to(int processor, const cpu_set_t& allowed) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(static_cast<size_t>(processor), &one);
  const bool moved = sched_setaffinity(0, sizeof one, &one) == 0;
  return sched_setaffinity(0, sizeof allowed, &allowed) == 0 && moved;
}

}  // namespace

void ThreadSpread::settle(int index) {
  Place& own = places_[static_cast<size_t>(index)];
  const int here = sched_getcpu();
  own.processor.store(here, std::memory_order_relaxed);
  bool shared = false;
  for (const Place& place : places_)
    shared |= &place != &own && place.processor.load(std::memory_order_relaxed) == here;
  if (!shared) return;
  const auto now = std::chrono::steady_clock::now();
  if (now - own.looked < kPause) return;
  own.looked = now;
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  cpu_set_t unused = allowed;
  for (const Place& place : places_) {
    const int taken = place.processor.load(std::memory_order_relaxed);
    if (taken >= 0 && taken < CPU_SETSIZE) CPU_CLR(static_cast<size_t>(taken), &unused);
  }
  for (int processor = 0; processor < CPU_SETSIZE; ++processor) {
    if (!CPU_ISSET(static_cast<size_t>(processor), &unused)) continue;
    if (!move_to(processor, allowed)) return;
    own.processor.store(processor, std::memory_order_relaxed);
    ++moves_;
    return;
  }
}

#else

void ThreadSpread::settle(int) {}  // other systems do not let a thread choose

#endif

}  // namespace weir
