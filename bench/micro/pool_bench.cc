// What a parallel region costs by itself, and the two parts of it that depend on the machine: a
// cache line that goes from one core to another, and an atomic counter that two cores count at.
// docs/threads.md uses the figures.
#include <benchmark/benchmark.h>

#include <atomic>
#include <thread>

#include "base/thread_pool.h"

namespace {

void empty_region(benchmark::State& state) {
  weir::ThreadPool pool(static_cast<int>(state.range(0)));
  for (auto _ : state) pool.run([](int, int) { benchmark::ClobberMemory(); });
}
BENCHMARK(empty_region)->Arg(1)->Arg(2)->Arg(4)->Arg(16)->UseRealTime();

/// Time of one transfer: half of a round trip.
void line_transfer(benchmark::State& state) {
  alignas(64) std::atomic<uint32_t> to{0};
  alignas(64) std::atomic<uint32_t> back{0};
  std::thread other([&] {
    for (uint32_t seen = 0;;) {
      const uint32_t now = to.load(std::memory_order_acquire);
      if (now == seen) continue;
      seen = now;
      back.store(now, std::memory_order_release);
      if (now == UINT32_MAX) return;
    }
  });
  uint32_t round = 0;
  for (auto _ : state) {
    to.store(++round, std::memory_order_release);
    while (back.load(std::memory_order_acquire) != round) continue;
  }
  to.store(UINT32_MAX, std::memory_order_release);
  other.join();
  state.counters["transfer"] =
      benchmark::Counter(static_cast<double>(2 * state.iterations()),
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(line_transfer)->UseRealTime();

/// Two threads count at one line, as workers do at the end of a region: time of one count.
void shared_count(benchmark::State& state) {
  static std::atomic<uint64_t> counter{0};
  for (auto _ : state) counter.fetch_add(1, std::memory_order_acq_rel);
}
BENCHMARK(shared_count)->Threads(1)->Threads(2)->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
