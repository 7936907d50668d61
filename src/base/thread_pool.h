// A fixed set of threads for parallel regions: one function, run once by every thread with its
// index, static partition. Owns the threads; refuses queues, futures and nested regions. Workers
// spin briefly between regions, then sleep. No allocation per region.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <thread>
#include <vector>

namespace weir {

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
  bool stopping_ = false;
  std::atomic<bool> busy_{false};
  alignas(64) std::atomic<uint32_t> generation_{0};  // counts regions; workers wait for a change
  alignas(64) std::atomic<uint32_t> pending_{0};     // workers that have not finished
  std::vector<std::exception_ptr> errors_;           // one a thread
  std::vector<std::thread> workers_;
};

}  // namespace weir
