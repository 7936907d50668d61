// The panel multiply: runs two panels against up to 6 tokens with vpdpbusd; accumulators are int32
// per block, combined in f32 in the canonical order.
//
// Two panels by six tokens: as many accumulators as one by twelve, but 8 instead of 13 loads for 12
// products. A processor that loads one 512-bit register a cycle (Zen 4) was held up by loads.
#pragma once

#include "kernels/avx512/panel_fill256.h"

namespace weir::kernels {
namespace {

constexpr int kMaxPanels = 2;
constexpr int kMaxColumns = 6;

/// Activations of C tokens at the segment: `s` are their sums over blocks or, for weights in
/// super-blocks, sub-blocks. `start` holds the accumulators' first values: minus offset times the
/// sum of what they add up. `narrow`: bit b says that in super-block b sums over sub-blocks fit 16
/// bits, whatever the weights.
struct Columns {
  const int8_t* q;
  const float* d;
  const int16_t* s;
  const int32_t* start;
  int64_t q_stride, d_stride, s_stride, start_stride;
  uint8_t narrow;
};

/// See unpack.h.
template <typename Type>
concept Folded = requires {
  requires Type::kFolded;
};
template <typename Type>
concept Paired = requires {
  requires Type::kPaired;
};

inline __m512i broadcast4(const void* p) {
  int32_t bits;
  __builtin_memcpy(&bits, p, 4);
  return _mm512_set1_epi32(bits);
}

/// A register of weights of the panel: all bytes, or their low (kPart 0) or high nibbles.
template <typename Type, int kPart>
[[gnu::always_inline]] inline __m512i weights_at(const uint8_t* w) {
  const __m512i raw = _mm512_load_si512(w);
  if constexpr (Type::kNibbles == Nibbles::none) return raw;
  const __m512i nibbles = field<4 * kPart>(raw, 15);
  constexpr bool kLevels = __is_same(Type, TypeIQ4_NL) || __is_same(Type, TypeIQ4_XS);
  return kLevels ? _mm512_shuffle_epi8(iq4_levels(), nibbles) : nibbles;
}

/// acc[r][c] += the products of G registers of weights from w on with as many dwords of each column
/// from q on.
template <typename Type, int R, int C, int G, int kPart, typename Panel>
[[gnu::always_inline]] inline void accumulate(const Panel* panel, int w, const Columns& x, int q,
                                              __m512i (*acc)[C]) {
#pragma GCC unroll 8
  for (int g = 0; g < G; ++g) {
    __m512i weights[R];
    for (int r = 0; r < R; ++r) weights[r] = weights_at<Type, kPart>(panel[r].w + w + 64 * g);
#pragma GCC unroll 12
    for (int c = 0; c < C; ++c) {
      const __m512i values = broadcast4(x.q + q + c * x.q_stride + 4 * g);
#pragma GCC unroll 2
      for (int r = 0; r < R; ++r) acc[r][c] = _mm512_dpbusd_epi32(acc[r][c], weights[r], values);
    }
  }
}

/// acc[r][c] += the products of kWeights weights of each row: those of sub-block or block j of the
/// segment, the first (kPart 0) or second one of a pair.
template <typename Type, int R, int C, int kWeights, int kPart = 0, typename Panel>
[[gnu::always_inline]] inline void add_weights(const Panel* panel, const Columns& x, int j,
                                               __m512i (*acc)[C]) {
  const int w = kWeights * kWeightBytes<Type> * j, q = kWeights * j;
  if constexpr (Type::kNibbles == Nibbles::none) {
    accumulate<Type, R, C, kWeights / 4, 0>(panel, w, x, q, acc);
  } else if constexpr (Type::kNibbles == Nibbles::halves) {
    accumulate<Type, R, C, kWeights / 8, 0>(panel, w, x, q, acc);
    accumulate<Type, R, C, kWeights / 8, 1>(panel, w, x, q + kWeights / 2, acc);
  } else {
    constexpr int kFirst = kWeights * kWeightBytes<Type>;  // the second begins where the first does
    accumulate<Type, R, C, kWeights / 4, kPart>(panel, w - kPart * kFirst, x, q, acc);
  }
}

/// acc[r][c] = first value i of column c.
template <typename Type, int R, int C>
[[gnu::always_inline]] inline void first_values(const Columns& x, int i, __m512i (*acc)[C]) {
#pragma GCC unroll 12
  for (int c = 0; c < C; ++c) {
    const __m512i start = Type::kOffset == 0 ? _mm512_setzero_si512()
                                             : _mm512_set1_epi32(x.start[c * x.start_stride + i]);
#pragma GCC unroll 2
    for (int r = 0; r < R; ++r) acc[r][c] = start;
  }
}

/// sum[r][c] = products of panel r and column c over the segment.
template <typename Type, int R, int C>
[[gnu::always_inline]] inline void multiply(const Panel32* panel, const Columns& x, int blocks,
                                            __m512 (*sum)[C], Ahead& ahead) {
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c) sum[r][c] = _mm512_setzero_ps();
  for (int b = 0; b < blocks; ++b) {
    ahead.step();
    __m512i acc[R][C];
    first_values<Type, R, C>(x, b, acc);
    add_weights<Type, R, C, 32>(panel, x, b, acc);
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
[[gnu::always_inline]] inline void combine(const __m512* factor, const Columns& x, int b,
                                           const __m512i (*total)[C], __m512 (*sum)[C]) {
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
[[gnu::always_inline]] inline void subtract_minima(const Panel256* panel, const Columns& x, int b,
                                                   __m512 (*sum)[C]) {
  __m512i total[R][C];
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c) total[r][c] = _mm512_setzero_si512();
#pragma GCC unroll 8
  for (int j = 0; j < kSubs / 2; ++j) {
    __m512i min[R];
    for (int r = 0; r < R; ++r) min[r] = _mm512_load_si512(panel[r].scales[b].min[j]);
#pragma GCC unroll 12
    for (int c = 0; c < C; ++c) {
      const __m512i sums = broadcast4(x.s + c * x.s_stride + kSubs * b + 2 * j);
#pragma GCC unroll 2
      for (int r = 0; r < R; ++r) total[r][c] = _mm512_dpwssd_epi32(total[r][c], min[r], sums);
    }
  }
  __m512 factor[R];
  for (int r = 0; r < R; ++r)
    factor[r] = _mm512_xor_ps(_mm512_load_ps(panel[r].scales[b].dmin), _mm512_set1_ps(-0.0f));
  combine<R, C>(factor, x, b, total, sum);
}

/// combine and subtract_minima at once, for tiles so large that the sums wait in memory: a store
/// takes the time of nearly two products (Zen 4).
template <int kSubs, int R, int C>
[[gnu::always_inline]] inline void combine_minima(const Panel256* panel, const Columns& x, int b,
                                                  const __m512i (*total)[C], __m512 (*sum)[C]) {
  __m512i min[R][kSubs / 2];
  __m512 d[R], dmin[R];
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int j = 0; j < kSubs / 2; ++j) min[r][j] = _mm512_load_si512(panel[r].scales[b].min[j]);
    d[r] = _mm512_load_ps(panel[r].scales[b].d);
    dmin[r] = _mm512_xor_ps(_mm512_load_ps(panel[r].scales[b].dmin), _mm512_set1_ps(-0.0f));
  }
#pragma GCC unroll 12
  for (int c = 0; c < C; ++c) {
    const __m512 dx = _mm512_set1_ps(x.d[c * x.d_stride + b]);
    __m512i sums[R];
    for (int r = 0; r < R; ++r) sums[r] = _mm512_setzero_si512();
#pragma GCC unroll 8
    for (int j = 0; j < kSubs / 2; ++j) {
      const __m512i pair = broadcast4(x.s + c * x.s_stride + kSubs * b + 2 * j);
#pragma GCC unroll 2
      for (int r = 0; r < R; ++r) sums[r] = _mm512_dpwssd_epi32(sums[r], min[r][j], pair);
    }
#pragma GCC unroll 2
    for (int r = 0; r < R; ++r) {
      const __m512 main =
          _mm512_fmadd_ps(_mm512_mul_ps(d[r], dx), _mm512_cvtepi32_ps(total[r][c]), sum[r][c]);
      sum[r][c] = _mm512_fmadd_ps(_mm512_mul_ps(dmin[r], dx), _mm512_cvtepi32_ps(sums[r]), main);
    }
  }
}

/// total[r][c] += products of sub-block j of super-block b, scales applied in 32 bits.
template <typename Type, int R, int C, int kPart>
[[gnu::always_inline]] inline void add_sub_block(const Panel256* panel, const Columns& x, int b,
                                                 int j, __m512i (*total)[C]) {
  constexpr int kSubs = 256 / Type::kSub;
  __m512i acc[R][C];
  first_values<Type, R, C>(x, b * kSubs + j, acc);
  add_weights<Type, R, C, Type::kSub, kPart>(panel, x, b * kSubs + j, acc);
#pragma GCC unroll 2
  for (int r = 0; r < R; ++r) {
    const __m512i pair = _mm512_load_si512(panel[r].scales[b].scale[j / 2]);
    const __m512i scale =
        _mm512_srai_epi32(_mm512_sll_epi32(pair, _mm_cvtsi32_si128(j % 2 * 16)), 16);
#pragma GCC unroll 12
    for (int c = 0; c < C; ++c)
      total[r][c] = _mm512_add_epi32(total[r][c], _mm512_mullo_epi32(acc[r][c], scale));
  }
}

/// The products of sub-blocks j (to `first`) and j + 1 (to `second`), whose weights share bytes.
/// Few accumulators, each of which waits for itself, leave the pipes idle: so they are twice as
/// many.
template <typename Type, int R, int C>
[[gnu::always_inline]] inline void add_two_weights(const Panel256* panel, const Columns& x, int j,
                                                   __m512i (*first)[C], __m512i (*second)[C]) {
  constexpr int kSub = Type::kSub;
  const int w = kSub * kWeightBytes<Type> * j, q = kSub * j;
#pragma GCC unroll 8
  for (int g = 0; g < kSub / 4; ++g) {
    __m512i low[R], high[R];
#pragma GCC unroll 2
    for (int r = 0; r < R; ++r) {
      const uint8_t* const at = panel[r].w + w + 64 * g;
      low[r] = weights_at<Type, 0>(at);
      high[r] = weights_at<Type, 1>(at);
    }
#pragma GCC unroll 12
    for (int c = 0; c < C; ++c) {
      const int8_t* const values = x.q + q + c * x.q_stride + 4 * g;
      const __m512i left = broadcast4(values), right = broadcast4(values + kSub);
#pragma GCC unroll 2
      for (int r = 0; r < R; ++r) {
        first[r][c] = _mm512_dpbusd_epi32(first[r][c], low[r], left);
        second[r][c] = _mm512_dpbusd_epi32(second[r][c], high[r], right);
      }
    }
  }
}

/// The same for two sub-blocks from j on whose sums fit 16 bits, with half the products by scales.
/// The second sum is made below the first one, in the lower half: 0x8000 more, so that it does not
/// end below 0, which would take 1 off the first.
template <typename Type, int R, int C>
[[gnu::always_inline]] inline void add_pair(const Panel256* panel, const Columns& x, int b, int j,
                                            __m512i (*total)[C]) {
  constexpr int kSubs = 256 / Type::kSub;
  constexpr bool kApart = R * C <= 8 && Type::kNibbles == Nibbles::pairs;
  const __m512i half = _mm512_set1_epi32(0x8000);
  __m512i acc[R][C], second[R][C];
  first_values<Type, R, C>(x, b * kSubs + j, acc);
  if constexpr (kApart) {
#pragma GCC unroll 2
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 12
      for (int c = 0; c < C; ++c) second[r][c] = _mm512_setzero_si512();
    add_two_weights<Type, R, C>(panel, x, b * kSubs + j, acc, second);
  } else {
    add_weights<Type, R, C, Type::kSub, 0>(panel, x, b * kSubs + j, acc);
  }
#pragma GCC unroll 12
  for (int c = 0; c < C; ++c) {
    __m512i start = half;
    if constexpr (Type::kOffset != 0)
      start = _mm512_set1_epi32(x.start[c * x.start_stride + b * kSubs + j + 1] + 0x8000);
#pragma GCC unroll 2
    for (int r = 0; r < R; ++r) {
      acc[r][c] = _mm512_add_epi32(_mm512_slli_epi32(acc[r][c], 16), start);
      if (kApart) acc[r][c] = _mm512_add_epi32(acc[r][c], second[r][c]);
    }
  }
  if (!kApart) add_weights<Type, R, C, Type::kSub, 1>(panel, x, b * kSubs + j + 1, acc);
#pragma GCC unroll 2
  for (int r = 0; r < R; ++r) {
    const __m512i scales = _mm512_load_si512(panel[r].scales[b].scale[j / 2]);
#pragma GCC unroll 12
    for (int c = 0; c < C; ++c)
      total[r][c] = _mm512_dpwssd_epi32(total[r][c], _mm512_xor_si512(acc[r][c], half), scales);
  }
}

/// total[r][c] = products of super-block b in integers, scales applied.
template <typename Type, int R, int C>
[[gnu::always_inline]] inline void multiply_super_block(const Panel256* panel, const Columns& x,
                                                        int b, __m512i (*total)[C], Ahead& ahead) {
  constexpr int kSubs = 256 / Type::kSub;
  if constexpr (Type::kFolded) {
    first_values<Type, R, C>(x, b, total);
    for (int i = 0; i < 8; ++i) {
      ahead.step();
      add_weights<Type, R, C, 32>(panel, x, 8 * b + i, total);
    }
    return;
  }
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c) total[r][c] = _mm512_setzero_si512();
  if (Type::kPaired && (x.narrow >> b & 1) != 0) {
    for (int j = 0; j < kSubs; j += 2) {
      for (int i = 0; i < 2; i += kSubs / 8) ahead.step();
      add_pair<Type, R, C>(panel, x, b, j, total);
    }
  } else {
    for (int j = 0; j < kSubs; ++j) {
      if (j % (kSubs / 8) == 0) ahead.step();
      if (Type::kNibbles == Nibbles::pairs && j % 2 == 1) {
        add_sub_block<Type, R, C, 1>(panel, x, b, j, total);
      } else {
        add_sub_block<Type, R, C, 0>(panel, x, b, j, total);
      }
    }
  }
}

template <typename Type, int R, int C>
[[gnu::always_inline]] inline void multiply(const Panel256* panel, const Columns& x, int blocks,
                                            __m512 (*sum)[C], Ahead& ahead) {
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c) sum[r][c] = _mm512_setzero_ps();
  for (int b = 0; b < blocks; ++b) {
    __m512i total[R][C];
    multiply_super_block<Type, R, C>(panel, x, b, total, ahead);
    if constexpr (Type::kMinimum && Type::kPaired && R * C > 8) {
      combine_minima<256 / Type::kSub, R, C>(panel, x, b, total, sum);
      continue;
    }
    __m512 d[R];
    for (int r = 0; r < R; ++r) d[r] = _mm512_load_ps(panel[r].scales[b].d);
    combine<R, C>(d, x, b, total, sum);
    if (Type::kMinimum) subtract_minima<256 / Type::kSub, R, C>(panel, x, b, sum);
  }
}

}  // namespace
}  // namespace weir::kernels
