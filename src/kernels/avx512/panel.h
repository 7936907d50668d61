// A panel: 16 weight rows of one segment unpacked so that a register holds 4 bytes of each row.
// The panel multiply runs two of them against up to 6 tokens with vpdpbusd; accumulators are int32
// per block, combined in f32 in the canonical order.
//
// Two panels by six tokens: as many accumulators as one by twelve, but 8 instead of 13 loads for 12
// products. A processor that loads one 512-bit register a cycle (Zen 4) was held up by loads.
#pragma once

#include "kernels/avx512/unpack.h"
#include "kernels/kernels.h"

namespace weir::kernels {
namespace {

constexpr int kPanelRows = 16;
constexpr int kMaxPanels = 2;
constexpr int kMaxColumns = 6;
constexpr int kSegmentBlocks32 = kSegment / 32;
constexpr int kSegmentBlocks256 = kSegment / 256;

/// 16 rows x 32 bytes (row i in rows[i]) to 8 registers of 16 rows x 4 bytes.
inline void transpose_store(const __m256i* rows, uint8_t* out) {
  __m512i a[8], b[8];
  for (int i = 0; i < 8; ++i)
    a[i] = _mm512_inserti64x4(_mm512_castsi256_si512(rows[i]), rows[i + 8], 1);
  for (int i = 0; i < 4; ++i) {
    b[2 * i] = _mm512_unpacklo_epi32(a[2 * i], a[2 * i + 1]);
    b[2 * i + 1] = _mm512_unpackhi_epi32(a[2 * i], a[2 * i + 1]);
  }
  for (int i = 0; i < 2; ++i) {  // a[4i + j]: dword j (and j + 4) of rows 4i ... 4i + 3
    a[4 * i] = _mm512_unpacklo_epi64(b[4 * i], b[4 * i + 2]);
    a[4 * i + 1] = _mm512_unpackhi_epi64(b[4 * i], b[4 * i + 2]);
    a[4 * i + 2] = _mm512_unpacklo_epi64(b[4 * i + 1], b[4 * i + 3]);
    a[4 * i + 3] = _mm512_unpackhi_epi64(b[4 * i + 1], b[4 * i + 3]);
  }
  const __m512i low = _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13);
  const __m512i high = _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15);
  for (int j = 0; j < 4; ++j) {
    _mm512_store_si512(out + 64 * j, _mm512_permutex2var_epi64(a[j], low, a[j + 4]));
    _mm512_store_si512(out + 64 * (j + 4), _mm512_permutex2var_epi64(a[j], high, a[j + 4]));
  }
}

struct alignas(64) Panel32 {
  uint8_t w[kSegment * kPanelRows];
  float d[kSegmentBlocks32][kPanelRows];
  float m[kSegmentBlocks32][kPanelRows];
};

struct alignas(64) Panel256 {
  uint8_t w[kSegment * kPanelRows];
  int32_t scale[kSegmentBlocks256 * 16][kPanelRows];
  int16_t min[kSegmentBlocks256 * 8][kPanelRows][2];  // pairs of sub-blocks
  float d[kSegmentBlocks256][kPanelRows];
  float dmin[kSegmentBlocks256][kPanelRows];
};

/// Fills a panel from 16 row pointers (already at the segment) of `blocks` blocks.
template <typename Type>
inline void fill(Panel32& panel, const std::byte* const* rows, int blocks) {
  const typename Type::Block* row[kPanelRows];
  for (int r = 0; r < kPanelRows; ++r)
    row[r] = reinterpret_cast<const typename Type::Block*>(rows[r]);
  for (int b = 0; b < blocks; ++b) {
    __m256i bytes[kPanelRows];
    alignas(32) uint16_t d[kPanelRows], m[kPanelRows];
    for (int r = 0; r < kPanelRows; ++r) {
      bytes[r] = Type::unpack(row[r][b]);
      d[r] = row[r][b].d;
      m[r] = Type::minimum(row[r][b]);
    }
    _mm512_store_ps(panel.d[b], _mm512_cvtph_ps(load256(d)));
    if (Type::kMinimum) _mm512_store_ps(panel.m[b], _mm512_cvtph_ps(load256(m)));
    transpose_store(bytes, panel.w + 512 * b);
  }
}

/// Four dwords at `p(row)` of 16 rows to four registers of one dword of each row.
template <typename Pointer>
inline void load_dwords(Pointer p, __m512i* out) {
  __m512i x[4];
  for (int i = 0; i < 4; ++i) {  // lane l: row 4 l + i
    x[i] = _mm512_castsi128_si512(load128(p(i)));
    x[i] = _mm512_inserti32x4(x[i], load128(p(4 + i)), 1);
    x[i] = _mm512_inserti32x4(x[i], load128(p(8 + i)), 2);
    x[i] = _mm512_inserti32x4(x[i], load128(p(12 + i)), 3);
  }
  const __m512i a = _mm512_unpacklo_epi32(x[0], x[1]), b = _mm512_unpackhi_epi32(x[0], x[1]);
  const __m512i c = _mm512_unpacklo_epi32(x[2], x[3]), d = _mm512_unpackhi_epi32(x[2], x[3]);
  out[0] = _mm512_unpacklo_epi64(a, c);
  out[1] = _mm512_unpackhi_epi64(a, c);
  out[2] = _mm512_unpacklo_epi64(b, d);
  out[3] = _mm512_unpackhi_epi64(b, d);
}

inline __m512i bits_of(__m512i x, int shift, int mask) {
  return _mm512_and_si512(_mm512_srl_epi32(x, _mm_cvtsi32_si128(shift)), _mm512_set1_epi32(mask));
}

/// Scales and minima of Q4_K and Q5_K, whose blocks begin with d, dmin and 12 packed bytes: the
/// same as six_bit_pairs(), for 16 rows at once.
template <typename Block>
inline void fill_packed_scales(Panel256& panel, const Block* const* row, int b) {
  __m512i head[4];
  load_dwords([&](int r) { return reinterpret_cast<const uint8_t*>(row[r]); }, head);
  _mm512_store_ps(panel.d[b], _mm512_cvtph_ps(_mm512_cvtepi32_epi16(head[0])));
  _mm512_store_ps(panel.dmin[b],
                  _mm512_cvtph_ps(_mm512_cvtepi32_epi16(_mm512_srli_epi32(head[0], 16))));
  const __m512i six = _mm512_set1_epi32(0x3f3f3f3f);
  const __m512i scale[2] = {
      _mm512_and_si512(head[1], six),
      _mm512_or_si512(bits_of(head[3], 0, 0x0f0f0f0f), bits_of(head[1], 2, 0x30303030))};
  const __m512i min[2] = {
      _mm512_and_si512(head[2], six),
      _mm512_or_si512(bits_of(head[3], 4, 0x0f0f0f0f), bits_of(head[2], 2, 0x30303030))};
  for (int j = 0; j < 8; ++j)
    _mm512_store_si512(panel.scale[8 * b + j], bits_of(scale[j / 4], 8 * (j % 4), 255));
  for (int j = 0; j < 4; ++j) {  // sub-blocks 2 j and 2 j + 1
    const __m512i pair = bits_of(min[j / 2], 16 * (j % 2), 0xffff);
    const __m512i high = _mm512_slli_epi32(_mm512_srli_epi32(pair, 8), 16);
    _mm512_store_si512(panel.min[4 * b + j], _mm512_or_si512(bits_of(pair, 0, 255), high));
  }
}

template <typename Type>
inline void fill_scales(Panel256& panel, const typename Type::Block* const* row, int b) {
  constexpr int kSubs = 256 / Type::kSub;
  for (int r = 0; r < kPanelRows; ++r) {
    int32_t scale[16], min[16];
    Type::scales(*row[r], scale, min);
    for (int j = 0; j < kSubs; ++j) panel.scale[b * kSubs + j][r] = scale[j];
    panel.d[b][r] = half(row[r]->d);
    if (!Type::kMinimum) continue;
    panel.dmin[b][r] = half(Type::minimum(*row[r]));
    for (int j = 0; j < kSubs; ++j)
      panel.min[(b * kSubs + j) / 2][r][j % 2] = static_cast<int16_t>(min[j]);
  }
}

template <typename Type>
inline void fill(Panel256& panel, const std::byte* const* rows, int blocks) {
  for (int b = 0; b < blocks; ++b) {
    const typename Type::Block* row[kPanelRows];
    for (int r = 0; r < kPanelRows; ++r)
      row[r] = reinterpret_cast<const typename Type::Block*>(rows[r]) + b;
    if constexpr (Type::kPackedScales) {
      fill_packed_scales(panel, row, b);
    } else {
      fill_scales<Type>(panel, row, b);
    }
    for (int j = 0; j < 8; ++j) {
      __m256i bytes[kPanelRows];
      for (int r = 0; r < kPanelRows; ++r) bytes[r] = Type::unpack(*row[r], j);
      transpose_store(bytes, panel.w + 4096 * b + 512 * j);
    }
  }
}

/// Activations of C tokens at the segment: `s` are their sums over blocks or, for weights in
/// super-blocks, sub-blocks. `start` holds the accumulators' first values, minus offset times s.
struct Columns {
  const int8_t* q;
  const float* d;
  const int16_t* s;
  const int32_t* start;
  int64_t q_stride, d_stride, s_stride, start_stride;
};

inline __m512i broadcast4(const void* p) {
  int32_t bits;
  __builtin_memcpy(&bits, p, 4);
  return _mm512_set1_epi32(bits);
}

/// acc[r][c] += the products of 4 * G bytes of each row with as many of each column.
template <int R, int C, int G, typename Panel>
inline void accumulate(const Panel* panel, int w, const Columns& x, int q, __m512i (*acc)[C]) {
#pragma GCC unroll 8
  for (int g = 0; g < G; ++g) {
    __m512i weights[R];
    for (int r = 0; r < R; ++r) weights[r] = _mm512_load_si512(panel[r].w + w + 64 * g);
#pragma GCC unroll 12
    for (int c = 0; c < C; ++c) {
      const __m512i values = broadcast4(x.q + q + c * x.q_stride + 4 * g);
#pragma GCC unroll 2
      for (int r = 0; r < R; ++r) acc[r][c] = _mm512_dpbusd_epi32(acc[r][c], weights[r], values);
    }
  }
}

/// sum[r][c] = products of panel r and column c over the segment.
template <typename Type, int R, int C>
inline void multiply(const Panel32* panel, const Columns& x, int blocks, __m512 (*sum)[C]) {
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c) sum[r][c] = _mm512_setzero_ps();
  for (int b = 0; b < blocks; ++b) {
    __m512i acc[R][C];
#pragma GCC unroll 12
    for (int c = 0; c < C; ++c) {
      const __m512i start = Type::kOffset == 0 ? _mm512_setzero_si512()
                                               : _mm512_set1_epi32(x.start[c * x.start_stride + b]);
#pragma GCC unroll 2
      for (int r = 0; r < R; ++r) acc[r][c] = start;
    }
    accumulate<R, C, 8>(panel, 512 * b, x, 32 * b, acc);
#pragma GCC unroll 12
    for (int c = 0; c < C; ++c) {
      const __m512 dx = _mm512_set1_ps(x.d[c * x.d_stride + b]);
#pragma GCC unroll 2
      for (int r = 0; r < R; ++r) {
        const __m512 d = _mm512_load_ps(panel[r].d[b]);
        sum[r][c] = _mm512_fmadd_ps(_mm512_mul_ps(d, dx), _mm512_cvtepi32_ps(acc[r][c]), sum[r][c]);
        if (!Type::kMinimum) continue;
        const __m512 total = _mm512_set1_ps(static_cast<float>(x.s[c * x.s_stride + b]));
        const __m512 m = _mm512_load_ps(panel[r].m[b]);
        sum[r][c] = _mm512_fmadd_ps(_mm512_mul_ps(m, dx), total, sum[r][c]);
      }
    }
  }
}

/// Adds the float products of one super-block: factor[b] * dx * total.
template <int R, int C>
inline void combine(const __m512* factor, const Columns& x, int b, const __m512i (*total)[C],
                    __m512 (*sum)[C]) {
#pragma GCC unroll 12
  for (int c = 0; c < C; ++c) {
    const __m512 dx = _mm512_set1_ps(x.d[c * x.d_stride + b]);
#pragma GCC unroll 2
    for (int r = 0; r < R; ++r)
      sum[r][c] =
          _mm512_fmadd_ps(_mm512_mul_ps(factor[r], dx), _mm512_cvtepi32_ps(total[r][c]), sum[r][c]);
  }
}

/// Takes the minima of one super-block off: min[j] times the sums of activations, in integers.
template <int kSubs, int R, int C>
inline void subtract_minima(const Panel256* panel, const Columns& x, int b, __m512 (*sum)[C]) {
  __m512i total[R][C];
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c) total[r][c] = _mm512_setzero_si512();
#pragma GCC unroll 8
  for (int j = 0; j < kSubs / 2; ++j) {
    __m512i min[R];
    for (int r = 0; r < R; ++r) min[r] = _mm512_load_si512(panel[r].min[b * (kSubs / 2) + j]);
#pragma GCC unroll 12
    for (int c = 0; c < C; ++c) {
      const __m512i sums = broadcast4(x.s + c * x.s_stride + kSubs * b + 2 * j);
#pragma GCC unroll 2
      for (int r = 0; r < R; ++r) total[r][c] = _mm512_dpwssd_epi32(total[r][c], min[r], sums);
    }
  }
  __m512 factor[R];
  for (int r = 0; r < R; ++r)
    factor[r] = _mm512_xor_ps(_mm512_load_ps(panel[r].dmin[b]), _mm512_set1_ps(-0.0f));
  combine<R, C>(factor, x, b, total, sum);
}

template <typename Type, int R, int C>
inline void multiply(const Panel256* panel, const Columns& x, int blocks, __m512 (*sum)[C]) {
  constexpr int kSubs = 256 / Type::kSub, kGroups = Type::kSub / 4;
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c) sum[r][c] = _mm512_setzero_ps();
  for (int b = 0; b < blocks; ++b) {
    __m512i total[R][C];
    for (int r = 0; r < R; ++r)
      for (int c = 0; c < C; ++c) total[r][c] = _mm512_setzero_si512();
    for (int j = 0; j < kSubs; ++j) {
      __m512i acc[R][C];
#pragma GCC unroll 12
      for (int c = 0; c < C; ++c) {
        const __m512i start = Type::kOffset == 0
                                  ? _mm512_setzero_si512()
                                  : _mm512_set1_epi32(x.start[c * x.start_stride + b * kSubs + j]);
#pragma GCC unroll 2
        for (int r = 0; r < R; ++r) acc[r][c] = start;
      }
      accumulate<R, C, kGroups>(panel, 4096 * b + 64 * kGroups * j, x, 256 * b + Type::kSub * j,
                                acc);
#pragma GCC unroll 2
      for (int r = 0; r < R; ++r) {
        const __m512i scale = _mm512_load_si512(panel[r].scale[b * kSubs + j]);
#pragma GCC unroll 12
        for (int c = 0; c < C; ++c)
          total[r][c] = _mm512_add_epi32(total[r][c], _mm512_mullo_epi32(acc[r][c], scale));
      }
    }
    __m512 d[R];
    for (int r = 0; r < R; ++r) d[r] = _mm512_load_ps(panel[r].d[b]);
    combine<R, C>(d, x, b, total, sum);
    if (Type::kMinimum) subtract_minima<kSubs, R, C>(panel, x, b, sum);
  }
}

}  // namespace
}  // namespace weir::kernels
