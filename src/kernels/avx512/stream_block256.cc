// GEMV of the 256-element types for one token: four rows at a time, one super-block of each.
// Integers are exact in any order, the float chain runs over super-blocks in order.
#include "kernels/avx512/integer_matmul.h"
#include "kernels/avx512/stream.h"
#include "kernels/avx512/super_blocks.h"

namespace weir::kernels::avx512 {
namespace {

/// Integer sums of one row and super-block, still spread over lanes.
struct Partial {
  __m512i sum;
  __m128i min;
};

/// Four rows, not yet widened to floats: integer sums and, for types with a minimum, theirs.
struct Totals {
  __m128i sum, min;
};

template <typename Type>
inline Partial partial(const Weights& w, const Column& x) {
  Partial p = {products<Type::kJoined>(w, x.q), _mm_setzero_si128()};
  if constexpr (Type::kRuns == 8) {
    p.min = _mm_madd_epi16(_mm256_castsi256_si128(w.runs), _mm256_castsi256_si128(x.runs));
  } else {
    const __m256i runs = _mm256_madd_epi16(w.runs, x.runs);
    if constexpr (Type::kMinimum)
      p.min = _mm_add_epi32(_mm256_castsi256_si128(runs), _mm256_extracti128_si256(runs, 1));
    else
      p.sum =
          _mm512_sub_epi32(p.sum, _mm512_zextsi256_si512(_mm256_slli_epi32(runs, Type::kShift)));
  }
  return p;
}

/// Element r = sum over the lanes of row r.
inline __m128i row_sums(const Partial* p) {
  const __m512i sums[kRows] = {p[0].sum, p[1].sum, p[2].sum, p[3].sum};
  const __m512i c = lane_sums(sums);
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

/// Row by row: for the types of super_blocks.h.
template <typename Type>
inline Totals totals(const typename Type::Block* const* row, const MatmulArgs& a, int64_t b) {
  const Column x = Type::column(a, 0, b);
  Partial p[kRows];
  for (int r = 0; r < kRows; ++r) p[r] = partial<Type>(Type::unpack(row[r][b]), x);
  return {row_sums(p), Type::kMinimum ? row_minima(p) : _mm_setzero_si128()};
}

struct SuperIQ4_XS {
  using Block = BlockIQ4_XS;
  static constexpr bool kMinimum = false;
};

/// IQ4_XS: levels of 8 bits, whose sums need 32; a lane a sub-block, so that one product scales
/// four sub-blocks of four rows.
template <>
inline Totals totals<SuperIQ4_XS>(const BlockIQ4_XS* const* row, const MatmulArgs& a, int64_t b) {
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
  stream_token<Block, 256>(a, [&](const Block* const* row, int64_t begin, int64_t end) {
    __m128 chain = _mm_setzero_ps();
    for (int64_t b = begin; b < end; ++b) chain = super_block<Type>(row, a, b, chain);
    return chain;
  });
}

}  // namespace

bool stream_block256(DType type, const MatmulArgs& a) {
  const auto run = [&]<typename Type>() {
    stream<Type>(a);
    return true;
  };
  if (type == DType::iq4_xs) return run.template operator()<SuperIQ4_XS>();
  return for_super_block(type, run);
}

}  // namespace weir::kernels::avx512
