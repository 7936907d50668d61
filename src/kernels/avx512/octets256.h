// Super-blocks of 256 weights as octets (octets.h), unpacked where the file has them.
#pragma once

#include "kernels/avx512/octets.h"
#include "kernels/avx512/super_blocks.h"

namespace weir::kernels {
namespace {

/// Activations of one super-block and kTokens tokens; the last pair's second may not be there.
template <typename Type, int kTokens>
struct alignas(64) OctetColumn {
  static constexpr int kPairs = (kTokens + 1) / 2;

  int8_t q[kTokens][256];
  int16_t runs[kTokens][Type::kRuns];  // as runs_of() gives them
  alignas(64) float d[kPairs][16];     // lanes of two for the first token, two for the second
};

template <typename Type, int kTokens>
inline void arrange_octets(const MatmulArgs& a, OctetColumn<Type, kTokens>* x) {
  for (int64_t b = 0; b < a.k / 256; ++b)
    for (int t = 0; t < 2 * x->kPairs; ++t) {
      const bool there = t < kTokens;
      const float d = there ? a.xq.d[t * a.xq.d_stride + b] : 0.0f;
      fill_pair(x[b].d[t / 2], t % 2, d);
      if (!there) continue;
      __builtin_memcpy(x[b].q[t], a.xq.q + t * a.xq.q_stride + 256 * b, 256);
      const __m256i runs = runs_of<Type::kRuns>(a, t, b);
      __builtin_memcpy(x[b].runs[t], &runs, sizeof x[b].runs[t]);
    }
}

/// x moved right by so many bits; left, where they are fewer than none. Neighbours' bits come in.
template <int kBits>
inline __m512i moved(__m512i x) {
  if constexpr (kBits > 0) return _mm512_srli_epi16(x, kBits);
  if constexpr (kBits < 0) return _mm512_slli_epi16(x, -kBits);
  return x;
}

// Of each type: kSub, the weights of a scale; kSummed, of how many octets of a sub-block the
// products may be summed in fours to fit 16 bits; turn<half>, which makes what weights 128 half ...
// need, where half 0 comes first; octet<half, i>, weights 128 half + 8 i ..., unsigned.

struct OctetsQ4_K : SuperQ4_K {
  static constexpr int kSub = 32, kSummed = 4;
  struct Turned {
    __m512i q[8];
  };
  template <int half>
  static void turn(const Block* const* row, int64_t b, Turned* x) {
    turn64(row, b, offsetof(Block, qs) + 64 * half, x->q);
  }
  template <int half, int i>
  static __m512i octet(const Turned& x) {
    return _mm512_and_si512(moved<i / 4 % 2 * 4>(x.q[i / 8 * 4 + i % 4]), _mm512_set1_epi8(15));
  }
};

struct OctetsQ5_K : SuperQ5_K {
  static constexpr int kSub = 32, kSummed = 2;
  struct Turned {
    __m512i q[8], h[4];
  };
  template <int half>
  static void turn(const Block* const* row, int64_t b, Turned* x) {
    if (half == 0) turn32(row, b, offsetof(Block, qh), x->h);
    turn64(row, b, offsetof(Block, qs) + 64 * half, x->q);
  }
  template <int half, int i>
  static __m512i octet(const Turned& x) {
    const __m512i low =
        _mm512_and_si512(moved<i / 4 % 2 * 4>(x.q[i / 8 * 4 + i % 4]), _mm512_set1_epi8(15));
    return or_masked(low, moved<4 * half + i / 4 - 4>(x.h[i % 4]), _mm512_set1_epi8(16));
  }
};

struct OctetsQ6_K : SuperQ6_K {
  static constexpr int kSub = 16, kSummed = 1;
  struct Turned {
    __m512i q[8], h[4];
  };
  template <int half>
  static void turn(const Block* const* row, int64_t b, Turned* x) {
    turn64(row, b, offsetof(Block, ql) + 64 * half, x->q);
    turn32(row, b, offsetof(Block, qh) + 32 * half, x->h);
  }
  template <int half, int i>
  static __m512i octet(const Turned& x) {
    const __m512i low = _mm512_and_si512(moved<i / 8 * 4>(x.q[i % 8]), _mm512_set1_epi8(15));
    return or_masked(low, moved<i / 4 * 2 - 4>(x.h[i % 4]), _mm512_set1_epi8(0x30));
  }
};

struct OctetsQ2_K : SuperQ2_K {
  static constexpr int kSub = 16, kSummed = 2;
  struct Turned {
    __m512i q[4];
  };
  template <int half>
  static void turn(const Block* const* row, int64_t b, Turned* x) {
    turn32(row, b, offsetof(Block, qs) + 32 * half, x->q);
  }
  template <int half, int i>
  static __m512i octet(const Turned& x) {
    return _mm512_and_si512(moved<i / 4 * 2>(x.q[i % 4]), _mm512_set1_epi8(3));
  }
};

struct OctetsQ3_K : SuperQ3_K {
  static constexpr int kSub = 16, kSummed = 2;
  struct Turned {
    __m512i q[4], h[4];
  };
  template <int half>
  static void turn(const Block* const* row, int64_t b, Turned* x) {
    if (half == 0) turn32(row, b, offsetof(Block, hmask), x->h);
    turn32(row, b, offsetof(Block, qs) + 32 * half, x->q);
  }
  template <int half, int i>
  static __m512i octet(const Turned& x) {
    return join(moved<i / 4 * 2>(x.q[i % 4]), moved<4 * half + i / 4 - 2>(x.h[i % 4]));
  }
};

/// What eight rows' super-blocks say beside their weights. Of a lane the even row has the first of
/// two places, the odd row the second.
template <typename Type>
struct OctetHeads {
  static constexpr int kScales = 64 / Type::kSub, kFactors = Type::kRuns / 4;

  __m512i scale[kScales];    // words, alternately of either row: four sub-blocks
  __m512i factor[kFactors];  // words: those of four runs of the even row, then of the odd one
  __m512 d, dmin;            // alternately of either row

  [[gnu::always_inline]] OctetHeads(const typename Type::Block* const* row, int64_t b) {
    const typename Type::Block* const rows[] = {row[0], row[2], row[4], row[6],
                                                row[1], row[3], row[5], row[7]};
    const Heads even = Type::heads(rows, b), odd = Type::heads(rows + 4, b);
    for (int i = 0; i < kScales / 2; ++i) {
      scale[2 * i] = _mm512_unpacklo_epi16(even.scale[i], odd.scale[i]);
      scale[2 * i + 1] = _mm512_unpackhi_epi16(even.scale[i], odd.scale[i]);
    }
    for (int i = 0; i < kFactors / 2; ++i) {
      factor[2 * i] = _mm512_unpacklo_epi64(even.runs[i], odd.runs[i]);
      factor[2 * i + 1] = _mm512_unpackhi_epi64(even.runs[i], odd.runs[i]);
    }
    const __m512i index = _mm512_setr_epi32(0, 16, 0, 16, 1, 17, 1, 17, 2, 18, 2, 18, 3, 19, 3, 19);
    const auto of_both = [&](int first) {
      return _mm512_permutex2var_ps(_mm512_castps256_ps512(even.d),
                                    _mm512_add_epi32(index, _mm512_set1_epi32(first)),
                                    _mm512_castps256_ps512(odd.d));
    };
    d = of_both(0);
    dmin = of_both(4);
  }

  /// Words of a lane: sub-block i of the even row four times, then of the odd one.
  template <int i>
  __m512i scales_of_one() const {
    return picked<i, 0x0100010001000100, 0x0302030203020302>();
  }
  /// Words of a lane: sub-block i of the even row twice, of the odd one twice, then sub-block
  /// i + 1. i is even.
  template <int i>
  __m512i scales_of_two() const {
    return picked<i, 0x0302030201000100, 0x0706070605040504>();
  }

 private:
  /// The bytes of each lane with the numbers in kLow and kHigh, counted from sub-block i's.
  template <int i, long long kLow, long long kHigh>
  __m512i picked() const {
    constexpr long long kFrom = i % 4 * 0x0404040404040404, kA = kLow + kFrom, kB = kHigh + kFrom;
    constexpr __m512i kIndex = {kA, kB, kA, kB, kA, kB, kA, kB};
    return _mm512_shuffle_epi8(scale[i / 4], kIndex);
  }
};

/// run.operator()<Type>() with one of the descriptions above; false for other types.
template <typename Run>
inline bool for_octets(DType type, Run run) {
  switch (type) {
    case DType::q2_k:
      return run.template operator()<OctetsQ2_K>();
    case DType::q3_k:
      return run.template operator()<OctetsQ3_K>();
    case DType::q4_k:
      return run.template operator()<OctetsQ4_K>();
    case DType::q5_k:
      return run.template operator()<OctetsQ5_K>();
    case DType::q6_k:
      return run.template operator()<OctetsQ6_K>();
    default:
      return false;
  }
}

}  // namespace
}  // namespace weir::kernels
