// Matmul of F16 and BF16 weights by vdpbf16ps: the numerics option "bf16-dot" (docs/numerics.md).
// A register holds 32 inputs of one row; lane i sums inputs 2 i + 1 and 2 i of every 32.
//
// Activations of a block of tokens are rounded to BF16 once a segment, and so are the F16 rows of a
// block. Both wait in scratch, padded with zeros to whole registers. Six tokens stay in the first
// cache while a block of rows passes, and the rows in the second one while all tokens pass.
#include <immintrin.h>

#include "kernels/isa_tables.h"
#include "kernels/kernels.h"
#include "kernels/vec/ahead.inc"
#include "kernels/vec/block_read.inc"

namespace weir::kernels {
namespace {

constexpr int kRows = 4, kMaxColumns = 6;
constexpr int64_t kPiecesAhead = kRows + 2;           // of 4 KiB
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

inline Segment segment_of(const MatmulArgs& a, int64_t k) {
  return {k, a.k - k < kSegment ? a.k - k : kSegment};
}

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

/// A row of halves to BF16.
template <typename Asked>
inline void store_rounded(const uint16_t* row, const Segment& s, Asked& asked, uint16_t* to) {
  for (int64_t i = 0; i < s.n; i += 32) {
    asked.template step<1>();
    const __m512i raw =
        s.n - i >= 32 ? _mm512_loadu_si512(row + i) : _mm512_maskz_loadu_epi16(s.tail(), row + i);
    const __m512 low = _mm512_cvtph_ps(_mm512_castsi512_si256(raw));
    const __m512 high = _mm512_cvtph_ps(_mm512_extracti64x4_epi64(raw, 1));
    _mm512_store_si512(to + i, (__m512i)_mm512_cvtne2ps_pbh(high, low));
  }
}

/// Element r = the canonical reduction of sum[r]: i with i + 8, i + 4, i + 2, i + 1.
template <int R>
inline __m128 reduce_rows(const __m512* sums) {
  __m512 sum[4];
  for (int r = 0; r < 4; ++r) sum[r] = sums[r < R ? r : R - 1];
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

/// Adds one segment of R rows x C tokens to the output, of which `mask` has the rows.
template <int C, int R, typename Asked>
inline void tile(const uint16_t* const* w, const uint16_t* x, const Segment& s, Asked& asked,
                 __mmask8 mask, float* out, int64_t out_stride) {
  __m512 sum[C][R];
#pragma GCC unroll 6
  for (int c = 0; c < C; ++c)
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) sum[c][r] = _mm512_setzero_ps();
  const auto step = [&](const __m512i* rows, int64_t i) {
#pragma GCC unroll 6
    for (int c = 0; c < C; ++c) {
      const __m512i column = _mm512_load_si512(x + c * kSegment + i);
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r)
        sum[c][r] = _mm512_dpbf16_ps(sum[c][r], bits(rows[r]), bits(column));
    }
  };
  const int64_t whole = s.whole();
  Asked ask = asked;  // in registers
  for (int64_t i = 0; i < whole; i += 32) {
    ask.template step<R>();
    __m512i rows[R];
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) rows[r] = _mm512_loadu_si512(w[r] + i);
    step(rows, i);
  }
  asked = ask;
  if (whole < s.n) {
    __m512i rows[R];
    for (int r = 0; r < R; ++r) rows[r] = _mm512_maskz_loadu_epi16(s.tail(), w[r] + whole);
    step(rows, whole);
  }
#pragma GCC unroll 6
  for (int c = 0; c < C; ++c) {
    float* const to = out + c * out_stride;
    const __m128 before = s.k == 0 ? _mm_setzero_ps() : _mm_maskz_loadu_ps(mask, to);
    _mm_mask_storeu_ps(to, mask, _mm_add_ps(before, reduce_rows<R>(sum[c])));
  }
}

template <int C = kMaxColumns, typename Asked>
inline void tile_of(int64_t columns, const uint16_t* const* w, const uint16_t* x, const Segment& s,
                    Asked& asked, __mmask8 mask, float* out, int64_t out_stride) {
  if (columns >= C) return tile<C, kRows>(w, x, s, asked, mask, out, out_stride);
  if constexpr (C > 1) tile_of<C - 1>(columns, w, x, s, asked, mask, out, out_stride);
}

inline const uint16_t* row_at(const MatmulArgs& a, int64_t r, const Segment& s) {
  const auto index = static_cast<size_t>(r < a.rows ? r : a.rows - 1);  // the last one repeats
  return reinterpret_cast<const uint16_t*>(a.w + index * a.row_bytes) + s.k;
}

/// Of R rows from r on, those that exist.
template <int R>
inline __mmask8 rows_from(const MatmulArgs& a, int64_t r) {
  return static_cast<__mmask8>((1 << (a.rows - r < R ? a.rows - r : R)) - 1);
}

inline void round_activations(const MatmulArgs& a, int64_t t, const Segment& s, uint16_t* to) {
  for (int64_t i = 0; i < s.n; i += 32)
    store_rounded(a.x + t * a.x_stride + s.k + i, s.n - i, to + i);
}

/// One segment of the rows [r0, r1) and a block of tokens, whose activations are rounded.
template <DType type>
inline void row_block(const MatmulArgs& a, const Segment& s, int64_t r0, int64_t r1, int64_t t0,
                      int64_t tokens, Work& work, AheadInOrder& asked) {
  NoneAhead none;
  const int64_t end = (r1 + kRows - 1) / kRows * kRows;
  if (type == DType::f16)
    for (int64_t r = r0; r < end; ++r) store_rounded(row_at(a, r, s), s, asked, work.w[r - r0]);
  for (int64_t t = 0; t < tokens; t += kMaxColumns)
    for (int64_t r = r0; r < end; r += kRows) {
      const uint16_t* w[kRows];
      for (int i = 0; i < kRows; ++i)
        w[i] = type == DType::f16 ? work.w[r - r0 + i] : row_at(a, r + i, s);
      float* const out = a.out + (t0 + t) * a.out_stride + r;
      const auto mask = rows_from<kRows>(a, r);
      if (type == DType::bf16 && t == 0)  // the first to read the rows
        tile_of(tokens, w, work.x[t], s, asked, mask, out, a.out_stride);
      else
        tile_of(tokens - t, w, work.x[t], s, none, mask, out, a.out_stride);
    }
}

/// One token: row after row, as memory has them. False where its activations do not fit.
template <DType type>
bool matmul_token(const MatmulArgs& a, Work& work) {
  if (a.tokens != 1 || a.k > kTokenBlock * kSegment) return false;
  for (int64_t k = 0; k < a.k; k += kSegment)
    round_activations(a, 0, segment_of(a, k), work.x[k / kSegment]);
  NoneAhead none;
  for (int64_t r = 0; r < a.rows; ++r) {
    AheadInMemory asked = {asked_rows<1>(a, a.w + static_cast<size_t>(r) * a.row_bytes)};
    const auto mask = rows_from<1>(a, r);
    for (int64_t k = 0; k < a.k; k += kSegment) {
      const Segment s = segment_of(a, k);
      const uint16_t* w[] = {row_at(a, r, s)};
      const uint16_t* const x = work.x[k / kSegment];
      if (type == DType::bf16) {
        tile<1, 1>(w, x, s, asked, mask, a.out + r, a.out_stride);
      } else {
        store_rounded(w[0], s, asked, work.w[0]);
        w[0] = work.w[0];
        tile<1, 1>(w, x, s, none, mask, a.out + r, a.out_stride);
      }
    }
  }
  return true;
}

template <DType type>
void matmul(const MatmulArgs& a) {
  auto& work = *reinterpret_cast<Work*>(a.scratch);
  if (matmul_token<type>(a, work)) return;
  const int64_t rows = a.tokens > kMaxColumns ? kRowBlock : kRows;
  for (int64_t k0 = 0; k0 < a.k; k0 += kSegment) {
    const Segment s = segment_of(a, k0);
    for (int64_t t0 = 0; t0 < a.tokens; t0 += kTokenBlock) {
      const int64_t tokens = a.tokens - t0 < kTokenBlock ? a.tokens - t0 : kTokenBlock;
      for (int64_t t = 0; t < tokens; ++t) round_activations(a, t0 + t, s, work.x[t]);
      AheadInOrder asked({a, a.rows, kSegment, sizeof(uint16_t), k0}, kPiecesAhead);
      for (int64_t r0 = 0; r0 < a.rows; r0 += rows)
        row_block<type>(a, s, r0, a.rows - r0 < rows ? a.rows : r0 + rows, t0, tokens, work, asked);
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
