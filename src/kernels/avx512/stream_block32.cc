// GEMV of the 32-element types for one token: four rows at a time, four blocks of each in one
// register (a 128-bit lane a block), so that one small transpose gives the 16 block sums and the
// float chain runs over four rows at once. Weights are read where the file has them; the
// activations are arranged in the scratch first.
#include "kernels/avx512/integer_matmul.h"
#include "kernels/avx512/quads.h"
#include "kernels/avx512/stream.h"

namespace weir::kernels::avx512 {
namespace {

/// chain = fma(factor, value, chain) for the lanes in order.
inline __m128 chain_lanes(__m128 chain, __m512 factor, __m512 value) {
  chain = _mm_fmadd_ps(_mm512_castps512_ps128(factor), _mm512_castps512_ps128(value), chain);
  chain = _mm_fmadd_ps(_mm512_extractf32x4_ps(factor, 1), _mm512_extractf32x4_ps(value, 1), chain);
  chain = _mm_fmadd_ps(_mm512_extractf32x4_ps(factor, 2), _mm512_extractf32x4_ps(value, 2), chain);
  return _mm_fmadd_ps(_mm512_extractf32x4_ps(factor, 3), _mm512_extractf32x4_ps(value, 3), chain);
}

/// As chain_lanes with the minimum's FMA after each block's.
inline __m128 chain_pairs(__m128 chain, __m512 f, __m512 v, __m512 g, __m512 u) {
  alignas(64) float fs[16], vs[16], gs[16], us[16];
  _mm512_store_ps(fs, f);
  _mm512_store_ps(vs, v);
  _mm512_store_ps(gs, g);
  _mm512_store_ps(us, u);
  for (int i = 0; i < 16; i += 4) {
    chain = _mm_fmadd_ps(_mm_load_ps(fs + i), _mm_load_ps(vs + i), chain);
    chain = _mm_fmadd_ps(_mm_load_ps(gs + i), _mm_load_ps(us + i), chain);
  }
  return chain;
}

template <typename Type>
[[gnu::always_inline]] inline __m128 four_blocks(const typename Type::Block* const* row,
                                                 const std::byte* asked, int64_t b,
                                                 const Arranged<1>& x, __m128 chain) {
  prefetch_rows<typename Type::Block, kRows, kBlocks>(asked, b);
  const Quad column = {load_once(&x.q[0].low), load_once(&x.q[0].high)};
  const __m512i start = Type::kOffset == 0 ? _mm512_setzero_si512() : x.start[0];
  __m512i sums[kRows];
  for (int r = 0; r < kRows; ++r) sums[r] = add_products(start, quad<Type>(row[r] + b), column);
  const __m512 sum = _mm512_cvtepi32_ps(lane_sums(sums));
  const __m512 dx = _mm512_load_ps(x.d[0]);
  const __m512 factor = _mm512_mul_ps(scales<0>(row, b), dx);
  if constexpr (Type::kMinimum)
    return chain_pairs(chain, factor, sum, _mm512_mul_ps(scales<1>(row, b), dx),
                       _mm512_load_ps(x.sums[0]));
  return chain_lanes(chain, factor, sum);
}

template <typename Type>
bool stream(const MatmulArgs& a) {
  using Block = typename Type::Block;
  auto* const x = in_scratch<Arranged<1>>(a, a.k / (32 * kBlocks));
  if (x == nullptr) return false;
  arrange<Type, 1>(a, x);
  stream_token<Block, 32>(
      a, [&](const Block* const* row, const std::byte* asked, int64_t begin, int64_t end) {
        __m128 chain = _mm_setzero_ps();
        int64_t b = begin;
        for (; b + kBlocks <= end; b += kBlocks)
          chain = four_blocks<Type>(row, asked, b, x[b / kBlocks], chain);
        for (; b < end; ++b) chain = one_block<Type>(row, a, 0, b, chain);
        return chain;
      });
  return true;
}

}  // namespace

bool stream_block32(DType type, const MatmulArgs& a) {
  return for_block32(type, [&]<typename Type>() { return stream<Type>(a); });
}

}  // namespace weir::kernels::avx512
