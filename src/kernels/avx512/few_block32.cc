// Matmul of the 32-element types for two to four tokens: as the stream for one, but blocks are
// unpacked once for all tokens, and the float chains of four rows and four tokens share a register.
// The activations are arranged in the scratch first.
#include "kernels/avx512/integer_matmul.h"
#include "kernels/avx512/quads.h"
#include "kernels/avx512/stream.h"

namespace weir::kernels::avx512 {
namespace {

/// block[i]: lane t is lane i of x[t].
inline void turn_lanes(const __m512i* x, __m512i* block) {
  const __m512i a = _mm512_shuffle_i32x4(x[0], x[1], 0x44);
  const __m512i b = _mm512_shuffle_i32x4(x[0], x[1], 0xee);
  const __m512i c = _mm512_shuffle_i32x4(x[2], x[3], 0x44);
  const __m512i d = _mm512_shuffle_i32x4(x[2], x[3], 0xee);
  block[0] = _mm512_shuffle_i32x4(a, c, 0x88);
  block[1] = _mm512_shuffle_i32x4(a, c, 0xdd);
  block[2] = _mm512_shuffle_i32x4(b, d, 0x88);
  block[3] = _mm512_shuffle_i32x4(b, d, 0xdd);
}

/// Lane i of x everywhere.
template <int i>
inline __m512 lane_everywhere(__m512 x) {
  return _mm512_shuffle_f32x4(x, x, 0x55 * i);
}

template <typename Type, int kTokens>
[[gnu::always_inline]] inline __m512 four_blocks(const typename Type::Block* const* row,
                                                 const std::byte* asked, int64_t b,
                                                 const Arranged<kTokens>& x, __m512 chain) {
  prefetch_rows<typename Type::Block, kRows, kBlocks>(asked, b);
  __m512i sums[kTokens][kRows], lanes[4] = {}, block[kBlocks];
  for (int r = 0; r < kRows; ++r) {
    const Quad w = quad<Type>(row[r] + b);
    for (int t = 0; t < kTokens; ++t) {
      const __m512i start = Type::kOffset == 0 ? _mm512_setzero_si512() : x.start[t];
      sums[t][r] = add_products(start, w, x.q[t]);
    }
  }
  for (int t = 0; t < kTokens; ++t) lanes[t] = lane_sums(sums[t]);
  turn_lanes(lanes, block);
  const __m512 d = scales<0>(row, b);
  __m512 m = d;
  if constexpr (Type::kMinimum) m = scales<1>(row, b);
  const auto add = [&]<int i>() {
    const __m512 dx = spread_tokens(x.d[i]);
    chain = _mm512_fmadd_ps(_mm512_mul_ps(lane_everywhere<i>(d), dx), _mm512_cvtepi32_ps(block[i]),
                            chain);
    if constexpr (Type::kMinimum)
      chain = _mm512_fmadd_ps(_mm512_mul_ps(lane_everywhere<i>(m), dx), spread_tokens(x.sums[i]),
                              chain);
  };
  add.template operator()<0>();
  add.template operator()<1>();
  add.template operator()<2>();
  add.template operator()<3>();
  return chain;
}

template <typename Type>
struct Few {
  template <int kTokens>
  static void run(const MatmulArgs& a) {
    using Block = typename Type::Block;
    auto* x = reinterpret_cast<Arranged<kTokens>*>(a.scratch);
    static_assert(sizeof(*x) <= 8 * 32 * kBlocks);  // as few_tokens() reckons
    arrange<Type, kTokens>(a, x);
    stream_tokens<Block, 32, kTokens>(a, [&](const Block* const* row, const std::byte* asked,
                                             int64_t begin, int64_t end) {
      __m512 chain = _mm512_setzero_ps();
      int64_t b = begin;
      for (; b + kBlocks <= end; b += kBlocks)
        chain = four_blocks<Type, kTokens>(row, asked, b, x[b / kBlocks], chain);
      alignas(64) float lanes[16];
      if (b < end) {
        _mm512_store_ps(lanes, chain);
        for (; b < end; ++b)
          for (int t = 0; t < kTokens; ++t)
            _mm_store_ps(lanes + 4 * t, one_block<Type>(row, a, t, b, _mm_load_ps(lanes + 4 * t)));
        chain = _mm512_load_ps(lanes);
      }
      return chain;
    });
  }
};

}  // namespace

bool few_block32(DType type, const MatmulArgs& a) {
  return for_block32(type, [&]<typename Type>() { return few_tokens<Few<Type>, 4>(a); });
}

}  // namespace weir::kernels::avx512
