// Which thread does which part of a region. Every thread starts in a share of its own and takes
// ever smaller pieces of it; who is done early helps the others. Owns the claims; refuses to know
// the work, whose result must not depend on who does what.
//
// A static split waits for the slowest thread, and cores are not equal: efficiency cores, hyper-
// threads, and virtual processors that a host interrupts. Halving keeps the pieces long, as streams
// from memory like them, until the end is near.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <vector>

namespace weir {

/// How units are cut: a piece has a multiple of `units`, and is so many quarters of what is left of
/// a share. Three suit pieces that begin with work for all their units; none makes every piece
/// `units` long.
struct Grain {
  int64_t units = 1;
  int quarters = 2;
};

class WorkSplit {
 public:
  explicit WorkSplit(int threads) : shares_(static_cast<size_t>(threads)) {}

  /// Units [0, units) for all threads. Not while others claim.
  void reset(int64_t units, Grain cut) {
    cut_ = cut;
    const int64_t grain = cut.units;
    const auto count = static_cast<int64_t>(shares_.size());
    const int64_t grains = (units + grain - 1) / grain;
    for (int64_t i = 0; i < count; ++i) {
      Share& share = shares_[static_cast<size_t>(i)];
      share.next.store(std::min(units, grains * i / count * grain), std::memory_order_relaxed);
      share.end = std::min(units, grains * (i + 1) / count * grain);
    }
  }

  /// Takes the next piece for `thread`; false when nothing is left.
  bool claim(int thread, int64_t& begin, int64_t& end) {
    for (size_t i = 0; i < shares_.size(); ++i) {
      Share& share = shares_[(static_cast<size_t>(thread) + i) % shares_.size()];
      begin = share.next.load(std::memory_order_relaxed);
      while (begin < share.end) {
        const int64_t part = (share.end - begin) * cut_.quarters / 4 / cut_.units * cut_.units;
        end = std::min(share.end, begin + std::max(cut_.units, part));
        if (share.next.compare_exchange_weak(begin, end, std::memory_order_relaxed)) return true;
      }
    }
    return false;
  }

 private:
  struct alignas(64) Share {
    std::atomic<int64_t> next{0};
    int64_t end = 0;
  };
  std::vector<Share> shares_;  // one a thread
  Grain cut_;
};

}  // namespace weir
