#include "lab/ceilings.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "base/error.h"

namespace weir {
namespace {

constexpr size_t kMemoryBytes = size_t{256} << 20;  // far beyond any cache

/// `amount` bytes or operations in each of `repeats` runs.
template <typename Run>
Moment moment(double amount, int repeats, const Run& run) {
  double best = 1e9, sum = 0;
  for (int i = 0; i < repeats; ++i) {
    const auto start = std::chrono::steady_clock::now();
    run();
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    best = std::min(best, time.count());
    sum += time.count();
  }
  return {amount / best, amount * repeats / sum};
}

/// Memory that was never written is one page of zeros over and over, which the caches hold.
Buffer written_memory(size_t bytes) {
  Buffer memory(bytes);
  std::memset(memory.data(), 1, bytes);
  return memory;
}

Moment read_bandwidth(ThreadPool& pool, const Buffer& memory, int repeats,
                      const kernels::KernelTable& table) {
  return moment(static_cast<double>(memory.size()), repeats, [&] {
    pool.run([&](int index, int count) {
      const size_t share = memory.size() / static_cast<size_t>(count) / 4096 * 4096;
      table.probe_read(memory.data() + static_cast<size_t>(index) * share, share);
    });
  });
}

/// How many rounds of a probe take 10 ms, or some more.
int64_t rounds_of(int64_t (*probe)(int64_t)) {
  int64_t rounds = 1000;
  while (moment(0.01, 1, [&] { probe(rounds); }).best > 1) rounds *= 2;
  return rounds;
}

}  // namespace

CeilingProbe::CeilingProbe(int threads, const kernels::KernelTable& table)
    : table_(table), pool_(threads), memory_(written_memory(kMemoryBytes)) {}

Moment CeilingProbe::read() { return read_bandwidth(pool_, memory_, 12, table_); }

Moment CeilingProbe::arithmetic(int64_t (*probe)(int64_t)) {
  if (probe == nullptr) return {};
  const int64_t rounds = rounds_of(probe);
  const auto operations = static_cast<double>(probe(1)) * static_cast<double>(rounds);
  return moment(operations * pool_.size(), 6, [&] { pool_.run([&](int, int) { probe(rounds); }); });
}

Moment CeilingProbe::named(std::string_view ceiling) {
  if (ceiling == "read") return read();
  if (ceiling == "int8") return int8();
  if (ceiling == "f32") return f32();
  WEIR_CHECK(ceiling == "bf16");
  return bf16();
}

double measure_read_bandwidth(int threads, size_t bytes, int repeats) {
  ThreadPool pool(threads);
  return read_bandwidth(pool, written_memory(bytes), repeats, kernels::active_table()).best;
}

Ceilings measure_ceilings(int threads, const kernels::KernelTable& table) {
  CeilingProbe probe(threads, table);
  return measure_ceilings(probe);
}

Ceilings measure_ceilings(CeilingProbe& probe) {
  return {probe.threads(), probe.read().best, probe.int8().best, probe.f32().best,
          probe.bf16().best};
}

}  // namespace weir
