// Integer products with quantised KV pages (layout: kernels/kv_blocks.h) on NEON with dot products:
// both sides with sign. Internal linkage throughout.
#pragma once

#include "kernels/neon/vec.h"
#include "kernels/vec/key_quad.inc"

namespace weir::kernels {
namespace {

/// Keys get their sign back as they are loaded.
template <bool four>
constexpr int32_t kKeyOffset = 0;

inline int8x16_t broadcast4(int32_t bytes) { return vreinterpretq_s8_s32(vdupq_n_s32(bytes)); }
/// 2 bits - 15
inline int8x16_t odd_number(uint8x16_t bits) {
  return vsubq_s8(vreinterpretq_s8_u8(vshlq_n_u8(bits, 1)), vdupq_n_s8(15));
}
inline int8x16_t low_numbers(uint8x16_t x) { return odd_number(vandq_u8(x, vdupq_n_u8(15))); }
inline int8x16_t high_numbers(uint8x16_t x) { return odd_number(vshrq_n_u8(x, 4)); }
inline int8x16_t without_offset(uint8x16_t x) {
  return vreinterpretq_s8_u8(veorq_u8(x, vdupq_n_u8(128)));
}

/// dot[i] = the products of query i with one block of 16 keys. q: [8][N].
template <bool four, int N>
inline void key_dots(const uint8_t* block, const KeyQuad<four>* q, const int32_t* bias, Vec* dot) {
  for (int j = 0; j < 4; ++j) {  // four keys
    int32x4_t sum[N];
    for (int i = 0; i < N; ++i) sum[i] = vdupq_n_s32(bias[i]);
    for (int g = 0; g < (four ? 4 : 8); ++g) {
      const uint8x16_t x = vld1q_u8(block + 64 * g + 16 * j);
      const int8x16_t first = four ? low_numbers(x) : without_offset(x);
      for (int i = 0; i < N; ++i) sum[i] = vdotq_s32(sum[i], first, broadcast4(q[g * N + i].bytes));
      if (!four) continue;
      const int8x16_t second = high_numbers(x);
      for (int i = 0; i < N; ++i)
        sum[i] = vdotq_s32(sum[i], second, broadcast4(q[(g + 4) * N + i].bytes));
    }
    for (int i = 0; i < N; ++i) dot[i].v[j] = vcvtq_f32_s32(sum[i]);
  }
}

/// dot[i] = the sums of t[i] times one half of a block of values; t goes as t - 128, and 128 times
/// the sum of the values is added.
template <bool four, int N>
inline void value_dots(const uint8_t* block, int half, const uint8_t (*t)[16], Vec* dot) {
  for (int j = 0; j < 4; ++j) {  // four columns
    int8x16_t v[4];
    int32x4_t base = vdupq_n_s32(0);
    for (int g = 0; g < 4; ++g) {
      const uint8x16_t x = vld1q_u8(block + (four ? 0 : 256 * half) + 64 * g + 16 * j);
      v[g] = !four ? vreinterpretq_s8_u8(x) : half == 0 ? low_numbers(x) : high_numbers(x);
      base = vdotq_s32(base, v[g], vdupq_n_s8(1));
    }
    base = vshlq_n_s32(base, 7);
    for (int i = 0; i < N; ++i) {
      const int8x16_t weights = without_offset(vld1q_u8(t[i]));
      const int32x4_t words = vreinterpretq_s32_s8(weights);
      int32x4_t sum = base;
      sum = vdotq_s32(sum, v[0], vreinterpretq_s8_s32(vdupq_laneq_s32(words, 0)));
      sum = vdotq_s32(sum, v[1], vreinterpretq_s8_s32(vdupq_laneq_s32(words, 1)));
      sum = vdotq_s32(sum, v[2], vreinterpretq_s8_s32(vdupq_laneq_s32(words, 2)));
      sum = vdotq_s32(sum, v[3], vreinterpretq_s8_s32(vdupq_laneq_s32(words, 3)));
      dot[i].v[j] = vcvtq_f32_s32(sum);
    }
  }
}

/// Rounded half to even; x from 0 to 255, a NaN gives 0.
inline void store_bytes(uint8_t* to, Vec x) {
  int16x4_t words[4];
  for (int i = 0; i < 4; ++i) words[i] = vmovn_s32(vcvtnq_s32_f32(x.v[i]));
  const auto bytes = [&](int i) {
    return vmovn_u16(vreinterpretq_u16_s16(vcombine_s16(words[i], words[i + 1])));
  };
  vst1q_u8(to, vcombine_u8(bytes(0), bytes(2)));
}

inline uint16_t largest_half(const uint16_t* halves) {
  return vmaxvq_u16(vmaxq_u16(vld1q_u16(halves), vld1q_u16(halves + 8)));
}
inline float half_value(uint16_t half) {
  return vgetq_lane_f32(vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(half))), 0);
}

/// Lane i gets lane i ^ step.
template <int step>
inline Vec swap_lanes(Vec x) {
  if (step == 8) return {{x.v[2], x.v[3], x.v[0], x.v[1]}};
  if (step == 4) return {{x.v[1], x.v[0], x.v[3], x.v[2]}};
  return each(
      [&](int i) { return step == 2 ? vextq_f32(x.v[i], x.v[i], 2) : vrev64q_f32(x.v[i]); });
}

}  // namespace
}  // namespace weir::kernels
