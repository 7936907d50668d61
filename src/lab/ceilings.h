// What this machine can do at most, measured: read bandwidth and arithmetic rates with a number of
// threads. The yardstick of every benchmark row.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/thread_pool.h"
#include "kernels/kernels.h"
#include "tensor/tensor.h"

namespace weir {

struct Ceilings {
  int threads = 1;
  double read_bytes_per_second = 0;  // reading memory that is in no cache
  double int8_ops_per_second = 0;    // dot products in registers; multiply and add count two
  double f32_ops_per_second = 0;     // FMA in registers; counts two
  double bf16_ops_per_second = 0;    // pairs of BF16; 0 for tables that do not use them
};

/// One ceiling at one moment, in bytes or operations a second, from several short runs.
struct Moment {
  double best = 0;       // of the fastest run: what nothing else disturbed
  double sustained = 0;  // of all of them together: what the machine gave to whoever worked then
};

/// Measures a ceiling as often as it is asked, in some 80 ms: a shared machine gives more in one
/// second than in the next.
class CeilingProbe {
 public:
  /// Threads 1 to ThreadPool::kMaxThreads; holds 256 MiB for `read`.
  CeilingProbe(int threads, const kernels::KernelTable& table);

  int threads() const { return pool_.size(); }
  Moment read();  // of memory that is in no cache
  Moment int8() { return arithmetic(table_.probe_int8); }
  Moment f32() { return arithmetic(table_.probe_fma); }
  Moment bf16() { return arithmetic(table_.probe_bf16); }  // 0 for tables that do not use it

  /// By the name that benchmark rows give it: "read", "int8", "f32" or "bf16".
  Moment named(std::string_view ceiling);

 private:
  Moment arithmetic(int64_t (*probe)(int64_t));

  const kernels::KernelTable& table_;
  ThreadPool pool_;
  Buffer memory_;
};

/// Bytes a second, the best of `repeats` walks over `bytes` of memory.
double measure_read_bandwidth(int threads, size_t bytes, int repeats);

/// The best of each. Takes about half a second.
Ceilings measure_ceilings(CeilingProbe& probe);
Ceilings measure_ceilings(int threads, const kernels::KernelTable& table = kernels::active_table());

}  // namespace weir
