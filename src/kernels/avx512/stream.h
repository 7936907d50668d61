// What the streams share: how rows and tokens are taken together, and the sums over their lanes.
#pragma once

#include <utility>

#include "kernels/avx512/unpack.h"
#include "kernels/kernels.h"

namespace weir::kernels {
namespace {

constexpr int kRows = 4;

/// Lane j, element r = sum over lane j of row r.
inline __m512i lane_sums(const __m512i* rows) {
  const __m512i a = _mm512_add_epi32(_mm512_unpacklo_epi32(rows[0], rows[1]),
                                     _mm512_unpackhi_epi32(rows[0], rows[1]));
  const __m512i b = _mm512_add_epi32(_mm512_unpacklo_epi32(rows[2], rows[3]),
                                     _mm512_unpackhi_epi32(rows[2], rows[3]));
  return _mm512_add_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
}

/// Lanes turned: out[stride * c] has lane c of each of four registers.
[[gnu::always_inline]] inline void turn_four(const __m512i* x, __m512i* out, int stride) {
  const __m512i a = _mm512_shuffle_i32x4(x[0], x[1], 0x44);
  const __m512i b = _mm512_shuffle_i32x4(x[2], x[3], 0x44);
  const __m512i c = _mm512_shuffle_i32x4(x[0], x[1], 0xee);
  const __m512i d = _mm512_shuffle_i32x4(x[2], x[3], 0xee);
  out[0] = _mm512_shuffle_i32x4(a, b, 0x88);
  out[stride] = _mm512_shuffle_i32x4(a, b, 0xdd);
  out[2 * stride] = _mm512_shuffle_i32x4(c, d, 0x88);
  out[3 * stride] = _mm512_shuffle_i32x4(c, d, 0xdd);
}

/// The halves `get` reads from the blocks of four rows, widened.
template <typename Block, typename Get>
inline __m128 four_halves(const Block* const* row, int64_t b, Get get) {
  const auto bits = [&](int r) { return static_cast<short>(get(row[r][b])); };
  return _mm_cvtph_ps(_mm_setr_epi16(bits(0), bits(1), bits(2), bits(3), 0, 0, 0, 0));
}

/// kTaken rows at a time: chain(row, asked, begin, end) gives the sums over blocks [begin, end),
/// those of one segment, of kInputs weights each; segments are added in order. asked: for
/// prefetch_rows. store(r0, mask, sums) keeps those of rows r0 ..., of which mask exist.
template <typename Block, int64_t kInputs, int kTaken, typename Chain, typename Store>
[[gnu::always_inline]] inline void stream_rows(const MatmulArgs& a, Chain chain, Store store) {
  static_assert(kTaken <= 8);
  constexpr int64_t kSegmentBlocks = kSegment / kInputs;
  const int64_t blocks = a.k / kInputs;
  for (int64_t r0 = 0; r0 < a.rows; r0 += kTaken) {
    const Block* row[kTaken];
    for (int r = 0; r < kTaken; ++r) {  // rows past the end repeat the last one
      const int64_t index = r0 + r < a.rows ? r0 + r : a.rows - 1;
      row[r] = reinterpret_cast<const Block*>(a.w + static_cast<size_t>(index) * a.row_bytes);
    }
    const std::byte* const asked = asked_rows<kTaken>(a, row[0]);
    decltype(chain(row, asked, 0, 0)) total{};
    for (int64_t begin = 0; begin < blocks; begin += kSegmentBlocks) {
      const int64_t end = blocks - begin < kSegmentBlocks ? blocks : begin + kSegmentBlocks;
      total = total + chain(row, asked, begin, end);
    }
    const int64_t left = a.rows - r0;
    store(r0, static_cast<__mmask8>((1 << (left < kTaken ? left : kTaken)) - 1), total);
  }
}

/// One token: element r of the sums is row r's.
template <typename Block, int64_t kInputs, typename Chain>
[[gnu::always_inline]] inline void stream_token(const MatmulArgs& a, Chain chain) {
  stream_rows<Block, kInputs, kRows>(a, chain, [&](int64_t r0, __mmask8 mask, __m128 sums) {
    _mm_mask_storeu_ps(a.out + r0, mask, sums);
  });
}

/// Two to four tokens: lane t, element r is token t's and row r's.
template <typename Block, int64_t kInputs, int kTokens, typename Chain>
[[gnu::always_inline]] inline void stream_tokens(const MatmulArgs& a, Chain chain) {
  stream_rows<Block, kInputs, kRows>(a, chain, [&](int64_t r0, __mmask8 mask, __m512 sums) {
    alignas(64) float lanes[16];
    _mm512_store_ps(lanes, sums);
    for (int t = 0; t < kTokens; ++t)
      _mm_mask_storeu_ps(a.out + t * a.out_stride + r0, mask, _mm_load_ps(lanes + 4 * t));
  });
}

/// f.operator()<0>() ... <kCount - 1>().
template <int kCount, typename F>
[[gnu::always_inline]] inline void each(F f) {
  [&]<int... i>(std::integer_sequence<int, i...>) __attribute__((always_inline)) {
    (f.template operator()<i>(), ...);
  }
  (std::make_integer_sequence<int, kCount>{});
}

/// Few::run for two to kMost tokens, which says whether what it arranges fits the scratch; false
/// for other numbers.
template <typename Few, int kMost>
inline bool few_tokens(const MatmulArgs& a) {
  bool done = false;
  each<kMost - 1>([&]<int n>() {
    if (a.tokens == n + 2) done = Few::template run<n + 2>(a);
  });
  return done;
}

/// `count` elements in the scratch, or null where they do not fit.
template <typename T>
inline T* in_scratch(const MatmulArgs& a, int64_t count) {
  const bool fits = count * static_cast<int64_t>(sizeof(T)) <= static_cast<int64_t>(kMatmulScratch);
  return fits ? reinterpret_cast<T*>(a.scratch) : nullptr;
}

/// p[t] over the whole of lane t.
inline __m512 spread_tokens(const float* p) {
  const __m512i index = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
  return _mm512_permutexvar_ps(index, _mm512_castps128_ps512(_mm_load_ps(p)));
}

}  // namespace
}  // namespace weir::kernels
