// What the streams share: how rows are taken together, and the sums over their lanes.
#pragma once

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

/// Four rows at a time: chain(row, begin, end) gives the sums of blocks [begin, end), those of one
/// segment, of kInputs weights each; segments are added in order.
template <typename Block, int64_t kInputs, typename Chain>
[[gnu::always_inline]] inline void stream_rows(const MatmulArgs& a, Chain chain) {
  constexpr int64_t kSegmentBlocks = kSegment / kInputs;
  const int64_t blocks = a.k / kInputs;
  for (int64_t r0 = 0; r0 < a.rows; r0 += kRows) {
    const Block* row[kRows];
    for (int r = 0; r < kRows; ++r) {  // rows past the end repeat the last one
      const int64_t index = r0 + r < a.rows ? r0 + r : a.rows - 1;
      row[r] = reinterpret_cast<const Block*>(a.w + static_cast<size_t>(index) * a.row_bytes);
    }
    __m128 total = _mm_setzero_ps();
    for (int64_t begin = 0; begin < blocks; begin += kSegmentBlocks) {
      const int64_t end = blocks - begin < kSegmentBlocks ? blocks : begin + kSegmentBlocks;
      total = _mm_add_ps(total, chain(row, begin, end));
    }
    const int64_t left = a.rows - r0;
    const auto mask = static_cast<__mmask8>(left >= kRows ? 15 : (1 << left) - 1);
    _mm_mask_storeu_ps(a.out + r0, mask, total);
  }
}

}  // namespace
}  // namespace weir::kernels
