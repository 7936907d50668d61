// Unpacks 16 weight rows of one segment into a panel, whose registers hold 4 bytes of each row.
// Packed bytes are turned first and widened after: a byte that holds two or four weights moves
// once.
#pragma once

#include "kernels/avx512/unpack.h"
#include "kernels/kernels.h"

namespace weir::kernels {
namespace {

constexpr int kPanelRows = 16;

constexpr int kSegmentBlocks32 = kSegment / 32;
constexpr int kSegmentBlocks256 = kSegment / 256;

struct alignas(64) Panel32 {
  uint8_t w[kSegment * kPanelRows];
  float d[kSegmentBlocks32][kPanelRows];
  float m[kSegmentBlocks32][kPanelRows];
};

/// The scales of 16 rows of one super-block.
struct alignas(64) Scales256 {
  int32_t scale[16][kPanelRows];  // one a sub-block
  int16_t min[8][kPanelRows][2];  // pairs of sub-blocks
  float d[kPanelRows];
  float dmin[kPanelRows];
};

struct alignas(64) Panel256 {
  uint8_t w[kSegment * kPanelRows];
  Scales256 scales[kSegmentBlocks256];
};

/// Walks the weights that are unpacked next, and asks for them a few lines at a time: in one go
/// they would hold up everything behind them. (A few bytes of many rows at once are nothing that
/// the processor's own prefetcher could follow.) Past the end of the weights lie those of the
/// caller's next call, or nothing: prefetching does no harm.
class Ahead {
 public:
  /// The first `bytes` bytes of each of `rows` rows, in `steps` steps.
  Ahead(const std::byte* first, size_t row_bytes, int64_t rows, int64_t bytes, int64_t steps)
      : row_(first), row_bytes_(row_bytes), bytes_(bytes) {
    each_ = (rows * ((bytes + 63) / 64) + steps - 1) / steps;
  }

  [[gnu::always_inline]] void step() {
    for (int64_t i = 0; i < each_; ++i) {
      __builtin_prefetch(row_ + at_, 0, 2);
      at_ += 64;
      const bool next = at_ >= bytes_;
      row_ += next ? row_bytes_ : 0;
      at_ = next ? 0 : at_;
    }
  }

 private:
  const std::byte* row_;
  size_t row_bytes_;
  int64_t bytes_, each_, at_ = 0;
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
  const __m512i a = _mm512_unpacklo_epi32(x[0], x[1]), b = _mm512_unpackhi_epi32(x[0], x[1]);
  const __m512i c = _mm512_unpacklo_epi32(x[2], x[3]), d = _mm512_unpackhi_epi32(x[2], x[3]);
  out[0] = _mm512_unpacklo_epi64(a, c);
  out[1] = _mm512_unpackhi_epi64(a, c);
  out[2] = _mm512_unpacklo_epi64(b, d);
  out[3] = _mm512_unpackhi_epi64(b, d);
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
inline __m512i iq4_levels() { return _mm512_broadcast_i32x4(iq4_table()); }

// ---- Types of 32 weights: one block of 16 rows, at byte `at` of them, to 8 registers.

/// 32 nibbles at `at`, the low ones first; level(x, register) maps them on.
template <typename Level>
inline void fill_nibbles(const Rows& rows, size_t at, uint8_t* out, Level level) {
  __m512i raw[4];
  load_dwords(rows, at, raw);
#pragma GCC unroll 4
  for (size_t i = 0; i < 4; ++i) {
    put(out, i, level(field<0>(raw[i], 15), i));
    put(out, 4 + i, level(field<4>(raw[i], 15), 4 + i));
  }
}

/// The same with a fifth bit from the dword qh, bit k of it for weight k.
inline void fill_five_bits(const Rows& rows, size_t at, __m512i qh, uint8_t* out) {
  // Byte k of register g is weight 4 g + k: bit 4 (g % 2) + k of byte g / 2.
  const __m512i pattern[2] = {_mm512_set1_epi32(0x08040201),
                              _mm512_set1_epi32(static_cast<int>(0x80402010u))};
  fill_nibbles(rows, at, out, [&](__m512i low, size_t g) {
    const __m512i index = _mm512_add_epi32(
        _mm512_broadcast_i32x4(_mm_setr_epi32(0, 0x04040404, 0x08080808, 0x0c0c0c0c)),
        bytes(static_cast<int>(g / 2)));
    const __mmask64 set = _mm512_test_epi8_mask(_mm512_shuffle_epi8(qh, index), pattern[g % 2]);
    return _mm512_mask_add_epi8(low, set, low, bytes(16));
  });
}

/// A dword at byte 4 i + 2 of what p(row) points to, from dwords i and i + 1.
inline __m512i straddle(__m512i low, __m512i high) {
  return _mm512_or_si512(_mm512_srli_epi32(low, 16), _mm512_slli_epi32(high, 16));
}

template <typename Type>
inline void fill_block(const Rows& rows, size_t at, uint8_t* out) {
  const size_t qs = at + offsetof(typename Type::Block, qs);
  if constexpr (__is_same(Type, TypeQ8_0)) {
    for (size_t h = 0; h < 2; ++h) {
      __m512i raw[4];
      load_dwords(rows, qs + 16 * h, raw);
      for (size_t i = 0; i < 4; ++i) put(out, 4 * h + i, _mm512_xor_si512(raw[i], bytes(0x80)));
    }
  } else if constexpr (__is_same(Type, TypeQ5_0) || __is_same(Type, TypeQ5_1)) {
    __m512i head[4];
    load_dwords(rows, at, head);
    const __m512i qh = __is_same(Type, TypeQ5_1) ? head[1] : straddle(head[0], head[1]);
    fill_five_bits(rows, qs, qh, out);
  } else if constexpr (__is_same(Type, TypeIQ4_NL)) {
    fill_nibbles(rows, qs, out,
                 [](__m512i x, size_t) { return _mm512_shuffle_epi8(iq4_levels(), x); });
  } else {
    fill_nibbles(rows, qs, out, [](__m512i x, size_t) { return x; });
  }
}

/// Fills a panel from 16 rows (which begin at the segment) of `blocks` blocks.
template <typename Type>
inline void fill(Panel32& panel, const Rows& rows, int blocks, Ahead& ahead) {
  using Block = typename Type::Block;
  for (int b = 0; b < blocks; ++b) {
    if (b % 4 == 0) ahead.step();
    const size_t at = static_cast<size_t>(b) * sizeof(Block);
    fill_block<Type>(rows, at, panel.w + 512 * b);
    _mm512_store_ps(panel.d[b], load_halves(rows, at + offsetof(Block, d)));
    if constexpr (Type::kMinimum)
      _mm512_store_ps(panel.m[b], load_halves(rows, at + offsetof(Block, m)));
  }
}

/// Names a type in a parameter list.
template <typename Type>
struct Of {};

// ---- Types of 256 weights: scales and weights of 16 blocks at byte `at` of the rows. Register 8 j
// + g of the weights holds bytes 4 g ... 4 g + 3 of sub-block j of 32.

/// The four bytes of each dword, less `bias`, as scales first ... first + 3.
inline void put_scales(Scales256& out, int first, __m512i four, int bias) {
  for (int i = 0; i < 4; ++i)
    _mm512_store_si512(out.scale[first + i],
                       _mm512_sub_epi32(bits_of(four, 8 * i, 255), _mm512_set1_epi32(bias)));
}
/// The four bytes of each dword as two pairs of minima.
inline void put_minima(Scales256& out, int first, __m512i four) {
  for (int i = 0; i < 2; ++i) {
    const __m512i pair = bits_of(four, 16 * i, 0xffff);
    const __m512i high = _mm512_slli_epi32(_mm512_srli_epi32(pair, 8), 16);
    _mm512_store_si512(out.min[first + i], _mm512_or_si512(bits_of(pair, 0, 255), high));
  }
}
inline __m512 low_half(__m512i x) { return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(x)); }

/// Scales and minima of Q4_K and Q5_K, whose blocks begin with d, dmin and 12 packed bytes: the
/// same as six_bit_pairs(), for 16 rows at once.
inline void fill_packed_scales(Scales256& out, const Rows& rows, size_t at) {
  __m512i head[4];
  load_dwords(rows, at, head);
  _mm512_store_ps(out.d, low_half(head[0]));
  _mm512_store_ps(out.dmin, low_half(_mm512_srli_epi32(head[0], 16)));
  put_scales(out, 0, field<0>(head[1], 63), 0);
  put_scales(out, 4, with_field<2>(field<0>(head[3], 15), head[1], 0x30), 0);
  put_minima(out, 0, field<0>(head[2], 63));
  put_minima(out, 2, with_field<2>(field<4>(head[3], 15), head[2], 0x30));
}

inline void fill_scales(Of<TypeQ4_K>, Scales256& out, const Rows& rows, size_t at) {
  fill_packed_scales(out, rows, at);
}
inline void fill_scales(Of<TypeQ5_K>, Scales256& out, const Rows& rows, size_t at) {
  fill_packed_scales(out, rows, at);
}
inline void fill_scales(Of<TypeQ2_K>, Scales256& out, const Rows& rows, size_t at) {
  __m512i x[4];
  load_dwords(rows, at + offsetof(BlockQ2_K, scales), x);
  for (int i = 0; i < 4; ++i) {
    put_scales(out, 4 * i, field<0>(x[i], 15), 0);
    put_minima(out, 2 * i, field<4>(x[i], 15));
  }
  _mm512_store_ps(out.d, load_halves(rows, at + offsetof(BlockQ2_K, d)));
  _mm512_store_ps(out.dmin, load_halves(rows, at + offsetof(BlockQ2_K, dmin)));
}
inline void fill_scales(Of<TypeQ3_K>, Scales256& out, const Rows& rows, size_t at) {
  // The last 16 bytes of the block: two of qs, 12 of scales, d.
  static_assert(sizeof(BlockQ3_K) == 110);
  __m512i x[4];
  load_dwords(rows, at + 94, x);
  const __m512i low[2] = {straddle(x[0], x[1]), straddle(x[1], x[2])};
  const __m512i high = straddle(x[2], x[3]);
  put_scales(out, 0, with_field<-4>(field<0>(low[0], 15), high, 0x30), 32);
  put_scales(out, 4, with_field<-2>(field<0>(low[1], 15), high, 0x30), 32);
  put_scales(out, 8, with_field<0>(field<4>(low[0], 15), high, 0x30), 32);
  put_scales(out, 12, with_field<2>(field<4>(low[1], 15), high, 0x30), 32);
  _mm512_store_ps(out.d, low_half(_mm512_srli_epi32(x[3], 16)));
}
inline void fill_scales(Of<TypeQ6_K>, Scales256& out, const Rows& rows, size_t at) {
  __m512i x[4];
  load_dwords(rows, at + offsetof(BlockQ6_K, scales), x);
  for (int i = 0; i < 4; ++i)  // signed bytes: the sign bit turned, then 128 taken off
    put_scales(out, 4 * i, _mm512_xor_si512(x[i], bytes(0x80)), 128);
  _mm512_store_ps(out.d, load_halves(rows, at + offsetof(BlockQ6_K, d)));
}
inline void fill_scales(Of<TypeIQ4_XS>, Scales256& out, const Rows& rows, size_t at) {
  __m512i x[4];
  load_dwords(rows, at, x);
  const __m512i high = _mm512_srli_epi32(x[0], 16);
  for (int j = 0; j < 8; ++j) {
    const __m512i two = _mm512_slli_epi32(bits_of(high, 2 * j, 3), 4);
    const __m512i scale = _mm512_or_si512(bits_of(x[1], 4 * j, 15), two);
    _mm512_store_si512(out.scale[j], _mm512_sub_epi32(scale, _mm512_set1_epi32(32)));
  }
  _mm512_store_ps(out.d, low_half(x[0]));
}

inline void fill_weights(Of<TypeQ4_K>, const Rows& rows, size_t at, uint8_t* out) {
  for (size_t c = 0; c < 8; ++c) {
    __m512i raw[4];
    load_dwords(rows, at + offsetof(BlockQ4_K, qs) + 16 * c, raw);
    const size_t first = 16 * (c / 2) + 4 * (c % 2);
    for (size_t i = 0; i < 4; ++i) {
      put(out, first + i, field<0>(raw[i], 15));
      put(out, first + 8 + i, field<4>(raw[i], 15));
    }
  }
}
inline void fill_weights(Of<TypeQ5_K>, const Rows& rows, size_t at, uint8_t* out) {
  for (size_t h = 0; h < 2; ++h) {
    __m512i high[4];
    load_dwords(rows, at + offsetof(BlockQ5_K, qh) + 16 * h, high);
    for (size_t c = 0; c < 4; ++c) {
      __m512i raw[4];
      load_dwords(rows, at + offsetof(BlockQ5_K, qs) + 32 * c + 16 * h, raw);
      for (size_t i = 0; i < 4; ++i) {
        put(out, 16 * c + 4 * h + i, with_field<-4>(field<0>(raw[i], 15), high[i], 16));
        put(out, 16 * c + 8 + 4 * h + i, with_field<-3>(field<4>(raw[i], 15), high[i], 16));
        high[i] = _mm512_srli_epi16(high[i], 2);
      }
    }
  }
}
inline void fill_weights(Of<TypeQ6_K>, const Rows& rows, size_t at, uint8_t* out) {
  for (size_t c = 0; c < 4; ++c) {  // 16 bytes of each plane
    const size_t n = c / 2, h = c % 2;
    __m512i a[4], b[4], high[4];
    load_dwords(rows, at + offsetof(BlockQ6_K, ql) + 64 * n + 16 * h, a);
    load_dwords(rows, at + offsetof(BlockQ6_K, ql) + 64 * n + 32 + 16 * h, b);
    load_dwords(rows, at + offsetof(BlockQ6_K, qh) + 32 * n + 16 * h, high);
    for (size_t i = 0; i < 4; ++i) {
      const size_t g = 32 * n + 4 * h + i;
      put(out, g, with_field<-4>(field<0>(a[i], 15), high[i], 0x30));
      put(out, g + 8, with_field<-2>(field<0>(b[i], 15), high[i], 0x30));
      put(out, g + 16, with_field<0>(field<4>(a[i], 15), high[i], 0x30));
      put(out, g + 24, with_field<2>(field<4>(b[i], 15), high[i], 0x30));
    }
  }
}
inline void fill_weights(Of<TypeQ2_K>, const Rows& rows, size_t at, uint8_t* out) {
  for (size_t c = 0; c < 4; ++c) {
    __m512i raw[4];
    load_dwords(rows, at + offsetof(BlockQ2_K, qs) + 16 * c, raw);
    for (size_t i = 0; i < 4; ++i) {
      const size_t g = 32 * (c / 2) + 4 * (c % 2) + i;
      put(out, g, field<0>(raw[i], 3));
      put(out, g + 8, field<2>(raw[i], 3));
      put(out, g + 16, field<4>(raw[i], 3));
      put(out, g + 24, field<6>(raw[i], 3));
    }
  }
}
inline void fill_weights(Of<TypeQ3_K>, const Rows& rows, size_t at, uint8_t* out) {
  for (size_t h = 0; h < 2; ++h) {
    __m512i high[4];
    load_dwords(rows, at + offsetof(BlockQ3_K, hmask) + 16 * h, high);
    for (size_t n = 0; n < 2; ++n) {
      __m512i raw[4];
      load_dwords(rows, at + offsetof(BlockQ3_K, qs) + 32 * n + 16 * h, raw);
      for (size_t i = 0; i < 4; ++i) {
        const size_t g = 32 * n + 4 * h + i;
        put(out, g, with_field<-2>(field<0>(raw[i], 3), high[i], 4));
        put(out, g + 8, with_field<-1>(field<2>(raw[i], 3), high[i], 4));
        put(out, g + 16, with_field<0>(field<4>(raw[i], 3), high[i], 4));
        put(out, g + 24, with_field<1>(field<6>(raw[i], 3), high[i], 4));
        high[i] = _mm512_srli_epi16(high[i], 4);
      }
    }
  }
}
inline void fill_weights(Of<TypeIQ4_XS>, const Rows& rows, size_t at, uint8_t* out) {
  for (size_t j = 0; j < 8; ++j) {
    __m512i raw[4];
    load_dwords(rows, at + offsetof(BlockIQ4_XS, qs) + 16 * j, raw);
    for (size_t i = 0; i < 4; ++i) {
      put(out, 8 * j + i, _mm512_shuffle_epi8(iq4_levels(), field<0>(raw[i], 15)));
      put(out, 8 * j + 4 + i, _mm512_shuffle_epi8(iq4_levels(), field<4>(raw[i], 15)));
    }
  }
}

template <typename Type>
inline void fill(Panel256& panel, const Rows& rows, int blocks, Ahead& ahead) {
  for (int b = 0; b < blocks; ++b) {
    const size_t at = static_cast<size_t>(b) * sizeof(typename Type::Block);
    ahead.step();
    fill_scales(Of<Type>(), panel.scales[b], rows, at);
    ahead.step();
    fill_weights(Of<Type>(), rows, at, panel.w + 4096 * b);
  }
}

}  // namespace
}  // namespace weir::kernels
