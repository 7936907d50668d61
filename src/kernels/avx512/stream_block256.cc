// GEMV of the 256-element types for one token: four rows at a time, one super-block of each.
// Integers are exact in any order, the float chain runs over super-blocks in order. The activations
// are arranged in the scratch first.
#include "kernels/avx512/integer_matmul.h"
#include "kernels/avx512/stream.h"
#include "kernels/avx512/super_blocks.h"

namespace weir::kernels::avx512 {
namespace {

/// Integer sums of four rows, and of what is to be multiplied by dmin.
struct Totals {
  __m128i sum, min;
};

/// Element r = the sum over the lanes of c, element by element.
inline __m128i add_lanes(__m512i c) {
  const __m256i d = _mm256_add_epi32(_mm512_castsi512_si256(c), _mm512_extracti64x4_epi64(c, 1));
  return _mm_add_epi32(_mm256_castsi256_si128(d), _mm256_extracti128_si256(d, 1));
}

/// Element r = the sum of the elements of lane r.
inline __m128i add_elements(__m512i c) {
  c = _mm512_add_epi32(c, _mm512_shuffle_epi32(c, _MM_PERM_BADC));
  c = _mm512_add_epi32(c, _mm512_shuffle_epi32(c, _MM_PERM_CDAB));
  const __m512i index = _mm512_castsi128_si512(_mm_setr_epi32(0, 4, 8, 12));
  return _mm512_castsi512_si128(_mm512_permutexvar_epi32(index, c));
}

/// For the types of super_blocks.h.
template <typename Type>
[[gnu::always_inline]] inline Totals totals(const typename Type::Block* const* row, int64_t b,
                                            const Heads& heads, const Arranged<Type, 1>& x) {
  __m512i q[4], sums[kRows];
  for (int i = 0; i < 4; ++i) q[i] = load_once(&x.q[0][i]);
  for (int r = 0; r < kRows; ++r)
    sums[r] = products<Type::kJoined>(Type::unpack(row[r][b], heads, r), q);
  const __m128i sum = add_lanes(lane_sums(sums));
  const __m128i runs = add_elements(run_products<Type, 1>(heads, x, 0));
  if constexpr (Type::kMinimum) return {sum, runs};
  return {_mm_sub_epi32(sum, _mm_slli_epi32(runs, Type::kShift)), runs};
}

/// Four rows' chains, one super-block further.
template <typename Type>
[[gnu::always_inline]] inline __m128 super_block(const typename Type::Block* const* row,
                                                 const std::byte* asked, int64_t b,
                                                 const Arranged<Type, 1>& x, __m128 chain) {
  prefetch_rows<typename Type::Block, kRows>(asked, b);
  const Heads heads = Type::heads(row, b);
  const Totals total = totals<Type>(row, b, heads, x);
  const __m256 d = _mm256_mul_ps(heads.d, _mm256_set1_ps(x.d[0]));
  chain = _mm_fmadd_ps(_mm256_castps256_ps128(d), _mm_cvtepi32_ps(total.sum), chain);
  if constexpr (!Type::kMinimum) return chain;
  const __m128 minus = _mm_xor_ps(_mm256_extractf128_ps(d, 1), _mm_set1_ps(-0.0f));
  return _mm_fmadd_ps(minus, _mm_cvtepi32_ps(total.min), chain);
}

template <typename Type>
bool stream(const MatmulArgs& a) {
  using Block = typename Type::Block;
  auto* const x = in_scratch<Arranged<Type, 1>>(a, a.k / 256);
  if (x == nullptr) return false;
  arrange<Type, 1>(a, x);
  stream_token<Block, 256>(
      a, [&](const Block* const* row, const std::byte* asked, int64_t begin, int64_t end) {
        __m128 chain = _mm_setzero_ps();
        for (int64_t b = begin; b < end; ++b) chain = super_block<Type>(row, asked, b, x[b], chain);
        return chain;
      });
  return true;
}

/// IQ4_XS: levels of 8 bits, whose sums need 32; a lane a sub-block, so that one product scales
/// four sub-blocks of four rows.
inline __m128i iq4_xs_sums(const BlockIQ4_XS* const* row, const MatmulArgs& a, int64_t b) {
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
  return add_lanes(sum);
}

void stream_iq4_xs(const MatmulArgs& a) {
  using Block = BlockIQ4_XS;
  stream_token<Block, 256>(
      a, [&](const Block* const* row, const std::byte* asked, int64_t begin, int64_t end) {
        __m128 chain = _mm_setzero_ps();
        for (int64_t b = begin; b < end; ++b) {
          prefetch_rows<Block, kRows>(asked, b);
          const __m128i sum = iq4_xs_sums(row, a, b);
          const __m128 d = four_halves(row, b, [](const Block& w) { return w.d; });
          chain = _mm_fmadd_ps(_mm_mul_ps(d, _mm_set1_ps(a.xq.d[b])), _mm_cvtepi32_ps(sum), chain);
        }
        return chain;
      });
}

}  // namespace

bool stream_block256(DType type, const MatmulArgs& a) {
  if (type == DType::iq4_xs) {
    stream_iq4_xs(a);
    return true;
  }
  return for_super_block(type, [&]<typename Type>() { return stream<Type>(a); });
}

}  // namespace weir::kernels::avx512
