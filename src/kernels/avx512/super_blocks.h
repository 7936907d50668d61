// Super-blocks of 256 weights, unpacked where the file has them, for one token, or a few: a row's
// weights in the order that costs least, and the activations in the same order. What is small,
// scales and factors, is unpacked for four rows at once, a 128-bit lane a row (octets.h reads that,
// too). Where the sub-block sums fit 16 bits (all types but IQ4_XS), scales are applied by a 16-bit
// dot product.
#pragma once

#include "kernels/avx512/stream.h"
#include "kernels/avx512/unpack.h"
#include "kernels/kernels.h"

namespace weir::kernels {
namespace {

/// What four rows' super-blocks say beside their weights; lane r of a register is row r's.
struct Heads {
  __m512i scale[2];  // int16, 8 a register
  __m512i runs[2];   // int16 factors of the runs of activations, 8 a register: minima, or scales
  __m256 d;          // one a row: d, then dmin where there is one
};

/// One row's weights of a super-block, unsigned, in the order of the type's column().
struct Weights {
  __m512i q[4];
  __m512i scale[2];  // int16, of the packed sums: see products()
};

/// Token t's int16 sums of kRuns runs of super-block b; eight in the lower half.
template <int kRuns>
inline __m256i runs_of(const MatmulArgs& a, int64_t t, int64_t b) {
  const __m256i sixteen = load256(a.xq.s + t * a.xq.s_stride + 16 * b);
  if constexpr (kRuns == 16) return sixteen;
  const __m256i pairs = _mm256_madd_epi16(sixteen, _mm256_set1_epi16(1));
  return _mm256_zextsi128_si256(_mm256_cvtepi32_epi16(pairs));
}

/// Four registers of activations as they lie.
struct Activations {
  __m512i x[4];
};
inline Activations activations(const MatmulArgs& a, int64_t t, int64_t b) {
  const int8_t* q = a.xq.q + t * a.xq.q_stride + 256 * b;
  return {{load512(q), load512(q + 64), load512(q + 128), load512(q + 192)}};
}

/// Activations of one super-block as the streams read them.
template <typename Type, int kTokens>
struct alignas(64) Arranged {
  __m512i q[kTokens][4];
  __m128i runs[kTokens][Type::kRuns / 8];
  float d[4];  // 0 for tokens that are not there
};

template <typename Type, int kTokens>
inline void arrange(const MatmulArgs& a, Arranged<Type, kTokens>* x) {
  for (int64_t b = 0; b < a.k / 256; ++b)
    for (int t = 0; t < 4; ++t) {
      x[b].d[t] = t < kTokens ? a.xq.d[t * a.xq.d_stride + b] : 0.0f;
      if (t >= kTokens) continue;
      const Activations column = Type::column(activations(a, t, b));
      for (int i = 0; i < 4; ++i) x[b].q[t][i] = column.x[i];
      const __m256i runs = runs_of<Type::kRuns>(a, t, b);
      __builtin_memcpy(x[b].runs[t], &runs, sizeof x[b].runs[t]);
    }
}

/// a | (b & mask).
inline __m512i or_masked(__m512i a, __m512i b, __m512i mask) {
  return _mm512_ternarylogic_epi32(a, b, mask, 0xf8);
}

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

/// Lane r: the products of row r's factors with the runs of token t, in four parts.
template <typename Type, int kTokens>
inline __m512i run_products(const Heads& h, const Arranged<Type, kTokens>& x, int t) {
  const __m512i sum = _mm512_madd_epi16(h.runs[0], _mm512_broadcast_i32x4(x.runs[t][0]));
  if constexpr (Type::kRuns == 8) return sum;
  return _mm512_dpwssd_epi32(sum, h.runs[1],
                             _mm512_broadcast_i32x4(x.runs[t][Type::kRuns / 8 - 1]));
}

/// Lane r: the 16 bytes at `offset` of row r's block b.
template <typename Block>
inline __m512i four_rows(const Block* const* row, int64_t b, size_t offset) {
  const auto at = [&](int r) { return reinterpret_cast<const std::byte*>(row[r] + b) + offset; };
  return gather128(at(0), at(1), at(2), at(3));
}

/// The halves at words i and j of each lane, widened: those of four rows, then the others.
template <short i, short j>
inline __m256 widened_words(__m512i h) {
  const __m128i index = _mm_setr_epi16(i, i + 8, i + 16, i + 24, j, j + 8, j + 16, j + 24);
  return _mm256_cvtph_ps(
      _mm512_castsi512_si128(_mm512_permutexvar_epi16(_mm512_castsi128_si512(index), h)));
}

/// 16 bytes of each lane as words.
struct Words {
  __m512i low, high;
};
inline Words unsigned_words(__m512i bytes) {
  const __m512i zero = _mm512_setzero_si512();
  return {_mm512_unpacklo_epi8(bytes, zero), _mm512_unpackhi_epi8(bytes, zero)};
}
inline Words signed_words(__m512i bytes) {
  const __m512i zero = _mm512_setzero_si512();
  return {_mm512_srai_epi16(_mm512_unpacklo_epi8(zero, bytes), 8),
          _mm512_srai_epi16(_mm512_unpackhi_epi8(zero, bytes), 8)};
}

/// Eight words of lane r, each four times: those of numbers `order`.
template <int... order>
inline __m512i spread(__m512i words, int r) {
  const __m512i first = __m512i{(order * 0x0001000100010001)...};
  const auto lane = static_cast<short>(8 * r);
  return _mm512_permutexvar_epi16(_mm512_add_epi16(first, _mm512_set1_epi16(lane)), words);
}

/// What Q4_K and Q5_K share: the low nibbles of 64 bytes are sub-blocks 0 and 2, the high ones 1
/// and 3 (then 4, 6 and 5, 7); eight scales and minima of 6 bits. Lane l of q[0] has the first half
/// of sub-block 2 l, of q[1] the second half; q[2] and q[3] have those of sub-block 2 l + 1.
struct PairedSubBlocks {
  static constexpr bool kMinimum = true, kJoined = true;
  static constexpr int kRuns = 8, kShift = 0;

  static Activations column(const Activations& v) {
    const Quad a0 = lane_halves(v.x[0], v.x[1]), a1 = lane_halves(v.x[2], v.x[3]);
    const Quad first = lane_halves(a0.low, a1.low), second = lane_halves(a0.high, a1.high);
    return {{first.low, second.low, first.high, second.high}};
  }

  static Quad halves(const uint8_t* qs) { return lane_halves(load_once(qs), load_once(qs + 64)); }

  /// d, dmin and 12 bytes, which are three dwords: eight scales, then eight minima. The same as
  /// six_bit_pairs(), for four rows at once.
  template <typename Block>
  static Heads heads(const Block* const* row, int64_t b) {
    const __m512i h = four_rows(row, b, 0);
    const auto four_times = [](int e0, int e1, int e2, int e3) {
      return _mm512_broadcast_i32x4(_mm_setr_epi32(e0, e1, e2, e3));
    };
    const __m512i six = _mm512_shuffle_epi32(h, _MM_PERM_ENUM(0xed));   // dwords 1, 3, 2, 3
    const __m512i high = _mm512_shuffle_epi32(h, _MM_PERM_ENUM(0x84));  // dwords -, 1, -, 2
    const __m512i low =
        _mm512_and_si512(_mm512_srlv_epi32(six, four_times(0, 0, 0, 4)),
                         four_times(0x3f3f3f3f, 0x0f0f0f0f, 0x3f3f3f3f, 0x0f0f0f0f));
    const Words words = unsigned_words(
        or_masked(low, _mm512_srli_epi32(high, 2), four_times(0, 0x30303030, 0, 0x30303030)));
    return {{words.low, words.low}, {words.high, words.high}, widened_words<0, 1>(h)};
  }
  static void spread_scales(const Heads& h, int r, Weights& w) {
    w.scale[0] = w.scale[1] = spread<0, 1, 2, 3, 4, 5, 6, 7>(h.scale[0], r);
  }
};

struct SuperQ4_K : PairedSubBlocks {
  using Block = BlockQ4_K;
  static Weights unpack(const Block& w, const Heads& h, int r) {
    const __m512i mask = _mm512_set1_epi8(15);
    const auto [first, second] = halves(w.qs);
    Weights u;
    u.q[0] = _mm512_and_si512(first, mask);
    u.q[1] = _mm512_and_si512(second, mask);
    u.q[2] = _mm512_and_si512(_mm512_srli_epi16(first, 4), mask);
    u.q[3] = _mm512_and_si512(_mm512_srli_epi16(second, 4), mask);
    spread_scales(h, r, u);
    return u;
  }
};

struct SuperQ5_K : PairedSubBlocks {
  using Block = BlockQ5_K;
  static Weights unpack(const Block& w, const Heads& heads, int r) {
    const __m512i mask = _mm512_set1_epi8(15), bit = _mm512_set1_epi8(16);
    const auto [first, second] = halves(w.qs);
    const __m256i h = load256(w.qh);  // bit j of a byte belongs to sub-block j
    // Lane l shifted by 2 l: bits 0 and 1 are those of sub-blocks 2 l and 2 l + 1.
    const __m512i right = _mm512_setr_epi64(0, 0, four_words(2), four_words(2), four_words(4),
                                            four_words(4), four_words(6), four_words(6));
    const __m512i h0 = _mm512_srlv_epi16(_mm512_broadcast_i32x4(_mm256_castsi256_si128(h)), right);
    const __m512i h1 =
        _mm512_srlv_epi16(_mm512_broadcast_i32x4(_mm256_extracti128_si256(h, 1)), right);
    const auto join = [&](__m512i low, __m512i high) {
      return or_masked(_mm512_and_si512(low, mask), high, bit);
    };
    Weights u;
    u.q[0] = join(first, _mm512_slli_epi16(h0, 4));
    u.q[1] = join(second, _mm512_slli_epi16(h1, 4));
    u.q[2] = join(_mm512_srli_epi16(first, 4), _mm512_slli_epi16(h0, 3));
    u.q[3] = join(_mm512_srli_epi16(second, 4), _mm512_slli_epi16(h1, 3));
    spread_scales(heads, r, u);
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

  static Activations column(const Activations& v) { return v; }
  static Heads heads(const Block* const* row, int64_t b) {
    const Words words = signed_words(four_rows(row, b, offsetof(Block, scales)));
    return {{words.low, words.high},
            {words.low, words.high},
            widened_words<7, 7>(four_rows(row, b, sizeof(Block) - 16))};
  }
  static Weights unpack(const Block& w, const Heads& heads, int r) {
    const __m512i mask = _mm512_set1_epi8(15), bits = _mm512_set1_epi8(0x30);
    const __m512i left = _mm512_inserti64x4(_mm512_set1_epi16(4), _mm256_set1_epi16(2), 1);
    const __m512i right = _mm512_inserti64x4(_mm512_setzero_si512(), _mm256_set1_epi16(2), 1);
    Weights u;
    for (int half = 0; half < 2; ++half) {
      const __m512i q = load_once(w.ql + 64 * half);
      const __m512i h = _mm512_broadcast_i64x4(load256(w.qh + 32 * half));
      u.q[2 * half] = or_masked(_mm512_and_si512(q, mask), _mm512_sllv_epi16(h, left), bits);
      u.q[2 * half + 1] = or_masked(_mm512_and_si512(_mm512_srli_epi16(q, 4), mask),
                                    _mm512_srlv_epi16(h, right), bits);
    }
    for (int i = 0; i < 2; ++i) u.scale[i] = spread<0, 4, 1, 5, 2, 6, 3, 7>(heads.scale[i], r);
    return u;
  }
};

/// What Q2_K and Q3_K share: register p has the elements of plane p (bits 2 p and 2 p + 1) of the
/// first 32 bytes, then those of the second 32.
struct Planes {
  static constexpr bool kJoined = false;
  static constexpr int kRuns = 16;

  static Activations column(const Activations& v) {
    return {{_mm512_shuffle_i64x2(v.x[0], v.x[2], 0x44), _mm512_shuffle_i64x2(v.x[0], v.x[2], 0xee),
             _mm512_shuffle_i64x2(v.x[1], v.x[3], 0x44),
             _mm512_shuffle_i64x2(v.x[1], v.x[3], 0xee)}};
  }
  static void spread_scales(const Heads& h, int r, Weights& w) {
    const __m512i front = _mm512_unpacklo_epi64(h.scale[0], h.scale[1]);
    const __m512i back = _mm512_unpackhi_epi64(h.scale[0], h.scale[1]);
    w.scale[0] = spread<0, 2, 1, 3, 4, 6, 5, 7>(front, r);
    w.scale[1] = spread<0, 2, 1, 3, 4, 6, 5, 7>(back, r);
  }
};

struct SuperQ2_K : Planes {
  using Block = BlockQ2_K;
  static constexpr bool kMinimum = true;
  static constexpr int kShift = 0;

  /// A byte a run: its scale in the low nibble, its minimum in the high one.
  static Heads heads(const Block* const* row, int64_t b) {
    const __m512i packed = four_rows(row, b, offsetof(Block, scales)), low = _mm512_set1_epi8(15);
    const Words scales = unsigned_words(_mm512_and_si512(packed, low));
    const Words minima = unsigned_words(_mm512_and_si512(_mm512_srli_epi16(packed, 4), low));
    return {{scales.low, scales.high},
            {minima.low, minima.high},
            widened_words<6, 7>(four_rows(row, b, sizeof(Block) - 16))};
  }
  static Weights unpack(const Block& w, const Heads& heads, int r) {
    const __m512i mask = _mm512_set1_epi8(3), q = load_once(w.qs);
    Weights u;
    u.q[0] = _mm512_and_si512(q, mask);
    u.q[1] = _mm512_and_si512(_mm512_srli_epi16(q, 2), mask);
    u.q[2] = _mm512_and_si512(_mm512_srli_epi16(q, 4), mask);
    u.q[3] = _mm512_and_si512(_mm512_srli_epi16(q, 6), mask);
    spread_scales(heads, r, u);
    return u;
  }
};

struct SuperQ3_K : Planes {
  using Block = BlockQ3_K;
  static constexpr bool kMinimum = false;
  static constexpr int kShift = 2;

  /// Sixteen 6-bit scales plus 32: the low nibbles of 8 bytes, the high ones; 4 bytes of high bits.
  /// Then d.
  static Heads heads(const Block* const* row, int64_t b) {
    const __m512i h = four_rows(row, b, sizeof(Block) - 16);  // scales begin at byte 2
    const __m512i eight = _mm512_shuffle_epi8(
        h, _mm512_broadcast_i32x4(_mm_setr_epi8(2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5, 6, 7, 8, 9)));
    const __m512i four = _mm512_shuffle_epi8(
        h, _mm512_broadcast_i32x4(
               _mm_setr_epi8(10, 11, 12, 13, 10, 11, 12, 13, 10, 11, 12, 13, 10, 11, 12, 13)));
    const __m512i low = _mm512_and_si512(
        _mm512_srlv_epi64(eight, _mm512_setr_epi64(0, 4, 0, 4, 0, 4, 0, 4)), _mm512_set1_epi8(15));
    // Bits 2 j and 2 j + 1 of a byte go to 4 and 5.
    const __m512i high =
        _mm512_rolv_epi32(four, _mm512_broadcast_i32x4(_mm_setr_epi32(4, 2, 0, 30)));
    const Words scales = signed_words(
        _mm512_sub_epi8(or_masked(low, high, _mm512_set1_epi8(0x30)), _mm512_set1_epi8(32)));
    return {{scales.low, scales.high}, {scales.low, scales.high}, widened_words<7, 7>(h)};
  }
  /// Two bits of q and the third of h, whose bit 2 it is.
  static __m512i join(__m512i q, __m512i h) {
    return or_masked(_mm512_and_si512(q, _mm512_set1_epi8(3)), h, _mm512_set1_epi8(4));
  }
  static Weights unpack(const Block& w, const Heads& heads, int r) {
    const __m512i q = load_once(w.qs);
    // Bit p of the mask belongs to plane p of the first 32 bytes, bit p + 4 to that of the second.
    const __m512i left = _mm512_inserti64x4(_mm512_set1_epi16(4), _mm256_setzero_si256(), 1);
    const __m512i h = _mm512_sllv_epi16(_mm512_broadcast_i64x4(load256(w.hmask)), left);
    Weights u;
    u.q[0] = join(q, _mm512_srli_epi16(h, 2));
    u.q[1] = join(_mm512_srli_epi16(q, 2), _mm512_srli_epi16(h, 3));
    u.q[2] = join(_mm512_srli_epi16(q, 4), _mm512_srli_epi16(h, 4));
    u.q[3] = join(_mm512_srli_epi16(q, 6), _mm512_srli_epi16(h, 5));
    spread_scales(heads, r, u);
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
