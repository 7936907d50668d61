// Turns 16 weight rows of one segment into a panel, whose registers hold 4 bytes of each row.
// Packed bytes are turned first and widened after: a byte that holds two or four weights moves
// once. Bytes of two whole weights stay as they are: panels take half the stores (two cycles each
// on Zen 5), and splitting them costs tiles next to nothing. Here: what all types share, and the
// types of 32 weights.
#pragma once

#include "kernels/avx512/unpack.h"
#include "kernels/kernels.h"
#include "kernels/vec/ahead.inc"

namespace weir::kernels {
namespace {

constexpr int kPanelRows = 16;

constexpr int kSegmentBlocks32 = kSegment / 32;
constexpr int kSegmentBlocks256 = kSegment / 256;

/// Bytes of a panel for one weight of all its rows.
template <typename Type>
constexpr int kWeightBytes = Type::kNibbles == Nibbles::none ? kPanelRows : kPanelRows / 2;

struct alignas(64) Panel32 {
  uint8_t w[kSegment * kPanelRows];
  float d[kSegmentBlocks32][kPanelRows];
  float m[kSegmentBlocks32][kPanelRows];
};

/// The scales of 16 rows of one super-block.
struct alignas(64) Scales256 {
  int16_t scale[8][kPanelRows][2];  // pairs of sub-blocks, the first one in the upper half
  int16_t min[8][kPanelRows][2];    // pairs of sub-blocks, in order
  float d[kPanelRows];
  float dmin[kPanelRows];
};

struct alignas(64) Panel256 {
  uint8_t w[kSegment * kPanelRows];
  Scales256 scales[kSegmentBlocks256];
};

/// Sixteen rows at one distance. Few bases and a stride, since sixteen pointers would have to be
/// loaded again for each use: that took as long as the rest.
class Rows {
 public:
  Rows(const std::byte* first, size_t stride)
      : base_{first, first + 4 * stride, first + 8 * stride, first + 12 * stride},
        stride_(stride),
        triple_(3 * stride) {}
  /// Row 4 lane + i, i < 4.
  const std::byte* at(int lane, int i) const {
    return base_[lane] + (i == 3 ? triple_ : static_cast<size_t>(i) * stride_);
  }

 private:
  const std::byte* base_[4];
  size_t stride_, triple_;
};

/// From four registers of 16 bytes a lane: out[i] has dword i of each, lane by lane.
[[gnu::always_inline]] inline void turn_dwords(const __m512i* x, __m512i* out) {
  const __m512i a = _mm512_unpacklo_epi32(x[0], x[1]), b = _mm512_unpackhi_epi32(x[0], x[1]);
  const __m512i c = _mm512_unpacklo_epi32(x[2], x[3]), d = _mm512_unpackhi_epi32(x[2], x[3]);
  out[0] = _mm512_unpacklo_epi64(a, c);
  out[1] = _mm512_unpackhi_epi64(a, c);
  out[2] = _mm512_unpacklo_epi64(b, d);
  out[3] = _mm512_unpackhi_epi64(b, d);
}

/// The 16 bytes at byte `at` of 16 rows: out[i] holds bytes 4 i ... 4 i + 3 of each row.
[[gnu::always_inline]] inline void load_dwords(const Rows& rows, size_t at, __m512i* out) {
  __m512i x[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {  // lane l: row 4 l + i
    const auto two = [&](int lane) {
      const __m256i low = _mm256_castsi128_si256(load128(rows.at(lane, i) + at));
      return _mm256_inserti128_si256(low, load128(rows.at(lane + 1, i) + at), 1);
    };
    x[i] = _mm512_inserti64x4(_mm512_castsi256_si512(two(0)), two(2), 1);
  }
  turn_dwords(x, out);
}

/// The 32 bytes at byte `at` of 16 rows, in the same way, for half the loads.
[[gnu::always_inline]] inline void load_eight_dwords(const Rows& rows, size_t at, __m512i* out) {
  __m512i turned[2][4];
#pragma GCC unroll 2
  for (int h = 0; h < 2; ++h) {
    __m512i x[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {  // row 8 h + i, then 8 h + 4 + i
      const __m512i first = _mm512_castsi256_si512(load256(rows.at(2 * h, i) + at));
      x[i] = _mm512_inserti64x4(first, load256(rows.at(2 * h + 1, i) + at), 1);
    }
    turn_dwords(x, turned[h]);
  }
  // Even lanes hold the first 16 bytes of four rows, odd ones the others.
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    out[i] = _mm512_shuffle_i32x4(turned[0][i], turned[1][i], 0x88);
    out[4 + i] = _mm512_shuffle_i32x4(turned[0][i], turned[1][i], 0xdd);
  }
}

/// The halves at byte `at` of 16 rows as floats.
inline __m512 load_halves(const Rows& rows, size_t at) {
  alignas(32) uint16_t bits[kPanelRows];
  for (int r = 0; r < kPanelRows; ++r) __builtin_memcpy(&bits[r], rows.at(r / 4, r % 4) + at, 2);
  return _mm512_cvtph_ps(load256(bits));
}

inline __m512i bytes(int value) { return _mm512_set1_epi8(static_cast<char>(value)); }
inline void put(uint8_t* out, size_t group, __m512i x) { _mm512_store_si512(out + 64 * group, x); }

/// (x >> kShift) & mask in every byte; kShift < 0 shifts left. The mask drops neighbours' bits.
template <int kShift>
inline __m512i field(__m512i x, int mask) {
  if constexpr (kShift > 0) x = _mm512_srli_epi16(x, kShift);
  if constexpr (kShift < 0) x = _mm512_slli_epi16(x, -kShift);
  return _mm512_and_si512(x, bytes(mask));
}
/// low | field<kShift>(x, mask), with one instruction less.
template <int kShift>
inline __m512i with_field(__m512i low, __m512i x, int mask) {
  if constexpr (kShift > 0) x = _mm512_srli_epi16(x, kShift);
  if constexpr (kShift < 0) x = _mm512_slli_epi16(x, -kShift);
  return _mm512_ternarylogic_epi32(low, x, bytes(mask), 0xf8);
}

/// (x >> shift) & mask in every dword.
inline __m512i bits_of(__m512i x, int shift, int mask) {
  return _mm512_and_si512(_mm512_srl_epi32(x, _mm_cvtsi32_si128(shift)), _mm512_set1_epi32(mask));
}
/// In each byte, where the dword of its row begins in a lane of four rows: an index for shuffles.
inline __m512i lane_rows() {
  return _mm512_broadcast_i32x4(_mm_setr_epi32(0, 0x04040404, 0x08080808, 0x0c0c0c0c));
}
inline __m512i iq4_levels() { return _mm512_broadcast_i32x4(iq4_table()); }

// ---- Types of 32 weights: one block of 16 rows, at byte `at` of them, to 4 or 8 registers.

/// 32 nibbles at `at`, the low ones first, with a fifth bit from the dword qh: bit k for weight k.
inline void fill_five_bits(const Rows& rows, size_t at, __m512i qh, uint8_t* out) {
  // Byte k of register g is weight 4 g + k: bit 4 (g % 2) + k of byte g / 2.
  const __m512i pattern[2] = {_mm512_set1_epi32(0x08040201),
                              _mm512_set1_epi32(static_cast<int>(0x80402010u))};
  const auto put_five = [&](size_t g, __m512i low) {
    const __m512i index = _mm512_add_epi32(lane_rows(), bytes(static_cast<int>(g / 2)));
    const __mmask64 set = _mm512_test_epi8_mask(_mm512_shuffle_epi8(qh, index), pattern[g % 2]);
    put(out, g, _mm512_mask_add_epi8(low, set, low, bytes(16)));
  };
  __m512i raw[4];
  load_dwords(rows, at, raw);
#pragma GCC unroll 4
  for (size_t i = 0; i < 4; ++i) {
    put_five(i, field<0>(raw[i], 15));
    put_five(4 + i, field<4>(raw[i], 15));
  }
}

/// A dword at byte 4 i + 2 of what p(row) points to, from dwords i and i + 1.
inline __m512i straddle(__m512i low, __m512i high) {
  return _mm512_or_si512(_mm512_srli_epi32(low, 16), _mm512_slli_epi32(high, 16));
}

template <typename Type>
inline void fill_block(const Rows& rows, size_t at, uint8_t* out) {
  const size_t qs = at + offsetof(typename Type::Block, qs);
  if constexpr (__is_same(Type, TypeQ8_0)) {
    __m512i raw[8];
    load_eight_dwords(rows, qs, raw);
#pragma GCC unroll 8
    for (size_t i = 0; i < 8; ++i) put(out, i, _mm512_xor_si512(raw[i], bytes(0x80)));
  } else if constexpr (__is_same(Type, TypeQ5_0) || __is_same(Type, TypeQ5_1)) {
    __m512i head[4];
    load_dwords(rows, at, head);
    const __m512i qh = __is_same(Type, TypeQ5_1) ? head[1] : straddle(head[0], head[1]);
    fill_five_bits(rows, qs, qh, out);
  } else {
    __m512i raw[4];
    load_dwords(rows, qs, raw);
    for (size_t i = 0; i < 4; ++i) put(out, i, raw[i]);
  }
}

/// Fills a panel from 16 rows (which begin at the segment) of `blocks` blocks.
template <typename Type>
inline void fill(Panel32& panel, const Rows& rows, int blocks, Ahead& ahead) {
  using Block = typename Type::Block;
  for (int b = 0; b < blocks; ++b) {
    if (b % 4 == 0) ahead.step();
    const size_t at = static_cast<size_t>(b) * sizeof(Block);
    fill_block<Type>(rows, at, panel.w + 32 * kWeightBytes<Type> * b);
    _mm512_store_ps(panel.d[b], load_halves(rows, at + offsetof(Block, d)));
    if constexpr (Type::kMinimum)
      _mm512_store_ps(panel.m[b], load_halves(rows, at + offsetof(Block, m)));
  }
}

}  // namespace
}  // namespace weir::kernels
