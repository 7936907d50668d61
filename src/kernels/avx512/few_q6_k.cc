// Matmul of Q6_K for two to four tokens: as the stream for one, but a super-block is unpacked once
// for all tokens, and sums and float chains of four rows and four tokens share a register. The
// activations are arranged in the scratch first. (Memory gives eight rows at once, few_block256.cc,
// a tenth less of so long blocks, Zen 4.)
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
template <int kTokens>
inline __m512i all_run_products(const Heads& heads, const Arranged<SuperQ6_K, kTokens>& x) {
  __m512i runs[4] = {};
  for (int t = 0; t < kTokens; ++t) runs[t] = run_products<SuperQ6_K, kTokens>(heads, x, t);
  const __m512i index = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  return _mm512_permutexvar_epi32(index, lane_sums(runs));
}

template <int kTokens>
[[gnu::always_inline]] inline __m512 super_block(const BlockQ6_K* const* row,
                                                 const std::byte* asked, int64_t b,
                                                 const Arranged<SuperQ6_K, kTokens>& x,
                                                 __m512 chain) {
  prefetch_rows<BlockQ6_K, kRows>(asked, b);
  const Heads heads = SuperQ6_K::heads(row, b);
  __m512i sums[kTokens][kRows], lanes[4] = {};
  for (int r = 0; r < kRows; ++r) {
    const Weights w = SuperQ6_K::unpack(row[r][b], heads, r);
    for (int t = 0; t < kTokens; ++t) sums[t][r] = products<SuperQ6_K::kJoined>(w, x.q[t]);
  }
  for (int t = 0; t < kTokens; ++t) lanes[t] = lane_sums(sums[t]);
  const __m512i offset = _mm512_slli_epi32(all_run_products<kTokens>(heads, x), SuperQ6_K::kShift);
  const __m512i sum = _mm512_sub_epi32(join_lanes(lanes), offset);
  const __m512 d = _mm512_broadcast_f32x4(_mm256_castps256_ps128(heads.d));
  return _mm512_fmadd_ps(_mm512_mul_ps(d, spread_tokens(x.d)), _mm512_cvtepi32_ps(sum), chain);
}

struct Few {
  template <int kTokens>
  static bool run(const MatmulArgs& a) {
    auto* const x = in_scratch<Arranged<SuperQ6_K, kTokens>>(a, a.k / 256);
    if (x == nullptr) return false;
    arrange<SuperQ6_K, kTokens>(a, x);
    stream_tokens<BlockQ6_K, 256, kTokens>(
        a, [&](const BlockQ6_K* const* row, const std::byte* asked, int64_t begin, int64_t end) {
          __m512 chain = _mm512_setzero_ps();
          for (int64_t b = begin; b < end; ++b)
            chain = super_block<kTokens>(row, asked, b, x[b], chain);
          return chain;
        });
    return true;
  }
};

}  // namespace

bool few_q6_k(const MatmulArgs& a) { return few_tokens<Few, 4>(a); }

}  // namespace weir::kernels::avx512
