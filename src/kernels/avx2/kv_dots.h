// Integer products with quantised KV pages (layout: kernels/kv_blocks.h) on AVX2. Eight bits go
// through 16-bit pairs, for products of bytes would overflow there; four bits stay bytes. Internal
// linkage throughout.
#pragma once

#include "kernels/avx2/vec.h"

namespace weir::kernels {
namespace {

/// Four numbers of a query as a key's four numbers meet them: bytes against four bits; against
/// eight bits 16-bit pairs of the even ones and the odd ones.
template <bool four>
struct KeyQuad {
  int32_t bytes;
};
template <>
struct KeyQuad<false> {
  int16_t even[2], odd[2];
};
template <bool four>
inline KeyQuad<four> key_quad(const int8_t* q);
template <>
inline KeyQuad<true> key_quad<true>(const int8_t* q) {
  KeyQuad<true> quad;
  __builtin_memcpy(&quad.bytes, q, 4);
  return quad;
}
template <>
inline KeyQuad<false> key_quad<false>(const int8_t* q) {
  return {{q[0], q[2]}, {q[1], q[3]}};
}
/// Keys lie as q + 128, and count as q + 15 in four bits (twice the bits).
template <bool four>
constexpr int32_t kKeyOffset = four ? 15 : 128;

inline __m256i load_bytes(const uint8_t* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}
inline __m256i broadcast4(const void* p) {
  int32_t bytes;
  __builtin_memcpy(&bytes, p, 4);
  return _mm256_set1_epi32(bytes);
}
inline __m256i even_bytes(__m256i x) { return _mm256_and_si256(x, _mm256_set1_epi16(255)); }
inline __m256i odd_bytes(__m256i x) { return _mm256_srli_epi16(x, 8); }
inline __m256i low_bits(__m256i x) { return _mm256_and_si256(x, _mm256_set1_epi8(15)); }
inline __m256i high_bits(__m256i x) { return low_bits(_mm256_srli_epi16(x, 4)); }

/// sum += the products of 16-bit pairs.
inline void add_pairs(__m256i& sum, __m256i x, __m256i y) {
  sum = _mm256_add_epi32(sum, _mm256_madd_epi16(x, y));
}
/// sum += products of bytes without and with sign, in 16 bits.
inline void add_bytes(__m256i& sum, __m256i x, __m256i y) {
  sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(x, y));
}

/// Eight keys (the first or last eight of the page).
template <int N>
inline void eight_keys(const uint8_t* block, const KeyQuad<false>* q, const int32_t* bias,
                       __m256* dot) {
  __m256i sum[N];
#pragma GCC unroll 8
  for (int i = 0; i < N; ++i) sum[i] = _mm256_set1_epi32(bias[i]);
  for (int g = 0; g < 8; ++g) {
    const __m256i x = load_bytes(block + 64 * g), even = even_bytes(x), odd = odd_bytes(x);
#pragma GCC unroll 8
    for (int i = 0; i < N; ++i) {
      add_pairs(sum[i], even, broadcast4(q[g * N + i].even));
      add_pairs(sum[i], odd, broadcast4(q[g * N + i].odd));
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < N; ++i) dot[i] = _mm256_cvtepi32_ps(sum[i]);
}
/// At most 8 x 2 x 15 x 127 in 16 bits.
template <int N>
inline void eight_keys(const uint8_t* block, const KeyQuad<true>* q, const int32_t* bias,
                       __m256* dot) {
  __m256i sum[N];
#pragma GCC unroll 8
  for (int i = 0; i < N; ++i) sum[i] = _mm256_setzero_si256();
  for (int g = 0; g < 4; ++g) {
    const __m256i x = load_bytes(block + 64 * g), low = low_bits(x), high = high_bits(x);
#pragma GCC unroll 8
    for (int i = 0; i < N; ++i) {
      add_bytes(sum[i], low, broadcast4(&q[g * N + i]));
      add_bytes(sum[i], high, broadcast4(&q[(g + 4) * N + i]));
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < N; ++i) {
    __m256i whole = _mm256_set1_epi32(bias[i]);
    add_pairs(whole, sum[i], _mm256_set1_epi16(2));
    dot[i] = _mm256_cvtepi32_ps(whole);
  }
}

/// dot[i] = the products of query i with one block of 16 keys. q: [8][N].
template <bool four, int N>
inline void key_dots(const uint8_t* block, const KeyQuad<four>* q, const int32_t* bias, Vec* dot) {
  __m256 low[N], high[N];
  eight_keys<N>(block, q, bias, low);
  eight_keys<N>(block + 32, q, bias, high);
  for (int i = 0; i < N; ++i) dot[i] = {low[i], high[i]};
}

/// Eight columns of values; t times values of four bits is at most 8 x 255 x 15 in 16 bits.
template <bool four, int N>
inline void eight_values(const uint8_t* block, int half, const uint8_t (*t)[16], __m256* dot) {
  __m256i sum[N];
#pragma GCC unroll 8
  for (int i = 0; i < N; ++i) sum[i] = _mm256_setzero_si256();
  for (int g = 0; g < 4; ++g) {
    const __m256i x = load_bytes(block + 64 * g);
    if (four) {
      const __m256i bits = half == 0 ? low_bits(x) : high_bits(x);
      const __m256i v = _mm256_sub_epi8(_mm256_add_epi8(bits, bits), _mm256_set1_epi8(15));
#pragma GCC unroll 8
      for (int i = 0; i < N; ++i) add_bytes(sum[i], broadcast4(t[i] + 4 * g), v);
    } else {
      const __m256i even = _mm256_srai_epi16(_mm256_slli_epi16(x, 8), 8);
      const __m256i odd = _mm256_srai_epi16(x, 8);
#pragma GCC unroll 8
      for (int i = 0; i < N; ++i) {
        const __m256i w = broadcast4(t[i] + 4 * g);
        add_pairs(sum[i], even, even_bytes(w));
        add_pairs(sum[i], odd, odd_bytes(w));
      }
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < N; ++i) {
    const __m256i whole = four ? _mm256_madd_epi16(sum[i], _mm256_set1_epi16(1)) : sum[i];
    dot[i] = _mm256_cvtepi32_ps(whole);
  }
}

/// dot[i] = the sums of t[i] times one half of a block of values.
template <bool four, int N>
inline void value_dots(const uint8_t* block, int half, const uint8_t (*t)[16], Vec* dot) {
  const uint8_t* const from = block + (four ? 0 : 256 * half);
  __m256 low[N], high[N];
  eight_values<four, N>(from, half, t, low);
  eight_values<four, N>(from + 32, half, t, high);
  for (int i = 0; i < N; ++i) dot[i] = {low[i], high[i]};
}

/// Rounded half to even; x from 0 to 255, a NaN gives 0.
inline void store_bytes(uint8_t* to, Vec x) {
  const __m256i words = _mm256_permute4x64_epi64(
      _mm256_packs_epi32(_mm256_cvtps_epi32(x.a), _mm256_cvtps_epi32(x.b)), 0xd8);
  _mm_storeu_si128(
      reinterpret_cast<__m128i*>(to),
      _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)));
}

inline uint16_t largest_half(const uint16_t* halves) {
  const auto* from = reinterpret_cast<const __m128i*>(halves);
  const __m128i top = _mm_max_epu16(_mm_loadu_si128(from), _mm_loadu_si128(from + 1));
  const __m128i all = _mm_set1_epi16(-1);
  return static_cast<uint16_t>(~_mm_cvtsi128_si32(_mm_minpos_epu16(_mm_xor_si128(top, all))));
}
inline float half_value(uint16_t half) { return _cvtsh_ss(half); }

/// Lane i gets lane i ^ step.
template <int step>
inline Vec swap_lanes(Vec x) {
  if (step == 8) return {x.b, x.a};
  const auto swap = [](__m256 v) {
    if (step == 4) return _mm256_permute2f128_ps(v, v, 1);
    return step == 2 ? _mm256_permute_ps(v, 0x4e) : _mm256_permute_ps(v, 0xb1);
  };
  return {swap(x.a), swap(x.b)};
}

}  // namespace
}  // namespace weir::kernels
