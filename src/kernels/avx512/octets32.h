// Four consecutive blocks of 32 weights of eight rows as octets (octets.h), unpacked where the file
// has them.
#pragma once

#include "kernels/avx512/octets.h"
#include "kernels/avx512/quads.h"

namespace weir::kernels {
namespace {

/// Activations of four blocks and kTokens tokens; the last pair's second may not be there.
template <int kTokens>
struct alignas(64) OctetQuad {
  static constexpr int kPairs = (kTokens + 1) / 2;

  int8_t q[kTokens][32 * kBlocks];
  int32_t start[kTokens][kBlocks][2];  // minus the offset times the block's sum, and 0
  // Of a lane, two elements for a pair's first token, two for its second:
  alignas(64) float d[kBlocks][kPairs][16];
  float sums[kBlocks][kPairs][16];  // for types with a minimum
};

template <typename Type, int kTokens>
inline void arrange_octets(const MatmulArgs& a, OctetQuad<kTokens>* x) {
  for (int64_t b = 0; b + kBlocks <= a.k / 32; b += kBlocks, ++x)
    for (int t = 0; t < 2 * x->kPairs; ++t) {
      const bool there = t < kTokens;
      for (int i = 0; i < kBlocks; ++i) {
        const int16_t sum = there ? a.xq.s[t * a.xq.s_stride + b + i] : int16_t{0};
        const float d = there ? a.xq.d[t * a.xq.d_stride + b + i] : 0.0f;
        fill_pair(x->d[i][t / 2], t % 2, d);
        if (Type::kMinimum) fill_pair(x->sums[i][t / 2], t % 2, static_cast<float>(sum));
        if (there) x->start[t][i][0] = -Type::kOffset * sum;
        if (there) x->start[t][i][1] = 0;
      }
      if (there) __builtin_memcpy(x->q[t], a.xq.q + t * a.xq.q_stride + 32 * b, sizeof x->q[t]);
    }
}

/// Eight rows, the even ones first.
template <typename Block>
struct OctetRows {
  const Block* even[4];
  const Block* odd[4];

  explicit OctetRows(const Block* const* row)
      : even{row[0], row[2], row[4], row[6]}, odd{row[1], row[3], row[5], row[7]} {}

  /// The 16 bytes at `offset` of the rows' blocks b, a lane a row.
  __m512i even_bytes(int64_t b, size_t offset) const { return bytes(even, b, offset); }
  __m512i odd_bytes(int64_t b, size_t offset) const { return bytes(odd, b, offset); }

 private:
  static __m512i bytes(const Block* const* row, int64_t b, size_t offset) {
    return gather128(in_block(row[0] + b, offset), in_block(row[1] + b, offset),
                     in_block(row[2] + b, offset), in_block(row[3] + b, offset));
  }
};

/// Two nibbles of a byte: the low ones are weights 0 ... 15.
template <typename Block>
[[gnu::always_inline]] inline void nibble_octets(const OctetRows<Block>& rows, int64_t b,
                                                 __m512i* w) {
  const __m512i even = rows.even_bytes(b, offsetof(Block, qs));
  const __m512i odd = rows.odd_bytes(b, offsetof(Block, qs));
  const Quad first = split_nibbles(_mm512_unpacklo_epi64(even, odd));
  const Quad second = split_nibbles(_mm512_unpackhi_epi64(even, odd));
  w[0] = first.low;
  w[1] = second.low;
  w[2] = first.high;
  w[3] = second.high;
}

/// Adds 16 to weights whose fifth bit is set: bit j of qh is weight j's.
template <typename Block>
[[gnu::always_inline]] inline void add_fifth_bits(const OctetRows<Block>& rows, int64_t b,
                                                  __m512i* w) {
  const __m512i bits =
      _mm512_unpacklo_epi32(rows.even_bytes(b, offsetof(Block, qh)),
                            rows.odd_bytes(b, offsetof(Block, qh)));  // of a lane 4 bytes of each
  const __m512i bit = _mm512_set1_epi64(static_cast<long long>(0x8040201008040201));
  each<4>([&]<int i>() __attribute__((always_inline)) {
    constexpr long long kEven = i * 0x0101010101010101, kOdd = kEven + 0x0404040404040404;
    constexpr __m512i kIndex = {kEven, kOdd, kEven, kOdd, kEven, kOdd, kEven, kOdd};
    const __mmask64 set = _mm512_test_epi8_mask(_mm512_shuffle_epi8(bits, kIndex), bit);
    w[i] = _mm512_mask_add_epi8(w[i], set, w[i], _mm512_set1_epi8(16));
  });
}

/// Block b of eight rows, of a type with nibbles, unsigned: w[i] has weights 8 i ... of row r in
/// element r.
template <typename Type>
[[gnu::always_inline]] inline void block_octets(const OctetRows<typename Type::Block>& rows,
                                                int64_t b, __m512i* w) {
  nibble_octets(rows, b, w);
  if constexpr (__is_same(Type, TypeQ5_0) || __is_same(Type, TypeQ5_1)) add_fifth_bits(rows, b, w);
  if constexpr (__is_same(Type, TypeIQ4_NL)) {
    const __m512i table = _mm512_broadcast_i32x4(iq4_table());
    for (int i = 0; i < 4; ++i) w[i] = _mm512_shuffle_epi8(table, w[i]);
  }
}

/// Word kWord, a half, of four blocks of eight rows.
template <int kWord, typename Block>
struct OctetScales {
  __m512 even, odd;  // lane i, element r: block i of row 2 r or 2 r + 1

  OctetScales(const OctetRows<Block>& rows, int64_t b)
      : even(scales<kWord>(rows.even, b)), odd(scales<kWord>(rows.odd, b)) {}

  /// Of block i, for Pairs.
  template <int i>
  __m512 of() const {
    constexpr int e = 4 * i, o = e + 16;
    return _mm512_permutex2var_ps(
        even,
        _mm512_setr_epi32(e, o, e, o, e + 1, o + 1, e + 1, o + 1, e + 2, o + 2, e + 2, o + 2, e + 3,
                          o + 3, e + 3, o + 3),
        odd);
  }
};

}  // namespace
}  // namespace weir::kernels
