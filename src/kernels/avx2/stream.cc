// Matmul of the quantised types for one to four tokens: the step of one block of four rows. Integer
// sums are exact in any order; the float chain runs over four rows at once, blocks in order.
#include "kernels/vec/stream.inc"
#include "kernels/avx2/integer_matmul.h"
#include "kernels/avx2/unpack.h"

namespace weir::kernels::avx2 {
namespace {

/// Element r = sum over the lanes of x[r].
inline __m128i row_sums(const __m256i* x) {
  const __m256i four =
      _mm256_hadd_epi32(_mm256_hadd_epi32(x[0], x[1]), _mm256_hadd_epi32(x[2], x[3]));
  return _mm_add_epi32(_mm256_castsi256_si128(four), _mm256_extracti128_si256(four, 1));
}

/// The halves `get` reads from four blocks, widened.
template <typename Block, typename Get>
inline __m128 four_halves(const Block* const* row, int64_t b, Get get) {
  const auto bits = [&](int r) { return static_cast<short>(get(row[r][b])); };
  return _mm_cvtph_ps(_mm_setr_epi16(bits(0), bits(1), bits(2), bits(3), 0, 0, 0, 0));
}

/// One block of 32 of four rows.
template <typename Type>
struct Step32 {
  using Sum = __m128;
  static constexpr int kBlock = 32;
  static __m128 step(const typename Type::Block* const* row, const MatmulArgs& a, int64_t b,
                     __m128 chain) {
    const __m256i x = load256(a.xq.q + 32 * b);
    __m256i sums[kStreamRows];
    for (int r = 0; r < kStreamRows; ++r)
      sums[r] =
          _mm256_madd_epi16(dot_pairs<Type>(Type::unpack(row[r][b]), x), _mm256_set1_epi16(1));
    __m128i sum = row_sums(sums);
    if (Type::kOffset != 0) sum = _mm_sub_epi32(sum, _mm_set1_epi32(Type::kOffset * a.xq.s[b]));
    const __m128 dx = _mm_set1_ps(a.xq.d[b]);
    const __m128 d = four_halves(row, b, [](const typename Type::Block& w) { return w.d; });
    chain = _mm_fmadd_ps(_mm_mul_ps(d, dx), _mm_cvtepi32_ps(sum), chain);
    if (!Type::kMinimum) return chain;
    const __m128 m = four_halves(row, b, Type::minimum);
    return _mm_fmadd_ps(_mm_mul_ps(m, dx), _mm_set1_ps(static_cast<float>(a.xq.s[b])), chain);
  }
};

/// One block of 256 of four rows.
template <typename Type>
struct Step256 {
  using Sum = __m128;
  static constexpr int kBlock = 256;

  /// The scales of elements 32 j ... 32 j + 31, one an int16 of products.
  static __m256i scales_of(const __m256i* scales, int j) {
    if constexpr (Type::kSub == 32) {
      return _mm256_permutevar8x32_epi32(scales[0], _mm256_set1_epi32(j));
    } else {
      const int first = 2 * (j % 4);
      const __m256i index =
          _mm256_setr_epi32(first, first, first, first, first + 1, first + 1, first + 1, first + 1);
      return _mm256_permutevar8x32_epi32(scales[j / 4], index);
    }
  }

  /// Sum of scale times products of one row, spread over lanes.
  static __m256i row_dot(const typename Type::Block& w, const int8_t* q, __m256i runs) {
    __m256i scales[2];
    sub_scales<Type>(w, scales);
    __m256i sum = _mm256_setzero_si256();
#pragma GCC unroll 8
    for (int j = 0; j < 8; ++j) {
      const __m256i pairs = dot_pairs<Type>(Type::unpack(w, j), load256(q + 32 * j));
      sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, scales_of(scales, j)));
    }
    if (Type::kOffset == 0) return sum;
    const __m256i scaled = _mm256_mullo_epi16(Type::scales(w), _mm256_set1_epi16(Type::kOffset));
    return _mm256_sub_epi32(sum, _mm256_madd_epi16(scaled, runs));
  }

  static __m128 step(const typename Type::Block* const* row, const MatmulArgs& a, int64_t b,
                     __m128 chain) {
    const __m256i runs = load256(a.xq.s + 16 * b);
    __m256i sums[kStreamRows];
#pragma GCC unroll 4
    for (int r = 0; r < kStreamRows; ++r) sums[r] = row_dot(row[r][b], a.xq.q + 256 * b, runs);
    const __m128 dx = _mm_set1_ps(a.xq.d[b]);
    const __m128 d = four_halves(row, b, [](const typename Type::Block& w) { return w.d; });
    chain = _mm_fmadd_ps(_mm_mul_ps(d, dx), _mm_cvtepi32_ps(row_sums(sums)), chain);
    if (!Type::kMinimum) return chain;
    for (int r = 0; r < kStreamRows; ++r)
      sums[r] = _mm256_madd_epi16(Type::minima(row[r][b]), runs);
    const __m128 dmin = _mm_mul_ps(four_halves(row, b, Type::minimum), dx);
    return _mm_fmadd_ps(_mm_xor_ps(dmin, _mm_set1_ps(-0.0f)), _mm_cvtepi32_ps(row_sums(sums)),
                        chain);
  }
};

}  // namespace

bool stream_matmul(DType type, const MatmulArgs& a) {
  if (type == DType::q5_1 && a.tokens > 1) return false;  // unpacking costs more than its panels
  return for_block32(type, [&]<typename T>() { return stream_few<T, Step32<T>>(a); }) ||
         for_block256(type, [&]<typename T>() { return stream_few<T, Step256<T>>(a); });
}

}  // namespace weir::kernels::avx2
