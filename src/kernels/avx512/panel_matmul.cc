// Drives the panel multiply: for every segment of k, blocks of up to 64 rows are unpacked into
// cache-sized panels and multiplied with all tokens, 6 at a time. Results of the segments are added
// in order.
#include "kernels/avx512/integer_matmul.h"
#include "kernels/avx512/panel.h"

namespace weir::kernels::avx512 {
namespace {

constexpr int64_t kPanels = 4;  // panels unpacked together: 64 rows

struct Slice {
  int64_t k0, k;  // segment
  int64_t r0;     // first row of the panel
  int64_t t0;     // first token of the tile
};

/// Adds the products of R panels and one tile of C tokens to the output.
template <typename Type, int R, int C, typename Panel>
inline void tile(const MatmulArgs& a, const Panel* panel, const Columns& x, const Slice& s) {
  constexpr int64_t kBlock = sizeof(Panel) == sizeof(Panel32) ? 32 : 256;
  __m512 sum[R][C];
  multiply<Type, R, C>(panel, x, static_cast<int>(s.k / kBlock), sum);
  for (int r = 0; r < R; ++r) {
    const int64_t r0 = s.r0 + r * kPanelRows, rows = a.rows - r0;
    const __mmask16 mask =
        rows >= kPanelRows ? __mmask16{0xffff} : static_cast<__mmask16>((1u << rows) - 1u);
    for (int c = 0; c < C; ++c) {
      float* out = a.out + (s.t0 + c) * a.out_stride + r0;
      const __m512 before = s.k0 == 0 ? _mm512_setzero_ps() : _mm512_maskz_loadu_ps(mask, out);
      _mm512_mask_storeu_ps(out, mask, _mm512_add_ps(before, sum[r][c]));
    }
  }
}

template <typename Type, int R, typename Panel>
inline void tile_of(int columns, const MatmulArgs& a, const Panel* p, const Columns& x,
                    const Slice& s) {
  static_assert(kMaxColumns == 6);
  switch (columns) {
    case 6:
      return tile<Type, R, 6>(a, p, x, s);
    case 5:
      return tile<Type, R, 5>(a, p, x, s);
    case 4:
      return tile<Type, R, 4>(a, p, x, s);
    case 3:
      return tile<Type, R, 3>(a, p, x, s);
    case 2:
      return tile<Type, R, 2>(a, p, x, s);
    default:
      return tile<Type, R, 1>(a, p, x, s);
  }
}

template <typename Type, typename Panel>
struct Scratch {
  Panel panels[kPanels];
  int32_t start[kMaxColumns][kSegment / 16];
  int16_t sums[kMaxColumns][kSegment / 32];
};

/// Sums over sub-blocks of 32 from those over 16, for columns of super-blocks.
template <typename Work>
inline void join_sums(Columns& x, int columns, int64_t subs, Work& work) {
  for (int c = 0; c < columns; ++c)
    for (int64_t i = 0; i < subs; ++i) {
      const int16_t* s = x.s + c * x.s_stride + 2 * i;
      work.sums[c][i] = static_cast<int16_t>(s[0] + s[1]);
    }
  x.s = work.sums[0];
  x.s_stride = kSegment / 32;
}

/// First accumulator values of a tile: minus offset times the sums of activations.
template <typename Type, typename Work>
inline void start_values(Columns& x, int columns, int64_t subs, Work& work) {
  for (int c = 0; c < columns; ++c)
    for (int64_t i = 0; i < subs; ++i) work.start[c][i] = -Type::kOffset * x.s[c * x.s_stride + i];
  x.start = work.start[0];
  x.start_stride = kSegment / 16;
}

/// Weights that are unpacked next. Sixteen rows are read at once then, a few lines of each: too
/// short for the processor's own prefetcher, so they are asked for while the tiles are multiplied.
struct Next {
  const std::byte* first;
  size_t row_bytes;
  int64_t lines;  // of a row

  /// Asks for part `tile` of `tiles` of the rows. Past the end of the weights lie those of the
  /// caller's next call, or nothing: prefetching does no harm.
  [[gnu::always_inline]] void prefetch(int64_t tile, int64_t tiles) const {
    const int64_t total = kPanels * kPanelRows * lines;
    for (int64_t i = total * tile / tiles; i < total * (tile + 1) / tiles; ++i)
      __builtin_prefetch(first + static_cast<size_t>(i / lines) * row_bytes + 64 * (i % lines), 0,
                         2);
  }
};

template <typename Type, typename Panel>
Next next_after(const MatmulArgs& a, int64_t k0, int64_t k, int64_t r0) {
  constexpr int64_t kBlock = sizeof(Panel) == sizeof(Panel32) ? 32 : 256;
  constexpr int64_t kBytes = sizeof(typename Type::Block);
  int64_t row = r0 + kPanels * kPanelRows;
  if (row >= a.rows && k0 + k < a.k) {
    row = 0;
    k0 += k;
  }
  const std::byte* first = a.w + static_cast<size_t>(row) * a.row_bytes + k0 / kBlock * kBytes;
  return {first, a.row_bytes, k / kBlock * kBytes / 64 + 1};
}

template <typename Type, typename Panel>
void run(const MatmulArgs& a) {
  constexpr int64_t kBlock = sizeof(Panel) == sizeof(Panel32) ? 32 : 256;
  constexpr int64_t kRun = kBlock == 32 ? 32 : 16;
  int64_t sub = 32;
  if constexpr (kBlock == 256) sub = Type::kSub;
  using Work = Scratch<Type, Panel>;
  static_assert(sizeof(Work) <= kMatmulScratch);
  auto& work = *reinterpret_cast<Work*>(a.scratch);
  for (int64_t k0 = 0; k0 < a.k; k0 += kSegment) {
    const int64_t k = a.k - k0 < kSegment ? a.k - k0 : kSegment;
    for (int64_t r0 = 0; r0 < a.rows; r0 += kPanels * kPanelRows) {
      const int64_t left = (a.rows - r0 + kPanelRows - 1) / kPanelRows;
      const int64_t panels = left < kPanels ? left : kPanels;
      for (int64_t p = 0; p < panels; ++p) {
        const std::byte* rows[kPanelRows];
        for (int r = 0; r < kPanelRows; ++r) {  // rows past the end repeat the last one
          int64_t index = r0 + p * kPanelRows + r;
          if (index >= a.rows) index = a.rows - 1;
          rows[r] = a.w + static_cast<size_t>(index) * a.row_bytes +
                    static_cast<size_t>(k0 / kBlock) * sizeof(typename Type::Block);
        }
        fill<Type>(work.panels[p], rows, static_cast<int>(k / kBlock));
      }
      const Next next = next_after<Type, Panel>(a, k0, k, r0);
      const int64_t tiles = (a.tokens + kMaxColumns - 1) / kMaxColumns;
      for (int64_t t = 0; t < a.tokens; t += kMaxColumns) {
        next.prefetch(t / kMaxColumns, tiles);
        const int columns =
            static_cast<int>(a.tokens - t < kMaxColumns ? a.tokens - t : kMaxColumns);
        Columns x = {a.xq.q + t * a.xq.q_stride + k0,
                     a.xq.d + t * a.xq.d_stride + k0 / kBlock,
                     a.xq.s + t * a.xq.s_stride + k0 / kRun,
                     nullptr,
                     a.xq.q_stride,
                     a.xq.d_stride,
                     a.xq.s_stride,
                     0};
        if (sub != kRun) join_sums(x, columns, k / sub, work);
        if (Type::kOffset != 0) start_values<Type>(x, columns, k / sub, work);
        int64_t p = 0;
        for (; p + kMaxPanels <= panels; p += kMaxPanels)
          tile_of<Type, kMaxPanels>(columns, a, &work.panels[p], x,
                                    {k0, k, r0 + p * kPanelRows, t});
        if (p < panels)
          tile_of<Type, 1>(columns, a, &work.panels[p], x, {k0, k, r0 + p * kPanelRows, t});
      }
    }
  }
}

}  // namespace

void panel_matmul(DType type, const MatmulArgs& a) {
  switch (type) {
    case DType::q4_0:
      return run<TypeQ4_0, Panel32>(a);
    case DType::q4_1:
      return run<TypeQ4_1, Panel32>(a);
    case DType::q5_0:
      return run<TypeQ5_0, Panel32>(a);
    case DType::q5_1:
      return run<TypeQ5_1, Panel32>(a);
    case DType::q8_0:
      return run<TypeQ8_0, Panel32>(a);
    case DType::iq4_nl:
      return run<TypeIQ4_NL, Panel32>(a);
    case DType::q2_k:
      return run<TypeQ2_K, Panel256>(a);
    case DType::q3_k:
      return run<TypeQ3_K, Panel256>(a);
    case DType::q4_k:
      return run<TypeQ4_K, Panel256>(a);
    case DType::q5_k:
      return run<TypeQ5_K, Panel256>(a);
    case DType::q6_k:
      return run<TypeQ6_K, Panel256>(a);
    case DType::iq4_xs:
      return run<TypeIQ4_XS, Panel256>(a);
    default:
      return;
  }
}

}  // namespace weir::kernels::avx512
