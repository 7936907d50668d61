// Sixteen f32 lanes for AVX-512, with the operations the shared bodies in kernels/vec need.
// Internal linkage throughout: nothing compiled here may be shared with other folders.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/kernels.h"

namespace weir::kernels {
namespace {

struct Vec {
  __m512 v;
};

inline __mmask16 lanes(int n) { return static_cast<__mmask16>((1u << n) - 1u); }

inline Vec zero() { return {_mm512_setzero_ps()}; }
inline Vec set1(float x) { return {_mm512_set1_ps(x)}; }
/// set1(*p) as a load of an integer: on a Zen 4 that of a float holds up products beside it.
inline Vec spread(const float* p) {
  int32_t bits;
  __builtin_memcpy(&bits, p, sizeof bits);
  return {_mm512_castsi512_ps(_mm512_set1_epi32(bits))};
}
/// Holds a value in registers: the compiler forgets that it could be loaded again.
inline void pin(Vec& x) { asm("" : "+v"(x.v)); }
inline Vec load(const float* p) { return {_mm512_loadu_ps(p)}; }
inline Vec load_n(const float* p, int n) { return {_mm512_maskz_loadu_ps(lanes(n), p)}; }
inline void store(float* p, Vec a) { _mm512_storeu_ps(p, a.v); }
inline void store_n(float* p, Vec a, int n) { _mm512_mask_storeu_ps(p, lanes(n), a.v); }

inline Vec load_half(const uint16_t* p) {
  return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
}
inline void store_half(uint16_t* p, Vec a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                      _mm512_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
inline Vec load_bf16(const uint16_t* p) {
  const __m512i wide =
      _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(wide, 16))};
}

inline Vec add(Vec a, Vec b) { return {_mm512_add_ps(a.v, b.v)}; }
inline Vec sub(Vec a, Vec b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline Vec mul(Vec a, Vec b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline Vec div(Vec a, Vec b) { return {_mm512_div_ps(a.v, b.v)}; }
inline Vec fma(Vec a, Vec b, Vec c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
inline Vec negate(Vec a) {
  return {_mm512_castsi512_ps(
      _mm512_xor_si512(_mm512_castps_si512(a.v), _mm512_set1_epi32(INT32_MIN)))};
}
/// a > b ? a : b in every lane; a NaN in `a` gives b.
inline Vec max_of(Vec a, Vec b) { return {_mm512_max_ps(a.v, b.v)}; }
inline Vec min_of(Vec a, Vec b) { return {_mm512_min_ps(a.v, b.v)}; }
inline Vec abs_of(Vec a) { return {_mm512_abs_ps(a.v)}; }
inline Vec with_sign_of(Vec magnitude, Vec sign) {
  const __m512i bit = _mm512_set1_epi32(INT32_MIN);
  return {_mm512_castsi512_ps(
      _mm512_or_si512(_mm512_andnot_si512(bit, _mm512_castps_si512(magnitude.v)),
                      _mm512_and_si512(bit, _mm512_castps_si512(sign.v))))};
}
/// a < b ? x : y
inline Vec if_less(Vec a, Vec b, Vec x, Vec y) {
  return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ), y.v, x.v)};
}
/// lane < n ? a : b
inline Vec first_lanes(Vec a, Vec b, int n) { return {_mm512_mask_blend_ps(lanes(n), b.v, a.v)}; }

inline Vec nearest(Vec a) {
  return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
inline Vec floor_of(Vec a) {
  return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC)};
}
/// p * 2^n for integral n, rounded once: canonical exp scales in two steps, of which only the
/// second can round.
inline Vec scale_pow2(Vec p, Vec n) { return {_mm512_scalef_ps(p.v, n.v)}; }

/// The canonical reduction tree: i with i + 8, i + 4, i + 2, i + 1.
inline float reduce(Vec a) {
  const __m256 h = _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
  const __m128 d = _mm_add_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_add_ss(d, _mm_movehdup_ps(d)));
}
inline float first_lane(Vec a) { return _mm512_cvtss_f32(a.v); }
inline float reduce_max(Vec a) { return _mm512_reduce_max_ps(a.v); }

/// Lane i: the tree over x[i], for eight vectors at once; the lanes from 8 on repeat.
template <typename Join>
inline Vec reduce_eight(const Vec* x, Join join) {
  __m512 h[4], q[2];
  for (int i = 0; i < 4; ++i) {  // blocks of four: a a b b
    const __m512 a = x[2 * i].v, b = x[2 * i + 1].v;
    h[i] = join(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
  }
  for (int i = 0; i < 2; ++i)  // a b c d
    q[i] = join(_mm512_shuffle_f32x4(h[2 * i], h[2 * i + 1], 0x88),
                _mm512_shuffle_f32x4(h[2 * i], h[2 * i + 1], 0xdd));
  const __m512d low = _mm512_castps_pd(q[0]), high = _mm512_castps_pd(q[1]);
  const __m512 d = join(_mm512_castpd_ps(_mm512_unpacklo_pd(low, high)),
                        _mm512_castpd_ps(_mm512_unpackhi_pd(low, high)));
  const __m512 one = join(_mm512_shuffle_ps(d, d, 0x88), _mm512_shuffle_ps(d, d, 0xdd));
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 0, 4, 8, 12, 1, 5, 9, 13);
  return {_mm512_permutexvar_ps(order, one)};
}
constexpr int kReduceTile = 8;
/// Lane i: reduce(x[i]), reduce_max(x[i]), of kReduceTile vectors.
inline Vec reduce_tile(const Vec* x) {
  return reduce_eight(x, [](__m512 a, __m512 b) { return _mm512_add_ps(a, b); });
}
inline Vec reduce_max_tile(const Vec* x) {
  return reduce_eight(x, [](__m512 a, __m512 b) { return _mm512_max_ps(a, b); });
}

/// Largest |x| bit pattern over n lanes of 16, as an unsigned integer (NaN above infinity).
inline uint32_t reduce_max_magnitude(const float* x, int64_t n) {
  __m512i m = _mm512_setzero_si512();
  const __m512i mask = _mm512_set1_epi32(INT32_MAX);
  for (int64_t i = 0; i < n; i += 16)
    m = _mm512_max_epu32(m, _mm512_and_si512(mask, _mm512_loadu_si512(x + i)));
  return _mm512_reduce_max_epu32(m);
}

/// 16 values times `scale`, rounded half to even, as int8; returns their sum.
inline int32_t store_rounded(int8_t* q, const float* x, float scale) {
  const __m512i n = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x), _mm512_set1_ps(scale)));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(q), _mm512_cvtepi32_epi8(n));
  return _mm512_reduce_add_epi32(n);
}

/// From four registers of four dwords a lane, dword 4 l + i: the sum of those of lane l of x[i].
inline __m512i lane_sums(const __m512i* x) {
  const __m512i low =
      _mm512_add_epi32(_mm512_unpacklo_epi32(x[0], x[1]), _mm512_unpackhi_epi32(x[0], x[1]));
  const __m512i high =
      _mm512_add_epi32(_mm512_unpacklo_epi32(x[2], x[3]), _mm512_unpackhi_epi32(x[2], x[3]));
  return _mm512_add_epi32(_mm512_unpacklo_epi64(low, high), _mm512_unpackhi_epi64(low, high));
}

/// Sums over each 16 of 256 quantised activations, and their peak.
inline Peak sums_of_16(const int8_t* q, int16_t* s) {
  const __m512i none = _mm512_setzero_si512(), ones = _mm512_set1_epi8(1);
  __m512i above[4], below[4];
  for (int i = 0; i < 4; ++i) {
    const __m512i x = _mm512_loadu_si512(q + 64 * i), positive = _mm512_max_epi8(x, none);
    above[i] = _mm512_dpbusd_epi32(none, positive, ones);
    below[i] = _mm512_dpbusd_epi32(none, _mm512_sub_epi8(positive, x), ones);
  }
  const __m512i a = lane_sums(above), b = lane_sums(below);
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const __m512i sums = _mm512_permutexvar_epi32(order, _mm512_sub_epi32(a, b));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(s), _mm512_cvtepi32_epi16(sums));
  const __m512i pair_a = _mm512_add_epi32(a, _mm512_shuffle_i64x2(a, a, 0xb1));
  const __m512i pair_b = _mm512_add_epi32(b, _mm512_shuffle_i64x2(b, b, 0xb1));
  const __m512i both = _mm512_or_si512(_mm512_add_epi32(a, b),
                                       _mm512_slli_epi32(_mm512_max_epi32(pair_a, pair_b), 16));
  const __m256i half =
      _mm256_max_epu16(_mm512_castsi512_si256(both), _mm512_extracti64x4_epi64(both, 1));
  __m128i most = _mm_max_epu16(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
  most = _mm_max_epu16(most, _mm_shuffle_epi32(most, 0x4e));
  most = _mm_max_epu16(most, _mm_shuffle_epi32(most, 0xb1));
  const auto bits = static_cast<uint32_t>(_mm_cvtsi128_si32(most));
  return {static_cast<uint16_t>(bits), static_cast<uint16_t>(bits >> 16)};
}

/// An int8 dot product with an accumulator of its own, for measuring the ceiling.
struct ProbeDot {
  __m512i sum;
  void clear() { sum = _mm512_setzero_si512(); }
  void step() {
    sum = _mm512_dpbusd_epi32(sum, _mm512_set1_epi8(3), _mm512_set1_epi8(5));
    asm volatile("" : "+v"(sum));
  }
  void keep() { asm volatile("" : : "v"(sum)); }
};
constexpr int64_t kProbeDotOps = 128;

// Tile of the float matmul: rows x tokens held in registers.
constexpr int kTileRows = 4;
constexpr int kTileTokens = 6;
constexpr int kWideTokens = 12;  // with two rows
// Its rows that share a copy of activations; 256 KiB of F16 weights a segment.
constexpr int64_t kRealRowBlock = 64;
// Sums of float attention held in registers.
constexpr int kAttentionSums = 24;
// Queries that share one pass over a KV page: of floats, of quantised numbers.
constexpr int kRealQueries = 12;
constexpr int kQuantisedQueries = kReduceTile;

}  // namespace
}  // namespace weir::kernels
