// What this machine can do at most, measured: read bandwidth and arithmetic rates with a number of
// threads. The yardstick of every benchmark row.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/kernels.h"

namespace weir {

struct Ceilings {
  int threads = 1;
  double read_bytes_per_second = 0;  // reading memory that is in no cache
  double int8_ops_per_second = 0;    // dot products in registers; multiply and add count two
  double f32_ops_per_second = 0;     // FMA in registers; counts two
  double bf16_ops_per_second = 0;    // pairs of BF16; 0 for tables that do not use them
};

/// Bytes a second, the best of `repeats` walks over `bytes` of memory.
double measure_read_bandwidth(int threads, size_t bytes, int repeats);

/// Takes about a second. Best of several short runs, so that a busy moment does not count.
Ceilings measure_ceilings(int threads, const kernels::KernelTable& table = kernels::active_table());

}  // namespace weir
