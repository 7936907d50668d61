// GEMV of the 32-element types for one token: four rows at a time, four blocks of each in one
// register (a 128-bit lane a block), so that one small transpose gives the 16 block sums and the
// float chain runs over four rows at once. Weights are read where the file has them.
#include "kernels/avx512/integer_matmul.h"
#include "kernels/avx512/quads.h"
#include "kernels/avx512/stream.h"

namespace weir::kernels::avx512 {
namespace {

/// Four floats, each repeated over one lane.
inline __m512 spread(const float* p) {
  const __m512i index = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
  return _mm512_permutexvar_ps(index, _mm512_castps128_ps512(_mm_loadu_ps(p)));
}
inline __m512i spread(const int16_t* p) {
  const __m512i index = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
  int64_t four;
  __builtin_memcpy(&four, p, 8);
  return _mm512_permutexvar_epi32(
      index, _mm512_castsi128_si512(_mm_cvtepi16_epi32(_mm_cvtsi64_si128(four))));
}

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
inline __m128 four_blocks(const typename Type::Block* const* row, const MatmulArgs& a, int64_t b,
                          __m128 chain) {
  const Quad x = column_quad(a, 0, b);
  __m512i sums[kRows];
  prefetch_rows<kRows, kBlocks>(row[0], b, a.row_bytes);
  for (int r = 0; r < kRows; ++r) {
    const Quad w = quad<Type>(row[r] + b);
    sums[r] = _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(_mm512_setzero_si512(), w.low, x.low), w.high,
                                  x.high);
  }
  __m512i sum = lane_sums(sums);
  const __m512i total = spread(a.xq.s + b);
  if (Type::kOffset != 0)
    sum = _mm512_sub_epi32(sum, _mm512_mullo_epi32(total, _mm512_set1_epi32(Type::kOffset)));
  const __m512 dx = spread(a.xq.d + b);
  const __m512 d = scales(row, b, [](const typename Type::Block& block) { return block.d; });
  if constexpr (Type::kMinimum) {
    const __m512 m = scales(row, b, [](const typename Type::Block& block) { return block.m; });
    return chain_pairs(chain, _mm512_mul_ps(d, dx), _mm512_cvtepi32_ps(sum), _mm512_mul_ps(m, dx),
                       _mm512_cvtepi32_ps(total));
  } else {
    return chain_lanes(chain, _mm512_mul_ps(d, dx), _mm512_cvtepi32_ps(sum));
  }
}

template <typename Type>
void stream(const MatmulArgs& a) {
  using Block = typename Type::Block;
  stream_token<Block, 32>(a, [&](const Block* const* row, int64_t begin, int64_t end) {
    __m128 chain = _mm_setzero_ps();
    int64_t b = begin;
    for (; b + kBlocks <= end; b += kBlocks) chain = four_blocks<Type>(row, a, b, chain);
    for (; b < end; ++b) chain = one_block<Type>(row, a, 0, b, chain);
    return chain;
  });
}

}  // namespace

bool stream_block32(DType type, const MatmulArgs& a) {
  return for_block32(type, [&]<typename Type>() {
    stream<Type>(a);
    return true;
  });
}

}  // namespace weir::kernels::avx512
