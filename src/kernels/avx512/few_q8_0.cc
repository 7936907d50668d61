// Matmul of Q8_0 for two to four tokens: as the stream for one, but blocks are unpacked once for
// all tokens, and the float chains of four rows and four tokens share a register. The activations
// are arranged in the scratch first. (Memory gives eight rows at once, few_block32.cc, a tenth less
// of so long blocks, Zen 4.)
#include "kernels/avx512/integer_matmul.h"
#include "kernels/avx512/quads.h"
#include "kernels/avx512/stream.h"

namespace weir::kernels::avx512 {
namespace {

/// Lane i of x everywhere.
template <int i>
inline __m512 lane_everywhere(__m512 x) {
  return _mm512_shuffle_f32x4(x, x, 0x55 * i);
}

template <int kTokens>
[[gnu::always_inline]] inline __m512 four_blocks(const BlockQ8_0* const* row,
                                                 const std::byte* asked, int64_t b,
                                                 const Arranged<kTokens>& x, __m512 chain) {
  prefetch_rows<BlockQ8_0, kRows, kBlocks>(asked, b);
  __m512i sums[kTokens][kRows], lanes[4] = {}, block[kBlocks];
  for (int r = 0; r < kRows; ++r) {
    const Quad w = quad<TypeQ8_0>(row[r] + b);
    for (int t = 0; t < kTokens; ++t) sums[t][r] = add_products(x.start[t], w, x.q[t]);
  }
  for (int t = 0; t < kTokens; ++t) lanes[t] = lane_sums(sums[t]);
  turn_four(lanes, block, 1);  // lane t of block[i]: token t
  const __m512 d = scales<0>(row, b);
  each<kBlocks>([&]<int i>() __attribute__((always_inline)) {
    chain = _mm512_fmadd_ps(_mm512_mul_ps(lane_everywhere<i>(d), spread_tokens(x.d[i])),
                            _mm512_cvtepi32_ps(block[i]), chain);
  });
  return chain;
}

struct Few {
  template <int kTokens>
  static bool run(const MatmulArgs& a) {
    auto* const x = in_scratch<Arranged<kTokens>>(a, a.k / (32 * kBlocks));
    if (x == nullptr) return false;
    arrange<TypeQ8_0, kTokens>(a, x);
    stream_tokens<BlockQ8_0, 32, kTokens>(
        a, [&](const BlockQ8_0* const* row, const std::byte* asked, int64_t begin, int64_t end) {
          __m512 chain = _mm512_setzero_ps();
          int64_t b = begin;
          for (; b + kBlocks <= end; b += kBlocks)
            chain = four_blocks<kTokens>(row, asked, b, x[b / kBlocks], chain);
          alignas(64) float lanes[16];
          if (b < end) {
            _mm512_store_ps(lanes, chain);
            for (; b < end; ++b)
              for (int t = 0; t < kTokens; ++t)
                _mm_store_ps(lanes + 4 * t,
                             one_block<TypeQ8_0>(row, a, t, b, _mm_load_ps(lanes + 4 * t)));
            chain = _mm512_load_ps(lanes);
          }
          return chain;
        });
    return true;
  }
};

}  // namespace

bool few_q8_0(const MatmulArgs& a) { return few_tokens<Few, 4>(a); }

}  // namespace weir::kernels::avx512
