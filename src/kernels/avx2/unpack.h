// Reads quantised blocks as bytes, for the panel multiply and the streaming GEMV. Small types give
// unsigned bytes: weight = byte - kOffset (times scales). Types of the whole int8 range (kSigned)
// give the weights themselves. vpmaddubsw adds two products with saturation at 16 bits:
// activations lie in -127..127, so no pair exceeds 2 * 128 * 127 = 32512.
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

inline float half(Half bits) { return _cvtsh_ss(bits); }

/// 16 bytes of two nibbles as 32 bytes: low nibbles first.
inline __m256i nibbles(const uint8_t* qs) {
  const __m256i raw = _mm256_broadcastsi128_si256(load128(qs));
  const __m256i shifted = _mm256_srlv_epi32(raw, _mm256_setr_epi32(0, 0, 0, 0, 4, 4, 4, 4));
  return _mm256_and_si256(shifted, _mm256_set1_epi8(15));
}

/// 16 in byte i if bit i of the four bytes at qh is set.
inline __m256i fifth_bits(const uint8_t* qh) {
  const __m256i byte_of =
      _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
  const __m256i bit = _mm256_set1_epi64x(static_cast<int64_t>(0x8040201008040201u));
  const __m256i all = _mm256_set1_epi32(static_cast<int32_t>(load_bits(qh)));
  const __m256i own = _mm256_and_si256(_mm256_shuffle_epi8(all, byte_of), bit);
  return _mm256_and_si256(_mm256_cmpeq_epi8(own, bit), _mm256_set1_epi8(16));
}

inline __m256i iq4_levels(const uint8_t* qs) {
  return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(load128(kIQ4Levels)), nibbles(qs));
}

/// `bits` of each byte, moved from bit `from` to bit `to`. `bits` is a mask in place.
inline __m256i move_bits(__m256i raw, int bits, int from, int to) {
  const __m256i own = _mm256_and_si256(raw, _mm256_set1_epi8(static_cast<char>(bits)));
  return from < to ? _mm256_slli_epi16(own, to - from) : _mm256_srli_epi16(own, from - to);
}

/// Products of bytes and activations, pairs of neighbours added: sixteen int16.
template <typename Type>
inline __m256i dot_pairs(__m256i w, __m256i x) {
  if constexpr (Type::kSigned) {
    return _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
  } else {
    return _mm256_maddubs_epi16(w, x);
  }
}

// ---- 32-element types: unpack(block) gives the 32 bytes in order. kLow ... kHigh is the range of
// the integer weights.

struct TypeQ4_0 {
  using Block = BlockQ4_0;
  static constexpr int kOffset = 8, kLow = -8, kHigh = 7;
  static constexpr bool kSigned = false, kMinimum = false;
  static __m256i unpack(const Block& b) { return nibbles(b.qs); }
  static uint16_t minimum(const Block&) { return 0; }
};
struct TypeQ4_1 {
  using Block = BlockQ4_1;
  static constexpr int kOffset = 0, kLow = 0, kHigh = 15;
  static constexpr bool kSigned = false, kMinimum = true;
  static __m256i unpack(const Block& b) { return nibbles(b.qs); }
  static uint16_t minimum(const Block& b) { return b.m; }
};
struct TypeQ5_0 {
  using Block = BlockQ5_0;
  static constexpr int kOffset = 16, kLow = -16, kHigh = 15;
  static constexpr bool kSigned = false, kMinimum = false;
  static __m256i unpack(const Block& b) { return _mm256_or_si256(nibbles(b.qs), fifth_bits(b.qh)); }
  static uint16_t minimum(const Block&) { return 0; }
};
struct TypeQ5_1 {
  using Block = BlockQ5_1;
  static constexpr int kOffset = 0, kLow = 0, kHigh = 31;
  static constexpr bool kSigned = false, kMinimum = true;
  static __m256i unpack(const Block& b) { return _mm256_or_si256(nibbles(b.qs), fifth_bits(b.qh)); }
  static uint16_t minimum(const Block& b) { return b.m; }
};
struct TypeQ8_0 {
  using Block = BlockQ8_0;
  static constexpr int kOffset = 0, kLow = -128, kHigh = 127;
  static constexpr bool kSigned = true, kMinimum = false;
  static __m256i unpack(const Block& b) { return load256(b.qs); }
  static uint16_t minimum(const Block&) { return 0; }
};
struct TypeIQ4_NL {
  using Block = BlockIQ4_NL;
  static constexpr int kOffset = 0, kLow = -128, kHigh = 127;
  static constexpr bool kSigned = true, kMinimum = false;
  static __m256i unpack(const Block& b) { return iq4_levels(b.qs); }
  static uint16_t minimum(const Block&) { return 0; }
};

// ---- 256-element types: unpack(block, j) gives elements 32 j ... 32 j + 31 in order;
// scales(block) and minima(block) give sixteen int16, one a run of 16 elements (types with
// sub-blocks of 32 repeat each).

/// Eight bytes as sixteen int16, each twice.
inline __m256i twice(uint64_t bytes) {
  const __m128i eight = _mm_cvtsi64_si128(static_cast<int64_t>(bytes));
  return _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(eight, eight));
}

inline __m256i two_bits(const uint8_t* qs, int j) {
  const __m256i raw = load256(qs + 32 * (j / 4));
  return _mm256_and_si256(_mm256_srli_epi16(raw, 2 * (j % 4)), _mm256_set1_epi8(3));
}

inline __m256i four_bits(const uint8_t* qs, int j) {
  const __m256i raw = load256(qs + 32 * (j / 2));
  return _mm256_and_si256(_mm256_srli_epi16(raw, 4 * (j % 2)), _mm256_set1_epi8(15));
}

struct TypeQ2_K {
  using Block = BlockQ2_K;
  static constexpr int kOffset = 0, kLow = 0, kHigh = 3, kSub = 16;
  static constexpr bool kSigned = false, kMinimum = true;
  static __m256i unpack(const Block& b, int j) { return two_bits(b.qs, j); }
  static __m256i scales(const Block& b) {
    return _mm256_cvtepu8_epi16(_mm_and_si128(load128(b.scales), _mm_set1_epi8(15)));
  }
  static __m256i minima(const Block& b) {
    return _mm256_srli_epi16(_mm256_cvtepu8_epi16(load128(b.scales)), 4);
  }
  static uint16_t minimum(const Block& b) { return b.dmin; }
};
struct TypeQ3_K {
  using Block = BlockQ3_K;
  static constexpr int kOffset = 4, kLow = -4, kHigh = 3, kSub = 16;
  static constexpr bool kSigned = false, kMinimum = false;
  static __m256i unpack(const Block& b, int j) {
    return _mm256_or_si256(two_bits(b.qs, j), move_bits(load256(b.hmask), 1 << j, j, 2));
  }
  /// Low four bits: the nibbles of eight bytes, low ones first; high two: the last four bytes.
  static __m256i scales(const Block& b) {
    const __m128i raw = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(b.scales));
    const __m128i low =
        _mm_and_si128(_mm_unpacklo_epi64(raw, _mm_srli_epi16(raw, 4)), _mm_set1_epi8(15));
    const __m128i planes = _mm_set1_epi32(static_cast<int32_t>(load_bits(b.scales + 8)));
    const __m128i high =
        _mm_and_si128(_mm_srlv_epi32(planes, _mm_setr_epi32(0, 2, 4, 6)), _mm_set1_epi8(3));
    const __m128i six = _mm_or_si128(low, _mm_slli_epi16(high, 4));
    return _mm256_sub_epi16(_mm256_cvtepu8_epi16(six), _mm256_set1_epi16(32));
  }
  static __m256i minima(const Block&) { return _mm256_setzero_si256(); }
  static uint16_t minimum(const Block&) { return 0; }
};
struct TypeQ4_K {
  using Block = BlockQ4_K;
  static constexpr int kOffset = 0, kLow = 0, kHigh = 15, kSub = 32;
  static constexpr bool kSigned = false, kMinimum = true;
  static __m256i unpack(const Block& b, int j) { return four_bits(b.qs, j); }
  static __m256i scales(const Block& b) { return twice(six_bit_pairs(b.scales).scale); }
  static __m256i minima(const Block& b) { return twice(six_bit_pairs(b.scales).min); }
  static uint16_t minimum(const Block& b) { return b.dmin; }
};
struct TypeQ5_K {
  using Block = BlockQ5_K;
  static constexpr int kOffset = 0, kLow = 0, kHigh = 31, kSub = 32;
  static constexpr bool kSigned = false, kMinimum = true;
  static __m256i unpack(const Block& b, int j) {
    return _mm256_or_si256(four_bits(b.qs, j), move_bits(load256(b.qh), 1 << j, j, 4));
  }
  static __m256i scales(const Block& b) { return twice(six_bit_pairs(b.scales).scale); }
  static __m256i minima(const Block& b) { return twice(six_bit_pairs(b.scales).min); }
  static uint16_t minimum(const Block& b) { return b.dmin; }
};
struct TypeQ6_K {
  using Block = BlockQ6_K;
  static constexpr int kOffset = 32, kLow = -32, kHigh = 31, kSub = 16;
  static constexpr bool kSigned = false, kMinimum = false;
  static __m256i unpack(const Block& b, int j) {
    const int plane = j % 4;
    const __m256i raw = load256(b.ql + 64 * (j / 4) + 32 * (plane % 2));
    const __m256i low =
        _mm256_and_si256(_mm256_srli_epi16(raw, 4 * (plane / 2)), _mm256_set1_epi8(15));
    return _mm256_or_si256(low,
                           move_bits(load256(b.qh + 32 * (j / 4)), 3 << (2 * plane), 2 * plane, 4));
  }
  static __m256i scales(const Block& b) { return _mm256_cvtepi8_epi16(load128(b.scales)); }
  static __m256i minima(const Block&) { return _mm256_setzero_si256(); }
  static uint16_t minimum(const Block&) { return 0; }
};
struct TypeIQ4_XS {
  using Block = BlockIQ4_XS;
  static constexpr int kOffset = 0, kLow = -128, kHigh = 127, kSub = 32;
  static constexpr bool kSigned = true, kMinimum = false;
  static __m256i unpack(const Block& b, int j) { return iq4_levels(b.qs + 16 * j); }
  /// Low four bits: nibbles in order; high two: bits 2 j and 2 j + 1 of scales_h.
  static __m256i scales(const Block& b) {
    const __m128i raw =
        _mm_cvtepu8_epi16(_mm_cvtsi32_si128(static_cast<int32_t>(load_bits(b.scales_l))));
    const __m128i low = _mm_cvtepu8_epi16(
        _mm_and_si128(_mm_or_si128(raw, _mm_slli_epi16(raw, 4)), _mm_set1_epi8(15)));
    const __m128i to_top = _mm_setr_epi16(1 << 14, 1 << 12, 1 << 10, 1 << 8, 1 << 6, 1 << 4, 4, 1);
    const __m128i top = _mm_mullo_epi16(_mm_set1_epi16(static_cast<short>(b.scales_h)), to_top);
    const __m128i high = _mm_slli_epi16(_mm_srli_epi16(top, 14), 4);
    const __m128i eight = _mm_sub_epi16(_mm_or_si128(low, high), _mm_set1_epi16(32));
    return _mm256_set_m128i(_mm_unpackhi_epi16(eight, eight), _mm_unpacklo_epi16(eight, eight));
  }
  static __m256i minima(const Block&) { return _mm256_setzero_si256(); }
  static uint16_t minimum(const Block&) { return 0; }
};

/// Dword i of the result(s) holds the scale of sub-block i twice: one register for sub-blocks of
/// 32, two for 16.
template <typename Type>
inline void sub_scales(const typename Type::Block& b, __m256i* out) {
  const __m256i runs = Type::scales(b);
  if constexpr (Type::kSub == 32) {
    out[0] = runs;
  } else {
    const __m256i mixed = _mm256_permute4x64_epi64(runs, 0xd8);
    out[0] = _mm256_unpacklo_epi16(mixed, mixed);
    out[1] = _mm256_unpackhi_epi16(mixed, mixed);
  }
}

}  // namespace
}  // namespace weir::kernels

#include "kernels/vec/by_type.inc"
