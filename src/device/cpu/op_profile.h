// Where the time of forward passes goes: seconds of every kind of op and of waiting at its end.
// Owns the sums; refuses to steer anything. Used by one forward pass at a time.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace weir {

enum class Op : uint8_t { embedding, norm, matmul, attention, head, sampling };
inline constexpr size_t kOps = 6;
inline constexpr std::array<std::string_view, kOps> kOpNames = {"embedding", "norm", "matmul",
                                                                "attention", "head", "sampling"};

class OpProfile {
 public:
  using Clock = std::chrono::steady_clock;

  /// Wall seconds of parallel regions of an op, without what its threads waited on average.
  double seconds(Op op) const { return seconds_[static_cast<size_t>(op)]; }
  /// Seconds that a thread waited at the ends of regions for slower ones, on average.
  double waiting() const { return waiting_; }
  /// Seconds of whole steps; what ops and waiting leave of it is bookkeeping between regions.
  double total() const { return total_; }
  void add_total(double seconds) { total_ += seconds; }
  void clear() { *this = OpProfile(); }

  /// One region of `threads` threads: construct, run each thread's part in measure(), destroy.
  class Region {
   public:
    Region(OpProfile& profile, Op op, int threads)
        : profile_(profile), op_(op), threads_(threads), start_(Clock::now()) {
      profile_.busy_.assign(static_cast<size_t>(threads), 0.0);
    }
    ~Region() {
      const double wall = since(start_);
      double busy = 0;
      for (const double thread : profile_.busy_) busy += thread;
      const double mean = std::min(wall, busy / threads_);
      profile_.seconds_[static_cast<size_t>(op_)] += mean;
      profile_.waiting_ += wall - mean;
    }
    Region(const Region&) = delete;
    Region& operator=(const Region&) = delete;

    template <typename F>
    void measure(int thread, const F& f) {
      const auto start = Clock::now();
      f();
      profile_.busy_[static_cast<size_t>(thread)] += since(start);
    }

   private:
    static double since(Clock::time_point start) {
      return std::chrono::duration<double>(Clock::now() - start).count();
    }
    OpProfile& profile_;
    Op op_;
    int threads_;
    Clock::time_point start_;
  };

 private:
  std::array<double, kOps> seconds_{};
  double waiting_ = 0, total_ = 0;
  std::vector<double> busy_;  // of the region at work, one a thread
};

}  // namespace weir
