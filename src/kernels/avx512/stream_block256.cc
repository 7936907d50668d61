// GEMV of Q4_K, Q5_K and Q6_K for one token: four rows at a time, one super-block of each. The
// sub-block sums fit 16 bits, so that scales are applied by one 16-bit dot product; integers are
// exact in any order, the float chain runs over super-blocks in order.
#include "kernels/avx512/integer_matmul.h"
#include "kernels/avx512/unpack.h"

namespace weir::kernels::avx512 {
namespace {

constexpr int kRows = 4;

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
  static __m128i minima(const Block* const* rows, int64_t b) {
    return _mm_setr_epi16(static_cast<short>(rows[0][b].dmin), static_cast<short>(rows[1][b].dmin),
                          static_cast<short>(rows[2][b].dmin), static_cast<short>(rows[3][b].dmin),
                          0, 0, 0, 0);
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
  static __m128i minima(const Block* const* rows, int64_t b) {
    return _mm_setr_epi16(static_cast<short>(rows[0][b].dmin), static_cast<short>(rows[1][b].dmin),
                          static_cast<short>(rows[2][b].dmin), static_cast<short>(rows[3][b].dmin),
                          0, 0, 0, 0);
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
  static __m128i minima(const Block* const*, int64_t) { return _mm_setzero_si128(); }
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

template <typename Type>
inline __m128 super_block(const typename Type::Block* const* row, const MatmulArgs& a, int64_t b,
                          __m128 chain) {
  const typename Type::Column x = Type::column(a, b);
  Partial p[kRows];
  prefetch_rows<kRows>(row[0], b, a.row_bytes);
  for (int r = 0; r < kRows; ++r) {
    p[r] = Type::row(row[r][b], x);
  }
  const __m128 dx = _mm_set1_ps(a.xq.d[b]);
  const __m128 d = _mm_cvtph_ps(
      _mm_setr_epi16(static_cast<short>(row[0][b].d), static_cast<short>(row[1][b].d),
                     static_cast<short>(row[2][b].d), static_cast<short>(row[3][b].d), 0, 0, 0, 0));
  chain = _mm_fmadd_ps(_mm_mul_ps(d, dx), _mm_cvtepi32_ps(row_sums(p)), chain);
  if (!Type::kMinimum) return chain;
  const __m128 dmin = _mm_mul_ps(_mm_cvtph_ps(Type::minima(row, b)), dx);
  return _mm_fmadd_ps(_mm_xor_ps(dmin, _mm_set1_ps(-0.0f)), _mm_cvtepi32_ps(row_minima(p)), chain);
}

template <typename Type>
void stream(const MatmulArgs& a) {
  const int64_t blocks = a.k / 256;
  for (int64_t r0 = 0; r0 < a.rows; r0 += kRows) {
    const typename Type::Block* row[kRows];
    for (int r = 0; r < kRows; ++r) {  // rows past the end repeat the last one
      const int64_t index = r0 + r < a.rows ? r0 + r : a.rows - 1;
      row[r] = reinterpret_cast<const typename Type::Block*>(a.w + static_cast<size_t>(index) *
                                                                       a.row_bytes);
    }
    __m128 total = _mm_setzero_ps();
    for (int64_t begin = 0; begin < blocks; begin += kSegment / 256) {
      const int64_t end = blocks - begin < kSegment / 256 ? blocks : begin + kSegment / 256;
      __m128 chain = _mm_setzero_ps();
      for (int64_t b = begin; b < end; ++b) chain = super_block<Type>(row, a, b, chain);
      total = _mm_add_ps(total, chain);
    }
    const int64_t left = a.rows - r0;
    const auto mask = static_cast<__mmask8>(left >= kRows ? 15 : (1 << left) - 1);
    _mm_mask_storeu_ps(a.out + r0, mask, total);
  }
}

}  // namespace

bool stream_block256(DType type, const MatmulArgs& a) {
  switch (type) {
    case DType::q4_k:
      stream<StreamQ4_K>(a);
      return true;
    case DType::q5_k:
      stream<StreamQ5_K>(a);
      return true;
    case DType::q6_k:
      stream<StreamQ6_K>(a);
      return true;
    default:
      return false;
  }
}

}  // namespace weir::kernels::avx512
