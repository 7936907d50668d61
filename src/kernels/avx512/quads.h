// Blocks of 32 weights, four consecutive ones of a row in one register (a 128-bit lane a block),
// unpacked where the file has them.
#pragma once

#include "kernels/avx512/stream.h"
#include "kernels/avx512/unpack.h"
#include "kernels/kernels.h"

namespace weir::kernels {
namespace {

constexpr int kBlocks = 4;

/// Elements 0..15 (low) and 16..31 (high) of four consecutive blocks, a lane a block.
struct Quad {
  __m512i low, high;
};

/// Activations of token t from block b on.
inline Quad column_quad(const MatmulArgs& a, int64_t t, int64_t b) {
  const int8_t* q = a.xq.q + t * a.xq.q_stride + 32 * b;
  const __m512i x0 = load512(q), x1 = load512(q + 64);
  return {_mm512_shuffle_i32x4(x0, x1, 0x88), _mm512_shuffle_i32x4(x0, x1, 0xdd)};
}

inline Quad split_nibbles(__m512i raw) {
  const __m512i mask = _mm512_set1_epi8(15);
  return {_mm512_and_si512(raw, mask), _mm512_and_si512(_mm512_srli_epi16(raw, 4), mask)};
}

template <typename Block>
inline Quad nibble_quad(const Block* b) {
  return split_nibbles(gather128(b[0].qs, b[1].qs, b[2].qs, b[3].qs));
}

/// Adds 16 to elements whose fifth bit is set. Bits 0..15 of each qh belong to the low elements.
template <typename Block>
inline Quad five_bit_quad(const Block* b) {
  Quad q = nibble_quad(b);
  uint64_t low = 0, high = 0;
  for (int i = 0; i < kBlocks; ++i) {
    const uint64_t bits = load_bits(b[i].qh);
    low |= (bits & 0xffff) << (16 * i);
    high |= (bits >> 16) << (16 * i);
  }
  const __m512i sixteen = _mm512_set1_epi8(16);
  q.low = _mm512_mask_add_epi8(q.low, low, q.low, sixteen);
  q.high = _mm512_mask_add_epi8(q.high, high, q.high, sixteen);
  return q;
}

template <typename Type>
inline Quad quad(const typename Type::Block* b) {
  if constexpr (__is_same(Type, TypeQ8_0)) {
    const __m512i flip = _mm512_set1_epi8(static_cast<char>(0x80));
    const __m512i low = gather128(b[0].qs, b[1].qs, b[2].qs, b[3].qs);
    const __m512i high = gather128(b[0].qs + 16, b[1].qs + 16, b[2].qs + 16, b[3].qs + 16);
    return {_mm512_xor_si512(low, flip), _mm512_xor_si512(high, flip)};
  } else if constexpr (__is_same(Type, TypeIQ4_NL)) {
    const __m512i table = _mm512_broadcast_i32x4(iq4_table());
    const Quad q = nibble_quad(b);
    return {_mm512_shuffle_epi8(table, q.low), _mm512_shuffle_epi8(table, q.high)};
  } else if constexpr (__is_same(Type, TypeQ5_0) || __is_same(Type, TypeQ5_1)) {
    return five_bit_quad(b);
  } else {
    return nibble_quad(b);
  }
}

/// Sixteen halves, lane b, element r = scale `get` of block b of row r, widened.
template <typename Block, typename Get>
inline __m512 scales(const Block* const* row, int64_t b, Get get) {
  alignas(32) uint16_t bits[16];
  for (int i = 0; i < kBlocks; ++i)
    for (int r = 0; r < kRows; ++r) bits[4 * i + r] = get(row[r][b + i]);
  return _mm512_cvtph_ps(_mm256_load_si256(reinterpret_cast<const __m256i*>(bits)));
}

/// One block of four rows and one token, for the k that are no multiple of 128.
template <typename Type>
inline __m128 one_block(const typename Type::Block* const* row, const MatmulArgs& a, int64_t t,
                        int64_t b, __m128 chain) {
  alignas(16) float factor[4], value[4], min_factor[4];
  const __m256i x = load256(a.xq.q + t * a.xq.q_stride + 32 * b);
  const int16_t total = a.xq.s[t * a.xq.s_stride + b];
  const float dx = a.xq.d[t * a.xq.d_stride + b];
  for (int r = 0; r < kRows; ++r) {
    const __m256i dot = _mm256_dpbusd_epi32(_mm256_setzero_si256(), Type::unpack(row[r][b]), x);
    __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(dot), _mm256_extracti128_si256(dot, 1));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1));
    value[r] = static_cast<float>(_mm_cvtsi128_si32(sum) - Type::kOffset * total);
    factor[r] = half(row[r][b].d) * dx;
    min_factor[r] = half(Type::minimum(row[r][b])) * dx;
  }
  chain = _mm_fmadd_ps(_mm_load_ps(factor), _mm_load_ps(value), chain);
  if (!Type::kMinimum) return chain;
  return _mm_fmadd_ps(_mm_load_ps(min_factor), _mm_set1_ps(static_cast<float>(total)), chain);
}

}  // namespace
}  // namespace weir::kernels
