// Matmul of the 32-element types for two to four tokens: as the stream for one, but blocks are
// unpacked once for all tokens, and the float chains of four rows and four tokens share a register.
// The activations are arranged in the scratch first.
#include "kernels/avx512/integer_matmul.h"
#include "kernels/avx512/quads.h"
#include "kernels/avx512/stream.h"

namespace weir::kernels::avx512 {
namespace {

/// Activations of four consecutive blocks.
template <int kTokens>
struct alignas(64) Arranged {
  Quad q[kTokens];
  __m512i start[kTokens];  // element 0 of lane i: minus the offset times the sum of block i
  float d[kBlocks][4];     // [block][token]; 0 for tokens that are not there
  float sums[kBlocks][4];
};

template <typename Type, int kTokens>
inline void arrange(const MatmulArgs& a, Arranged<kTokens>* x) {
  for (int64_t b = 0; b + kBlocks <= a.k / 32; b += kBlocks, ++x)
    for (int t = 0; t < 4; ++t) {
      const bool there = t < kTokens;
      alignas(64) int32_t start[16] = {};
      for (int i = 0; i < kBlocks; ++i) {
        const int16_t sum = there ? a.xq.s[t * a.xq.s_stride + b + i] : int16_t{0};
        x->d[i][t] = there ? a.xq.d[t * a.xq.d_stride + b + i] : 0.0f;
        x->sums[i][t] = static_cast<float>(sum);
        start[4 * i] = -Type::kOffset * sum;
      }
      if (!there) continue;
      x->q[t] = column_quad(a, t, b);
      x->start[t] = load512(start);
    }
}

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
inline __m512 four_blocks(const typename Type::Block* const* row, const MatmulArgs& a, int64_t b,
                          const Arranged<kTokens>& x, __m512 chain) {
  using Block = typename Type::Block;
  prefetch_rows<kRows, kBlocks>(row[0], b, a.row_bytes);
  __m512i sums[kTokens][kRows], lanes[4] = {}, block[kBlocks];
  for (int r = 0; r < kRows; ++r) {
    const Quad w = quad<Type>(row[r] + b);
    for (int t = 0; t < kTokens; ++t) {
      const __m512i start = Type::kOffset == 0 ? _mm512_setzero_si512() : x.start[t];
      sums[t][r] =
          _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(start, w.low, x.q[t].low), w.high, x.q[t].high);
    }
  }
  for (int t = 0; t < kTokens; ++t) lanes[t] = lane_sums(sums[t]);
  turn_lanes(lanes, block);
  const __m512 d = scales(row, b, [](const Block& w) { return w.d; });
  __m512 m = d;
  if constexpr (Type::kMinimum) m = scales(row, b, [](const Block& w) { return w.m; });
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
    stream_tokens<Block, 32, kTokens>(a, [&](const Block* const* row, int64_t begin, int64_t end) {
      __m512 chain = _mm512_setzero_ps();
      int64_t b = begin;
      for (; b + kBlocks <= end; b += kBlocks)
        chain = four_blocks<Type, kTokens>(row, a, b, x[b / kBlocks], chain);
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
  return for_block32(type, [&]<typename Type>() { return few_tokens<Few<Type>>(a); });
}

}  // namespace weir::kernels::avx512
