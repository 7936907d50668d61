// Reads quantised blocks as unsigned bytes: weight = byte - kOffset (times scales). For the panel
// multiply (32 weights of one row) and the streaming GEMV (four blocks of one row).
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/vec/block_read.inc"
#include "tensor/blocks.h"

namespace weir::kernels {
namespace {

inline __m128i load128(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
inline __m256i load256(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
inline __m512i load512(const void* p) { return _mm512_loadu_si512(p); }

/// A load that stays one: g++ folds it into each instruction that reads the register otherwise, and
/// weights cross cache lines.
inline __m512i load_once(const void* p) {
  __m512i x = load512(p);
  asm("" : "+v"(x));
  return x;
}

/// Four registers of 16 bytes, a lane each.
inline __m512i gather128(const void* a, const void* b, const void* c, const void* d) {
  const __m256i ab = _mm256_inserti128_si256(_mm256_castsi128_si256(load128(a)), load128(b), 1);
  const __m256i cd = _mm256_inserti128_si256(_mm256_castsi128_si256(load128(c)), load128(d), 1);
  return _mm512_inserti64x4(_mm512_castsi256_si512(ab), cd, 1);
}

/// Elements 0..15 (low) and 16..31 (high) of four consecutive blocks of 32, a lane a block.
struct Quad {
  __m512i low, high;
};

/// From the first two blocks and the others, as they lie.
inline Quad lane_halves(__m512i first, __m512i second) {
  return {_mm512_shuffle_i32x4(first, second, 0x88), _mm512_shuffle_i32x4(first, second, 0xdd)};
}

inline float half(Half bits) { return _cvtsh_ss(bits); }

/// 16 bytes of two nibbles as 32 bytes: low nibbles first.
inline __m256i nibbles(const uint8_t* qs) {
  const __m128i raw = load128(qs);
  const __m256i both = _mm256_set_m128i(_mm_srli_epi16(raw, 4), raw);
  return _mm256_and_si256(both, _mm256_set1_epi8(15));
}

/// The levels of IQ4 plus 128, as a shuffle table.
inline __m128i iq4_table() {
  return _mm_xor_si128(load128(kIQ4Levels), _mm_set1_epi8(static_cast<char>(0x80)));
}

/// How a panel keeps weights: a byte each, or two in a byte as files have them. Then the high
/// nibbles of 16 bytes are the second half of a block or sub-block of 32 (halves), or those of 32
/// bytes are the next sub-block (pairs).
enum class Nibbles { none, halves, pairs };

// ---- 32-element types: unpack(block) gives the 32 bytes in order.

struct TypeQ4_0 {
  using Block = BlockQ4_0;
  static constexpr int kOffset = 8, kSub = 32;
  static constexpr Nibbles kNibbles = Nibbles::halves;
  static constexpr bool kMinimum = false;
  static __m256i unpack(const Block& b) { return nibbles(b.qs); }
  static uint16_t minimum(const Block&) { return 0; }
};
struct TypeQ4_1 {
  using Block = BlockQ4_1;
  static constexpr int kOffset = 0, kSub = 32;
  static constexpr Nibbles kNibbles = Nibbles::halves;
  static constexpr bool kMinimum = true;
  static __m256i unpack(const Block& b) { return nibbles(b.qs); }
  static uint16_t minimum(const Block& b) { return b.m; }
};
struct TypeQ5_0 {
  using Block = BlockQ5_0;
  static constexpr int kOffset = 16, kSub = 32;
  static constexpr Nibbles kNibbles = Nibbles::none;
  static constexpr bool kMinimum = false;
  static __m256i unpack(const Block& b) {
    const __m256i low = nibbles(b.qs);
    return _mm256_mask_add_epi8(low, load_bits(b.qh), low, _mm256_set1_epi8(16));
  }
  static uint16_t minimum(const Block&) { return 0; }
};
struct TypeQ5_1 {
  using Block = BlockQ5_1;
  static constexpr int kOffset = 0, kSub = 32;
  static constexpr Nibbles kNibbles = Nibbles::none;
  static constexpr bool kMinimum = true;
  static __m256i unpack(const Block& b) {
    const __m256i low = nibbles(b.qs);
    return _mm256_mask_add_epi8(low, load_bits(b.qh), low, _mm256_set1_epi8(16));
  }
  static uint16_t minimum(const Block& b) { return b.m; }
};
struct TypeQ8_0 {
  using Block = BlockQ8_0;
  static constexpr int kOffset = 128, kSub = 32;
  static constexpr Nibbles kNibbles = Nibbles::none;
  static constexpr bool kMinimum = false;
  static __m256i unpack(const Block& b) {
    return _mm256_xor_si256(load256(b.qs), _mm256_set1_epi8(static_cast<char>(0x80)));
  }
  static uint16_t minimum(const Block&) { return 0; }
};
struct TypeIQ4_NL {
  using Block = BlockIQ4_NL;
  static constexpr int kOffset = 128, kSub = 32;
  static constexpr Nibbles kNibbles = Nibbles::halves;
  static constexpr bool kMinimum = false;
  static __m256i unpack(const Block& b) {
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(iq4_table()), nibbles(b.qs));
  }
  static uint16_t minimum(const Block&) { return 0; }
};

// ---- 256-element types: scales for each kSub weights. weight = byte - kOffset, or, where the
// product fits a byte (kFolded), weight times scale = byte - kOffset. kPaired: the panel multiply
// may apply scales to two sums at once, if they fit 16 bits; kHigh is the largest weight.

struct TypeQ2_K {
  using Block = BlockQ2_K;
  static constexpr int kOffset = 0, kSub = 16;  // 0..3 times 0..15
  static constexpr Nibbles kNibbles = Nibbles::none;
  static constexpr bool kMinimum = true, kFolded = true, kPaired = false;
};
struct TypeQ3_K {
  using Block = BlockQ3_K;
  static constexpr int kOffset = 127, kSub = 16;  // -4..3 times -32..31: -124..128
  static constexpr Nibbles kNibbles = Nibbles::none;
  static constexpr bool kMinimum = false, kFolded = true, kPaired = false;
};
struct TypeQ4_K {
  using Block = BlockQ4_K;
  static constexpr int kOffset = 0, kHigh = 15, kSub = 32;
  static constexpr Nibbles kNibbles = Nibbles::pairs;
  static constexpr bool kMinimum = true, kFolded = false, kPaired = true;
};
struct TypeQ5_K {
  using Block = BlockQ5_K;
  static constexpr int kOffset = 0, kHigh = 31, kSub = 32;
  static constexpr Nibbles kNibbles = Nibbles::none;
  static constexpr bool kMinimum = true, kFolded = false, kPaired = true;
};
struct TypeQ6_K {
  using Block = BlockQ6_K;
  static constexpr int kOffset = 32, kHigh = 31, kSub = 16;
  static constexpr Nibbles kNibbles = Nibbles::none;
  static constexpr bool kMinimum = false, kFolded = false, kPaired = true;
};
struct TypeIQ4_XS {
  using Block = BlockIQ4_XS;
  static constexpr int kOffset = 128, kSub = 32;
  static constexpr Nibbles kNibbles = Nibbles::halves;
  static constexpr bool kMinimum = false, kFolded = false, kPaired = false;
};

}  // namespace
}  // namespace weir::kernels

#include "kernels/vec/by_type.inc"
