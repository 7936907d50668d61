// Matmul of the 256-element types for two to four tokens: as the stream for one, but a super-block
// is unpacked once for all tokens, and sums and float chains of four rows and four tokens share a
// register. The activations are arranged in the scratch first.
#include "kernels/avx512/integer_matmul.h"
#include "kernels/avx512/stream.h"
#include "kernels/avx512/super_blocks.h"

namespace weir::kernels::avx512 {
namespace {

/// Lane t = sum over the lanes of x[t].
inline __m512i join_lanes(const __m512i* x) {
  const auto halves = [](__m512i a, __m512i b) {
    return _mm512_add_epi32(_mm512_shuffle_i32x4(a, b, 0x88), _mm512_shuffle_i32x4(a, b, 0xdd));
  };
  return halves(halves(x[0], x[1]), halves(x[2], x[3]));
}

/// Lane t, element r: the products of token t's runs with row r's factors.
template <typename Type, int kTokens>
inline __m512i all_run_products(const Heads& heads, const Arranged<Type, kTokens>& x) {
  __m512i runs[4] = {};
  for (int t = 0; t < kTokens; ++t) runs[t] = run_products<Type, kTokens>(heads, x, t);
  const __m512i index = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  return _mm512_permutexvar_epi32(index, lane_sums(runs));
}

template <typename Type, int kTokens>
[[gnu::always_inline]] inline __m512 super_block(const typename Type::Block* const* row,
                                                 const std::byte* asked, int64_t b,
                                                 const Arranged<Type, kTokens>& x, __m512 chain) {
  prefetch_rows<typename Type::Block, kRows>(asked, b);
  const Heads heads = Type::heads(row, b);
  __m512i sums[kTokens][kRows], lanes[4] = {};
  for (int r = 0; r < kRows; ++r) {
    const Weights w = Type::unpack(row[r][b], heads, r);
    for (int t = 0; t < kTokens; ++t) sums[t][r] = products<Type::kJoined>(w, x.q[t]);
  }
  for (int t = 0; t < kTokens; ++t) lanes[t] = lane_sums(sums[t]);
  __m512i sum = join_lanes(lanes);
  const __m512i runs = all_run_products<Type, kTokens>(heads, x);
  if constexpr (!Type::kMinimum) sum = _mm512_sub_epi32(sum, _mm512_slli_epi32(runs, Type::kShift));
  const __m512 dx = spread_tokens(x.d);
  const __m512 d = _mm512_broadcast_f32x4(_mm256_castps256_ps128(heads.d));
  chain = _mm512_fmadd_ps(_mm512_mul_ps(d, dx), _mm512_cvtepi32_ps(sum), chain);
  if constexpr (!Type::kMinimum) return chain;
  const __m512 dmin = _mm512_broadcast_f32x4(_mm256_extractf128_ps(heads.d, 1));
  const __m512 minus = _mm512_xor_ps(_mm512_mul_ps(dmin, dx), _mm512_set1_ps(-0.0f));
  return _mm512_fmadd_ps(minus, _mm512_cvtepi32_ps(runs), chain);
}

template <typename Type>
struct Few {
  template <int kTokens>
  static void run(const MatmulArgs& a) {
    using Block = typename Type::Block;
    auto* x = reinterpret_cast<Arranged<Type, kTokens>*>(a.scratch);
    static_assert(sizeof(*x) <= 8 * 256);  // as few_tokens() reckons
    arrange<Type, kTokens>(a, x);
    stream_tokens<Block, 256, kTokens>(
        a, [&](const Block* const* row, const std::byte* asked, int64_t begin, int64_t end) {
          __m512 chain = _mm512_setzero_ps();
          for (int64_t b = begin; b < end; ++b)
            chain = super_block<Type, kTokens>(row, asked, b, x[b], chain);
          return chain;
        });
  }
};

}  // namespace

bool few_block256(DType type, const MatmulArgs& a) {
  return for_super_block(type, [&]<typename Type>() { return few_tokens<Few<Type>>(a); });
}

}  // namespace weir::kernels::avx512
