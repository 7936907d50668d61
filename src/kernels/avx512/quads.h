// Blocks of 32 weights, four consecutive ones of a row in one register (a 128-bit lane a block),
// unpacked where the file has them.
#pragma once

#include "kernels/avx512/stream.h"
#include "kernels/avx512/unpack.h"
#include "kernels/kernels.h"

namespace weir::kernels {
namespace {

constexpr int kBlocks = 4;

/// Activations of four consecutive blocks as the streams read them.
template <int kTokens>
struct alignas(64) Arranged {
  Quad q[kTokens];
  __m512i start[kTokens];  // element 0 of lane i: minus the offset times the sum of block i
  float d[kBlocks][4];  // [block][token]; 0 for tokens that are not there, but one fills all four
  float sums[kBlocks][4];
};

template <typename Type, int kTokens>
inline void arrange(const MatmulArgs& a, Arranged<kTokens>* x) {
  for (int64_t b = 0; b + kBlocks <= a.k / 32; b += kBlocks, ++x)
    for (int t = 0; t < 4; ++t) {
      const bool there = t < kTokens || kTokens == 1;
      const int64_t from = kTokens == 1 ? 0 : t;
      alignas(64) int32_t start[16] = {};
      for (int i = 0; i < kBlocks; ++i) {
        const int16_t sum = there ? a.xq.s[from * a.xq.s_stride + b + i] : int16_t{0};
        x->d[i][t] = there ? a.xq.d[from * a.xq.d_stride + b + i] : 0.0f;
        x->sums[i][t] = static_cast<float>(sum);
        start[4 * i] = -Type::kOffset * sum;
      }
      if (t >= kTokens) continue;
      const int8_t* const q = a.xq.q + t * a.xq.q_stride + 32 * b;
      x->q[t] = lane_halves(load512(q), load512(q + 64));
      x->start[t] = load512(start);
    }
}

/// acc + the products of four blocks of a row, lane i those of block i.
inline __m512i add_products(__m512i acc, const Quad& w, const Quad& x) {
  return _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(acc, w.low, x.low), w.high, x.high);
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
    const auto two = [&](const BlockQ8_0* at) {
      const __m512i first = _mm512_castsi256_si512(load256(at[0].qs));
      return _mm512_xor_si512(_mm512_inserti64x4(first, load256(at[1].qs), 1), flip);
    };
    return lane_halves(two(b), two(b + 2));
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

/// Word kWord of four consecutive blocks of four rows, a half, widened: lane i, element r is block
/// i's of row r.
template <int kWord, typename Block>
inline __m512 scales(const Block* const* row, int64_t b) {
  constexpr int kWords = sizeof(Block) / 2;
  constexpr bool kOneLoad = 3 * kWords + kWord < 32;
  // The second load holds the last two blocks and does not end behind them.
  constexpr int kSecond = kOneLoad                       ? 0
                          : kWords * 4 - 32 < kWords * 2 ? kWords * 4 - 32
                                                         : kWords * 2;
  constexpr auto four = [](int word) { return word * 0x0001000100010001; };
  const __m512i first =
      _mm512_setr_epi64(four(kWord), four(kWord + kWords), four(kWord + 2 * kWords - kSecond),
                        four(kWord + 3 * kWords - kSecond), 0, 0, 0, 0);
  __m512i words = _mm512_setzero_si512();
  for (int r = 0; r < kRows; ++r) {
    const auto* const at = reinterpret_cast<const int16_t*>(row[r] + b);
    const __mmask32 lanes = kOneLoad ? 0x1111 : 0x0011;
    words = _mm512_mask_permutexvar_epi16(words, lanes << r, first, load512(at));
    if (!kOneLoad)
      words = _mm512_mask_permutexvar_epi16(words, 0x1100u << r, first, load512(at + kSecond));
  }
  return _mm512_cvtph_ps(_mm512_castsi512_si256(words));
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
