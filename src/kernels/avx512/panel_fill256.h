// Unpacks 16 weight rows of one segment into a panel: the types of 256 weights, with their scales.
// Where a weight times its scale fits a byte, the panel holds the products.
#pragma once

#include "kernels/avx512/panel_fill.h"

namespace weir::kernels {
namespace {

/// Names a type in a parameter list.
template <typename Type>
struct Of {};

// ---- Types of 256 weights: scales and weights of 16 blocks at byte `at` of the rows. Register 8 j
// + g of the weights holds bytes 4 g ... 4 g + 3 of sub-block j of 32; packed ones are in the order
// of the file.

/// The four bytes of each dword as two pairs of words.
inline void put_minima(Scales256& out, int first, __m512i four) {
  for (int i = 0; i < 2; ++i) {
    const __m512i second = _mm512_slli_epi32(bits_of(four, 16 * i + 8, 255), 16);
    _mm512_store_si512(out.min[first + i], _mm512_or_si512(bits_of(four, 16 * i, 255), second));
  }
}
/// The same, less `bias`, and the first of a pair in the upper half.
inline void put_scales(Scales256& out, int first, __m512i four, short bias) {
  for (int i = 0; i < 2; ++i) {
    const __m512i upper = _mm512_slli_epi32(bits_of(four, 16 * i, 255), 16);
    const __m512i pair = _mm512_or_si512(bits_of(four, 16 * i + 8, 255), upper);
    _mm512_store_si512(out.scale[first + i], _mm512_sub_epi16(pair, _mm512_set1_epi16(bias)));
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
  put_scales(out, 2, with_field<2>(field<0>(head[3], 15), head[1], 0x30), 0);
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
  for (int i = 0; i < 4; ++i) put_minima(out, 2 * i, field<4>(x[i], 15));
  _mm512_store_ps(out.d, load_halves(rows, at + offsetof(BlockQ2_K, d)));
  _mm512_store_ps(out.dmin, load_halves(rows, at + offsetof(BlockQ2_K, dmin)));
}
inline void fill_scales(Of<TypeQ3_K>, Scales256& out, const Rows& rows, size_t at) {
  _mm512_store_ps(out.d, load_halves(rows, at + offsetof(BlockQ3_K, d)));
}
inline void fill_scales(Of<TypeQ6_K>, Scales256& out, const Rows& rows, size_t at) {
  __m512i x[4];
  load_dwords(rows, at + offsetof(BlockQ6_K, scales), x);
  for (int i = 0; i < 4; ++i)  // signed bytes: the sign bit turned, then 128 taken off
    put_scales(out, 2 * i, _mm512_xor_si512(x[i], bytes(0x80)), 128);
  _mm512_store_ps(out.d, load_halves(rows, at + offsetof(BlockQ6_K, d)));
}
inline void fill_scales(Of<TypeIQ4_XS>, Scales256& out, const Rows& rows, size_t at) {
  __m512i x[4];
  load_dwords(rows, at, x);
  const __m512i high = _mm512_srli_epi32(x[0], 16);
  const auto scale = [&](int j) {
    return _mm512_or_si512(bits_of(x[1], 4 * j, 15), _mm512_slli_epi32(bits_of(high, 2 * j, 3), 4));
  };
  for (int j = 0; j < 4; ++j) {
    const __m512i pair = _mm512_or_si512(scale(2 * j + 1), _mm512_slli_epi32(scale(2 * j), 16));
    _mm512_store_si512(out.scale[j], _mm512_sub_epi16(pair, _mm512_set1_epi16(32)));
  }
  _mm512_store_ps(out.d, low_half(x[0]));
}

/// 128 bytes of packed nibbles as they are.
inline void fill_packed(const Rows& rows, size_t at, uint8_t* out) {
  for (size_t c = 0; c < 4; ++c) {
    __m512i raw[8];
    load_eight_dwords(rows, at + 32 * c, raw);
#pragma GCC unroll 8
    for (size_t i = 0; i < 8; ++i) put(out, 8 * c + i, raw[i]);
  }
}
inline void fill_weights(Of<TypeQ4_K>, const Rows& rows, size_t at, uint8_t* out) {
  fill_packed(rows, at + offsetof(BlockQ4_K, qs), out);
}
inline void fill_weights(Of<TypeIQ4_XS>, const Rows& rows, size_t at, uint8_t* out) {
  fill_packed(rows, at + offsetof(BlockIQ4_XS, qs), out);
}
inline void fill_weights(Of<TypeQ5_K>, const Rows& rows, size_t at, uint8_t* out) {
  __m512i high[8];
  load_eight_dwords(rows, at + offsetof(BlockQ5_K, qh), high);
  for (size_t c = 0; c < 4; ++c) {  // 32 bytes: two sub-blocks
    __m512i raw[8];
    load_eight_dwords(rows, at + offsetof(BlockQ5_K, qs) + 32 * c, raw);
#pragma GCC unroll 8
    for (size_t i = 0; i < 8; ++i) {
      put(out, 16 * c + i, with_field<-4>(field<0>(raw[i], 15), high[i], 16));
      put(out, 16 * c + 8 + i, with_field<-3>(field<4>(raw[i], 15), high[i], 16));
      high[i] = _mm512_srli_epi16(high[i], 2);
    }
  }
}
inline void fill_weights(Of<TypeQ6_K>, const Rows& rows, size_t at, uint8_t* out) {
  for (size_t n = 0; n < 2; ++n) {
    const size_t ql = at + offsetof(BlockQ6_K, ql) + 64 * n;
    __m512i low[8], high[8];
    load_eight_dwords(rows, at + offsetof(BlockQ6_K, qh) + 32 * n, high);
    load_eight_dwords(rows, ql, low);
#pragma GCC unroll 8
    for (size_t i = 0; i < 8; ++i) {
      put(out, 32 * n + i, with_field<-4>(field<0>(low[i], 15), high[i], 0x30));
      put(out, 32 * n + 16 + i, with_field<0>(field<4>(low[i], 15), high[i], 0x30));
    }
    load_eight_dwords(rows, ql + 32, low);
#pragma GCC unroll 8
    for (size_t i = 0; i < 8; ++i) {
      put(out, 32 * n + 8 + i, with_field<-2>(field<0>(low[i], 15), high[i], 0x30));
      put(out, 32 * n + 24 + i, with_field<2>(field<4>(low[i], 15), high[i], 0x30));
    }
  }
}
/// Folded types: byte i of dword r is what i stands for in row r, times its scale. Bytes of rows
/// are looked up there, in a lane of 4 rows at a time.
inline __m512i look_up(__m512i values, __m512i index) { return _mm512_shuffle_epi8(values, index); }
inline __m512i times_0123(__m512i scales) {  // of at most 85
  return _mm512_mullo_epi32(scales, _mm512_set1_epi32(0x03020100));
}

inline void fill_weights(Of<TypeQ2_K>, const Rows& rows, size_t at, uint8_t* out) {
  __m512i scales[4];
  load_dwords(rows, at + offsetof(BlockQ2_K, scales), scales);
  for (size_t c = 0; c < 4; ++c) {  // 16 bytes: four sub-blocks
    const size_t j = 8 * (c / 2) + c % 2;
    __m512i raw[4], values[4];
    for (size_t p = 0; p < 4; ++p) {
      const size_t sub = j + 2 * p;
      values[p] = times_0123(bits_of(scales[sub / 4], 8 * static_cast<int>(sub % 4), 15));
    }
    load_dwords(rows, at + offsetof(BlockQ2_K, qs) + 16 * c, raw);
    for (size_t i = 0; i < 4; ++i) {
      const size_t g = 4 * j + i;
      put(out, g, look_up(values[0], with_field<0>(lane_rows(), raw[i], 3)));
      put(out, g + 8, look_up(values[1], with_field<2>(lane_rows(), raw[i], 3)));
      put(out, g + 16, look_up(values[2], with_field<4>(lane_rows(), raw[i], 3)));
      put(out, g + 24, look_up(values[3], with_field<6>(lane_rows(), raw[i], 3)));
    }
  }
}
/// The sixteen 6-bit scales of Q3_K, 32 too large, four in each dword.
inline void load_six_bits(const Rows& rows, size_t at, __m512i* out) {
  static_assert(sizeof(BlockQ3_K) == 110);
  __m512i x[4];
  load_dwords(rows, at + 94, x);  // the last 16 bytes: two of qs, 12 of scales, d
  const __m512i low[2] = {straddle(x[0], x[1]), straddle(x[1], x[2])};
  const __m512i high = straddle(x[2], x[3]);
  out[0] = with_field<-4>(field<0>(low[0], 15), high, 0x30);
  out[1] = with_field<-2>(field<0>(low[1], 15), high, 0x30);
  out[2] = with_field<0>(field<4>(low[0], 15), high, 0x30);
  out[3] = with_field<2>(field<4>(low[1], 15), high, 0x30);
}
inline void fill_weights(Of<TypeQ3_K>, const Rows& rows, size_t at, uint8_t* out) {
  // (q + 4 h - 4) (s - 32) + 127 for a scale s: q s - 32 q, and 127, or 255 - 4 s where h is 0.
  __m512i scales[4], low[16], top[16];
  load_six_bits(rows, at, scales);
  for (int j = 0; j < 16; ++j) {
    const __m512i scale = bits_of(scales[j / 4], 8 * (j % 4), 63);
    low[j] = _mm512_sub_epi8(times_0123(scale), _mm512_set1_epi32(0x60402000));
    top[j] = _mm512_xor_si512(_mm512_slli_epi32(scale, 2), _mm512_set1_epi32(0x7fff));
  }
  __m512i high[8];
  load_eight_dwords(rows, at + offsetof(BlockQ3_K, hmask), high);
  for (size_t n = 0; n < 2; ++n) {  // 32 bytes: eight sub-blocks
    __m512i raw[8];
    load_eight_dwords(rows, at + offsetof(BlockQ3_K, qs) + 32 * n, raw);
#pragma GCC unroll 8
    for (size_t i = 0; i < 8; ++i) {
      const size_t j = 8 * n + i / 4, g = 32 * n + i;
      const auto value = [&](size_t sub, __m512i q, __m512i bit) {
        return _mm512_add_epi8(look_up(low[sub], q), look_up(top[sub], bit));
      };
      put(out, g,
          value(j, with_field<0>(lane_rows(), raw[i], 3), with_field<0>(lane_rows(), high[i], 1)));
      put(out, g + 8,
          value(j + 2, with_field<2>(lane_rows(), raw[i], 3),
                with_field<1>(lane_rows(), high[i], 1)));
      put(out, g + 16,
          value(j + 4, with_field<4>(lane_rows(), raw[i], 3),
                with_field<2>(lane_rows(), high[i], 1)));
      put(out, g + 24,
          value(j + 6, with_field<6>(lane_rows(), raw[i], 3),
                with_field<3>(lane_rows(), high[i], 1)));
      high[i] = _mm512_srli_epi16(high[i], 4);
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
    fill_weights(Of<Type>(), rows, at, panel.w + 256 * kWeightBytes<Type> * b);
  }
}

}  // namespace
}  // namespace weir::kernels
