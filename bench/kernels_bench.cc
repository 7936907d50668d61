// One row for each kernel of each table that this machine can run, on one thread. Walks the tables,
// so a new kernel has its row at once. Owns no judgement: `weir bench` relates speed to ceilings.
//
//   kernels_bench --benchmark_filter='matmul/avx512/.*/1$'
#include <benchmark/benchmark.h>

#include <cstdint>
#include <string>

#include "cases.h"

namespace {

using weir::DType;
using weir::DTypeInfo;
using weir::bench::RowKernel;
using weir::kernels::KernelTable;

constexpr int64_t kRows = 1024;
constexpr int64_t kManyRows = 24576;  // more bytes than caches hold
constexpr int64_t kInputs = 4096;

void matmul(benchmark::State& state, const KernelTable& table, const DTypeInfo& type,
            int64_t rows) {
  weir::bench::MatmulCase run(table, type.type, rows, kInputs, state.range(0));
  for (auto _ : state) {
    run();
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * run.weight_bytes());
  state.counters["ops"] = benchmark::Counter(static_cast<double>(run.operations()),
                                             benchmark::Counter::kIsIterationInvariantRate);
}

/// One token, as in decode; the argument is the context length.
void attention(benchmark::State& state, const KernelTable& table) {
  weir::bench::AttentionCase run(table, state.range(0), 1);
  for (auto _ : state) {
    run();
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * run.kv_bytes());
}

void row_kernel(benchmark::State& state, const KernelTable& table, int which) {
  weir::bench::RowCase run(table, static_cast<RowKernel>(which), kInputs);
  for (auto _ : state) {
    run();
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * kInputs);
}

/// The option "bf16-dot" of a table, where it has one, and the rate of its instruction alone.
void register_bf16_dot(const KernelTable& base) {
  const KernelTable* const table = weir::kernels::bf16_dot_table_of(base);
  if (table == nullptr || table->probe_bf16 == nullptr) return;
  const std::string isa = table->isa;
  for (const weir::DType type : {weir::DType::f16, weir::DType::bf16}) {
    const DTypeInfo& info = weir::info(type);
    benchmark::RegisterBenchmark(
        ("matmul/" + isa + "/" + std::string(info.name)).c_str(),
        [table, &info](benchmark::State& state) { matmul(state, *table, info, kRows); })
        ->Arg(1)
        ->Arg(8)
        ->Arg(128)
        ->Unit(benchmark::kMicrosecond);
  }
  benchmark::RegisterBenchmark(("probe/" + isa).c_str(), [table](benchmark::State& state) {
    int64_t operations = 0;
    for (auto _ : state) operations += table->probe_bf16(10000);
    state.counters["ops"] =
        benchmark::Counter(static_cast<double>(operations), benchmark::Counter::kIsRate);
  });
}

void register_all() {
  for (const KernelTable* table : weir::kernels::tables()) {
    register_bf16_dot(*table);
    const std::string isa = table->isa;
    for (const DTypeInfo& type : weir::all_dtypes()) {
      if (table->matmul[static_cast<size_t>(type.type)] == nullptr) continue;
      const std::string name = "matmul/" + isa + "/" + std::string(type.name);
      benchmark::RegisterBenchmark(
          name.c_str(),
          [table, &type](benchmark::State& state) { matmul(state, *table, type, kRows); })
          ->ArgsProduct({{1, 2, 4, 8, 16, 32, 128, 512}})
          ->Unit(benchmark::kMicrosecond);
    }
    for (const DType type : {DType::q4_0, DType::q8_0, DType::q4_k, DType::q6_k}) {
      const DTypeInfo& info = weir::info(type);
      const std::string name = "matmul_memory/" + isa + "/" + std::string(info.name);
      benchmark::RegisterBenchmark(
          name.c_str(),
          [table, &info](benchmark::State& state) { matmul(state, *table, info, kManyRows); })
          ->ArgsProduct({{1, 2, 4, 16}})
          ->Unit(benchmark::kMicrosecond);
    }
    benchmark::RegisterBenchmark(("attention/" + isa).c_str(),
                                 [table](benchmark::State& state) { attention(state, *table); })
        ->Arg(256)
        ->Arg(2048)
        ->Unit(benchmark::kMicrosecond);
    int which = 0;
    for (const char* name : weir::bench::kRowKernelNames) {
      benchmark::RegisterBenchmark(
          (std::string(name) + "/" + isa).c_str(),
          [table, which](benchmark::State& state) { row_kernel(state, *table, which); });
      ++which;
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  register_all();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
