#include "lab/ceilings.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <functional>

#include "base/thread_pool.h"
#include "kernels/kernels.h"
#include "tensor/tensor.h"

namespace weir {
namespace {

/// Seconds of the fastest of `repeats` runs.
double best_seconds(int repeats, const std::function<void()>& run) {
  double best = 1e9;
  for (int i = 0; i < repeats; ++i) {
    const auto start = std::chrono::steady_clock::now();
    run();
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    best = std::min(best, time.count());
  }
  return best;
}

double rate(ThreadPool& pool, int64_t (*probe)(int64_t)) {
  int64_t rounds = 1000;
  while (best_seconds(1, [&] { probe(rounds); }) < 0.01) rounds *= 2;
  int64_t operations = 0;
  const double seconds = best_seconds(8, [&] {
    pool.run([&](int index, int) {
      const int64_t done = probe(rounds);
      if (index == 0) operations = done;
    });
  });
  return static_cast<double>(operations) * pool.size() / seconds;
}

}  // namespace

double measure_read_bandwidth(int threads, size_t bytes, int repeats) {
  ThreadPool pool(threads);
  const kernels::KernelTable& table = kernels::active_table();
  Buffer memory(bytes);
  // Memory that was never written is one page of zeros over and over, which the caches hold.
  std::memset(memory.data(), 1, bytes);
  const double seconds = best_seconds(repeats, [&] {
    pool.run([&](int index, int count) {
      const size_t share = bytes / static_cast<size_t>(count) / 4096 * 4096;
      table.probe_read(memory.data() + static_cast<size_t>(index) * share, share);
    });
  });
  return static_cast<double>(bytes) / seconds;
}

Ceilings measure_ceilings(int threads, const kernels::KernelTable& table) {
  constexpr size_t kBytes = size_t{256} << 20;  // far beyond any cache
  ThreadPool pool(threads);
  Ceilings c;
  c.threads = threads;
  c.int8_ops_per_second = rate(pool, table.probe_int8);
  c.f32_ops_per_second = rate(pool, table.probe_fma);
  if (table.probe_bf16 != nullptr) c.bf16_ops_per_second = rate(pool, table.probe_bf16);
  c.read_bytes_per_second = measure_read_bandwidth(threads, kBytes, 10);
  return c;
}

}  // namespace weir
