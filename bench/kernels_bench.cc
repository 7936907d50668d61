// One row for each kernel of each table that this machine can run, on one thread. Walks the tables,
// so a new kernel has its row at once. Owns no judgement: `weir bench` relates speed to ceilings.
//
//   kernels_bench --benchmark_filter='matmul/avx512/.*/1$'
#include <benchmark/benchmark.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <random>
#include <string>
#include <vector>

#include "kernels/kernels.h"
#include "tensor/dtype.h"

namespace {

using weir::DType;
using weir::DTypeClass;
using weir::DTypeInfo;
using weir::kernels::KernelTable;

constexpr int64_t kRows = 1024;
constexpr int64_t kManyRows = 24576;  // more bytes than caches hold
constexpr int64_t kInputs = 4096;

struct AlignedDelete {
  void operator()(std::byte* memory) const { ::operator delete (memory, std::align_val_t{64}); }
};
using Bytes = std::unique_ptr<std::byte, AlignedDelete>;
Bytes make_bytes(size_t size) {
  return Bytes(static_cast<std::byte*>(::operator new (size, std::align_val_t{64})));
}

std::vector<float> random_floats(int64_t count) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = normal(random);
  return values;
}

/// Quantised blocks are random bytes: any bytes are valid, and speed does not depend on the values.
Bytes random_weights(const KernelTable& table, const DTypeInfo& type, size_t size) {
  Bytes weights = make_bytes(size);
  if (type.kind == DTypeClass::real) {
    const std::vector<float> values =
        random_floats(static_cast<int64_t>(size) / weir::bytes_of(type.type, kInputs) * kInputs);
    if (type.type == DType::f32) {
      std::memcpy(weights.get(), values.data(), size);
    } else {
      // Read as BF16 these are odd numbers, but finite ones.
      table.to_half(values.data(), static_cast<int64_t>(values.size()),
                    reinterpret_cast<uint16_t*>(weights.get()));
    }
    return weights;
  }
  std::mt19937 random(2);
  for (size_t i = 0; i < size; ++i) weights.get()[i] = static_cast<std::byte>(random());
  return weights;
}

/// Activations as the weight's class wants them.
struct Activations {
  std::vector<float> x;
  std::vector<int8_t> q;
  std::vector<float> d;
  std::vector<int16_t> s;

  Activations(const KernelTable& table, DTypeClass kind, int64_t tokens,
              weir::kernels::MatmulArgs& args)
      : x(random_floats(tokens * kInputs)) {
    args.x = x.data();
    args.x_stride = kInputs;
    if (kind == DTypeClass::real) return;
    const int64_t block = kind == DTypeClass::block32 ? 32 : 256;
    const int64_t sums = kInputs / (kind == DTypeClass::block32 ? 32 : 16);
    q.resize(static_cast<size_t>(tokens * kInputs));
    d.resize(static_cast<size_t>(tokens * (kInputs / block)));
    s.resize(static_cast<size_t>(tokens * sums));
    args.xq = {q.data(), d.data(), s.data(), kInputs, kInputs / block, sums};
    const auto quantize = block == 32 ? table.quantize32 : table.quantize256;
    for (int64_t t = 0; t < tokens; ++t) {
      quantize(x.data() + t * kInputs, kInputs, q.data() + t * kInputs,
               d.data() + t * (kInputs / block), s.data() + t * sums);
    }
  }
};

void matmul(benchmark::State& state, const KernelTable& table, const DTypeInfo& type,
            int64_t rows) {
  const int64_t tokens = state.range(0);
  const auto row_bytes = static_cast<size_t>(weir::bytes_of(type.type, kInputs));
  const Bytes weights = random_weights(table, type, row_bytes * rows);
  const Bytes scratch = make_bytes(weir::kernels::kMatmulScratch);
  std::vector<float> out(static_cast<size_t>(tokens * rows));
  weir::kernels::MatmulArgs args;
  args.w = weights.get();
  args.row_bytes = row_bytes;
  args.rows = rows;
  args.k = kInputs;
  args.tokens = tokens;
  args.out = out.data();
  args.out_stride = rows;
  args.scratch = scratch.get();
  const Activations activations(table, type.kind, tokens, args);
  for (auto _ : state) {
    table.matmul[static_cast<size_t>(type.type)](args);
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(row_bytes) * rows);
  state.counters["ops"] = benchmark::Counter(static_cast<double>(2 * rows * kInputs * tokens),
                                             benchmark::Counter::kIsIterationInvariantRate);
}

/// One KV head, eight queries to it, as in decode; the argument is the context length.
void attention(benchmark::State& state, const KernelTable& table) {
  constexpr int64_t kHead = 64;
  constexpr int64_t kGroup = 8;
  constexpr int64_t kPage = weir::kernels::kPageTokens;
  const int64_t context = state.range(0);
  const std::vector<float> values = random_floats(2 * context * kHead);
  std::vector<uint16_t> memory(values.size());
  table.to_half(values.data(), static_cast<int64_t>(values.size()), memory.data());
  std::vector<const std::byte*> pages;
  const size_t page_values = static_cast<size_t>(2 * kPage * kHead);
  for (size_t i = 0; i < memory.size(); i += page_values) {
    pages.push_back(reinterpret_cast<const std::byte*>(&memory[i]));
  }
  const std::vector<float> queries = random_floats(kGroup * kHead);
  std::vector<float> out(queries.size());
  const auto position = static_cast<int32_t>(context - 1);
  const Bytes scratch = make_bytes(weir::kernels::kAttentionScratch);
  weir::kernels::AttentionArgs args;
  args.pages = pages.data();
  args.v_offset = static_cast<size_t>(kPage * kHead) * sizeof(uint16_t);
  args.kv_type = DType::f16;
  args.head_dim = args.value_dim = kHead;
  args.q = queries.data();
  args.q_stride = args.out_stride = kGroup * kHead;
  args.positions = &position;
  args.tokens = 1;
  args.group = kGroup;
  args.scale = 0.125f;
  args.out = out.data();
  args.scratch = scratch.get();
  for (auto _ : state) {
    table.attention(args);
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(memory.size() * 2));
}

/// Kernels over a row of floats: norms, activations, softmax, quantisation.
void row_kernel(benchmark::State& state, const KernelTable& table, int which) {
  const std::vector<float> x = random_floats(kInputs);
  std::vector<float> out(x.size()), d(x.size() / 32);
  std::vector<int8_t> q(x.size());
  std::vector<int16_t> s(x.size() / 16);
  for (auto _ : state) {
    switch (which) {
      case 0:
        table.rms_norm(x.data(), nullptr, kInputs, 1e-5f, out.data());
        break;
      case 1:
        table.quantize32(x.data(), kInputs, q.data(), d.data(), s.data());
        break;
      case 2:
        table.quantize256(x.data(), kInputs, q.data(), d.data(), s.data());
        break;
      case 3:
        table.activate(weir::kernels::Activation::silu, x.data(), x.data(), kInputs, out.data());
        break;
      default:
        out = x;
        table.softmax(out.data(), kInputs);
    }
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * kInputs);
}

void register_all() {
  for (const KernelTable* table : weir::kernels::tables()) {
    const std::string isa = table->isa;
    for (const DTypeInfo& type : weir::all_dtypes()) {
      if (table->matmul[static_cast<size_t>(type.type)] == nullptr) continue;
      const std::string name = "matmul/" + isa + "/" + std::string(type.name);
      benchmark::RegisterBenchmark(
          name.c_str(),
          [table, &type](benchmark::State& state) { matmul(state, *table, type, kRows); })
          ->Arg(1)
          ->Arg(2)
          ->Arg(3)
          ->Arg(4)
          ->Arg(8)
          ->Arg(16)
          ->Arg(32)
          ->Arg(128)
          ->Arg(512)
          ->Unit(benchmark::kMicrosecond);
    }
    for (const DType type : {DType::q4_0, DType::q8_0, DType::q4_k, DType::q6_k}) {
      const DTypeInfo& info = weir::info(type);
      const std::string name = "matmul_memory/" + isa + "/" + std::string(info.name);
      benchmark::RegisterBenchmark(
          name.c_str(),
          [table, &info](benchmark::State& state) { matmul(state, *table, info, kManyRows); })
          ->Arg(1)
          ->Arg(2)
          ->Arg(3)
          ->Arg(4)
          ->Arg(16)
          ->Unit(benchmark::kMicrosecond);
    }
    benchmark::RegisterBenchmark(("attention/" + isa).c_str(),
                                 [table](benchmark::State& state) { attention(state, *table); })
        ->Arg(256)
        ->Arg(2048)
        ->Unit(benchmark::kMicrosecond);
    int which = 0;
    for (const char* name : {"rms_norm", "quantize32", "quantize256", "silu", "softmax"}) {
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
