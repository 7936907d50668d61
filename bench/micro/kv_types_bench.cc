// Attention alone, deep in a context, for each type of the KV cache: one token or a prompt's block
// of sixteen, one KV head, the group of queries that share it, 16384 positions. One thread. Pages
// of all layers and heads lie between two pages of this head, as in a model, so the cache does not
// hold them.
//
//   kv_types_bench --benchmark_filter=avx512
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "kernels/kernels.h"
#include "kernels/kv_blocks.h"
#include "tensor/blocks.h"
#include "tensor/dtype.h"
#include "tensor/tensor.h"

namespace {

using weir::Buffer;
using weir::DType;
using weir::kernels::KernelTable;
using weir::kernels::KvPart;

constexpr int64_t kDepth = 16384;
constexpr int64_t kPages = kDepth / weir::kernels::kPageTokens;
constexpr int64_t kHeads = 16;  // heads in turn: their pages do not stay in the caches

/// Valid keys or values of 16 tokens.
void fill_part(std::mt19937& random, DType type, KvPart part, int64_t dim, std::byte* at) {
  std::normal_distribution<float> normal;
  std::vector<float> x(static_cast<size_t>(dim)), d(x.size() / 32);
  std::vector<int8_t> q(x.size());
  std::vector<int16_t> sums(d.size());
  std::vector<uint16_t> halves(x.size());
  const KernelTable& table = weir::kernels::active_table();
  for (int64_t slot = 0; slot < weir::kernels::kPageTokens; ++slot) {
    for (float& value : x) value = normal(random);
    if (type == DType::f16) {
      table.to_half(x.data(), dim, halves.data());
      std::memcpy(at + 2 * dim * slot, halves.data(), static_cast<size_t>(2 * dim));
      continue;
    }
    if (type == DType::q4_0) {
      table.quantize4(x.data(), dim, q.data(), d.data());
    } else {
      table.quantize32(x.data(), dim, q.data(), d.data(), sums.data());
    }
    table.to_half(d.data(), dim / 32, halves.data());
    weir::kernels::kv_put(type, part, at, dim, slot, q.data(), halves.data());
  }
}

void attention(benchmark::State& state, const KernelTable& table, DType type) {
  const int64_t dim = state.range(0), group = state.range(1), tokens = state.range(2);
  const size_t part = weir::kernels::kv_part_bytes(type, dim);
  const size_t page_bytes = 2 * part * kHeads;
  Buffer pool(page_bytes * kPages);
  std::mt19937 random(1);
  std::vector<const std::byte*> pages;
  for (int64_t p = 0; p < kPages; ++p) {
    std::byte* const page = pool.data() + static_cast<size_t>(p) * page_bytes;
    pages.push_back(page);
    if (p == 0) {
      fill_part(random, type, KvPart::keys, dim, page);
      fill_part(random, type, KvPart::values, dim, page + part);
    }
    for (int64_t h = 0; h < kHeads; ++h)
      std::memcpy(page + 2 * part * static_cast<size_t>(h), pool.data(), 2 * part);
  }
  std::vector<float> queries(static_cast<size_t>(tokens * group * dim)), out(queries.size());
  for (float& value : queries) value = std::normal_distribution<float>()(random);
  std::vector<int32_t> positions;
  for (int64_t t = 0; t < tokens; ++t)
    positions.push_back(static_cast<int32_t>(kDepth - tokens + t));
  Buffer scratch(weir::kernels::kAttentionScratch);
  weir::kernels::AttentionArgs args;
  args.pages = pages.data();
  args.kv_type = type;
  args.head_dim = args.value_dim = dim;
  args.q = queries.data();
  args.q_stride = args.out_stride = group * dim;
  args.positions = positions.data();
  args.tokens = tokens;
  args.group = group;
  args.scale = 0.1f;
  args.out = out.data();
  args.scratch = scratch.data();
  size_t head = 0;
  for (auto _ : state) {
    args.k_offset = 2 * part * head;
    args.v_offset = args.k_offset + part;
    head = (head + 1) % kHeads;
    table.attention(args);
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(2 * part) * kPages);
  state.counters["GFLOPS"] = benchmark::Counter(
      4e-9 * static_cast<double>(tokens * group * dim * kDepth * state.iterations()),
      benchmark::Counter::kIsRate);
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  for (const KernelTable* table : weir::kernels::tables()) {
    if (table == &weir::kernels::ref_table()) continue;
    for (const int64_t dim : {64, 128})
      for (const int64_t group : {4, 8})
        for (const DType type : {DType::f16, DType::q8_0, DType::q4_0})
          for (const int64_t tokens : {1, 16}) {
            const std::string name =
                fmt::format("attention_16k/{}/{}", table->isa, weir::info(type).name);
            benchmark::RegisterBenchmark(
                name.c_str(),
                [table, type](benchmark::State& state) { attention(state, *table, type); })
                ->Args({dim, group, tokens})
                ->Unit(benchmark::kMicrosecond);
          }
  }
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
