// Start, wait and stop of the pool. `generation_` publishes a region, `finished_` its results.
#include "base/thread_pool.h"

#include <system_error>

#include "base/error.h"

namespace weir {
namespace {

// About 20 to 60 microseconds: longer than the serial stretches between the regions of a token.
constexpr int kSpins = 1500;
constexpr int kYields = 16;  // before a thread sleeps that may not spin

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

int checked_size(int threads) {
  if (threads < 1 || threads > ThreadPool::kMaxThreads)
    fail(Code::invalid_argument, "threads: {}, expected 1 to {}", threads, ThreadPool::kMaxThreads);
  return threads;
}

}  // namespace

bool WaitedCount::wait_for_change(uint32_t old, int polls) {
  for (int i = 0; i < polls; ++i) {
    if (value_.load(std::memory_order_acquire) != old) return false;
    pause();
  }
  // More threads than processors: no processor is idle that one could be kept from.
  for (int i = 0; polls == 0 && i < kYields; ++i) {
    if (value_.load(std::memory_order_acquire) != old) return false;
    std::this_thread::yield();
  }
  std::unique_lock lock(mutex_);
  ++sleepers_;
  changed_.wait(lock, [&] { return value_ != old; });
  --sleepers_;
  return true;
}

void WaitedCount::add(uint32_t difference) {
  value_ += difference;
  if (sleepers_ == 0) return;  // who comes now looks at the new number before sleeping
  { const std::lock_guard lock(mutex_); }
  changed_.notify_all();
}

ThreadPool::ThreadPool(int threads) : size_(checked_size(threads)), spread_(size_) {
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
  generation_.add(1);
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
  for (uint32_t region = 0;; ++region) {
    if (generation_.wait_for_change(region, spins_)) spread_.settle(index);
    if (stopping_) return;
    call(index);
    if (pending_.fetch_sub(1, std::memory_order_acq_rel) == 1) finished_.add(1);
  }
}

void ThreadPool::run_region(Region region, const void* context) {
  WEIR_CHECK(!busy_.exchange(true, std::memory_order_acquire), "a parallel region is running");
  region_ = region;
  context_ = context;
  if (size_ > 1) {
    pending_.store(static_cast<uint32_t>(size_ - 1), std::memory_order_relaxed);
    generation_.add(1);
  }
  call(0);
  if (size_ > 1 && finished_.wait_for_change(regions_++, spins_)) spread_.settle(0);
  busy_.store(false, std::memory_order_release);
  for (std::exception_ptr& error : errors_) {
    if (error == nullptr) continue;
    const std::exception_ptr first = error;
    for (std::exception_ptr& e : errors_) e = nullptr;
    std::rethrow_exception(first);
  }
}

}  // namespace weir
