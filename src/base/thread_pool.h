// A fixed set of threads for parallel regions: one function, run once by every thread with its
// index, static partition. Owns the threads; refuses queues, futures and nested regions. Workers
// spin briefly between regions, then sleep. No allocation per region.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "base/thread_spread.h"

namespace weir {

/// A number that threads wait for: by polling first, then asleep. Not std::atomic::wait, which
/// gives its processor up between polls (sched_yield): two threads that the system once put on one
/// processor hand it to each other then, and never sleep, so that neither is moved to an idle one.
class WaitedCount {
 public:
  /// Waits until the number differs from `old`. True if the thread slept. `polls` before it does; 0
  /// where threads are more than processors, which they give to each other a few times instead.
  bool wait_for_change(uint32_t old, int polls);

  void add(uint32_t difference);  // wakes all who wait

 private:
  std::atomic<uint32_t> value_{0}, sleepers_{0};
  std::mutex mutex_;
  std::condition_variable changed_;
};

class ThreadPool {
 public:
  /// `threads` >= 1 counts the caller, which does the share of index 0. Throws invalid_argument if
  /// out of range, limit_exceeded if the system gives no more threads.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  static constexpr int kMaxThreads = 1024;

  int size() const { return size_; }

  /// Calls f(index, size()) on every thread and returns when all are done. Rethrows the exception
  /// of the lowest index that threw. One region at a time: a second caller, or a region inside a
  /// region, breaks the contract (Code::internal).
  template <typename F>
  void run(const F& f) {
    run_region([](const void* context, int index,
                  int size) { (*static_cast<const F*>(context))(index, size); },
               &f);
  }

 private:
  using Region = void (*)(const void* context, int index, int size);

  void run_region(Region region, const void* context);
  void call(int index);
  void work(int index);
  void stop();

  int size_;
  int spins_;  // polls before a thread sleeps; 0 when there are more threads than cores
  Region region_ = nullptr;
  const void* context_ = nullptr;
  uint32_t regions_ = 0;  // begun
  bool stopping_ = false;
  std::atomic<bool> busy_{false};
  alignas(64) WaitedCount generation_;            // regions begun; workers wait for a change
  alignas(64) std::atomic<uint32_t> pending_{0};  // workers that have not finished
  WaitedCount finished_;                          // regions that all workers have finished
  std::vector<std::exception_ptr> errors_;        // one a thread
  ThreadSpread spread_;
  std::vector<std::thread> workers_;
};

}  // namespace weir
