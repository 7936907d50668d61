// Drives the panel multiply: for every segment of k, blocks of up to 64 rows are unpacked into
// cache-sized panels and multiplied with all tokens, 12 at a time. Results of the segments are
// added in order.
#include "kernels/avx512/integer_matmul.h"
#include "kernels/avx512/panel.h"

namespace weir::kernels::avx512 {
namespace {

constexpr int64_t kPanels = 4;  // panels unpacked together: 64 rows
constexpr int64_t kStartTokens = 12;

struct Slice {
  int64_t k0, k;  // segment
  int64_t r0;     // first row of the panel
  int64_t t0;     // first token of the tile
};

/// Adds the products of one panel and one tile to the output.
template <typename Type, typename Panel, int C>
inline void tile(const MatmulArgs& a, const Panel& panel, const Columns& x, const Slice& s) {
  constexpr int64_t kBlock = sizeof(Panel) == sizeof(Panel32) ? 32 : 256;
  __m512 sum[C];
  multiply<Type, C>(panel, x, static_cast<int>(s.k / kBlock), sum);
  const int64_t rows = a.rows - s.r0;
  const __mmask16 mask =
      rows >= kPanelRows ? __mmask16{0xffff} : static_cast<__mmask16>((1u << rows) - 1u);
  for (int c = 0; c < C; ++c) {
    float* out = a.out + (s.t0 + c) * a.out_stride + s.r0;
    const __m512 before = s.k0 == 0 ? _mm512_setzero_ps() : _mm512_maskz_loadu_ps(mask, out);
    _mm512_mask_storeu_ps(out, mask, _mm512_add_ps(before, sum[c]));
  }
}

template <typename Type, typename Panel>
inline void tile_of(int columns, const MatmulArgs& a, const Panel& p, const Columns& x,
                    const Slice& s) {
  switch (columns) {
    case 12:
      return tile<Type, Panel, 12>(a, p, x, s);
    case 11:
      return tile<Type, Panel, 11>(a, p, x, s);
    case 10:
      return tile<Type, Panel, 10>(a, p, x, s);
    case 9:
      return tile<Type, Panel, 9>(a, p, x, s);
    case 8:
      return tile<Type, Panel, 8>(a, p, x, s);
    case 7:
      return tile<Type, Panel, 7>(a, p, x, s);
    case 6:
      return tile<Type, Panel, 6>(a, p, x, s);
    case 5:
      return tile<Type, Panel, 5>(a, p, x, s);
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

template <typename Type, typename Panel>
struct Scratch {
  Panel panels[kPanels];
  int32_t start[kStartTokens][kSegment / 16];
};

/// First accumulator values of a tile: minus offset times the sums of activations.
template <typename Type>
inline void start_values(const Columns& x, int columns, int64_t runs, int per_block, int32_t* out,
                         int64_t stride) {
  for (int c = 0; c < columns; ++c)
    for (int64_t i = 0; i < runs; ++i) {
      const int16_t* s = x.s + c * x.s_stride + i * per_block;
      const int sum = per_block == 1 ? s[0] : s[0] + s[1];
      out[c * stride + i] = -Type::kOffset * sum;
    }
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
      for (int64_t t = 0; t < a.tokens; t += kMaxColumns) {
        const int columns =
            static_cast<int>(a.tokens - t < kMaxColumns ? a.tokens - t : kMaxColumns);
        const Columns x = {a.xq.q + t * a.xq.q_stride + k0,
                           a.xq.d + t * a.xq.d_stride + k0 / kBlock,
                           a.xq.s + t * a.xq.s_stride + k0 / kRun,
                           work.start[0],
                           a.xq.q_stride,
                           a.xq.d_stride,
                           a.xq.s_stride,
                           kSegment / 16};
        if (Type::kOffset != 0)
          start_values<Type>(x, columns, k / sub, static_cast<int>(sub / kRun), work.start[0],
                             kSegment / 16);
        for (int64_t p = 0; p < panels; ++p)
          tile_of<Type, Panel>(columns, a, work.panels[p], x, {k0, k, r0 + p * kPanelRows, t});
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
