// Drives the panel multiply: for every segment of k, blocks of up to 64 rows are unpacked into
// cache-sized panels and multiplied with all tokens, 6 at a time. Results of the segments are added
// in order.
#include <algorithm>

#include "kernels/avx512/integer_matmul.h"
#include "kernels/avx512/panel.h"

namespace weir::kernels::avx512 {
namespace {

constexpr int64_t kPanels = 4;         // panels unpacked together: 64 rows
constexpr int64_t kTilesKnown = 4096;  // tiles of which is known what sums are narrow
constexpr int64_t kTilesKept = 128;    // tiles whose sums stay for the next rows: 768 tokens

struct Slice {
  int64_t k0, k;  // segment
  int64_t r0;     // first row of the panel
  int64_t t0;     // first token of the tile
};

/// Adds the products of R panels and one tile of C tokens to the output, whose lines are asked for
/// before they are needed.
template <typename Type, int R, int C, typename Panel>
[[gnu::noinline]] void tile(const MatmulArgs& a, const Panel* panel, const Columns& x,
                            const Slice& s, Ahead& ahead) {
  constexpr int64_t kBlock = sizeof(Panel) == sizeof(Panel32) ? 32 : 256;
#pragma GCC unroll 12
  for (int c = 0; c < C; ++c)
    for (int r = 0; r < R; ++r)
      __builtin_prefetch(a.out + (s.t0 + c) * a.out_stride + s.r0 + r * kPanelRows, 1, 3);
  __m512 sum[R][C];
  multiply<Type, R, C>(panel, x, static_cast<int>(s.k / kBlock), sum, ahead);
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
                    const Slice& s, Ahead& ahead) {
  static_assert(kMaxColumns == 6);
  switch (columns) {
    case 6:
      return tile<Type, R, 6>(a, p, x, s, ahead);
    case 5:
      return tile<Type, R, 5>(a, p, x, s, ahead);
    case 4:
      return tile<Type, R, 4>(a, p, x, s, ahead);
    case 3:
      return tile<Type, R, 3>(a, p, x, s, ahead);
    case 2:
      return tile<Type, R, 2>(a, p, x, s, ahead);
    default:
      return tile<Type, R, 1>(a, p, x, s, ahead);
  }
}

/// What follows from the activations of a tile: Columns::start, one for each kStep weights, and
/// ::s, where its sums are over more than the activations' own.
template <typename Type, int64_t kBlock>
struct TileSums {
  static constexpr int64_t kRun = kBlock == 32 ? 32 : 16;
  static constexpr int64_t kStep = Folded<Type> ? kBlock : Type::kSub;
  static constexpr int64_t kStarts = Type::kOffset != 0 ? kSegment / kStep : 1;
  static constexpr int64_t kSums = Type::kSub != kRun ? kSegment / Type::kSub : 1;
  int32_t start[kMaxColumns][kStarts];
  int16_t sums[kMaxColumns][kSums];
};

template <typename Type, typename Panel, int64_t kBlock>
struct Scratch {
  Panel panels[kPanels];
  std::byte edge[kPanelRows * kSegment / 32 * sizeof(BlockQ8_0)];  // the longest rows
  TileSums<Type, kBlock> tiles[kTilesKept];
  uint8_t narrow[kTilesKnown];  // Columns::narrow of each tile of the segment
  const std::byte* asked;       // weights that the last call asked for, in its last rows
};

/// Sums over sub-blocks of 32 from those over 16, for columns of super-blocks.
template <typename Sums>
inline void join_sums(const Columns& x, int columns, int64_t subs, Sums& to) {
  const __m256i ones = _mm256_set1_epi16(1);
  for (int c = 0; c < columns; ++c)
    for (int64_t i = 0; i < subs; i += 8) {
      const __m256i pairs = _mm256_madd_epi16(load256(x.s + c * x.s_stride + 2 * i), ones);
      _mm_storeu_si128(reinterpret_cast<__m128i*>(&to.sums[c][i]), _mm256_cvtepi32_epi16(pairs));
    }
}

/// First accumulator values of a tile: minus offset times the sums of activations, each over kRuns
/// of those in x.
template <typename Type, int kRuns, typename Sums>
inline void start_values(const Columns& x, int columns, int64_t count, Sums& to) {
  for (int c = 0; c < columns; ++c)
    for (int64_t i = 0; i < count; ++i) {
      int32_t sum = 0;
      for (int j = 0; j < kRuns; ++j) sum += x.s[c * x.s_stride + i * kRuns + j];
      to.start[c][i] = -Type::kOffset * sum;
    }
}

/// Columns::narrow: bit b is set if no weights at all could make the products of a sub-block of
/// super-block b with the activations of `columns` tokens, `stride` apart, exceed 16 bits.
template <typename Type>
uint8_t narrow_sums(const Peak* peak, int64_t stride, int columns, int64_t blocks) {
  static_assert(Type::kSub == 16 || Type::kOffset == 0, "Peak::of_32 is for weights from 0 on");
  constexpr int kLargest = Type::kHigh > Type::kOffset ? Type::kHigh : Type::kOffset;
  unsigned narrow = 0;
  for (int64_t b = 0; b < blocks; ++b) {
    bool fits = true;
    for (int c = 0; c < columns; ++c) {
      const Peak& p = peak[c * stride + b];
      fits = fits && (Type::kSub == 16 ? p.of_16 : p.of_32) * kLargest <= INT16_MAX;
    }
    narrow |= static_cast<unsigned>(fits) << b;
  }
  return static_cast<uint8_t>(narrow);
}

/// Reads the first rows of a call that no other has asked for, line after line. The processor's own
/// prefetcher follows that, but not the order in which panels are filled, which would wait for
/// every block: 12 us longer for 64 rows of Q4_K (Zen 5).
inline void touch(const MatmulArgs& a, size_t bytes) {
  const int64_t rows = std::min(a.rows, kPanels * kPanelRows);
  for (int64_t r = 0; r < rows; ++r) {
    const std::byte* const row = a.w + static_cast<size_t>(r) * a.row_bytes;
    for (size_t i = 0; i < bytes; i += 64)
      static_cast<void>(*static_cast<const volatile std::byte*>(row + i));
  }
}

/// The 16 rows from r0 at the segment. Where the weights end before, they are copied to `edge`, and
/// the last one fills the place of those that are not there.
template <typename Type, typename Panel>
Rows rows_at(const MatmulArgs& a, int64_t k0, int64_t k, int64_t r0, std::byte* edge) {
  constexpr int64_t kBlock = sizeof(Panel) == sizeof(Panel32) ? 32 : 256;
  constexpr size_t kBytes = sizeof(typename Type::Block);
  const std::byte* first =
      a.w + static_cast<size_t>(r0) * a.row_bytes + static_cast<size_t>(k0 / kBlock) * kBytes;
  const int64_t rows = a.rows - r0;
  if (rows >= kPanelRows) return {first, a.row_bytes};
  const auto bytes = static_cast<size_t>(k / kBlock) * kBytes;
  for (int64_t r = 0; r < kPanelRows; ++r)
    __builtin_memcpy(edge + static_cast<size_t>(r) * bytes,
                     first + static_cast<size_t>(r < rows ? r : rows - 1) * a.row_bytes, bytes);
  return {edge, bytes};
}

template <typename Type, typename Panel>
void run(const MatmulArgs& a) {
  constexpr int64_t kBlock = sizeof(Panel) == sizeof(Panel32) ? 32 : 256;
  using Work = Scratch<Type, Panel, kBlock>;
  using Sums = TileSums<Type, kBlock>;
  constexpr int64_t kRun = Sums::kRun, sub = Type::kSub, step = Sums::kStep;
  static_assert(sizeof(Work) <= kMatmulScratch);
  auto& work = *reinterpret_cast<Work*>(a.scratch);
  if (work.asked != a.w)
    touch(a, static_cast<size_t>(std::min(kSegment, a.k) / kBlock) * sizeof(typename Type::Block));
  work.asked = a.after();
  for (int64_t k0 = 0; k0 < a.k; k0 += kSegment) {
    const int64_t k = a.k - k0 < kSegment ? a.k - k0 : kSegment;
    for (int64_t r0 = 0; r0 < a.rows; r0 += kPanels * kPanelRows) {
      const int64_t left = (a.rows - r0 + kPanelRows - 1) / kPanelRows;
      const int64_t panels = left < kPanels ? left : kPanels;
      const int64_t tiles = (a.tokens + kMaxColumns - 1) / kMaxColumns;
      const int64_t tile_steps = k / 32 * (kPanels / kMaxPanels);
      Ahead nothing, ahead = ahead_of(a, k0, r0 + kPanels * kPanelRows, kPanels * kPanelRows,
                                      kBlock, sizeof(typename Type::Block),
                                      k / 32 * (kPanels / 4) + tiles * tile_steps);
      for (int64_t p = 0; p < panels; ++p) {
        fill<Type>(work.panels[p], rows_at<Type, Panel>(a, k0, k, r0 + p * kPanelRows, work.edge),
                   static_cast<int>(k / kBlock), ahead.due(tiles * tile_steps) ? ahead : nothing);
      }
      for (int64_t i = 0; i < tiles; ++i) {
        // Of nearly one width: 4 and 4 columns are faster than 6 and 2.
        const int64_t t = a.tokens * i / tiles;
        const int columns = static_cast<int>(a.tokens * (i + 1) / tiles - t);
        Columns x = {a.xq.q + t * a.xq.q_stride + k0,
                     a.xq.d + t * a.xq.d_stride + k0 / kBlock,
                     a.xq.s + t * a.xq.s_stride + k0 / kRun,
                     nullptr,
                     a.xq.q_stride,
                     a.xq.d_stride,
                     a.xq.s_stride,
                     0,
                     0};
        if constexpr (Paired<Type>) {
          if (r0 == 0 && i < kTilesKnown)
            work.narrow[i] = narrow_sums<Type>(a.xq.peak + t * a.xq.d_stride + k0 / kBlock,
                                               a.xq.d_stride, columns, k / kBlock);
          x.narrow = i < kTilesKnown ? work.narrow[i] : 0;
        }
        Sums& sums = work.tiles[tiles <= kTilesKept ? i : 0];
        const bool known = tiles <= kTilesKept && r0 > 0;
        if constexpr (sub != kRun) {
          if (!known) join_sums(x, columns, k / sub, sums);
          x.s = sums.sums[0];
          x.s_stride = Sums::kSums;
        }
        if constexpr (Type::kOffset != 0) {
          if (!known) start_values<Type, step / sub>(x, columns, k / step, sums);
          x.start = sums.start[0];
          x.start_stride = Sums::kStarts;
        }
        Ahead& now = ahead.due((tiles - i) * tile_steps) ? ahead : nothing;
        int64_t p = 0;
        for (; p + kMaxPanels <= panels; p += kMaxPanels)
          tile_of<Type, kMaxPanels>(columns, a, &work.panels[p], x, {k0, k, r0 + p * kPanelRows, t},
                                    now);
        if (p < panels)
          tile_of<Type, 1>(columns, a, &work.panels[p], x, {k0, k, r0 + p * kPanelRows, t}, now);
      }
    }
  }
}

}  // namespace

void panel_matmul(DType type, const MatmulArgs& a) {
  for_block32(type,
              [&]<typename T>() {
                run<T, Panel32>(a);
                return true;
              }) ||
      for_block256(type, [&]<typename T>() {
        run<T, Panel256>(a);
        return true;
      });
}

}  // namespace weir::kernels::avx512
