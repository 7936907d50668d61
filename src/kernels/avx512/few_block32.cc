// Matmul of the 32-element types for two to four tokens (Q8_0 has its own): four blocks of eight
// rows at a time, unpacked once for all tokens; the float chains of eight rows and two tokens share
// a register. The activations are arranged in the scratch first.
#include "kernels/avx512/integer_matmul.h"
#include "kernels/avx512/octets32.h"

namespace weir::kernels::avx512 {
namespace {

template <typename Type, int kTokens>
[[gnu::always_inline]] inline void four_blocks(const typename Type::Block* const* row,
                                               const std::byte* asked, int64_t b,
                                               const OctetQuad<kTokens>& x, Pairs<kTokens>& chain) {
  using Block = typename Type::Block;
  const OctetRows<Block> rows(row);
  const OctetScales<0, Block> d(rows, b);
  const OctetScales<Type::kMinimum ? 1 : 0, Block> m(rows, b);
  each<kBlocks>([&]<int i>() __attribute__((always_inline)) {
    prefetch_part<sizeof(Block) * kOctetRows * kBlocks, i, kBlocks>(
        asked + b * static_cast<int64_t>(sizeof(Block) * kOctetRows));
    __m512i w[4];
    block_octets<Type>(rows, b + i, w);
#pragma GCC unroll 4
    for (int p = 0; p < chain.kCount; ++p) {
      __m512i sum[2];
#pragma GCC unroll 2
      for (int h = 0; h < 2; ++h) {
        const int t = 2 * p + h < kTokens ? 2 * p + h : 2 * p;
        sum[h] = Type::kOffset == 0 ? _mm512_setzero_si512() : everywhere(x.start[t][i]);
#pragma GCC unroll 4
        for (int n = 0; n < 4; ++n)
          sum[h] = _mm512_dpbusd_epi32(sum[h], w[n], everywhere(x.q[t] + 32 * i + 8 * n));
      }
      const __m512 products = _mm512_cvtepi32_ps(join_neighbours(sum[0], sum[1]));
      const __m512 dx = _mm512_load_ps(x.d[i][p]);
      chain.at[p] = _mm512_fmadd_ps(_mm512_mul_ps(d.template of<i>(), dx), products, chain.at[p]);
      if constexpr (Type::kMinimum)
        chain.at[p] = _mm512_fmadd_ps(_mm512_mul_ps(m.template of<i>(), dx),
                                      _mm512_load_ps(x.sums[i][p]), chain.at[p]);
    }
  });
}

/// Blocks [b, end), for the k that are no multiple of 128.
template <typename Type, int kTokens>
void last_blocks(const typename Type::Block* const* row, const MatmulArgs& a, int64_t b,
                 int64_t end, Pairs<kTokens>& chain) {
  for (int t = 0; t < kTokens; ++t)
    for (int first = 0; first < kOctetRows; first += 4) {
      alignas(64) float lanes[16];
      alignas(16) float sums[4];
      _mm512_store_ps(lanes, chain.at[t / 2]);
      const auto place = [&](int r) { return (first + r) / 2 * 4 + t % 2 * 2 + r % 2; };
      for (int r = 0; r < 4; ++r) sums[r] = lanes[place(r)];
      for (int64_t i = b; i < end; ++i)
        _mm_store_ps(sums, one_block<Type>(row + first, a, t, i, _mm_load_ps(sums)));
      for (int r = 0; r < 4; ++r) lanes[place(r)] = sums[r];
      chain.at[t / 2] = _mm512_load_ps(lanes);
    }
}

template <typename Type>
struct Few {
  template <int kTokens>
  static bool run(const MatmulArgs& a) {
    using Block = typename Type::Block;
    auto* const x = in_scratch<OctetQuad<kTokens>>(a, a.k / (32 * kBlocks));
    if (x == nullptr) return false;
    arrange_octets<Type, kTokens>(a, x);
    stream_octets<Block, 32, kTokens>(
        a, [&](const Block* const* row, const std::byte* asked, int64_t begin, int64_t end) {
          Pairs<kTokens> chain;
          int64_t b = begin;
          for (; b + kBlocks <= end; b += kBlocks)
            four_blocks<Type, kTokens>(row, asked, b, x[b / kBlocks], chain);
          if (b < end) last_blocks<Type, kTokens>(row, a, b, end, chain);
          return chain;
        });
    return true;
  }
};

}  // namespace

bool few_block32(DType type, const MatmulArgs& a) {
  return for_block32(type, [&]<typename Type>() {
    if constexpr (__is_same(Type, TypeQ8_0)) {
      return few_q8_0(a);
    } else {
      return few_tokens<Few<Type>, 4>(a);
    }
  });
}

}  // namespace weir::kernels::avx512
