// Matmul of F16 and BF16 weights by vdpbf16ps: the numerics option "bf16-dot" (docs/numerics.md).
// A register holds 32 inputs of one row; lane i sums inputs 2 i + 1 and 2 i of every 32.
//
// Activations of a block of tokens are rounded to BF16 once a segment, and so are the F16 rows of a
// block. Both wait in scratch, padded with zeros to whole registers. Six tokens stay in the first
// cache while a block of rows passes, and the rows in the second one while all tokens pass.
#include <immintrin.h>

#include "kernels/isa_tables.h"
#include "kernels/kernels.h"

namespace weir::kernels {
namespace {

constexpr int kRows = 4, kMaxColumns = 6;
constexpr int64_t kTokenBlock = 132, kRowBlock = 64;  // their BF16 segments fit L2 together

struct alignas(64) Work {
  uint16_t x[kTokenBlock][kSegment];
  uint16_t w[kRowBlock][kSegment];  // of F16 weights
};
static_assert(sizeof(Work) <= kMatmulScratch);

/// Inputs [k, k + n) of all tokens; `tail` has the lanes of the last, incomplete register.
struct Segment {
  int64_t k, n;
  int64_t whole() const { return n / 32 * 32; }
  __mmask32 tail() const { return (__mmask32{1} << (n % 32)) - 1; }
};

/// Asks for the next rows while kRows rows are used, but one after the other: memory that is asked
/// at several places in turn gives a quarter less (two threads, Zen 5).
class NextRows {
 public:
  NextRows(const uint16_t* first, size_t row_bytes, const Segment& s)
      : at_(reinterpret_cast<const char*>(first) + kRows * row_bytes),
        steps_((s.n + kRows * 32 - 1) / (kRows * 32)),
        skip_(row_bytes - static_cast<size_t>(steps_) * kRows * 64) {}

  /// Once for every 32 inputs.
  [[gnu::always_inline]] void step() {
    for (int line = 0; line < kRows; ++line) __builtin_prefetch(at_ + 64 * line, 0, 2);
    at_ += 64 * kRows;
    if (++step_ < steps_) return;
    step_ = 0;
    at_ += skip_;
  }

 private:
  const char* at_;
  int64_t steps_, step_ = 0;  // for the inputs of one row
  size_t skip_;               // from their end to those of the next row
};

inline __m512bh bits(__m512i x) { return (__m512bh)x; }

/// 32 floats, the first n of them, to BF16.
inline void store_rounded(const float* x, int64_t n, uint16_t* to) {
  const auto mask = [](int64_t left) {
    return static_cast<__mmask16>(left >= 16 ? 0xffff : left <= 0 ? 0 : (1 << left) - 1);
  };
  const __m512 low = _mm512_maskz_loadu_ps(mask(n), x);
  const __m512 high = _mm512_maskz_loadu_ps(mask(n - 16), x + 16);
  _mm512_store_si512(to, (__m512i)_mm512_cvtne2ps_pbh(high, low));
}

/// A row of halves to BF16, while the same of the next rows is asked for.
inline void store_rounded(const uint16_t* row, const Segment& s, size_t next_rows, uint16_t* to) {
  for (int64_t i = 0; i < s.n; i += 32) {
    __builtin_prefetch(reinterpret_cast<const char*>(row + i) + next_rows, 0, 2);
    const __m512i raw =
        s.n - i >= 32 ? _mm512_loadu_si512(row + i) : _mm512_maskz_loadu_epi16(s.tail(), row + i);
    const __m512 low = _mm512_cvtph_ps(_mm512_castsi512_si256(raw));
    const __m512 high = _mm512_cvtph_ps(_mm512_extracti64x4_epi64(raw, 1));
    _mm512_store_si512(to + i, (__m512i)_mm512_cvtne2ps_pbh(high, low));
  }
}

/// Element r = the canonical reduction of sum[r]: i with i + 8, i + 4, i + 2, i + 1.
inline __m128 reduce_rows(const __m512* sum) {
  const auto eights = [](__m512 a, __m512 b) {
    return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
  };
  const __m512 p = eights(sum[0], sum[1]), q = eights(sum[2], sum[3]);
  __m512 x = _mm512_add_ps(_mm512_shuffle_f32x4(p, q, 0x88), _mm512_shuffle_f32x4(p, q, 0xdd));
  x = _mm512_add_ps(x, _mm512_permute_ps(x, 0x4e));
  x = _mm512_add_ps(x, _mm512_permute_ps(x, 0xb1));
  const __m512i first = _mm512_setr_epi32(0, 4, 8, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  return _mm512_castps512_ps128(_mm512_permutexvar_ps(first, x));
}

/// Adds one segment of kRows rows x C tokens to the output, of which `mask` has the rows. Rows that
/// lie in memory row_bytes apart are asked for ahead, unless that is 0.
template <int C>
inline void tile(const uint16_t* const* w, const uint16_t* x, const Segment& s, size_t row_bytes,
                 __mmask8 mask, float* out, int64_t out_stride) {
  __m512 sum[C][kRows];
#pragma GCC unroll 6
  for (int c = 0; c < C; ++c)
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) sum[c][r] = _mm512_setzero_ps();
  const auto step = [&](const __m512i* rows, int64_t i) {
#pragma GCC unroll 6
    for (int c = 0; c < C; ++c) {
      const __m512i column = _mm512_load_si512(x + c * kSegment + i);
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r)
        sum[c][r] = _mm512_dpbf16_ps(sum[c][r], bits(rows[r]), bits(column));
    }
  };
  const int64_t whole = s.whole();
  NextRows next(w[0], row_bytes, s);
  for (int64_t i = 0; i < whole; i += 32) {
    if (row_bytes != 0) next.step();
    __m512i rows[kRows];
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) rows[r] = _mm512_loadu_si512(w[r] + i);
    step(rows, i);
  }
  if (whole < s.n) {
    __m512i rows[kRows];
    for (int r = 0; r < kRows; ++r) rows[r] = _mm512_maskz_loadu_epi16(s.tail(), w[r] + whole);
    step(rows, whole);
  }
#pragma GCC unroll 6
  for (int c = 0; c < C; ++c) {
    float* const to = out + c * out_stride;
    const __m128 before = s.k == 0 ? _mm_setzero_ps() : _mm_maskz_loadu_ps(mask, to);
    _mm_mask_storeu_ps(to, mask, _mm_add_ps(before, reduce_rows(sum[c])));
  }
}

template <int C = kMaxColumns>
inline void tile_of(int64_t columns, const uint16_t* const* w, const uint16_t* x, const Segment& s,
                    size_t row_bytes, __mmask8 mask, float* out, int64_t out_stride) {
  if (columns >= C) return tile<C>(w, x, s, row_bytes, mask, out, out_stride);
  if constexpr (C > 1) tile_of<C - 1>(columns, w, x, s, row_bytes, mask, out, out_stride);
}

/// One segment of the rows [r0, r1) and a block of tokens, whose activations are rounded.
template <DType type>
inline void row_block(const MatmulArgs& a, const Segment& s, int64_t r0, int64_t r1, int64_t t0,
                      int64_t tokens, Work& work) {
  const auto row = [&](int64_t r) {  // rows past the end repeat the last one
    const auto index = static_cast<size_t>(r < a.rows ? r : a.rows - 1);
    return reinterpret_cast<const uint16_t*>(a.w + index * a.row_bytes) + s.k;
  };
  const int64_t end = (r1 + kRows - 1) / kRows * kRows;
  if (type == DType::f16)
    for (int64_t r = r0; r < end; ++r)
      store_rounded(row(r), s, kRows * a.row_bytes, work.w[r - r0]);
  for (int64_t t = 0; t < tokens; t += kMaxColumns)
    for (int64_t r = r0; r < end; r += kRows) {
      const int64_t left = a.rows - r;
      const auto mask = static_cast<__mmask8>(left >= kRows ? 15 : (1 << left) - 1);
      const uint16_t* w[kRows];
      for (int i = 0; i < kRows; ++i) w[i] = type == DType::f16 ? work.w[r - r0 + i] : row(r + i);
      tile_of(tokens - t, w, work.x[t], s, type == DType::f16 || t > 0 ? 0 : a.row_bytes, mask,
              a.out + (t0 + t) * a.out_stride + r, a.out_stride);
    }
}

template <DType type>
void matmul(const MatmulArgs& a) {
  auto& work = *reinterpret_cast<Work*>(a.scratch);
  const int64_t rows = a.tokens > kMaxColumns ? kRowBlock : kRows;
  for (int64_t k0 = 0; k0 < a.k; k0 += kSegment) {
    const Segment s = {k0, a.k - k0 < kSegment ? a.k - k0 : kSegment};
    for (int64_t t0 = 0; t0 < a.tokens; t0 += kTokenBlock) {
      const int64_t tokens = a.tokens - t0 < kTokenBlock ? a.tokens - t0 : kTokenBlock;
      for (int64_t t = 0; t < tokens; ++t)
        for (int64_t i = 0; i < s.n; i += 32)
          store_rounded(a.x + (t0 + t) * a.x_stride + k0 + i, s.n - i, work.x[t] + i);
      for (int64_t r0 = 0; r0 < a.rows; r0 += rows)
        row_block<type>(a, s, r0, a.rows - r0 < rows ? a.rows : r0 + rows, t0, tokens, work);
    }
  }
}

int64_t probe(int64_t rounds) {
  constexpr int kChains = 12;
  __m512 chain[kChains];
#pragma GCC unroll 16
  for (int c = 0; c < kChains; ++c) chain[c] = _mm512_setzero_ps();  // in registers: unrolled
  const __m512i w = _mm512_set1_epi16(0x3f80), x = _mm512_set1_epi16(0x3c00);
  for (int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 16
    for (int c = 0; c < kChains; ++c) {
      chain[c] = _mm512_dpbf16_ps(chain[c], bits(w), bits(x));
      asm volatile("" : "+v"(chain[c]));
    }
  }
  return rounds * kChains * 64;
}

}  // namespace

const Bf16Dot* avx512_bf16_dot() {
  static const Bf16Dot kernels = {matmul<DType::f16>, matmul<DType::bf16>, probe};
  return &kernels;
}

}  // namespace weir::kernels
