// Drives the panel multiply: for every segment of k, blocks of up to 64 rows are unpacked into
// cache-sized panels and multiplied with all tokens, 4 at a time. Results of the segments are
// added in order.
#include "kernels/avx2/integer_matmul.h"
#include "kernels/avx2/panel.h"

namespace weir::kernels::avx2 {
namespace {

constexpr int64_t kPanels = 4;  // panels unpacked together: 64 rows
constexpr int64_t kRuns = kSegment / 16;

/// What a tile of tokens needs beside the quantised activations.
struct TileSums {
  int32_t start[kMaxColumns][kRuns];
  int16_t sums[kMaxColumns][kRuns];
};

template <typename Panel>
struct Scratch {
  Panel panels[kPanels];
  TileSums tile;
};

struct Slice {
  int64_t k0, k;  // segment
  int64_t r0;     // first row of the panel
  int64_t t0;     // first token of the tile
};

/// Adds the products of one panel and one tile to the output.
template <typename Type, typename Panel, int C>
inline void tile(const MatmulArgs& a, const Panel& panel, const Columns& x, const Slice& s) {
  constexpr int64_t kBlock = sizeof(Panel) == sizeof(Panel32) ? 32 : 256;
  Vec sum[C];
  multiply<Type, C>(panel, x, static_cast<int>(s.k / kBlock), sum);
  const int rows = a.rows - s.r0 < kPanelRows ? static_cast<int>(a.rows - s.r0) : kPanelRows;
  for (int c = 0; c < C; ++c) {
    float* out = a.out + (s.t0 + c) * a.out_stride + s.r0;
    const Vec before = s.k0 == 0 ? zero() : load_n(out, rows);
    store_n(out, add(before, sum[c]), rows);
  }
}

template <typename Type, typename Panel>
inline void tile_of(int columns, const MatmulArgs& a, const Panel& p, const Columns& x,
                    const Slice& s) {
  switch (columns) {
    case 4:
      return tile<Type, Panel, 4>(a, p, x, s);
    case 3:
      return tile<Type, Panel, 3>(a, p, x, s);
    case 2:
      return tile<Type, Panel, 2>(a, p, x, s);
    default:
      return tile<Type, Panel, 1>(a, p, x, s);
  }
}

/// First accumulator values of one token: minus offset times the activations that the even and the
/// odd int16 of a group take, summed over each run of `sub` elements.
template <typename Type, int sub>
inline void start_values(const int8_t* q, int64_t k, int32_t* out) {
  for (int64_t i = 0; i < k; i += 32) {
    __m256i pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), load256(q + i));
    pairs = _mm256_add_epi16(pairs, _mm256_shuffle_epi32(pairs, 0x4e));
    pairs = _mm256_add_epi16(pairs, _mm256_shuffle_epi32(pairs, 0xb1));
    const __m256i scaled = _mm256_mullo_epi16(pairs, _mm256_set1_epi16(-Type::kOffset));
    const __m128i first = _mm256_castsi256_si128(scaled);
    const __m128i second = _mm256_extracti128_si256(scaled, 1);
    if constexpr (sub == 16) {
      *out++ = _mm_cvtsi128_si32(first);
      *out++ = _mm_cvtsi128_si32(second);
    } else {
      *out++ = _mm_cvtsi128_si32(_mm_add_epi16(first, second));
    }
  }
}

/// Sums of 32 activations from sums of 16.
inline void sums_of_32(const int16_t* s, int64_t k, int16_t* out) {
  for (int64_t i = 0; i < k / 256; ++i) {
    const __m256i wide = _mm256_madd_epi16(load256(s + 16 * i), _mm256_set1_epi16(1));
    const __m128i eight =
        _mm_packs_epi32(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 8 * i), eight);
  }
}

/// The columns of `columns` tokens at token t, input k0; fills `work`.
template <typename Type, int block, int sub>
inline Columns tile_columns(const MatmulArgs& a, int64_t t, int columns, int64_t k0, int64_t k,
                            TileSums& work) {
  Columns x = {};
  x.q = a.xq.q + t * a.xq.q_stride + k0;
  x.d = a.xq.d + t * a.xq.d_stride + k0 / block;
  x.s = a.xq.s + t * a.xq.s_stride + k0 / (block == 32 ? 32 : 16);
  x.q_stride = a.xq.q_stride;
  x.d_stride = a.xq.d_stride;
  x.s_stride = a.xq.s_stride;
  x.start = work.start[0];
  x.start_stride = kRuns;
  x.sums = x.s;
  x.sums_stride = x.s_stride;
  if constexpr (Type::kOffset != 0)
    for (int c = 0; c < columns; ++c)
      start_values<Type, sub>(x.q + c * x.q_stride, k, work.start[c]);
  if constexpr (block == 256 && Type::kMinimum && sub == 32) {
    for (int c = 0; c < columns; ++c) sums_of_32(x.s + c * x.s_stride, k, work.sums[c]);
    x.sums = work.sums[0];
    x.sums_stride = kRuns;
  }
  return x;
}

template <typename Type, typename Panel, int block, int sub>
void run(const MatmulArgs& a) {
  using Work = Scratch<Panel>;
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
                    static_cast<size_t>(k0 / block) * sizeof(typename Type::Block);
        }
        fill<Type>(work.panels[p], rows, static_cast<int>(k / block));
      }
      for (int64_t t = 0; t < a.tokens; t += kMaxColumns) {
        const int columns =
            static_cast<int>(a.tokens - t < kMaxColumns ? a.tokens - t : kMaxColumns);
        const Columns x = tile_columns<Type, block, sub>(a, t, columns, k0, k, work.tile);
        for (int64_t p = 0; p < panels; ++p)
          tile_of<Type, Panel>(columns, a, work.panels[p], x, {k0, k, r0 + p * kPanelRows, t});
      }
    }
  }
}

template <typename Type>
void run32(const MatmulArgs& a) {
  run<Type, Panel32, 32, 32>(a);
}
template <typename Type>
void run256(const MatmulArgs& a) {
  run<Type, Panel256, 256, Type::kSub>(a);
}

}  // namespace

void panel_matmul(DType type, const MatmulArgs& a) {
  for_block32(type,
              [&]<typename T>() {
                run32<T>(a);
                return true;
              }) ||
      for_block256(type, [&]<typename T>() {
        run256<T>(a);
        return true;
      });
}

}  // namespace weir::kernels::avx2
