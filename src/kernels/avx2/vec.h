// Sixteen f32 lanes for AVX2 (two registers), with the operations the shared bodies in kernels/vec
// need. Internal linkage throughout: nothing compiled here may be shared with other folders.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/kernels.h"

namespace weir::kernels {
namespace {

struct Vec {
  __m256 a, b;  // lanes 0..7, 8..15
};

inline __m256i lanes8(int n) {  // lane < n
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

inline Vec zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
inline Vec set1(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
inline Vec spread(const float* p) { return set1(*p); }
/// Holds a value in registers: the compiler forgets that it could be loaded again.
inline void pin(Vec& x) { asm("" : "+x"(x.a), "+x"(x.b)); }
inline Vec load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
inline Vec load_n(const float* p, int n) {
  return {_mm256_maskload_ps(p, lanes8(n)), _mm256_maskload_ps(p + 8, lanes8(n - 8))};
}
inline void store(float* p, Vec x) {
  _mm256_storeu_ps(p, x.a);
  _mm256_storeu_ps(p + 8, x.b);
}
inline void store_n(float* p, Vec x, int n) {
  _mm256_maskstore_ps(p, lanes8(n), x.a);
  _mm256_maskstore_ps(p + 8, lanes8(n - 8), x.b);
}

inline Vec load_half(const uint16_t* p) {
  const auto* q = reinterpret_cast<const __m128i*>(p);
  return {_mm256_cvtph_ps(_mm_loadu_si128(q)), _mm256_cvtph_ps(_mm_loadu_si128(q + 1))};
}
inline void store_half(uint16_t* p, Vec x) {
  auto* q = reinterpret_cast<__m128i*>(p);
  _mm_storeu_si128(q, _mm256_cvtps_ph(x.a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  _mm_storeu_si128(q + 1, _mm256_cvtps_ph(x.b, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
inline __m256 widen_bf16(const uint16_t* p) {
  const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}
inline Vec load_bf16(const uint16_t* p) { return {widen_bf16(p), widen_bf16(p + 8)}; }

inline Vec add(Vec x, Vec y) { return {_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)}; }
inline Vec sub(Vec x, Vec y) { return {_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)}; }
inline Vec mul(Vec x, Vec y) { return {_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)}; }
inline Vec div(Vec x, Vec y) { return {_mm256_div_ps(x.a, y.a), _mm256_div_ps(x.b, y.b)}; }
inline Vec fma(Vec x, Vec y, Vec z) {
  return {_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)};
}
inline Vec negate(Vec x) {
  const __m256 bit = _mm256_set1_ps(-0.0f);
  return {_mm256_xor_ps(x.a, bit), _mm256_xor_ps(x.b, bit)};
}
/// x > y ? x : y in every lane; a NaN in `x` gives y.
inline Vec max_of(Vec x, Vec y) { return {_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)}; }
inline Vec min_of(Vec x, Vec y) { return {_mm256_min_ps(x.a, y.a), _mm256_min_ps(x.b, y.b)}; }
inline Vec abs_of(Vec x) {
  const __m256 bit = _mm256_set1_ps(-0.0f);
  return {_mm256_andnot_ps(bit, x.a), _mm256_andnot_ps(bit, x.b)};
}
inline Vec with_sign_of(Vec magnitude, Vec sign) {
  const __m256 bit = _mm256_set1_ps(-0.0f);
  return {_mm256_or_ps(_mm256_andnot_ps(bit, magnitude.a), _mm256_and_ps(bit, sign.a)),
          _mm256_or_ps(_mm256_andnot_ps(bit, magnitude.b), _mm256_and_ps(bit, sign.b))};
}
/// x < y ? p : q
inline Vec if_less(Vec x, Vec y, Vec p, Vec q) {
  return {_mm256_blendv_ps(q.a, p.a, _mm256_cmp_ps(x.a, y.a, _CMP_LT_OQ)),
          _mm256_blendv_ps(q.b, p.b, _mm256_cmp_ps(x.b, y.b, _CMP_LT_OQ))};
}
/// lane < n ? x : y
inline Vec first_lanes(Vec x, Vec y, int n) {
  return {_mm256_blendv_ps(y.a, x.a, _mm256_castsi256_ps(lanes8(n))),
          _mm256_blendv_ps(y.b, x.b, _mm256_castsi256_ps(lanes8(n - 8)))};
}

inline Vec nearest(Vec x) {
  constexpr int mode = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  return {_mm256_round_ps(x.a, mode), _mm256_round_ps(x.b, mode)};
}
inline Vec floor_of(Vec x) { return {_mm256_floor_ps(x.a), _mm256_floor_ps(x.b)}; }
inline __m256 pow2_half(__m256i n) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
}
inline __m256 scale_pow2_half(__m256 p, __m256 n) {
  const __m256i all = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(all, 1);
  const __m256 first = _mm256_mul_ps(p, pow2_half(half));
  return _mm256_mul_ps(first, pow2_half(_mm256_sub_epi32(all, half)));
}
/// p * 2^n for integral n in two steps, powers of two from -126 to 127; only the second can round.
inline Vec scale_pow2(Vec p, Vec n) {
  return {scale_pow2_half(p.a, n.a), scale_pow2_half(p.b, n.b)};
}

/// The canonical reduction tree: i with i + 8, i + 4, i + 2, i + 1.
inline float reduce(Vec x) {
  const __m256 h = _mm256_add_ps(x.a, x.b);
  const __m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
  const __m128 d = _mm_add_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_add_ss(d, _mm_movehdup_ps(d)));
}
inline float first_lane(Vec x) { return _mm256_cvtss_f32(x.a); }
inline float reduce_max(Vec x) {
  const __m256 h = _mm256_max_ps(x.a, x.b);
  const __m128 q = _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
  const __m128 d = _mm_max_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_max_ss(d, _mm_movehdup_ps(d)));
}

/// Lane i: the tree over x[i], for four vectors at once; the lanes from 4 on repeat.
template <typename Join>
inline Vec reduce_four(const Vec* x, Join join) {
  __m256 h[4], q[2];
  for (int i = 0; i < 4; ++i) h[i] = join(x[i].a, x[i].b);
  for (int i = 0; i < 2; ++i)  // blocks of four: 0 1, 2 3
    q[i] = join(_mm256_permute2f128_ps(h[2 * i], h[2 * i + 1], 0x20),
                _mm256_permute2f128_ps(h[2 * i], h[2 * i + 1], 0x31));
  const __m256d low = _mm256_castps_pd(q[0]), high = _mm256_castps_pd(q[1]);
  const __m256 d = join(_mm256_castpd_ps(_mm256_unpacklo_pd(low, high)),
                        _mm256_castpd_ps(_mm256_unpackhi_pd(low, high)));
  const __m256 one = join(_mm256_shuffle_ps(d, d, 0x88), _mm256_shuffle_ps(d, d, 0xdd));
  const __m128 lanes = _mm_unpacklo_ps(_mm256_castps256_ps128(one), _mm256_extractf128_ps(one, 1));
  const __m256 twice = _mm256_set_m128(lanes, lanes);
  return {twice, twice};
}
constexpr int kReduceTile = 4;
/// Lane i: reduce(x[i]), reduce_max(x[i]), of kReduceTile vectors.
inline Vec reduce_tile(const Vec* x) {
  return reduce_four(x, [](__m256 a, __m256 b) { return _mm256_add_ps(a, b); });
}
inline Vec reduce_max_tile(const Vec* x) {
  return reduce_four(x, [](__m256 a, __m256 b) { return _mm256_max_ps(a, b); });
}

/// Largest |x| bit pattern over n values (a multiple of 16), as an unsigned integer.
inline uint32_t reduce_max_magnitude(const float* x, int64_t n) {
  __m256i m = _mm256_setzero_si256();
  const __m256i mask = _mm256_set1_epi32(INT32_MAX);
  for (int64_t i = 0; i < n; i += 8)
    m = _mm256_max_epu32(
        m, _mm256_and_si256(mask, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x + i))));
  __m128i q = _mm_max_epu32(_mm256_castsi256_si128(m), _mm256_extracti128_si256(m, 1));
  q = _mm_max_epu32(q, _mm_shuffle_epi32(q, 0x4e));
  q = _mm_max_epu32(q, _mm_shuffle_epi32(q, 0xb1));
  return static_cast<uint32_t>(_mm_cvtsi128_si32(q));
}

/// 16 values times `scale`, rounded half to even, as int8; returns their sum.
inline int32_t store_rounded(int8_t* q, const float* x, float scale) {
  const __m256 s = _mm256_set1_ps(scale);
  const __m256i lo = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x), s));
  const __m256i hi = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + 8), s));
  __m256i packed = _mm256_permute4x64_epi64(_mm256_packs_epi32(lo, hi), 0xd8);
  const __m128i bytes =
      _mm_packs_epi16(_mm256_castsi256_si128(packed), _mm256_extracti128_si256(packed, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(q), bytes);
  const __m256i pairs = _mm256_add_epi32(lo, hi);
  __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1));
  sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
  sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1));
  return _mm_cvtsi128_si32(sum);
}

/// Sums over each 16 of 256 quantised activations, and their peak.
inline Peak sums_of_16(const int8_t* q, int16_t* s) {
  const __m256i none = _mm256_setzero_si256();
  __m256i most_16 = none, most_32 = none;
  for (int i = 0; i < 256; i += 32) {
    const __m256i x = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(q + i));
    const __m256i positive = _mm256_max_epi8(x, none);
    const __m256i above = _mm256_sad_epu8(positive, none);  // of eight activations each
    const __m256i below = _mm256_sad_epu8(_mm256_sub_epi8(positive, x), none);
    __m256i sums = _mm256_sub_epi32(above, below);
    sums = _mm256_add_epi32(sums, _mm256_shuffle_epi32(sums, 0x4e));
    s[i / 16] = static_cast<int16_t>(_mm_cvtsi128_si32(_mm256_castsi256_si128(sums)));
    s[i / 16 + 1] = static_cast<int16_t>(_mm_cvtsi128_si32(_mm256_extracti128_si256(sums, 1)));
    const __m256i sizes = _mm256_add_epi32(above, below);
    most_16 = _mm256_max_epi32(most_16, _mm256_add_epi32(sizes, _mm256_shuffle_epi32(sizes, 0x4e)));
    __m256i both = _mm256_or_si256(above, _mm256_slli_epi64(below, 32));
    both = _mm256_add_epi32(both, _mm256_shuffle_epi32(both, 0x4e));
    both = _mm256_add_epi32(both, _mm256_permute2x128_si256(both, both, 1));
    most_32 = _mm256_max_epi32(most_32, both);
  }
  most_32 = _mm256_max_epi32(most_32, _mm256_shuffle_epi32(most_32, 0xb1));
  const __m128i run =
      _mm_max_epi32(_mm256_castsi256_si128(most_16), _mm256_extracti128_si256(most_16, 1));
  return {static_cast<uint16_t>(_mm_cvtsi128_si32(run)),
          static_cast<uint16_t>(_mm_cvtsi128_si32(_mm256_castsi256_si128(most_32)))};
}

/// An int8 dot product with an accumulator of its own, for measuring the ceiling.
struct ProbeDot {
  __m256i sum;
  void clear() { sum = _mm256_setzero_si256(); }
  void step() {
    __m256i three = _mm256_set1_epi8(3);
    asm volatile("" : "+x"(three));
    const __m256i pairs = _mm256_maddubs_epi16(three, _mm256_set1_epi8(5));
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
    asm volatile("" : "+x"(sum));
  }
  void keep() { asm volatile("" : : "x"(sum)); }
};
constexpr int64_t kProbeDotOps = 64;

// Tile of the float matmul: rows x tokens held in registers.
constexpr int kTileRows = 2;
constexpr int kTileTokens = 2;
constexpr int kWideTokens = 2;
// Its rows that share a copy of activations; 128 KiB of F16 weights a segment.
constexpr int64_t kRealRowBlock = 32;
// Sums of float attention held in registers.
constexpr int kAttentionSums = 4;
// Queries that share one pass over a KV page: of floats, of quantised numbers.
constexpr int kRealQueries = 4;
constexpr int kQuantisedQueries = kReduceTile;

}  // namespace
}  // namespace weir::kernels
