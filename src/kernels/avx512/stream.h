// What the streams share: rows taken together and the sums over their lanes.
#pragma once

#include "kernels/avx512/unpack.h"

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

}  // namespace
}  // namespace weir::kernels
