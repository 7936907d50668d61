// GEMV of the 32-element types for one token: four rows at a time, four blocks of each in one
// register (a 128-bit lane a block), so that one small transpose gives the 16 block sums and the
// float chain runs over four rows at once. Weights are read where the file has them.
#include "kernels/avx512/integer_matmul.h"
#include "kernels/avx512/stream.h"

namespace weir::kernels::avx512 {
namespace {

constexpr int kBlocks = 4;

/// Elements 0..15 (low) and 16..31 (high) of four consecutive blocks, a lane a block.
struct Quad {
  __m512i low, high;
};

inline __m512i gather128(const void* a, const void* b, const void* c, const void* d) {
  const __m256i ab = _mm256_inserti128_si256(_mm256_castsi128_si256(load128(a)), load128(b), 1);
  const __m256i cd = _mm256_inserti128_si256(_mm256_castsi128_si256(load128(c)), load128(d), 1);
  return _mm512_inserti64x4(_mm512_castsi256_si512(ab), cd, 1);
}

inline Quad split_nibbles(__m512i raw) {
  const __m512i mask = _mm512_set1_epi8(15);
  return {_mm512_and_si512(raw, mask), _mm512_and_si512(_mm512_srli_epi16(raw, 4), mask)};
}

template <typename Block>
inline Quad nibble_quad(const Block* b) {
  return split_nibbles(gather128(b[0].qs, b[1].qs, b[2].qs, b[3].qs));
}

/// Adds 16 to elements whose fifth bit is set. Bits 0..15 of each qh belong to the low elements.
template <typename Block>
inline Quad five_bit_quad(const Block* b) {
  Quad q = nibble_quad(b);
  uint64_t low = 0, high = 0;
  for (int i = 0; i < kBlocks; ++i) {
    const uint64_t bits = load_bits(b[i].qh);
    low |= (bits & 0xffff) << (16 * i);
    high |= (bits >> 16) << (16 * i);
  }
  const __m512i sixteen = _mm512_set1_epi8(16);
  q.low = _mm512_mask_add_epi8(q.low, low, q.low, sixteen);
  q.high = _mm512_mask_add_epi8(q.high, high, q.high, sixteen);
  return q;
}

template <typename Type>
inline Quad quad(const typename Type::Block* b) {
  if constexpr (__is_same(Type, TypeQ8_0)) {
    const __m512i flip = _mm512_set1_epi8(static_cast<char>(0x80));
    const __m512i low = gather128(b[0].qs, b[1].qs, b[2].qs, b[3].qs);
    const __m512i high = gather128(b[0].qs + 16, b[1].qs + 16, b[2].qs + 16, b[3].qs + 16);
    return {_mm512_xor_si512(low, flip), _mm512_xor_si512(high, flip)};
  } else if constexpr (__is_same(Type, TypeIQ4_NL)) {
    const __m512i table = _mm512_broadcast_i32x4(iq4_table());
    const Quad q = nibble_quad(b);
    return {_mm512_shuffle_epi8(table, q.low), _mm512_shuffle_epi8(table, q.high)};
  } else if constexpr (__is_same(Type, TypeQ5_0) || __is_same(Type, TypeQ5_1)) {
    return five_bit_quad(b);
  } else {
    return nibble_quad(b);
  }
}

/// Sixteen halves, lane b, element r = scale `get` of block b of row r, widened.
template <typename Block, typename Get>
inline __m512 scales(const Block* const* row, int64_t b, Get get) {
  alignas(32) uint16_t bits[16];
  for (int i = 0; i < kBlocks; ++i)
    for (int r = 0; r < kRows; ++r) bits[4 * i + r] = get(row[r][b + i]);
  return _mm512_cvtph_ps(_mm256_load_si256(reinterpret_cast<const __m256i*>(bits)));
}

/// Four floats, each repeated over one lane.
inline __m512 spread(const float* p) {
  const __m512i index = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
  return _mm512_permutexvar_ps(index, _mm512_castps128_ps512(_mm_loadu_ps(p)));
}
inline __m512i spread(const int16_t* p) {
  const __m512i index = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
  int64_t four;
  __builtin_memcpy(&four, p, 8);
  return _mm512_permutexvar_epi32(
      index, _mm512_castsi128_si512(_mm_cvtepi16_epi32(_mm_cvtsi64_si128(four))));
}

/// chain = fma(factor, value, chain) for the lanes in order.
inline __m128 chain_lanes(__m128 chain, __m512 factor, __m512 value) {
  chain = _mm_fmadd_ps(_mm512_castps512_ps128(factor), _mm512_castps512_ps128(value), chain);
  chain = _mm_fmadd_ps(_mm512_extractf32x4_ps(factor, 1), _mm512_extractf32x4_ps(value, 1), chain);
  chain = _mm_fmadd_ps(_mm512_extractf32x4_ps(factor, 2), _mm512_extractf32x4_ps(value, 2), chain);
  return _mm_fmadd_ps(_mm512_extractf32x4_ps(factor, 3), _mm512_extractf32x4_ps(value, 3), chain);
}

/// As chain_lanes with the minimum's FMA after each block's.
inline __m128 chain_pairs(__m128 chain, __m512 f, __m512 v, __m512 g, __m512 u) {
  alignas(64) float fs[16], vs[16], gs[16], us[16];
  _mm512_store_ps(fs, f);
  _mm512_store_ps(vs, v);
  _mm512_store_ps(gs, g);
  _mm512_store_ps(us, u);
  for (int i = 0; i < 16; i += 4) {
    chain = _mm_fmadd_ps(_mm_load_ps(fs + i), _mm_load_ps(vs + i), chain);
    chain = _mm_fmadd_ps(_mm_load_ps(gs + i), _mm_load_ps(us + i), chain);
  }
  return chain;
}

template <typename Type>
inline __m128 four_blocks(const typename Type::Block* const* row, const MatmulArgs& a, int64_t b,
                          __m128 chain) {
  const __m512i x0 = load512(a.xq.q + 32 * b), x1 = load512(a.xq.q + 32 * b + 64);
  const __m512i low = _mm512_shuffle_i32x4(x0, x1, 0x88);   // first halves of the blocks
  const __m512i high = _mm512_shuffle_i32x4(x0, x1, 0xdd);  // second halves
  __m512i sums[kRows];
  prefetch_rows<kRows, kBlocks>(row[0], b, a.row_bytes);
  for (int r = 0; r < kRows; ++r) {
    const Quad w = quad<Type>(row[r] + b);
    sums[r] =
        _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(_mm512_setzero_si512(), w.low, low), w.high, high);
  }
  __m512i sum = lane_sums(sums);
  const __m512i total = spread(a.xq.s + b);
  if (Type::kOffset != 0)
    sum = _mm512_sub_epi32(sum, _mm512_mullo_epi32(total, _mm512_set1_epi32(Type::kOffset)));
  const __m512 dx = spread(a.xq.d + b);
  const __m512 d = scales(row, b, [](const typename Type::Block& block) { return block.d; });
  if constexpr (Type::kMinimum) {
    const __m512 m = scales(row, b, [](const typename Type::Block& x) { return x.m; });
    return chain_pairs(chain, _mm512_mul_ps(d, dx), _mm512_cvtepi32_ps(sum), _mm512_mul_ps(m, dx),
                       _mm512_cvtepi32_ps(total));
  } else {
    return chain_lanes(chain, _mm512_mul_ps(d, dx), _mm512_cvtepi32_ps(sum));
  }
}

/// One block of four rows, for the k that are no multiple of 128.
template <typename Type>
inline __m128 one_block(const typename Type::Block* const* row, const MatmulArgs& a, int64_t b,
                        __m128 chain) {
  alignas(16) float factor[4], value[4], min_factor[4];
  const __m256i x = load256(a.xq.q + 32 * b);
  for (int r = 0; r < kRows; ++r) {
    const __m256i dot = _mm256_dpbusd_epi32(_mm256_setzero_si256(), Type::unpack(row[r][b]), x);
    __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(dot), _mm256_extracti128_si256(dot, 1));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1));
    value[r] = static_cast<float>(_mm_cvtsi128_si32(sum) - Type::kOffset * a.xq.s[b]);
    factor[r] = half(row[r][b].d) * a.xq.d[b];
    min_factor[r] = half(Type::minimum(row[r][b])) * a.xq.d[b];
  }
  chain = _mm_fmadd_ps(_mm_load_ps(factor), _mm_load_ps(value), chain);
  if (!Type::kMinimum) return chain;
  return _mm_fmadd_ps(_mm_load_ps(min_factor), _mm_set1_ps(static_cast<float>(a.xq.s[b])), chain);
}

template <typename Type>
void stream(const MatmulArgs& a) {
  using Block = typename Type::Block;
  stream_rows<Block, 32>(a, [&](const Block* const* row, int64_t begin, int64_t end) {
    __m128 chain = _mm_setzero_ps();
    int64_t b = begin;
    for (; b + kBlocks <= end; b += kBlocks) chain = four_blocks<Type>(row, a, b, chain);
    for (; b < end; ++b) chain = one_block<Type>(row, a, b, chain);
    return chain;
  });
}

}  // namespace

bool stream_block32(DType type, const MatmulArgs& a) {
  switch (type) {
    case DType::q4_0:
      stream<TypeQ4_0>(a);
      return true;
    case DType::q4_1:
      stream<TypeQ4_1>(a);
      return true;
    case DType::q5_0:
      stream<TypeQ5_0>(a);
      return true;
    case DType::q5_1:
      stream<TypeQ5_1>(a);
      return true;
    case DType::q8_0:
      stream<TypeQ8_0>(a);
      return true;
    case DType::iq4_nl:
      stream<TypeIQ4_NL>(a);
      return true;
    default:
      return false;
  }
}

}  // namespace weir::kernels::avx512
