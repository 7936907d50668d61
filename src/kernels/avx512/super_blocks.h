// Super-blocks of 256 weights, unpacked where the file has them, for a few tokens: a row's weights
// in the order that costs least, and the activations in the same order. Where the sub-block sums
// fit 16 bits (all types but IQ4_XS), scales are applied by a 16-bit dot product.
#pragma once

#include "kernels/avx512/unpack.h"
#include "kernels/kernels.h"

namespace weir::kernels {
namespace {

/// Activations of one super-block and token.
struct Column {
  __m512i q[4];
  __m256i runs;  // int16 sums of 16, or of 32 in the lower half
};

/// One row's weights of a super-block, unsigned, in the order of Column.
struct Weights {
  __m512i q[4];
  __m512i scale[2];  // int16, of the packed sums: see products()
  __m256i runs;      // int16 factors of the runs of activations: minima, or scales
};

inline __m512i dot(__m512i w, __m512i x) {
  return _mm512_dpbusd_epi32(_mm512_setzero_si512(), w, x);
}

/// The scaled sum of products, still spread over lanes. kJoined: q[0] and q[1] have the same scales
/// in the same places and their joint sums fit 16 bits, and so have q[2] and q[3]; scale[0] is that
/// of the packed sums. Else scale[0] is that of q[0] and q[1], packed, and scale[1] of the others.
template <bool kJoined>
inline __m512i products(const Weights& w, const __m512i* x) {
  if constexpr (kJoined) {
    const __m512i first = _mm512_dpbusd_epi32(dot(w.q[0], x[0]), w.q[1], x[1]);
    const __m512i second = _mm512_dpbusd_epi32(dot(w.q[2], x[2]), w.q[3], x[3]);
    return _mm512_madd_epi16(_mm512_packs_epi32(first, second), w.scale[0]);
  }
  const __m512i first = _mm512_packs_epi32(dot(w.q[0], x[0]), dot(w.q[1], x[1]));
  const __m512i second = _mm512_packs_epi32(dot(w.q[2], x[2]), dot(w.q[3], x[3]));
  return _mm512_dpwssd_epi32(_mm512_madd_epi16(first, w.scale[0]), second, w.scale[1]);
}

/// scale[0] and scale[1] from int16 scales: word i takes that of `index` word i, plus 4 or 8 in the
/// second.
inline void spread_scales(__m512i index, short step, __m512i scales, Weights& w) {
  w.scale[0] = _mm512_permutexvar_epi16(index, scales);
  w.scale[1] = _mm512_permutexvar_epi16(_mm512_add_epi16(index, _mm512_set1_epi16(step)), scales);
}

/// Four registers of activations as they lie.
struct Activations {
  __m512i x[4];
  __m256i runs;
};
inline Activations activations(const MatmulArgs& a, int64_t t, int64_t b) {
  const int8_t* q = a.xq.q + t * a.xq.q_stride + 256 * b;
  return {{load512(q), load512(q + 64), load512(q + 128), load512(q + 192)},
          load256(a.xq.s + t * a.xq.s_stride + 16 * b)};
}

/// What Q4_K and Q5_K share: the low nibbles of 64 bytes are sub-blocks 0 and 2, the high ones 1
/// and 3 (then 4, 6 and 5, 7); eight scales and minima of 6 bits. Lane l of q[0] has the first half
/// of sub-block 2 l, of q[1] the second half; q[2] and q[3] have those of sub-block 2 l + 1.
struct PairedSubBlocks {
  static constexpr bool kMinimum = true, kJoined = true;
  static constexpr int kRuns = 8, kShift = 0;

  static Column column(const MatmulArgs& a, int64_t t, int64_t b) {
    const Activations v = activations(a, t, b);
    const __m256i pairs = _mm256_madd_epi16(v.runs, _mm256_set1_epi16(1));
    const __m512i first[2] = {_mm512_shuffle_i32x4(v.x[0], v.x[1], 0x88),
                              _mm512_shuffle_i32x4(v.x[2], v.x[3], 0x88)};
    const __m512i second[2] = {_mm512_shuffle_i32x4(v.x[0], v.x[1], 0xdd),
                               _mm512_shuffle_i32x4(v.x[2], v.x[3], 0xdd)};
    return {{_mm512_shuffle_i32x4(first[0], first[1], 0x88),
             _mm512_shuffle_i32x4(second[0], second[1], 0x88),
             _mm512_shuffle_i32x4(first[0], first[1], 0xdd),
             _mm512_shuffle_i32x4(second[0], second[1], 0xdd)},
            _mm256_zextsi128_si256(_mm256_cvtepi32_epi16(pairs))};
  }

  /// The first (0x88) or second (0xdd) 16 bytes of each 32.
  template <int kHalf>
  static __m512i halves(const uint8_t* qs) {
    return _mm512_shuffle_i32x4(load512(qs), load512(qs + 64), kHalf);
  }

  static void unpack_scales(const uint8_t* packed, Weights& w) {
    const SixBitPairs p = six_bit_pairs(packed);
    const auto widened = [](uint64_t bytes) {
      return _mm_cvtepu8_epi16(_mm_cvtsi64_si128(static_cast<int64_t>(bytes)));
    };
    const __m512i index = _mm512_set_epi64(
        0x0007000700070007, 0x0006000600060006, 0x0005000500050005, 0x0004000400040004,
        0x0003000300030003, 0x0002000200020002, 0x0001000100010001, 0);
    w.scale[0] = _mm512_permutexvar_epi16(index, _mm512_castsi128_si512(widened(p.scale)));
    w.runs = _mm256_castsi128_si256(widened(p.min));
  }
};

struct SuperQ4_K : PairedSubBlocks {
  using Block = BlockQ4_K;
  static Weights unpack(const Block& w) {
    const __m512i mask = _mm512_set1_epi8(15);
    const __m512i first = halves<0x88>(w.qs), second = halves<0xdd>(w.qs);
    Weights u;
    u.q[0] = _mm512_and_si512(first, mask);
    u.q[1] = _mm512_and_si512(second, mask);
    u.q[2] = _mm512_and_si512(_mm512_srli_epi16(first, 4), mask);
    u.q[3] = _mm512_and_si512(_mm512_srli_epi16(second, 4), mask);
    unpack_scales(w.scales, u);
    return u;
  }
};

struct SuperQ5_K : PairedSubBlocks {
  using Block = BlockQ5_K;
  static Weights unpack(const Block& w) {
    const __m512i mask = _mm512_set1_epi8(15), bit = _mm512_set1_epi8(16);
    const __m512i first = halves<0x88>(w.qs), second = halves<0xdd>(w.qs);
    const __m256i h = load256(w.qh);  // bit j of a byte belongs to sub-block j
    // Lane l shifted by 2 l: bits 0 and 1 are those of sub-blocks 2 l and 2 l + 1.
    const __m512i right = _mm512_setr_epi64(0, 0, four_words(2), four_words(2), four_words(4),
                                            four_words(4), four_words(6), four_words(6));
    const __m512i h0 = _mm512_srlv_epi16(_mm512_broadcast_i32x4(_mm256_castsi256_si128(h)), right);
    const __m512i h1 =
        _mm512_srlv_epi16(_mm512_broadcast_i32x4(_mm256_extracti128_si256(h, 1)), right);
    const auto join = [&](__m512i low, __m512i high) {
      return _mm512_or_si512(_mm512_and_si512(low, mask), _mm512_and_si512(high, bit));
    };
    Weights u;
    u.q[0] = join(first, _mm512_slli_epi16(h0, 4));
    u.q[1] = join(second, _mm512_slli_epi16(h1, 4));
    u.q[2] = join(_mm512_srli_epi16(first, 4), _mm512_slli_epi16(h0, 3));
    u.q[3] = join(_mm512_srli_epi16(second, 4), _mm512_slli_epi16(h1, 3));
    unpack_scales(w.scales, u);
    return u;
  }

 private:
  static constexpr long long four_words(long long x) { return x * 0x0001000100010001; }
};

/// File order. Lane i of the packed sums of two registers: run i of the first, then of the second.
struct SuperQ6_K {
  using Block = BlockQ6_K;
  static constexpr bool kMinimum = false, kJoined = false;
  static constexpr int kRuns = 16, kShift = 5;

  static Column column(const MatmulArgs& a, int64_t t, int64_t b) {
    const Activations v = activations(a, t, b);
    return {{v.x[0], v.x[1], v.x[2], v.x[3]}, v.runs};
  }
  static Weights unpack(const Block& w) {
    const __m512i mask = _mm512_set1_epi8(15), bits = _mm512_set1_epi8(0x30);
    const __m512i left = _mm512_inserti64x4(_mm512_set1_epi16(4), _mm256_set1_epi16(2), 1);
    const __m512i right = _mm512_inserti64x4(_mm512_setzero_si512(), _mm256_set1_epi16(2), 1);
    Weights u;
    for (int half = 0; half < 2; ++half) {
      const __m512i q = load512(w.ql + 64 * half);
      const __m512i h = _mm512_broadcast_i64x4(load256(w.qh + 32 * half));
      u.q[2 * half] = _mm512_or_si512(_mm512_and_si512(q, mask),
                                      _mm512_and_si512(_mm512_sllv_epi16(h, left), bits));
      u.q[2 * half + 1] = _mm512_or_si512(_mm512_and_si512(_mm512_srli_epi16(q, 4), mask),
                                          _mm512_and_si512(_mm512_srlv_epi16(h, right), bits));
    }
    u.runs = _mm256_cvtepi8_epi16(load128(w.scales));
    const __m512i index = _mm512_set_epi64(
        0x0007000700070007, 0x0003000300030003, 0x0006000600060006, 0x0002000200020002,
        0x0005000500050005, 0x0001000100010001, 0x0004000400040004, 0);
    spread_scales(index, 8, _mm512_castsi256_si512(u.runs), u);
    return u;
  }
};

/// What Q2_K and Q3_K share: register p has the elements of plane p (bits 2 p and 2 p + 1) of the
/// first 32 bytes, then those of the second 32.
struct Planes {
  static constexpr bool kJoined = false;
  static constexpr int kRuns = 16;

  static Column column(const MatmulArgs& a, int64_t t, int64_t b) {
    const Activations v = activations(a, t, b);
    return {
        {_mm512_shuffle_i64x2(v.x[0], v.x[2], 0x44), _mm512_shuffle_i64x2(v.x[0], v.x[2], 0xee),
         _mm512_shuffle_i64x2(v.x[1], v.x[3], 0x44), _mm512_shuffle_i64x2(v.x[1], v.x[3], 0xee)},
        v.runs};
  }
  /// scales[j] multiplies run j of 16 elements.
  static void spread(__m256i scales, Weights& w) {
    const __m512i index = _mm512_set_epi64(
        0x000b000b000b000b, 0x0009000900090009, 0x000a000a000a000a, 0x0008000800080008,
        0x0003000300030003, 0x0001000100010001, 0x0002000200020002, 0);
    spread_scales(index, 4, _mm512_castsi256_si512(scales), w);
  }
};

struct SuperQ2_K : Planes {
  using Block = BlockQ2_K;
  static constexpr bool kMinimum = true;
  static constexpr int kShift = 0;
  static Weights unpack(const Block& w) {
    const __m512i mask = _mm512_set1_epi8(3), q = load512(w.qs);
    const __m128i packed = load128(w.scales), low = _mm_set1_epi8(15);
    Weights u;
    u.q[0] = _mm512_and_si512(q, mask);
    u.q[1] = _mm512_and_si512(_mm512_srli_epi16(q, 2), mask);
    u.q[2] = _mm512_and_si512(_mm512_srli_epi16(q, 4), mask);
    u.q[3] = _mm512_and_si512(_mm512_srli_epi16(q, 6), mask);
    spread(_mm256_cvtepu8_epi16(_mm_and_si128(packed, low)), u);
    u.runs = _mm256_cvtepu8_epi16(_mm_and_si128(_mm_srli_epi16(packed, 4), low));
    return u;
  }
};

struct SuperQ3_K : Planes {
  using Block = BlockQ3_K;
  static constexpr bool kMinimum = false;
  static constexpr int kShift = 2;
  /// Sixteen 6-bit scales less 32: the low nibbles of 8 bytes, the high ones; 4 bytes of high bits.
  static __m256i scales(const uint8_t* packed) {
    int64_t eight;
    __builtin_memcpy(&eight, packed, 8);
    const __m128i both = _mm_cvtsi64_si128(eight);
    const __m128i low =
        _mm_and_si128(_mm_unpacklo_epi64(both, _mm_srli_epi16(both, 4)), _mm_set1_epi8(15));
    const __m128i bits = _mm_srlv_epi32(_mm_set1_epi32(static_cast<int>(load_bits(packed + 8))),
                                        _mm_setr_epi32(0, 2, 4, 6));
    const __m128i high = _mm_slli_epi16(_mm_and_si128(bits, _mm_set1_epi8(3)), 4);
    return _mm256_cvtepi8_epi16(_mm_sub_epi8(_mm_or_si128(low, high), _mm_set1_epi8(32)));
  }
  /// Two bits of q and the third of h, whose bit 2 it is.
  static __m512i join(__m512i q, __m512i h) {
    return _mm512_ternarylogic_epi32(_mm512_and_si512(q, _mm512_set1_epi8(3)), h,
                                     _mm512_set1_epi8(4), 0xf8);  // a | (b & c)
  }
  static Weights unpack(const Block& w) {
    const __m512i q = load512(w.qs);
    // Bit p of the mask belongs to plane p of the first 32 bytes, bit p + 4 to that of the second.
    const __m512i left = _mm512_inserti64x4(_mm512_set1_epi16(4), _mm256_setzero_si256(), 1);
    const __m512i h = _mm512_sllv_epi16(_mm512_broadcast_i64x4(load256(w.hmask)), left);
    Weights u;
    u.q[0] = join(q, _mm512_srli_epi16(h, 2));
    u.q[1] = join(_mm512_srli_epi16(q, 2), _mm512_srli_epi16(h, 3));
    u.q[2] = join(_mm512_srli_epi16(q, 4), _mm512_srli_epi16(h, 4));
    u.q[3] = join(_mm512_srli_epi16(q, 6), _mm512_srli_epi16(h, 5));
    u.runs = scales(w.scales);
    spread(u.runs, u);
    return u;
  }
};

/// run.operator()<Type>() with one of the descriptions above; false for other types.
template <typename Run>
inline bool for_super_block(DType type, Run run) {
  switch (type) {
    case DType::q2_k:
      return run.template operator()<SuperQ2_K>();
    case DType::q3_k:
      return run.template operator()<SuperQ3_K>();
    case DType::q4_k:
      return run.template operator()<SuperQ4_K>();
    case DType::q5_k:
      return run.template operator()<SuperQ5_K>();
    case DType::q6_k:
      return run.template operator()<SuperQ6_K>();
    default:
      return false;
  }
}

}  // namespace
}  // namespace weir::kernels
