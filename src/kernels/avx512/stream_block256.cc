// GEMV of the 256-element types for one token: four rows at a time, one super-block of each. Where
// the sub-block sums fit 16 bits (all but IQ4_XS), scales are applied by a 16-bit dot product;
// integers are exact in any order, the float chain runs over super-blocks in order.
#include "kernels/avx512/integer_matmul.h"
#include "kernels/avx512/stream.h"

namespace weir::kernels::avx512 {
namespace {

/// Activations of one super-block, arranged for Q4_K and Q5_K: the low nibbles of 64 bytes are
/// sub-blocks 0 and 2, the high ones 1 and 3 (then 4, 6 and 5, 7).
struct PairedColumn {
  __m512i even0, odd0, even1, odd1;
  __m128i sums;  // eight int16 sums of 32
};

inline PairedColumn paired_column(const MatmulArgs& a, int64_t b) {
  const int8_t* q = a.xq.q + 256 * b;
  const __m512i x0 = load512(q), x1 = load512(q + 64), x2 = load512(q + 128), x3 = load512(q + 192);
  PairedColumn x;
  x.even0 = _mm512_shuffle_i64x2(x0, x1, 0x44);
  x.odd0 = _mm512_shuffle_i64x2(x0, x1, 0xee);
  x.even1 = _mm512_shuffle_i64x2(x2, x3, 0x44);
  x.odd1 = _mm512_shuffle_i64x2(x2, x3, 0xee);
  const __m256i runs = load256(a.xq.s + 16 * b);
  const __m256i pairs = _mm256_madd_epi16(runs, _mm256_set1_epi16(1));
  x.sums = _mm256_cvtepi32_epi16(pairs);
  return x;
}

/// Integer sums of one row and super-block, still spread over lanes.
struct Partial {
  __m512i sum;
  __m128i min;
};

/// Four rows, not yet widened to floats: integer sums and, for types with a minimum, theirs.
struct Totals {
  __m128i sum, min;
};

inline __m512i dot(__m512i w, __m512i x) {
  return _mm512_dpbusd_epi32(_mm512_setzero_si512(), w, x);
}

/// Scales the sums of (even, odd) sub-blocks: scale[j] multiplies sub-block j.
inline Partial scale_pairs(__m512i e0, __m512i o0, __m512i e1, __m512i o1, const uint8_t* packed,
                           const PairedColumn& x) {
  const SixBitPairs p = six_bit_pairs(packed);
  const __m512i scale =
      _mm512_castsi128_si512(_mm_cvtepu8_epi16(_mm_cvtsi64_si128(static_cast<int64_t>(p.scale))));
  const __m512i first =
      _mm512_set_epi64(0x0003000300030003, 0x0002000200020002, 0x0003000300030003,
                       0x0002000200020002, 0x0001000100010001, 0, 0x0001000100010001, 0);
  const __m512i second = _mm512_add_epi16(first, _mm512_set1_epi16(4));
  const __m512i sum0 = _mm512_packs_epi32(e0, o0), sum1 = _mm512_packs_epi32(e1, o1);
  Partial r;
  r.sum = _mm512_madd_epi16(sum0, _mm512_permutexvar_epi16(first, scale));
  r.sum = _mm512_dpwssd_epi32(r.sum, sum1, _mm512_permutexvar_epi16(second, scale));
  const __m128i min = _mm_cvtepu8_epi16(_mm_cvtsi64_si128(static_cast<int64_t>(p.min)));
  r.min = _mm_madd_epi16(min, x.sums);
  return r;
}

struct StreamQ4_K {
  using Block = BlockQ4_K;
  using Column = PairedColumn;
  static constexpr bool kMinimum = true;
  static Column column(const MatmulArgs& a, int64_t b) { return paired_column(a, b); }
  static Partial row(const Block& w, const Column& x) {
    const __m512i mask = _mm512_set1_epi8(15);
    const __m512i q0 = load512(w.qs), q1 = load512(w.qs + 64);
    return scale_pairs(dot(_mm512_and_si512(q0, mask), x.even0),
                       dot(_mm512_and_si512(_mm512_srli_epi16(q0, 4), mask), x.odd0),
                       dot(_mm512_and_si512(q1, mask), x.even1),
                       dot(_mm512_and_si512(_mm512_srli_epi16(q1, 4), mask), x.odd1), w.scales, x);
  }
};

struct StreamQ5_K {
  using Block = BlockQ5_K;
  using Column = PairedColumn;
  static constexpr bool kMinimum = true;
  static Column column(const MatmulArgs& a, int64_t b) { return paired_column(a, b); }
  /// 16-bit shifts of the lower and the upper 256 bits.
  static __m512i counts(short lower, short upper) {
    return _mm512_inserti64x4(_mm512_set1_epi16(lower), _mm256_set1_epi16(upper), 1);
  }
  static Partial row(const Block& w, const Column& x) {
    const __m512i mask = _mm512_set1_epi8(15), bit = _mm512_set1_epi8(16);
    const __m512i q0 = load512(w.qs), q1 = load512(w.qs + 64);
    const __m512i h = _mm512_broadcast_i64x4(load256(w.qh));  // bit j belongs to sub-block j
    const auto join = [&](__m512i low, __m512i high) {
      return _mm512_or_si512(_mm512_and_si512(low, mask), _mm512_and_si512(high, bit));
    };
    const __m512i e0 = join(q0, _mm512_sllv_epi16(h, counts(4, 2)));
    const __m512i o0 = join(_mm512_srli_epi16(q0, 4), _mm512_sllv_epi16(h, counts(3, 1)));
    const __m512i e1 = join(q1, _mm512_srlv_epi16(h, counts(0, 2)));
    const __m512i o1 = join(_mm512_srli_epi16(q1, 4), _mm512_srlv_epi16(h, counts(1, 3)));
    return scale_pairs(dot(e0, x.even0), dot(o0, x.odd0), dot(e1, x.even1), dot(o1, x.odd1),
                       w.scales, x);
  }
};

struct PlainColumn {
  __m512i x[4];
  __m256i sums;  // sixteen int16 sums of 16
};

struct StreamQ6_K {
  using Block = BlockQ6_K;
  using Column = PlainColumn;
  static constexpr bool kMinimum = false;
  static Column column(const MatmulArgs& a, int64_t b) {
    const int8_t* q = a.xq.q + 256 * b;
    return {{load512(q), load512(q + 64), load512(q + 128), load512(q + 192)},
            load256(a.xq.s + 16 * b)};
  }
  static Partial row(const Block& w, const Column& x) {
    const __m512i mask = _mm512_set1_epi8(15), bits = _mm512_set1_epi8(0x30);
    const __m512i left = _mm512_inserti64x4(_mm512_set1_epi16(4), _mm256_set1_epi16(2), 1);
    const __m512i right = _mm512_inserti64x4(_mm512_setzero_si512(), _mm256_set1_epi16(2), 1);
    const __m256i scale = _mm256_cvtepi8_epi16(load128(w.scales));
    const __m512i scale_all = _mm512_castsi256_si512(scale);
    Partial r;
    r.sum = _mm512_setzero_si512();
    for (int half = 0; half < 2; ++half) {
      const __m512i q = load512(w.ql + 64 * half);
      const __m512i h = _mm512_broadcast_i64x4(load256(w.qh + 32 * half));
      const __m512i first = _mm512_or_si512(_mm512_and_si512(q, mask),
                                            _mm512_and_si512(_mm512_sllv_epi16(h, left), bits));
      const __m512i second = _mm512_or_si512(_mm512_and_si512(_mm512_srli_epi16(q, 4), mask),
                                             _mm512_and_si512(_mm512_srlv_epi16(h, right), bits));
      // Lane i of the packed sums: run i of `first`, then run i + 4 (of `second`).
      const __m512i packed =
          _mm512_packs_epi32(dot(first, x.x[2 * half]), dot(second, x.x[2 * half + 1]));
      const __m512i index = _mm512_add_epi16(
          _mm512_set_epi64(0x0007000700070007, 0x0003000300030003, 0x0006000600060006,
                           0x0002000200020002, 0x0005000500050005, 0x0001000100010001,
                           0x0004000400040004, 0),
          _mm512_set1_epi16(static_cast<short>(8 * half)));
      r.sum = _mm512_dpwssd_epi32(r.sum, packed, _mm512_permutexvar_epi16(index, scale_all));
    }
    const __m256i offset = _mm256_slli_epi32(_mm256_madd_epi16(scale, x.sums), 5);
    r.sum = _mm512_sub_epi32(r.sum, _mm512_zextsi256_si512(offset));
    r.min = _mm_setzero_si128();
    return r;
  }
};

/// Activations of one super-block for the types of 2 bits: register p has the elements of plane p
/// (bits 2 p and 2 p + 1) of the first 32 bytes, then those of the second 32.
struct PlanesColumn {
  __m512i x[4];
  __m256i sums;  // sixteen int16 sums of 16
};

inline PlanesColumn planes_column(const MatmulArgs& a, int64_t b) {
  const int8_t* q = a.xq.q + 256 * b;
  const __m512i x0 = load512(q), x1 = load512(q + 64), x2 = load512(q + 128), x3 = load512(q + 192);
  return {{_mm512_shuffle_i64x2(x0, x2, 0x44), _mm512_shuffle_i64x2(x0, x2, 0xee),
           _mm512_shuffle_i64x2(x1, x3, 0x44), _mm512_shuffle_i64x2(x1, x3, 0xee)},
          load256(a.xq.s + 16 * b)};
}

/// Scales the sums of the four planes: scale[j] (int16) multiplies run j of 16 elements.
inline __m512i scale_planes(const __m512i* plane, __m256i scale) {
  const __m512i all = _mm512_castsi256_si512(scale);
  const __m512i first = _mm512_set_epi64(0x000b000b000b000b, 0x0009000900090009, 0x000a000a000a000a,
                                         0x0008000800080008, 0x0003000300030003, 0x0001000100010001,
                                         0x0002000200020002, 0);
  const __m512i second = _mm512_add_epi16(first, _mm512_set1_epi16(4));
  const __m512i sum = _mm512_madd_epi16(_mm512_packs_epi32(plane[0], plane[1]),
                                        _mm512_permutexvar_epi16(first, all));
  return _mm512_dpwssd_epi32(sum, _mm512_packs_epi32(plane[2], plane[3]),
                             _mm512_permutexvar_epi16(second, all));
}

struct StreamQ2_K {
  using Block = BlockQ2_K;
  using Column = PlanesColumn;
  static constexpr bool kMinimum = true;
  static Column column(const MatmulArgs& a, int64_t b) { return planes_column(a, b); }
  static Partial row(const Block& w, const Column& x) {
    const __m512i mask = _mm512_set1_epi8(3), q = load512(w.qs);
    const __m512i plane[4] = {dot(_mm512_and_si512(q, mask), x.x[0]),
                              dot(_mm512_and_si512(_mm512_srli_epi16(q, 2), mask), x.x[1]),
                              dot(_mm512_and_si512(_mm512_srli_epi16(q, 4), mask), x.x[2]),
                              dot(_mm512_and_si512(_mm512_srli_epi16(q, 6), mask), x.x[3])};
    const __m128i packed = load128(w.scales), low = _mm_set1_epi8(15);
    Partial r;
    r.sum = scale_planes(plane, _mm256_cvtepu8_epi16(_mm_and_si128(packed, low)));
    const __m256i min = _mm256_madd_epi16(
        _mm256_cvtepu8_epi16(_mm_and_si128(_mm_srli_epi16(packed, 4), low)), x.sums);
    r.min = _mm_add_epi32(_mm256_castsi256_si128(min), _mm256_extracti128_si256(min, 1));
    return r;
  }
};

struct StreamQ3_K {
  using Block = BlockQ3_K;
  using Column = PlanesColumn;
  static constexpr bool kMinimum = false;
  static Column column(const MatmulArgs& a, int64_t b) { return planes_column(a, b); }
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
  static Partial row(const Block& w, const Column& x) {
    const __m512i q = load512(w.qs);
    // Bit p of the mask belongs to plane p of the first 32 bytes, bit p + 4 to that of the second.
    const __m512i left = _mm512_inserti64x4(_mm512_set1_epi16(4), _mm256_setzero_si256(), 1);
    const __m512i h = _mm512_sllv_epi16(_mm512_broadcast_i64x4(load256(w.hmask)), left);
    const __m512i plane[4] = {dot(join(q, _mm512_srli_epi16(h, 2)), x.x[0]),
                              dot(join(_mm512_srli_epi16(q, 2), _mm512_srli_epi16(h, 3)), x.x[1]),
                              dot(join(_mm512_srli_epi16(q, 4), _mm512_srli_epi16(h, 4)), x.x[2]),
                              dot(join(_mm512_srli_epi16(q, 6), _mm512_srli_epi16(h, 5)), x.x[3])};
    const __m256i scale = scales(w.scales);
    const __m256i offset = _mm256_slli_epi32(_mm256_madd_epi16(scale, x.sums), 2);
    Partial r;
    r.sum = _mm512_sub_epi32(scale_planes(plane, scale), _mm512_zextsi256_si512(offset));
    r.min = _mm_setzero_si128();
    return r;
  }
};

/// Element r = sum over the lanes of row r.
inline __m128i row_sums(const Partial* p) {
  const __m512i a = _mm512_add_epi32(_mm512_unpacklo_epi32(p[0].sum, p[1].sum),
                                     _mm512_unpackhi_epi32(p[0].sum, p[1].sum));
  const __m512i b = _mm512_add_epi32(_mm512_unpacklo_epi32(p[2].sum, p[3].sum),
                                     _mm512_unpackhi_epi32(p[2].sum, p[3].sum));
  const __m512i c = _mm512_add_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
  const __m256i d = _mm256_add_epi32(_mm512_castsi512_si256(c), _mm512_extracti64x4_epi64(c, 1));
  return _mm_add_epi32(_mm256_castsi256_si128(d), _mm256_extracti128_si256(d, 1));
}
inline __m128i row_minima(const Partial* p) {
  const __m128i a =
      _mm_add_epi32(_mm_unpacklo_epi32(p[0].min, p[1].min), _mm_unpackhi_epi32(p[0].min, p[1].min));
  const __m128i b =
      _mm_add_epi32(_mm_unpacklo_epi32(p[2].min, p[3].min), _mm_unpackhi_epi32(p[2].min, p[3].min));
  return _mm_add_epi32(_mm_unpacklo_epi64(a, b), _mm_unpackhi_epi64(a, b));
}

/// Row by row: for the types whose rows give a Partial.
template <typename Type>
inline Totals totals(const typename Type::Block* const* row, const MatmulArgs& a, int64_t b) {
  const typename Type::Column x = Type::column(a, b);
  Partial p[kRows];
  for (int r = 0; r < kRows; ++r) p[r] = Type::row(row[r][b], x);
  return {row_sums(p), Type::kMinimum ? row_minima(p) : _mm_setzero_si128()};
}

struct StreamIQ4_XS {
  using Block = BlockIQ4_XS;
  static constexpr bool kMinimum = false;
};

/// IQ4_XS: levels of 8 bits, whose sums need 32; a lane a sub-block, so that one product scales
/// four sub-blocks of four rows.
template <>
inline Totals totals<StreamIQ4_XS>(const BlockIQ4_XS* const* row, const MatmulArgs& a, int64_t b) {
  const __m512i lane = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
  const __m512i mask = _mm512_set1_epi8(15), table = _mm512_broadcast_i32x4(iq4_table());
  // Element r of heads: d and scales_h of row r; of lows: its scales_l.
  const auto head = [&](int r) {
    return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(&row[r][b]));
  };
  const __m128i first = _mm_unpacklo_epi32(head(0), head(1));
  const __m128i second = _mm_unpacklo_epi32(head(2), head(3));
  const __m512i heads = _mm512_broadcast_i32x4(_mm_unpacklo_epi64(first, second));
  const __m512i lows = _mm512_broadcast_i32x4(_mm_unpackhi_epi64(first, second));
  // Sums of activations over 32, one a dword.
  const __m512i runs =
      _mm512_castsi256_si512(_mm256_madd_epi16(load256(a.xq.s + 16 * b), _mm256_set1_epi16(1)));
  __m512i sum = _mm512_setzero_si512();
  for (int half = 0; half < 2; ++half) {  // sub-blocks 4 half ... 4 half + 3
    const int8_t* q = a.xq.q + 256 * b + 128 * half;
    const __m512i x0 = load512(q), x1 = load512(q + 64);
    const __m512i low = _mm512_shuffle_i32x4(x0, x1, 0x88);
    const __m512i high = _mm512_shuffle_i32x4(x0, x1, 0xdd);
    __m512i dots[kRows];
    for (int r = 0; r < kRows; ++r) {
      const __m512i raw = load512(row[r][b].qs + 64 * half);
      const __m512i w0 = _mm512_shuffle_epi8(table, _mm512_and_si512(raw, mask));
      const __m512i w1 =
          _mm512_shuffle_epi8(table, _mm512_and_si512(_mm512_srli_epi16(raw, 4), mask));
      dots[r] = _mm512_dpbusd_epi32(dot(w0, low), w1, high);
    }
    const __m512i index = _mm512_add_epi32(lane, _mm512_set1_epi32(4 * half));
    const __m512i four_bits = _mm512_srlv_epi32(lows, _mm512_slli_epi32(index, 2));
    const __m512i two_bits = _mm512_srlv_epi32(
        heads, _mm512_add_epi32(_mm512_slli_epi32(index, 1), _mm512_set1_epi32(16)));
    const __m512i scale = _mm512_sub_epi32(
        _mm512_or_si512(_mm512_and_si512(four_bits, _mm512_set1_epi32(15)),
                        _mm512_slli_epi32(_mm512_and_si512(two_bits, _mm512_set1_epi32(3)), 4)),
        _mm512_set1_epi32(32));
    const __m512i offset = _mm512_slli_epi32(_mm512_permutexvar_epi32(index, runs), 7);
    const __m512i exact = _mm512_sub_epi32(lane_sums(dots), offset);
    sum = _mm512_add_epi32(sum, _mm512_mullo_epi32(exact, scale));
  }
  const __m256i lanes =
      _mm256_add_epi32(_mm512_castsi512_si256(sum), _mm512_extracti64x4_epi64(sum, 1));
  return {_mm_add_epi32(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256(lanes, 1)),
          _mm_setzero_si128()};
}

/// The halves `get` reads from the blocks of four rows, widened.
template <typename Block, typename Get>
inline __m128 four_halves(const Block* const* row, int64_t b, Get get) {
  const auto bits = [&](int r) { return static_cast<short>(get(row[r][b])); };
  return _mm_cvtph_ps(_mm_setr_epi16(bits(0), bits(1), bits(2), bits(3), 0, 0, 0, 0));
}

template <typename Type>
inline __m128 super_block(const typename Type::Block* const* row, const MatmulArgs& a, int64_t b,
                          __m128 chain) {
  using Block = typename Type::Block;
  prefetch_rows<kRows>(row[0], b, a.row_bytes);
  const Totals total = totals<Type>(row, a, b);
  const __m128 dx = _mm_set1_ps(a.xq.d[b]);
  const __m128 d = four_halves(row, b, [](const Block& w) { return w.d; });
  chain = _mm_fmadd_ps(_mm_mul_ps(d, dx), _mm_cvtepi32_ps(total.sum), chain);
  if constexpr (Type::kMinimum) {
    const __m128 dmin = _mm_mul_ps(four_halves(row, b, [](const Block& w) { return w.dmin; }), dx);
    chain = _mm_fmadd_ps(_mm_xor_ps(dmin, _mm_set1_ps(-0.0f)), _mm_cvtepi32_ps(total.min), chain);
  }
  return chain;
}

template <typename Type>
void stream(const MatmulArgs& a) {
  using Block = typename Type::Block;
  stream_rows<Block, 256>(a, [&](const Block* const* row, int64_t begin, int64_t end) {
    __m128 chain = _mm_setzero_ps();
    for (int64_t b = begin; b < end; ++b) chain = super_block<Type>(row, a, b, chain);
    return chain;
  });
}

}  // namespace

bool stream_block256(DType type, const MatmulArgs& a) {
  switch (type) {
    case DType::q2_k:
      stream<StreamQ2_K>(a);
      return true;
    case DType::q3_k:
      stream<StreamQ3_K>(a);
      return true;
    case DType::q4_k:
      stream<StreamQ4_K>(a);
      return true;
    case DType::q5_k:
      stream<StreamQ5_K>(a);
      return true;
    case DType::q6_k:
      stream<StreamQ6_K>(a);
      return true;
    case DType::iq4_xs:
      stream<StreamIQ4_XS>(a);
      return true;
    default:
      return false;
  }
}

}  // namespace weir::kernels::avx512
