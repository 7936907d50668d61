// Integer products with quantised KV pages (layout: kernels/kv_blocks.h) on AVX-512 with VNNI:
// bytes without sign times bytes with sign, four to a lane. Internal linkage throughout.
#pragma once

#include "kernels/avx512/vec.h"
#include "kernels/vec/key_quad.inc"

namespace weir::kernels {
namespace {

/// Keys lie as q + 128, and count as q + 15 in four bits (twice the bits).
template <bool four>
constexpr int32_t kKeyOffset = four ? 15 : 128;

inline __m512i low_twice(__m512i x) {
  return _mm512_and_si512(_mm512_add_epi8(x, x), _mm512_set1_epi8(30));
}
inline __m512i high_twice(__m512i x) {
  return _mm512_and_si512(_mm512_srli_epi16(x, 3), _mm512_set1_epi8(30));
}

/// dot[i] = the products of query i with one block of 16 keys. q: [8][N].
template <bool four, int N>
inline void key_dots(const uint8_t* block, const KeyQuad<four>* q, const int32_t* bias, Vec* dot) {
  __m512i sum[N];
#pragma GCC unroll 8
  for (int i = 0; i < N; ++i) sum[i] = _mm512_set1_epi32(bias[i]);
  const auto add = [&](__m512i keys, const KeyQuad<four>* quad) {
#pragma GCC unroll 8
    for (int i = 0; i < N; ++i)
      sum[i] = _mm512_dpbusd_epi32(sum[i], keys, _mm512_set1_epi32(quad[i].bytes));
  };
#pragma GCC unroll 8
  for (int g = 0; g < (four ? 4 : 8); ++g) {
    const __m512i x = _mm512_loadu_si512(block + 64 * g);
    if (four) {
      add(low_twice(x), q + g * N);
      add(high_twice(x), q + (g + 4) * N);
    } else {
      add(x, q + g * N);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < N; ++i) dot[i].v = _mm512_cvtepi32_ps(sum[i]);
}

/// dot[i] = the sums of t[i] times one half of a block of values.
template <bool four, int N>
inline void value_dots(const uint8_t* block, int half, const uint8_t (*t)[16], Vec* dot) {
  __m512i sum[N];
#pragma GCC unroll 8
  for (int i = 0; i < N; ++i) sum[i] = _mm512_setzero_si512();
#pragma GCC unroll 4
  for (int g = 0; g < 4; ++g) {
    __m512i v = _mm512_loadu_si512(block + (four ? 0 : 256 * half) + 64 * g);
    if (four) v = _mm512_sub_epi8(half == 0 ? low_twice(v) : high_twice(v), _mm512_set1_epi8(15));
#pragma GCC unroll 8
    for (int i = 0; i < N; ++i) {
      int32_t bytes;
      __builtin_memcpy(&bytes, t[i] + 4 * g, 4);
      sum[i] = _mm512_dpbusd_epi32(sum[i], _mm512_set1_epi32(bytes), v);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < N; ++i) dot[i].v = _mm512_cvtepi32_ps(sum[i]);
}

/// Rounded half to even; x from 0 to 255, a NaN gives 0.
inline void store_bytes(uint8_t* to, Vec x) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(x.v)));
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
  if (step == 8) return {_mm512_shuffle_f32x4(x.v, x.v, 0x4e)};
  if (step == 4) return {_mm512_shuffle_f32x4(x.v, x.v, 0xb1)};
  return {step == 2 ? _mm512_permute_ps(x.v, 0x4e) : _mm512_permute_ps(x.v, 0xb1)};
}

}  // namespace
}  // namespace weir::kernels
