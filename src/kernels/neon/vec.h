// Sixteen f32 lanes for NEON (four registers), with the operations the shared bodies in kernels/vec
// need. Internal linkage throughout: nothing compiled here may be shared with other folders.
#pragma once

#include <arm_neon.h>

#include <cstddef>
#include <cstdint>

#include "kernels/kernels.h"

namespace weir::kernels {
namespace {

struct Vec {
  float32x4_t v[4];  // lanes 4 i ... 4 i + 3
};

template <typename F>
inline Vec each(F f) {
  return {{f(0), f(1), f(2), f(3)}};
}

inline Vec set1(float x) {
  return each([&](int) { return vdupq_n_f32(x); });
}
inline Vec spread(const float* p) { return set1(*p); }
inline Vec zero() { return set1(0.0f); }
/// Holds a value in registers: the compiler forgets that it could be loaded again.
inline void pin(Vec& x) { asm("" : "+w"(x.v[0]), "+w"(x.v[1]), "+w"(x.v[2]), "+w"(x.v[3])); }
inline Vec load(const float* p) {
  return each([&](int i) { return vld1q_f32(p + 4 * i); });
}
inline void store(float* p, Vec a) {
  for (int i = 0; i < 4; ++i) vst1q_f32(p + 4 * i, a.v[i]);
}
inline Vec load_n(const float* p, int n) {
  float lanes[16] = {};
  __builtin_memcpy(lanes, p, sizeof(float) * static_cast<size_t>(n));
  return load(lanes);
}
inline void store_n(float* p, Vec a, int n) {
  float lanes[16];
  store(lanes, a);
  __builtin_memcpy(p, lanes, sizeof(float) * static_cast<size_t>(n));
}

inline Vec load_half(const uint16_t* p) {
  return each([&](int i) { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p + 4 * i))); });
}
inline void store_half(uint16_t* p, Vec a) {
  for (int i = 0; i < 4; ++i) vst1_u16(p + 4 * i, vreinterpret_u16_f16(vcvt_f16_f32(a.v[i])));
}
inline Vec load_bf16(const uint16_t* p) {
  return each([&](int i) { return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p + 4 * i), 16)); });
}

inline Vec add(Vec a, Vec b) {
  return each([&](int i) { return vaddq_f32(a.v[i], b.v[i]); });
}
inline Vec sub(Vec a, Vec b) {
  return each([&](int i) { return vsubq_f32(a.v[i], b.v[i]); });
}
inline Vec mul(Vec a, Vec b) {
  return each([&](int i) { return vmulq_f32(a.v[i], b.v[i]); });
}
inline Vec div(Vec a, Vec b) {
  return each([&](int i) { return vdivq_f32(a.v[i], b.v[i]); });
}
inline Vec fma(Vec a, Vec b, Vec c) {
  return each([&](int i) { return vfmaq_f32(c.v[i], a.v[i], b.v[i]); });
}
inline Vec negate(Vec a) {
  return each([&](int i) { return vnegq_f32(a.v[i]); });
}
/// a > b ? a : b in every lane; a NaN in `a` gives b. (The instruction would keep the NaN.)
inline Vec max_of(Vec a, Vec b) {
  return each([&](int i) { return vbslq_f32(vcgtq_f32(a.v[i], b.v[i]), a.v[i], b.v[i]); });
}
inline Vec min_of(Vec a, Vec b) {
  return each([&](int i) { return vbslq_f32(vcltq_f32(a.v[i], b.v[i]), a.v[i], b.v[i]); });
}
inline Vec abs_of(Vec a) {
  return each([&](int i) { return vabsq_f32(a.v[i]); });
}
inline Vec with_sign_of(Vec magnitude, Vec sign) {
  const uint32x4_t bit = vdupq_n_u32(0x80000000u);
  return each([&](int i) { return vbslq_f32(bit, sign.v[i], magnitude.v[i]); });
}
/// a < b ? x : y
inline Vec if_less(Vec a, Vec b, Vec x, Vec y) {
  return each([&](int i) { return vbslq_f32(vcltq_f32(a.v[i], b.v[i]), x.v[i], y.v[i]); });
}
/// lane < n ? a : b
inline Vec first_lanes(Vec a, Vec b, int n) {
  const int32_t ramp[4] = {0, 1, 2, 3};
  const int32x4_t lane = vld1q_s32(ramp);
  return each(
      [&](int i) { return vbslq_f32(vcltq_s32(lane, vdupq_n_s32(n - 4 * i)), a.v[i], b.v[i]); });
}

inline Vec nearest(Vec a) {
  return each([&](int i) { return vrndnq_f32(a.v[i]); });
}
inline Vec floor_of(Vec a) {
  return each([&](int i) { return vrndmq_f32(a.v[i]); });
}
inline float32x4_t pow2(int32x4_t n) {
  return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(n, vdupq_n_s32(127)), 23));
}
/// p * 2^n for integral n in two steps, powers of two from -126 to 127; only the second can round.
inline Vec scale_pow2(Vec p, Vec n) {
  return each([&](int i) {
    const int32x4_t all = vcvtnq_s32_f32(n.v[i]), half = vshrq_n_s32(all, 1);
    return vmulq_f32(vmulq_f32(p.v[i], pow2(half)), pow2(vsubq_s32(all, half)));
  });
}

/// The canonical reduction tree: i with i + 8, i + 4, i + 2, i + 1.
inline float reduce(Vec a) {
  const float32x4_t q = vaddq_f32(vaddq_f32(a.v[0], a.v[2]), vaddq_f32(a.v[1], a.v[3]));
  const float32x2_t d = vadd_f32(vget_low_f32(q), vget_high_f32(q));
  return vget_lane_f32(d, 0) + vget_lane_f32(d, 1);
}
inline float first_lane(Vec a) { return vgetq_lane_f32(a.v[0], 0); }
inline float reduce_max(Vec a) {
  float lanes[16];
  store(lanes, a);
  float top = lanes[0];
  for (int i = 1; i < 16; ++i) top = lanes[i] > top ? lanes[i] : top;
  return top;
}

constexpr int kReduceTile = 4;
/// Lane i: reduce(x[i]), reduce_max(x[i]), of kReduceTile vectors.
inline Vec reduce_tile(const Vec* x) {
  const float lanes[16] = {reduce(x[0]), reduce(x[1]), reduce(x[2]), reduce(x[3])};
  return load(lanes);
}
inline Vec reduce_max_tile(const Vec* x) {
  const float lanes[16] = {reduce_max(x[0]), reduce_max(x[1]), reduce_max(x[2]), reduce_max(x[3])};
  return load(lanes);
}

/// Largest |x| bit pattern over n values (a multiple of 16), as an unsigned integer.
inline uint32_t reduce_max_magnitude(const float* x, int64_t n) {
  uint32x4_t m = vdupq_n_u32(0);
  for (int64_t i = 0; i < n; i += 4)
    m = vmaxq_u32(m, vandq_u32(vreinterpretq_u32_f32(vld1q_f32(x + i)), vdupq_n_u32(0x7fffffffu)));
  return vmaxvq_u32(m);
}

/// 16 values times `scale`, rounded half to even, as int8; returns their sum.
inline int32_t store_rounded(int8_t* q, const float* x, float scale) {
  int32x4_t n[4];
  for (int i = 0; i < 4; ++i) n[i] = vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(x + 4 * i), scale));
  const int16x8_t low = vcombine_s16(vmovn_s32(n[0]), vmovn_s32(n[1]));
  const int16x8_t high = vcombine_s16(vmovn_s32(n[2]), vmovn_s32(n[3]));
  vst1q_s8(q, vcombine_s8(vmovn_s16(low), vmovn_s16(high)));
  return vaddvq_s32(vaddq_s32(vaddq_s32(n[0], n[1]), vaddq_s32(n[2], n[3])));
}

/// Sums over each 16 of 256 quantised activations, and their peak.
inline Peak sums_of_16(const int8_t* q, int16_t* s) {
  int most_16 = 0, most_32 = 0, above = 0, below = 0;
  for (int i = 0; i < 16; ++i) {
    const int8x16_t x = vld1q_s8(q + 16 * i), positive = vmaxq_s8(x, vdupq_n_s8(0));
    const int p = vaddlvq_u8(vreinterpretq_u8_s8(positive));
    const int n = vaddlvq_u8(vreinterpretq_u8_s8(vsubq_s8(positive, x)));
    s[i] = static_cast<int16_t>(p - n);
    above = i % 2 == 0 ? p : above + p;
    below = i % 2 == 0 ? n : below + n;
    most_16 = p + n > most_16 ? p + n : most_16;
    const int more = above > below ? above : below;
    most_32 = more > most_32 ? more : most_32;
  }
  return {static_cast<uint16_t>(most_16), static_cast<uint16_t>(most_32)};
}

/// An int8 dot product with an accumulator of its own, for measuring the ceiling.
struct ProbeDot {
  int32x4_t sum;
  void clear() { sum = vdupq_n_s32(0); }
  void step() {
    sum = vdotq_s32(sum, vdupq_n_s8(3), vdupq_n_s8(5));
    asm volatile("" : "+w"(sum));
  }
  void keep() { asm volatile("" : : "w"(sum)); }
};
constexpr int64_t kProbeDotOps = 32;

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
