// The CPU as a device: threads, the kernel table in use, scratch memory for each thread. Owns
// these; refuses to know models. One forward pass at a time.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/thread_pool.h"
#include "base/work_split.h"
#include "device/cpu/op_profile.h"
#include "kernels/kernels.h"
#include "tensor/tensor.h"

namespace weir {

class CpuDevice {
 public:
  /// `threads` 0: one for each core this process may use. `table` null: kernels::active_table().
  explicit CpuDevice(int threads = 0, const kernels::KernelTable* table = nullptr);

  int threads() const { return pool_.size(); }
  const kernels::KernelTable& table() const { return table_; }

  /// Regions add their times to `profile`, which must outlive them; null: none.
  void set_profile(OpProfile* profile) { profile_ = profile; }
  /// What the next regions count as.
  void set_op(Op op) { op_ = op; }

  /// 64-byte aligned memory of a thread, enough for every kernel.
  std::byte* scratch(int thread) {
    return scratch_.data() + static_cast<size_t>(thread) * kScratchBytes;
  }

  /// Room for the states of kernels::AttentionArgs, of all tasks of one call together.
  std::span<float> attention_states() {
    return {reinterpret_cast<float*>(states_.data()), states_.size() / sizeof(float)};
  }

  /// Calls f(thread, threads) on every thread; work too small to split runs on the caller alone as
  /// f(0, 1). `work` is in multiply-adds or touched floats, whichever is more.
  template <typename F>
  void run(int64_t work, const F& f) {
    const bool alone = work < kSmallWork || pool_.size() == 1;
    if (profile_ != nullptr) {
      OpProfile::Region region(*profile_, op_, alone ? 1 : pool_.size());
      const auto measured = [&](int thread, int threads) {
        region.measure(thread, [&] { f(thread, threads); });
      };
      alone ? measured(0, 1) : pool_.run(measured);
    } else {
      alone ? f(0, 1) : pool_.run(f);
    }
  }

  /// Calls f(thread, begin, end) until [0, units) is covered, in pieces as `grain` says, on
  /// whichever thread is free. `work` as above.
  template <typename F>
  void split(int64_t units, Grain grain, int64_t work, const F& f) {
    if (work < kSmallWork || pool_.size() == 1) {
      run(0, [&](int, int) { f(0, 0, units); });
      return;
    }
    split_.reset(units, grain);
    run(work, [&](int thread, int) {
      for (int64_t begin = 0, end = 0; split_.claim(thread, begin, end);) f(thread, begin, end);
    });
  }

  /// Calls f(row, thread) for each of `rows` rows, contiguous rows on one thread.
  template <typename F>
  void for_each_row(int64_t rows, int64_t row_work, const F& f) {
    run(rows == 1 ? 0 : rows * row_work, [&](int thread, int threads) {
      const int64_t end = rows * (thread + 1) / threads;
      for (int64_t row = rows * thread / threads; row < end; ++row) f(row, thread);
    });
  }

 private:
  // Below this a region costs more than it saves (waking a spinning thread takes about 1 us).
  static constexpr int64_t kSmallWork = 16384;
  static constexpr size_t kScratchBytes =
      std::max(kernels::kMatmulScratch, kernels::kAttentionScratch);

  // Touched as far as a context needs: one token of 32 heads, 64 wide, behind 131 072 others, 5 MB.
  // What does not fit is not cut into parts.
  static constexpr size_t kStateBytes = size_t{16} << 20;

  ThreadPool pool_;
  WorkSplit split_;
  const kernels::KernelTable& table_;
  OpProfile* profile_ = nullptr;
  Op op_ = Op::matmul;
  Buffer scratch_, states_;
};

}  // namespace weir
