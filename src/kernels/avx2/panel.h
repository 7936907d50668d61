// A panel: 16 weight rows of one segment unpacked so that two registers hold 4 bytes of each row.
// The panel multiply runs it against up to 4 tokens. Products of a run of groups are summed in
// int16 where they cannot overflow, then widened (and scaled) by one vpmaddwd; accumulators are
// int32 per block, combined in f32 in the canonical order.
#pragma once

#include "kernels/avx2/unpack.h"
#include "kernels/avx2/vec.h"
#include "kernels/kernels.h"

namespace weir::kernels {
namespace {

constexpr int kPanelRows = 16;
constexpr int kMaxColumns = 4;
constexpr int kSegmentBlocks32 = kSegment / 32;
constexpr int kSegmentBlocks256 = kSegment / 256;

/// 8 rows x 8 dwords (row i in rows[i]); dword j of every row goes to out + 64 j bytes.
inline void transpose_store(const __m256i* rows, void* out) {
  __m256i a[8], b[8];
  for (int i = 0; i < 4; ++i) {
    a[2 * i] = _mm256_unpacklo_epi32(rows[2 * i], rows[2 * i + 1]);
    a[2 * i + 1] = _mm256_unpackhi_epi32(rows[2 * i], rows[2 * i + 1]);
  }
  for (int i = 0; i < 2; ++i) {  // b[4 i + j]: dword j (and j + 4) of rows 4 i ... 4 i + 3
    b[4 * i] = _mm256_unpacklo_epi64(a[4 * i], a[4 * i + 2]);
    b[4 * i + 1] = _mm256_unpackhi_epi64(a[4 * i], a[4 * i + 2]);
    b[4 * i + 2] = _mm256_unpacklo_epi64(a[4 * i + 1], a[4 * i + 3]);
    b[4 * i + 3] = _mm256_unpackhi_epi64(a[4 * i + 1], a[4 * i + 3]);
  }
  auto* to = static_cast<__m256i*>(out);
  for (int j = 0; j < 4; ++j) {
    _mm256_store_si256(to + 2 * j, _mm256_permute2x128_si256(b[j], b[j + 4], 0x20));
    _mm256_store_si256(to + 2 * (j + 4), _mm256_permute2x128_si256(b[j], b[j + 4], 0x31));
  }
}

struct alignas(64) Panel32 {
  uint8_t w[kSegment * kPanelRows];
  float d[kSegmentBlocks32][kPanelRows];
  float m[kSegmentBlocks32][kPanelRows];
};

struct alignas(64) Panel256 {
  uint8_t w[kSegment * kPanelRows];
  int16_t scale[kSegmentBlocks256 * 16][kPanelRows][2];  // each twice
  int16_t min[kSegmentBlocks256 * 8][kPanelRows][2];     // pairs of neighbouring sub-blocks
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
    for (int r0 = 0; r0 < kPanelRows; r0 += 8) {
      __m256i bytes[8];
      for (int r = 0; r < 8; ++r) bytes[r] = Type::unpack(row[r0 + r][b]);
      transpose_store(bytes, panel.w + 512 * b + 4 * r0);
    }
    for (int r = 0; r < kPanelRows; ++r) {
      panel.d[b][r] = half(row[r][b].d);
      if (Type::kMinimum) panel.m[b][r] = half(Type::minimum(row[r][b]));
    }
  }
}

/// Minima as pairs of neighbouring sub-blocks, a dword a pair.
template <typename Type>
inline __m256i paired_minima(const typename Type::Block& block) {
  const __m256i runs = Type::minima(block);
  if constexpr (Type::kSub == 16) return runs;
  const __m256i evens = _mm256_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, -1, -1, -1, -1, -1, -1, -1, -1,
                                         0, 1, 4, 5, 8, 9, 12, 13, -1, -1, -1, -1, -1, -1, -1, -1);
  return _mm256_permute4x64_epi64(_mm256_shuffle_epi8(runs, evens), 0xd8);
}

template <typename Type>
inline void fill(Panel256& panel, const std::byte* const* rows, int blocks) {
  constexpr int kSubs = 256 / Type::kSub;
  for (int b = 0; b < blocks; ++b) {
    const typename Type::Block* row[kPanelRows];
    for (int r = 0; r < kPanelRows; ++r) {
      row[r] = reinterpret_cast<const typename Type::Block*>(rows[r]) + b;
      panel.d[b][r] = half(row[r]->d);
      if (Type::kMinimum) panel.dmin[b][r] = half(Type::minimum(*row[r]));
    }
    for (int r0 = 0; r0 < kPanelRows; r0 += 8) {
      __m256i values[8];
      for (int j = 0; j < 8; ++j) {
        for (int r = 0; r < 8; ++r) values[r] = Type::unpack(*row[r0 + r], j);
        transpose_store(values, panel.w + 4096 * b + 512 * j + 4 * r0);
      }
      for (int i = 0; i < kSubs / 8; ++i) {
        for (int r = 0; r < 8; ++r) {
          __m256i scales[2];
          sub_scales<Type>(*row[r0 + r], scales);
          values[r] = scales[i];
        }
        transpose_store(values, panel.scale[b * kSubs + 8 * i][r0]);
      }
      if (!Type::kMinimum) continue;
      for (int r = 0; r < 8; ++r) values[r] = paired_minima<Type>(*row[r0 + r]);
      transpose_store(values, panel.min[b * 8][r0]);
    }
  }
}

/// Activations of C tokens at the segment. `start` holds the first values of the int16
/// accumulators of each run; `sums` the sums of activations that the minima multiply.
struct Columns {
  const int8_t* q;
  const float* d;
  const int16_t* s;
  const int32_t* start;
  const int16_t* sums;
  int64_t q_stride, d_stride, s_stride, start_stride, sums_stride;
};

inline __m256i broadcast4(const void* p) {
  int32_t bits;
  __builtin_memcpy(&bits, p, 4);
  return _mm256_set1_epi32(bits);
}

/// Groups of 4 inputs whose products fit one int16 accumulator, at most `groups`. An accumulator
/// takes two products a group; only its last value must fit, since sums wrap around.
template <typename Type>
constexpr int run_groups(int groups) {
  constexpr int kSpan = -Type::kLow > Type::kHigh ? -Type::kLow : Type::kHigh;
  while (groups > 1 && 2 * groups * kSpan * 127 > INT16_MAX) groups /= 2;
  return groups;
}

/// total[c] += factor * products of kGroups groups, for 2 x 8 rows and C tokens.
template <typename Type, int kGroups, int C>
inline void multiply_groups(const uint8_t* w, const int8_t* q, int64_t q_stride,
                            const int32_t* start, int64_t start_stride, const __m256i* factor,
                            __m256i (*total)[2]) {
  constexpr int kRun = run_groups<Type>(kGroups);
  static_assert(Type::kOffset == 0 || kRun == kGroups);
#pragma GCC unroll 8
  for (int g0 = 0; g0 < kGroups; g0 += kRun) {
    __m256i acc[C][2];
#pragma GCC unroll 4
    for (int c = 0; c < C; ++c)
      acc[c][0] = acc[c][1] =
          Type::kOffset == 0 ? _mm256_setzero_si256() : _mm256_set1_epi32(start[c * start_stride]);
#pragma GCC unroll 8
    for (int g = g0; g < g0 + kRun; ++g) {
      const __m256i w0 = load256(w + 64 * g), w1 = load256(w + 64 * g + 32);
#pragma GCC unroll 4
      for (int c = 0; c < C; ++c) {
        const __m256i x = broadcast4(q + c * q_stride + 4 * g);
        acc[c][0] = _mm256_add_epi16(acc[c][0], dot_pairs<Type>(w0, x));
        acc[c][1] = _mm256_add_epi16(acc[c][1], dot_pairs<Type>(w1, x));
      }
    }
#pragma GCC unroll 4
    for (int c = 0; c < C; ++c)
      for (int h = 0; h < 2; ++h)
        total[c][h] = _mm256_add_epi32(total[c][h], _mm256_madd_epi16(acc[c][h], factor[h]));
  }
}

inline Vec to_float(const __m256i* x) {
  return {_mm256_cvtepi32_ps(x[0]), _mm256_cvtepi32_ps(x[1])};
}

template <typename Type, int C>
inline void multiply(const Panel32& panel, const Columns& x, int blocks, Vec* sum) {
  for (int c = 0; c < C; ++c) sum[c] = zero();
  const __m256i ones[2] = {_mm256_set1_epi16(1), _mm256_set1_epi16(1)};
  for (int b = 0; b < blocks; ++b) {
    __m256i total[C][2] = {};
    multiply_groups<Type, 8, C>(panel.w + 512 * b, x.q + 32 * b, x.q_stride, x.start + b,
                                x.start_stride, ones, total);
    const Vec d = load(panel.d[b]);
    for (int c = 0; c < C; ++c) {
      const Vec dx = set1(x.d[c * x.d_stride + b]);
      sum[c] = fma(mul(d, dx), to_float(total[c]), sum[c]);
      if (!Type::kMinimum) continue;
      const Vec total_x = set1(static_cast<float>(x.s[c * x.s_stride + b]));
      sum[c] = fma(mul(load(panel.m[b]), dx), total_x, sum[c]);
    }
  }
}

template <typename Type, int C>
inline void multiply(const Panel256& panel, const Columns& x, int blocks, Vec* sum) {
  constexpr int kSubs = 256 / Type::kSub, kGroups = Type::kSub / 4;
  for (int c = 0; c < C; ++c) sum[c] = zero();
  for (int b = 0; b < blocks; ++b) {
    __m256i total[C][2] = {};
    for (int j = 0; j < kSubs; ++j) {
      const int sub = b * kSubs + j;
      const __m256i scale[2] = {load256(panel.scale[sub][0]), load256(panel.scale[sub][8])};
      multiply_groups<Type, kGroups, C>(panel.w + 64 * kGroups * sub, x.q + Type::kSub * sub,
                                        x.q_stride, x.start + sub, x.start_stride, scale, total);
    }
    const Vec d = load(panel.d[b]);
    for (int c = 0; c < C; ++c) {
      const Vec dx = set1(x.d[c * x.d_stride + b]);
      sum[c] = fma(mul(d, dx), to_float(total[c]), sum[c]);
    }
    if (!Type::kMinimum) continue;
    __m256i low[C][2] = {};
    for (int j = 0; j < kSubs / 2; ++j) {
      const __m256i m0 = load256(panel.min[b * 8 + j][0]), m1 = load256(panel.min[b * 8 + j][8]);
      for (int c = 0; c < C; ++c) {
        const __m256i s = broadcast4(x.sums + c * x.sums_stride + b * kSubs + 2 * j);
        low[c][0] = _mm256_add_epi32(low[c][0], _mm256_madd_epi16(m0, s));
        low[c][1] = _mm256_add_epi32(low[c][1], _mm256_madd_epi16(m1, s));
      }
    }
    const Vec dmin = load(panel.dmin[b]);
    for (int c = 0; c < C; ++c) {
      const Vec dx = set1(x.d[c * x.d_stride + b]);
      sum[c] = fma(negate(mul(dmin, dx)), to_float(low[c]), sum[c]);
    }
  }
}

}  // namespace
}  // namespace weir::kernels
