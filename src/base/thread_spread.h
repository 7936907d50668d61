// Keeps the threads of a pool on processors of their own. Owns where each was seen last; refuses to
// bind threads: the system may move them at any time, for reasons it knows better.
//
// Threads that wait for each other and were put on one processor take turns there: each sleeps
// while the other works, so the system sees one busy thread and wakes the other where it was: on a
// small busy machine Linux looks no further. It lasts for seconds, beside an idle processor.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <vector>

namespace weir {

class ThreadSpread {
 public:
  explicit ThreadSpread(int threads) : places_(static_cast<size_t>(threads)) {}

  /// Thread `index` has slept and works again. Where another was seen last on its processor, it
  /// moves to one that it may use and where none was seen, if there is one; it looks for one at
  /// most once in a millisecond.
  void settle(int index);

  int64_t moves() const { return moves_; }  // so far, of all threads

 private:
  struct alignas(64) Place {
    std::atomic<int> processor{-1};
    std::chrono::steady_clock::time_point looked;  // for another; the thread's own
  };
  std::vector<Place> places_;  // one a thread
  std::atomic<int64_t> moves_{0};
};

}  // namespace weir
