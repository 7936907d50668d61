// One row for each kernel of each table that this machine can run, on one thread, for every type
// and the shapes of a model's matrices, with its share of the machine's ceilings, which are
// measured first. Walks the tables, so a new kernel has its rows at once.
//
//   kernels_bench --benchmark_filter='matmul/avx512/Q6_K/.*/1$'
#include <benchmark/benchmark.h>

#include <cstdint>
#include <string>

#include "cases.h"
#include "lab/ceilings.h"

namespace {

using weir::Ceilings;
using weir::DType;
using weir::DTypeClass;
using weir::DTypeInfo;
using weir::bench::RowKernel;
using weir::kernels::KernelTable;

constexpr int64_t kInputs = 4096;

struct Shape {
  int64_t rows, k;
};
/// Of TinyLlama-1.1B: keys, queries, gate and up, down; then the head. The first fits a second
/// cache, the last no cache.
constexpr Shape kShapes[] = {{256, 2048}, {2048, 2048}, {5632, 2048}, {2048, 5632}};
constexpr Shape kMemoryShape = {32000, 2048};

/// In percent of `ceiling`, which is what a second could do.
benchmark::Counter share(double amount, double ceiling) {
  return {100 * amount / ceiling, benchmark::Counter::kIsIterationInvariantRate};
}

double arithmetic_ceiling(const Ceilings& ceilings, DTypeClass kind) {
  if (kind != DTypeClass::real) return ceilings.int8_ops_per_second;
  return ceilings.bf16_ops_per_second > 0 ? ceilings.bf16_ops_per_second
                                          : ceilings.f32_ops_per_second;
}

void matmul(benchmark::State& state, const KernelTable& table, const Ceilings& ceilings,
            const DTypeInfo& type, Shape shape) {
  weir::bench::MatmulCase run(table, type.type, shape.rows, shape.k, state.range(0));
  for (auto _ : state) {
    run();
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * run.weight_bytes());
  const auto bytes = static_cast<double>(run.weight_bytes());
  const auto operations = static_cast<double>(run.operations());
  state.counters["ops"] =
      benchmark::Counter(operations, benchmark::Counter::kIsIterationInvariantRate);
  state.counters["%ops"] = share(operations, arithmetic_ceiling(ceilings, type.kind));
  state.counters["%read"] = share(bytes, ceilings.read_bytes_per_second);
}

/// One token, as in decode; the argument is the context length.
void attention(benchmark::State& state, const KernelTable& table, const Ceilings& ceilings) {
  weir::bench::AttentionCase run(table, state.range(0), 1);
  for (auto _ : state) {
    run();
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * run.kv_bytes());
  state.counters["%read"] =
      share(static_cast<double>(run.kv_bytes()), ceilings.read_bytes_per_second);
}

void row_kernel(benchmark::State& state, const KernelTable& table, int which) {
  weir::bench::RowCase run(table, static_cast<RowKernel>(which), kInputs);
  for (auto _ : state) {
    run();
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * kInputs);
}

using benchmark::internal::Benchmark;

/// "matmul/ISA/TYPE/ROWSxK"; the arguments, numbers of tokens, are the caller's.
Benchmark* register_matmul(const KernelTable* table, const Ceilings& ceilings,
                           const DTypeInfo& type, Shape shape) {
  const std::string name = std::string("matmul/") + table->isa + "/" + std::string(type.name) +
                           "/" + std::to_string(shape.rows) + "x" + std::to_string(shape.k);
  Benchmark* const row = benchmark::RegisterBenchmark(
      name.c_str(),
      [=, &type](benchmark::State& state) { matmul(state, *table, ceilings, type, shape); });
  return row->Unit(benchmark::kMicrosecond);
}

/// The option "bf16-dot" of a table, where it has one.
void register_bf16_dot(const KernelTable& base) {
  const KernelTable* const table = weir::kernels::bf16_dot_table_of(base);
  if (table == nullptr || table->probe_bf16 == nullptr) return;
  const Ceilings ceilings = weir::measure_ceilings(1, *table);
  for (const DType type : {DType::f16, DType::bf16})
    for (const Shape shape : kShapes)
      register_matmul(table, ceilings, weir::info(type), shape)->ArgsProduct({{1, 8, 128}});
}

void register_all() {
  for (const KernelTable* table : weir::kernels::tables()) {
    register_bf16_dot(*table);
    const std::string isa = table->isa;
    const bool plain = isa == "scalar";  // too slow for many tokens, and nobody waits for it
    const Ceilings ceilings = weir::measure_ceilings(1, *table);
    for (const DTypeInfo& type : weir::all_dtypes()) {
      if (table->matmul[static_cast<size_t>(type.type)] == nullptr) continue;
      for (const Shape shape : kShapes) {
        Benchmark* const row = register_matmul(table, ceilings, type, shape);
        for (const int64_t tokens : {1, 2, 4, 8, 16, 32, 128, 512})
          if (!plain || tokens <= 4) row->Arg(tokens);
      }
      register_matmul(table, ceilings, type, kMemoryShape)->ArgsProduct({{1, 2, 4, 16}});
    }
    benchmark::RegisterBenchmark(
        ("attention/" + isa).c_str(),
        [=](benchmark::State& state) { attention(state, *table, ceilings); })
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
