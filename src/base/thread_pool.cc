// Start, wait and stop of the pool. `generation_` publishes a region (release), `pending_`
// publishes its results; both are waited for by polling first and by the futex below
// std::atomic::wait after.
#include "base/thread_pool.h"

#include <system_error>

#include "base/error.h"

namespace weir {
namespace {

// About 20 to 60 microseconds: longer than the serial stretches between the regions of a token.
constexpr int kSpins = 1500;

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// Returns the value once it differs from `old`.
uint32_t wait_for_change(const std::atomic<uint32_t>& value, uint32_t old, int spins) {
  for (int i = 0; i < spins; ++i) {
    const uint32_t now = value.load(std::memory_order_acquire);
    if (now != old) return now;
    pause();
  }
  for (;;) {
    const uint32_t now = value.load(std::memory_order_acquire);
    if (now != old) return now;
    value.wait(old, std::memory_order_acquire);
  }
}

}  // namespace

ThreadPool::ThreadPool(int threads) : size_(threads) {
  if (threads < 1 || threads > kMaxThreads)
    fail(Code::invalid_argument, "threads: {}, expected 1 to {}", threads, kMaxThreads);
  const auto cores = static_cast<int>(std::thread::hardware_concurrency());
  spins_ = threads <= cores ? kSpins : 0;
  errors_.resize(static_cast<size_t>(threads));
  workers_.reserve(static_cast<size_t>(threads) - 1);
  try {
    for (int i = 1; i < threads; ++i) workers_.emplace_back([this, i] { work(i); });
  } catch (const std::system_error& error) {
    const size_t started = workers_.size() + 1;
    stop();
    fail(Code::limit_exceeded, "the system gave {} of {} threads ({}); ask for fewer", started,
         threads, error.what());
  }
}

ThreadPool::~ThreadPool() { stop(); }

void ThreadPool::stop() {
  stopping_ = true;
  generation_.fetch_add(1, std::memory_order_release);
  generation_.notify_all();
  for (std::thread& worker : workers_) worker.join();
  workers_.clear();
}

void ThreadPool::call(int index) {
  try {
    region_(context_, index, size_);
  } catch (...) {
    errors_[static_cast<size_t>(index)] = std::current_exception();
  }
}

void ThreadPool::work(int index) {
  uint32_t seen = 0;
  for (;;) {
    seen = wait_for_change(generation_, seen, spins_);
    if (stopping_) return;
    call(index);
    if (pending_.fetch_sub(1, std::memory_order_acq_rel) == 1) pending_.notify_one();
  }
}

void ThreadPool::run_region(Region region, const void* context) {
  WEIR_CHECK(!busy_.exchange(true, std::memory_order_acquire), "a parallel region is running");
  region_ = region;
  context_ = context;
  if (size_ > 1) {
    pending_.store(static_cast<uint32_t>(size_ - 1), std::memory_order_relaxed);
    generation_.fetch_add(1, std::memory_order_release);
    generation_.notify_all();
  }
  call(0);
  for (uint32_t left = pending_.load(std::memory_order_acquire); left != 0;)
    left = wait_for_change(pending_, left, spins_);
  busy_.store(false, std::memory_order_release);
  for (std::exception_ptr& error : errors_) {
    if (error == nullptr) continue;
    const std::exception_ptr first = error;
    for (std::exception_ptr& e : errors_) e = nullptr;
    std::rethrow_exception(first);
  }
}

}  // namespace weir
