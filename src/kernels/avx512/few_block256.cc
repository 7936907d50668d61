// Matmul of the 256-element types for two to four tokens: as the stream for one, but a super-block
// is unpacked once for all tokens, and sums and float chains of four rows and four tokens share a
// register. The activations are arranged in the scratch first.
#include "kernels/avx512/integer_matmul.h"
#include "kernels/avx512/stream.h"
#include "kernels/avx512/super_blocks.h"

namespace weir::kernels::avx512 {
namespace {

/// Activations of one super-block.
template <typename Type, int kTokens>
struct alignas(64) Arranged {
  __m512i q[kTokens][4];
  __m512i runs[Type::kRuns / 8];  // lane t: eight sums of token t
  float d[4];                     // 0 for tokens that are not there
};

template <typename Type, int kTokens>
inline void arrange(const MatmulArgs& a, Arranged<Type, kTokens>* x) {
  for (int64_t b = 0; b < a.k / 256; ++b) {
    alignas(64) __m128i runs[Type::kRuns / 8][4] = {};
    for (int t = 0; t < 4; ++t) x[b].d[t] = t < kTokens ? a.xq.d[t * a.xq.d_stride + b] : 0.0f;
    for (int t = 0; t < kTokens; ++t) {
      const Column column = Type::column(a, t, b);
      for (int i = 0; i < 4; ++i) x[b].q[t][i] = column.q[i];
      runs[0][t] = _mm256_castsi256_si128(column.runs);
      if constexpr (Type::kRuns == 16) runs[1][t] = _mm256_extracti128_si256(column.runs, 1);
    }
    for (int i = 0; i < Type::kRuns / 8; ++i) x[b].runs[i] = load512(runs[i]);
  }
}

/// Lane t = sum over the lanes of x[t].
inline __m512i join_lanes(const __m512i* x) {
  const auto halves = [](__m512i a, __m512i b) {
    return _mm512_add_epi32(_mm512_shuffle_i32x4(a, b, 0x88), _mm512_shuffle_i32x4(a, b, 0xdd));
  };
  return halves(halves(x[0], x[1]), halves(x[2], x[3]));
}

/// Lane t: the products of token t's runs with those of a row.
template <typename Type, int kTokens>
inline __m512i run_products(const Weights& w, const Arranged<Type, kTokens>& x) {
  const __m512i low = _mm512_broadcast_i32x4(_mm256_castsi256_si128(w.runs));
  const __m512i sum = _mm512_madd_epi16(low, x.runs[0]);
  if constexpr (Type::kRuns == 8) return sum;
  const __m512i high = _mm512_broadcast_i32x4(_mm256_extracti128_si256(w.runs, 1));
  return _mm512_dpwssd_epi32(sum, high, x.runs[Type::kRuns / 8 - 1]);
}

template <typename Type, int kTokens>
inline __m512 super_block(const typename Type::Block* const* row, const MatmulArgs& a, int64_t b,
                          const Arranged<Type, kTokens>& x, __m512 chain) {
  using Block = typename Type::Block;
  prefetch_rows<kRows>(row[0], b, a.row_bytes);
  __m512i sums[kTokens][kRows], runs[kRows], lanes[4] = {};
  for (int r = 0; r < kRows; ++r) {
    const Weights w = Type::unpack(row[r][b]);
    for (int t = 0; t < kTokens; ++t) sums[t][r] = products<Type::kJoined>(w, x.q[t]);
    runs[r] = run_products<Type, kTokens>(w, x);
  }
  for (int t = 0; t < kTokens; ++t) lanes[t] = lane_sums(sums[t]);
  __m512i sum = join_lanes(lanes);
  const __m512i min = lane_sums(runs);
  if constexpr (!Type::kMinimum) sum = _mm512_sub_epi32(sum, _mm512_slli_epi32(min, Type::kShift));
  const __m512 dx = spread_tokens(x.d);
  const __m512 d = _mm512_broadcast_f32x4(four_halves(row, b, [](const Block& w) { return w.d; }));
  chain = _mm512_fmadd_ps(_mm512_mul_ps(d, dx), _mm512_cvtepi32_ps(sum), chain);
  if constexpr (Type::kMinimum) {
    const __m512 dmin =
        _mm512_broadcast_f32x4(four_halves(row, b, [](const Block& w) { return w.dmin; }));
    const __m512 minus = _mm512_xor_ps(_mm512_mul_ps(dmin, dx), _mm512_set1_ps(-0.0f));
    chain = _mm512_fmadd_ps(minus, _mm512_cvtepi32_ps(min), chain);
  }
  return chain;
}

template <typename Type>
struct Few {
  template <int kTokens>
  static void run(const MatmulArgs& a) {
    using Block = typename Type::Block;
    auto* x = reinterpret_cast<Arranged<Type, kTokens>*>(a.scratch);
    static_assert(sizeof(*x) <= 8 * 256);  // as few_tokens() reckons
    arrange<Type, kTokens>(a, x);
    stream_tokens<Block, 256, kTokens>(a, [&](const Block* const* row, int64_t begin, int64_t end) {
      __m512 chain = _mm512_setzero_ps();
      for (int64_t b = begin; b < end; ++b)
        chain = super_block<Type, kTokens>(row, a, b, x[b], chain);
      return chain;
    });
  }
};

}  // namespace

bool few_block256(DType type, const MatmulArgs& a) {
  return for_super_block(type, [&]<typename Type>() { return few_tokens<Few<Type>>(a); });
}

}  // namespace weir::kernels::avx512
