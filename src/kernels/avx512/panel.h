// A panel: 16 weight rows of one segment unpacked so that a register holds 4 bytes of each row.
// The panel multiply runs it against up to 12 tokens with vpdpbusd; accumulators are int32 per
// block, combined in f32 in the canonical order.
#pragma once

#include "kernels/avx512/unpack.h"
#include "kernels/kernels.h"

namespace weir::kernels {
namespace {

constexpr int kPanelRows = 16;
constexpr int kMaxColumns = 12;
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
  int16_t min[kSegmentBlocks256 * 8][kPanelRows][2];  // pairs of 16-element runs
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
    for (int r = 0; r < kPanelRows; ++r) {
      bytes[r] = Type::unpack(row[r][b]);
      panel.d[b][r] = half(row[r][b].d);
      if (Type::kMinimum) panel.m[b][r] = half(Type::minimum(row[r][b]));
    }
    transpose_store(bytes, panel.w + 512 * b);
  }
}

template <typename Type>
inline void fill(Panel256& panel, const std::byte* const* rows, int blocks) {
  constexpr int kSubs = 256 / Type::kSub;
  for (int b = 0; b < blocks; ++b) {
    const typename Type::Block* row[kPanelRows];
    for (int r = 0; r < kPanelRows; ++r) {
      row[r] = reinterpret_cast<const typename Type::Block*>(rows[r]) + b;
      int32_t scale[16], min[16];
      Type::scales(*row[r], scale, min);
      for (int j = 0; j < kSubs; ++j) panel.scale[b * kSubs + j][r] = scale[j];
      panel.d[b][r] = half(row[r]->d);
      if (!Type::kMinimum) continue;
      panel.dmin[b][r] = half(Type::minimum(*row[r]));
      for (int j = 0; j < 8; ++j) {
        panel.min[b * 8 + j][r][0] = static_cast<int16_t>(min[kSubs == 16 ? 2 * j : j]);
        panel.min[b * 8 + j][r][1] = static_cast<int16_t>(min[kSubs == 16 ? 2 * j + 1 : j]);
      }
    }
    for (int j = 0; j < 8; ++j) {
      __m256i bytes[kPanelRows];
      for (int r = 0; r < kPanelRows; ++r) bytes[r] = Type::unpack(*row[r], j);
      transpose_store(bytes, panel.w + 4096 * b + 512 * j);
    }
  }
}

/// Activations of C tokens at the segment. `start` holds the accumulators' first values, minus
/// offset times the sum of the activations of each block or sub-block.
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

template <typename Type, int C>
inline void multiply(const Panel32& panel, const Columns& x, int blocks, __m512* sum) {
  for (int c = 0; c < C; ++c) sum[c] = _mm512_setzero_ps();
  for (int b = 0; b < blocks; ++b) {
    __m512i acc[C];
    for (int c = 0; c < C; ++c)
      acc[c] = Type::kOffset == 0 ? _mm512_setzero_si512()
                                  : _mm512_set1_epi32(x.start[c * x.start_stride + b]);
    const uint8_t* w = panel.w + 512 * b;
    const int8_t* q = x.q + 32 * b;
#pragma GCC unroll 8
    for (int g = 0; g < 8; ++g) {
      const __m512i weights = _mm512_load_si512(w + 64 * g);
#pragma GCC unroll 12
      for (int c = 0; c < C; ++c)
        acc[c] = _mm512_dpbusd_epi32(acc[c], weights, broadcast4(q + c * x.q_stride + 4 * g));
    }
    const __m512 d = _mm512_load_ps(panel.d[b]);
    for (int c = 0; c < C; ++c) {
      const __m512 dx = _mm512_set1_ps(x.d[c * x.d_stride + b]);
      sum[c] = _mm512_fmadd_ps(_mm512_mul_ps(d, dx), _mm512_cvtepi32_ps(acc[c]), sum[c]);
      if (!Type::kMinimum) continue;
      const __m512 total = _mm512_set1_ps(static_cast<float>(x.s[c * x.s_stride + b]));
      sum[c] = _mm512_fmadd_ps(_mm512_mul_ps(_mm512_load_ps(panel.m[b]), dx), total, sum[c]);
    }
  }
}

template <typename Type, int C>
inline void multiply(const Panel256& panel, const Columns& x, int blocks, __m512* sum) {
  constexpr int kSubs = 256 / Type::kSub, kGroups = Type::kSub / 4;
  for (int c = 0; c < C; ++c) sum[c] = _mm512_setzero_ps();
  for (int b = 0; b < blocks; ++b) {
    __m512i total[C];
    for (int c = 0; c < C; ++c) total[c] = _mm512_setzero_si512();
    for (int j = 0; j < kSubs; ++j) {
      __m512i acc[C];
      for (int c = 0; c < C; ++c)
        acc[c] = Type::kOffset == 0
                     ? _mm512_setzero_si512()
                     : _mm512_set1_epi32(x.start[c * x.start_stride + b * kSubs + j]);
      const uint8_t* w = panel.w + 4096 * b + 64 * kGroups * j;
      const int8_t* q = x.q + 256 * b + Type::kSub * j;
#pragma GCC unroll 8
      for (int g = 0; g < kGroups; ++g) {
        const __m512i weights = _mm512_load_si512(w + 64 * g);
#pragma GCC unroll 12
        for (int c = 0; c < C; ++c)
          acc[c] = _mm512_dpbusd_epi32(acc[c], weights, broadcast4(q + c * x.q_stride + 4 * g));
      }
      const __m512i scale = _mm512_load_si512(panel.scale[b * kSubs + j]);
      for (int c = 0; c < C; ++c)
        total[c] = _mm512_add_epi32(total[c], _mm512_mullo_epi32(acc[c], scale));
    }
    const __m512 d = _mm512_load_ps(panel.d[b]);
    for (int c = 0; c < C; ++c) {
      const __m512 dx = _mm512_set1_ps(x.d[c * x.d_stride + b]);
      sum[c] = _mm512_fmadd_ps(_mm512_mul_ps(d, dx), _mm512_cvtepi32_ps(total[c]), sum[c]);
    }
    if (!Type::kMinimum) continue;
    const __m512 dmin = _mm512_load_ps(panel.dmin[b]);
    for (int c = 0; c < C; ++c) total[c] = _mm512_setzero_si512();
    for (int j = 0; j < 8; ++j) {
      const __m512i min = _mm512_load_si512(panel.min[b * 8 + j]);
      for (int c = 0; c < C; ++c)
        total[c] =
            _mm512_dpwssd_epi32(total[c], min, broadcast4(x.s + c * x.s_stride + 16 * b + 2 * j));
    }
    for (int c = 0; c < C; ++c) {
      const __m512 dx = _mm512_set1_ps(x.d[c * x.d_stride + b]);
      const __m512 factor = _mm512_xor_ps(_mm512_mul_ps(dmin, dx), _mm512_set1_ps(-0.0f));
      sum[c] = _mm512_fmadd_ps(factor, _mm512_cvtepi32_ps(total[c]), sum[c]);
    }
  }
}

}  // namespace
}  // namespace weir::kernels
