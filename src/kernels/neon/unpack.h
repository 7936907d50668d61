// Reads quantised blocks as the signed bytes that the canonical arithmetic multiplies: 32 weights
// of one row at a time, and the integer scales of super-blocks.
#pragma once

#include <arm_neon.h>

#include "kernels/vec/block_read.inc"
#include "tensor/blocks.h"

namespace weir::kernels {
namespace {

/// 32 weights in order.
struct Bytes {
  int8x16_t v[2];
};

inline float half(Half bits) {
  return vgetq_lane_f32(vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(bits))), 0);
}

inline Bytes minus(uint8x16_t a, uint8x16_t b, int offset) {
  const int8x16_t o = vdupq_n_s8(static_cast<int8_t>(offset));
  return {{vsubq_s8(vreinterpretq_s8_u8(a), o), vsubq_s8(vreinterpretq_s8_u8(b), o)}};
}

inline uint8x16_t low_nibbles(const uint8_t* qs) { return vandq_u8(vld1q_u8(qs), vdupq_n_u8(15)); }
inline uint8x16_t high_nibbles(const uint8_t* qs) { return vshrq_n_u8(vld1q_u8(qs), 4); }

/// 16 in byte i if bit i of the two bytes at `bits` is set.
inline uint8x16_t fifth_bits(const uint8_t* bits) {
  const uint8_t masks[8] = {1, 2, 4, 8, 16, 32, 64, 128};
  const uint8x16_t own = vcombine_u8(vdup_n_u8(bits[0]), vdup_n_u8(bits[1]));
  const uint8x8_t mask = vld1_u8(masks);
  return vandq_u8(vtstq_u8(own, vcombine_u8(mask, mask)), vdupq_n_u8(16));
}

inline Bytes five_bits(const uint8_t* qs, const uint8_t* qh, int offset) {
  return minus(vorrq_u8(low_nibbles(qs), fifth_bits(qh)),
               vorrq_u8(high_nibbles(qs), fifth_bits(qh + 2)), offset);
}

inline Bytes levels(const uint8_t* qs) {
  const int8x16_t table = vld1q_s8(kIQ4Levels);
  return {{vqtbl1q_s8(table, low_nibbles(qs)), vqtbl1q_s8(table, high_nibbles(qs))}};
}

/// `mask` bits of 16 bytes after a shift right.
inline uint8x16_t bits_at(const uint8_t* p, int shift, int mask) {
  const uint8x16_t moved = vshlq_u8(vld1q_u8(p), vdupq_n_s8(static_cast<int8_t>(-shift)));
  return vandq_u8(moved, vdupq_n_u8(static_cast<uint8_t>(mask)));
}

/// bits_at of 32 bytes, joined with `high` (at its place already).
template <typename High>
inline Bytes joined(const uint8_t* p, int shift, int mask, int offset, High high) {
  return minus(vorrq_u8(bits_at(p, shift, mask), high(0)),
               vorrq_u8(bits_at(p + 16, shift, mask), high(16)), offset);
}

// ---- 32-element types.

struct TypeQ4_0 {
  using Block = BlockQ4_0;
  static constexpr bool kMinimum = false;
  static Bytes unpack(const Block& b) { return minus(low_nibbles(b.qs), high_nibbles(b.qs), 8); }
  static Half minimum(const Block&) { return 0; }
};
struct TypeQ4_1 {
  using Block = BlockQ4_1;
  static constexpr bool kMinimum = true;
  static Bytes unpack(const Block& b) { return minus(low_nibbles(b.qs), high_nibbles(b.qs), 0); }
  static Half minimum(const Block& b) { return b.m; }
};
struct TypeQ5_0 {
  using Block = BlockQ5_0;
  static constexpr bool kMinimum = false;
  static Bytes unpack(const Block& b) { return five_bits(b.qs, b.qh, 16); }
  static Half minimum(const Block&) { return 0; }
};
struct TypeQ5_1 {
  using Block = BlockQ5_1;
  static constexpr bool kMinimum = true;
  static Bytes unpack(const Block& b) { return five_bits(b.qs, b.qh, 0); }
  static Half minimum(const Block& b) { return b.m; }
};
struct TypeQ8_0 {
  using Block = BlockQ8_0;
  static constexpr bool kMinimum = false;
  static Bytes unpack(const Block& b) { return {{vld1q_s8(b.qs), vld1q_s8(b.qs + 16)}}; }
  static Half minimum(const Block&) { return 0; }
};
struct TypeIQ4_NL {
  using Block = BlockIQ4_NL;
  static constexpr bool kMinimum = false;
  static Bytes unpack(const Block& b) { return levels(b.qs); }
  static Half minimum(const Block&) { return 0; }
};

// ---- 256-element types: unpack(block, j) gives elements 32 j ... 32 j + 31; scales() the sixteen
// scales and minima of runs of 16, as UnpackedBlock256 has them.

inline void spread_pairs(const uint8_t* s, int32_t* scale, int32_t* min) {
  const SixBitPairs p = six_bit_pairs(s);
  for (int j = 0; j < 16; ++j) {
    scale[j] = static_cast<int32_t>((p.scale >> (8 * (j / 2))) & 63);
    min[j] = static_cast<int32_t>((p.min >> (8 * (j / 2))) & 63);
  }
}

struct TypeQ2_K {
  using Block = BlockQ2_K;
  static constexpr bool kMinimum = true;
  static Bytes unpack(const Block& b, int j) {
    return joined(b.qs + 32 * (j / 4), 2 * (j % 4), 3, 0, [](int) { return vdupq_n_u8(0); });
  }
  static void scales(const Block& b, int32_t* scale, int32_t* min) {
    for (int j = 0; j < 16; ++j) {
      scale[j] = b.scales[j] & 15;
      min[j] = b.scales[j] >> 4;
    }
  }
  static Half minimum(const Block& b) { return b.dmin; }
};
struct TypeQ3_K {
  using Block = BlockQ3_K;
  static constexpr bool kMinimum = false;
  static Bytes unpack(const Block& b, int j) {
    return joined(b.qs + 32 * (j / 4), 2 * (j % 4), 3, 4,
                  [&](int at) { return vshlq_n_u8(bits_at(b.hmask + at, j, 1), 2); });
  }
  static void scales(const Block& b, int32_t* scale, int32_t*) {
    for (int j = 0; j < 16; ++j) {
      const int low = (b.scales[j % 8] >> (4 * (j / 8))) & 15;
      scale[j] = (low | (((b.scales[8 + j % 4] >> (2 * (j / 4))) & 3) << 4)) - 32;
    }
  }
  static Half minimum(const Block&) { return 0; }
};
struct TypeQ4_K {
  using Block = BlockQ4_K;
  static constexpr bool kMinimum = true;
  static Bytes unpack(const Block& b, int j) {
    return joined(b.qs + 32 * (j / 2), 4 * (j % 2), 15, 0, [](int) { return vdupq_n_u8(0); });
  }
  static void scales(const Block& b, int32_t* scale, int32_t* min) {
    spread_pairs(b.scales, scale, min);
  }
  static Half minimum(const Block& b) { return b.dmin; }
};
struct TypeQ5_K {
  using Block = BlockQ5_K;
  static constexpr bool kMinimum = true;
  static Bytes unpack(const Block& b, int j) {
    return joined(b.qs + 32 * (j / 2), 4 * (j % 2), 15, 0,
                  [&](int at) { return vshlq_n_u8(bits_at(b.qh + at, j, 1), 4); });
  }
  static void scales(const Block& b, int32_t* scale, int32_t* min) {
    spread_pairs(b.scales, scale, min);
  }
  static Half minimum(const Block& b) { return b.dmin; }
};
struct TypeQ6_K {
  using Block = BlockQ6_K;
  static constexpr bool kMinimum = false;
  static Bytes unpack(const Block& b, int j) {
    const int plane = j % 4;
    const uint8_t* high = b.qh + 32 * (j / 4);
    return joined(b.ql + 64 * (j / 4) + 32 * (plane % 2), 4 * (plane / 2), 15, 32,
                  [&](int at) { return vshlq_n_u8(bits_at(high + at, 2 * plane, 3), 4); });
  }
  static void scales(const Block& b, int32_t* scale, int32_t*) {
    for (int j = 0; j < 16; ++j) scale[j] = b.scales[j];
  }
  static Half minimum(const Block&) { return 0; }
};
struct TypeIQ4_XS {
  using Block = BlockIQ4_XS;
  static constexpr bool kMinimum = false;
  static Bytes unpack(const Block& b, int j) { return levels(b.qs + 16 * j); }
  static void scales(const Block& b, int32_t* scale, int32_t*) {
    for (int j = 0; j < 16; ++j) {
      const int sub = j / 2, low = (b.scales_l[sub / 2] >> (4 * (sub % 2))) & 15;
      scale[j] = (low | (((b.scales_h >> (2 * sub)) & 3) << 4)) - 32;
    }
  }
  static Half minimum(const Block&) { return 0; }
};

}  // namespace
}  // namespace weir::kernels

#include "kernels/vec/by_type.inc"
