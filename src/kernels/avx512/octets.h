// Matmuls of a few tokens take eight rows at a time and turn their weights: a register holds an
// octet, eight weights in order, of each row, one in each of its 64-bit elements. Eight
// activations, everywhere in a register, meet those of all rows, and little is left to be added
// over lanes. For more than one token: to turn takes as long as the products of three.
//
// Hazard (Zen 4): broadcasting 128 bits from memory keeps a shuffle pipe busy, 64 or 32 do not.
#pragma once

#include "kernels/avx512/stream.h"

namespace weir::kernels {
namespace {

constexpr int kOctetRows = 8;

/// Sums of eight rows, for two tokens a register: of a lane the first two elements are the first
/// token's.
template <int kTokens>
struct Pairs {
  static constexpr int kCount = (kTokens + 1) / 2;
  __m512 at[kCount] = {};

  Pairs operator+(const Pairs& other) const {
    Pairs sum;
    for (int p = 0; p < kCount; ++p) sum.at[p] = _mm512_add_ps(at[p], other.at[p]);
    return sum;
  }
};

/// Sets the elements of p, as of Pairs, that are the pair's first or second token's.
inline void fill_pair(float* p, int which, float value) {
  const auto place = static_cast<__mmask16>(which == 0 ? 0x3333 : 0xcccc);
  _mm512_mask_storeu_ps(p, place, _mm512_set1_ps(value));
}

/// The eight bytes at p everywhere: activations, or four sums of them.
inline __m512i everywhere(const void* p) {
  long long x;
  __builtin_memcpy(&x, p, 8);
  return _mm512_set1_epi64(x);
}

template <typename Block>
inline const std::byte* in_block(const Block* block, size_t offset) {
  return reinterpret_cast<const std::byte*>(block) + offset;
}

/// The 64 bytes at `offset` of the rows' blocks b: octets[i] has bytes 8 i ... of row r in element
/// r.
template <typename Block>
[[gnu::always_inline]] inline void turn64(const Block* const* row, int64_t b, size_t offset,
                                          __m512i* octets) {
  __m512i even[4], odd[4];
  for (int p = 0; p < 4; ++p) {
    const __m512i first = load_once(in_block(row[2 * p] + b, offset));
    const __m512i second = load_once(in_block(row[2 * p + 1] + b, offset));
    even[p] = _mm512_unpacklo_epi64(first, second);
    odd[p] = _mm512_unpackhi_epi64(first, second);
  }
  turn_four(even, octets, 2);
  turn_four(odd, octets + 1, 2);
}

/// The same of 32 bytes.
template <typename Block>
[[gnu::always_inline]] inline void turn32(const Block* const* row, int64_t b, size_t offset,
                                          __m512i* octets) {
  const auto both = [&](int r, int s) {
    return _mm512_inserti64x4(_mm512_castsi256_si512(load256(in_block(row[r] + b, offset))),
                              load256(in_block(row[s] + b, offset)), 1);
  };
  const __m512i a0 = both(0, 2), a1 = both(1, 3), b0 = both(4, 6), b1 = both(5, 7);
  const Quad even = lane_halves(_mm512_unpacklo_epi64(a0, a1), _mm512_unpacklo_epi64(b0, b1));
  const Quad odd = lane_halves(_mm512_unpackhi_epi64(a0, a1), _mm512_unpackhi_epi64(b0, b1));
  octets[0] = even.low;
  octets[1] = odd.low;
  octets[2] = even.high;
  octets[3] = odd.high;
}

/// Of a lane: elements 0 + 2 and 1 + 3 of the first, then of the second.
inline __m512i join_halves(__m512i first, __m512i second) {
  return _mm512_add_epi32(_mm512_unpacklo_epi64(first, second),
                          _mm512_unpackhi_epi64(first, second));
}

/// Of a lane: elements 0 + 1 and 2 + 3 of the first, then of the second.
inline __m512i join_neighbours(__m512i first, __m512i second) {
  const __m512 a = _mm512_castsi512_ps(first), b = _mm512_castsi512_ps(second);
  return _mm512_add_epi32(_mm512_castps_si512(_mm512_shuffle_ps(a, b, 0x88)),
                          _mm512_castps_si512(_mm512_shuffle_ps(a, b, 0xdd)));
}

/// Eight rows at a time: chain(row, asked, begin, end) as for stream_rows.
template <typename Block, int64_t kInputs, int kTokens, typename Chain>
[[gnu::always_inline]] inline void stream_octets(const MatmulArgs& a, Chain chain) {
  const __m512i index = _mm512_setr_epi32(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15);
  const auto store = [&](int64_t r0, __mmask8 mask, const Pairs<kTokens>& sums) {
    for (int t = 0; t < kTokens; ++t) {
      const __m512 both = _mm512_permutexvar_ps(index, sums.at[t / 2]);
      const __m256 one =
          t % 2 == 0 ? _mm512_castps512_ps256(both) : _mm512_extractf32x8_ps(both, 1);
      _mm256_mask_storeu_ps(a.out + t * a.out_stride + r0, mask, one);
    }
  };
  stream_rows<Block, kInputs, kOctetRows>(a, chain, store);
}

}  // namespace
}  // namespace weir::kernels
