// The panel multiply: 8 weight rows of one segment unpacked so that two registers hold 4 bytes of
// each row, against up to 4 tokens with the int8 dot product of a lane. Accumulators are int32 per
// block, combined in f32 in the canonical order; segments are added in order.
#include "kernels/neon/integer_matmul.h"

#include "kernels/neon/unpack.h"

namespace weir::kernels::neon {
namespace {

constexpr int kRows = 8;
constexpr int kTokens = 4;
constexpr int kBlocks256 = kSegment / 256;

struct Panel {
  int8_t w[kSegment * kRows];             // [k / 4][row][4]
  float d[kSegment / 32][kRows];          // one a block
  float m[kSegment / 32][kRows];          // the minimum's scale
  int32_t scale[kBlocks256 * 16][kRows];  // runs of 16
  int32_t min[kBlocks256 * 16][kRows];
};
static_assert(sizeof(Panel) <= kMatmulScratch);

/// 32 weights of row r to eight groups of the panel.
inline void put(const Bytes& bytes, int r, int8_t* out) {
  uint32_t groups[8];
  vst1q_u32(groups, vreinterpretq_u32_s8(bytes.v[0]));
  vst1q_u32(groups + 4, vreinterpretq_u32_s8(bytes.v[1]));
  for (int g = 0; g < 8; ++g) __builtin_memcpy(out + 4 * (kRows * g + r), groups + g, 4);
}

template <typename Type>
inline void fill32(Panel& panel, const std::byte* const* rows, int64_t blocks) {
  for (int r = 0; r < kRows; ++r) {
    const auto* row = reinterpret_cast<const typename Type::Block*>(rows[r]);
    for (int64_t b = 0; b < blocks; ++b) {
      put(Type::unpack(row[b]), r, panel.w + 32 * kRows * b);
      panel.d[b][r] = half(row[b].d);
      if (Type::kMinimum) panel.m[b][r] = half(Type::minimum(row[b]));
    }
  }
}

template <typename Type>
inline void fill256(Panel& panel, const std::byte* const* rows, int64_t blocks) {
  for (int r = 0; r < kRows; ++r) {
    const auto* row = reinterpret_cast<const typename Type::Block*>(rows[r]);
    for (int64_t b = 0; b < blocks; ++b) {
      for (int j = 0; j < 8; ++j)
        put(Type::unpack(row[b], j), r, panel.w + kRows * (256 * b + 32 * j));
      int32_t scale[16], min[16];
      Type::scales(row[b], scale, min);
      for (int j = 0; j < 16; ++j) {
        panel.scale[16 * b + j][r] = scale[j];
        if (Type::kMinimum) panel.min[16 * b + j][r] = min[j];
      }
      panel.d[b][r] = half(row[b].d);
      if (Type::kMinimum) panel.m[b][r] = half(Type::minimum(row[b]));
    }
  }
}

/// Values of 8 rows.
struct Rows {
  int32x4_t v[2];
};
struct FloatRows {
  float32x4_t v[2];
};

/// sum += dot products of 16 inputs (four groups) of 8 rows with 16 activations.
inline void dot16(const int8_t* w, int8x16_t x, Rows& sum) {
  for (int h = 0; h < 2; ++h) {
    const int8_t* p = w + 16 * h;
    sum.v[h] = vdotq_laneq_s32(sum.v[h], vld1q_s8(p), x, 0);
    sum.v[h] = vdotq_laneq_s32(sum.v[h], vld1q_s8(p + 32), x, 1);
    sum.v[h] = vdotq_laneq_s32(sum.v[h], vld1q_s8(p + 64), x, 2);
    sum.v[h] = vdotq_laneq_s32(sum.v[h], vld1q_s8(p + 96), x, 3);
  }
}

/// chain = fma(factor * dx, value, chain) with the factor's sign turned for `negative`.
inline void combine(const float* factor, float dx, const Rows& value, bool negative,
                    FloatRows& chain) {
  for (int h = 0; h < 2; ++h) {
    float32x4_t scale = vmulq_n_f32(vld1q_f32(factor + 4 * h), dx);
    if (negative) scale = vnegq_f32(scale);
    chain.v[h] = vfmaq_f32(chain.v[h], scale, vcvtq_f32_s32(value.v[h]));
  }
}

/// The tokens of a tile at the segment.
struct Columns {
  const int8_t* q[kTokens];
  const float* d[kTokens];
  const int16_t* s[kTokens];
};

template <bool minimum, int C>
inline void multiply32(const Panel& panel, const Columns& x, int64_t blocks, FloatRows* chain) {
  for (int64_t b = 0; b < blocks; ++b)
    for (int c = 0; c < C; ++c) {
      Rows sum = {{vdupq_n_s32(0), vdupq_n_s32(0)}};
      const int8_t* w = panel.w + 32 * kRows * b;
      dot16(w, vld1q_s8(x.q[c] + 32 * b), sum);
      dot16(w + 16 * kRows, vld1q_s8(x.q[c] + 32 * b + 16), sum);
      combine(panel.d[b], x.d[c][b], sum, false, chain[c]);
      if (!minimum) continue;
      const int32x4_t total = vdupq_n_s32(x.s[c][b]);
      combine(panel.m[b], x.d[c][b], {{total, total}}, false, chain[c]);
    }
}

template <bool minimum, int C>
inline void multiply256(const Panel& panel, const Columns& x, int64_t blocks, FloatRows* chain) {
  for (int64_t b = 0; b < blocks; ++b)
    for (int c = 0; c < C; ++c) {
      Rows total = {{vdupq_n_s32(0), vdupq_n_s32(0)}}, low = total;
      for (int j = 0; j < 16; ++j) {
        Rows sum = {{vdupq_n_s32(0), vdupq_n_s32(0)}};
        dot16(panel.w + kRows * (256 * b + 16 * j), vld1q_s8(x.q[c] + 256 * b + 16 * j), sum);
        for (int h = 0; h < 2; ++h) {
          total.v[h] = vmlaq_s32(total.v[h], sum.v[h], vld1q_s32(panel.scale[16 * b + j] + 4 * h));
          if (minimum)
            low.v[h] =
                vmlaq_n_s32(low.v[h], vld1q_s32(panel.min[16 * b + j] + 4 * h), x.s[c][16 * b + j]);
        }
      }
      combine(panel.d[b], x.d[c][b], total, false, chain[c]);
      if (minimum) combine(panel.m[b], x.d[c][b], low, true, chain[c]);
    }
}

struct Place {
  int64_t k0, blocks, r0, t0;
};

template <int64_t block, bool minimum, int C>
inline void tile(const MatmulArgs& a, const Panel& panel, const Place& at) {
  constexpr int64_t kRun = block == 32 ? 32 : 16;
  Columns x;
  FloatRows chain[C];
  for (int c = 0; c < C; ++c) {
    const int64_t t = at.t0 + c;
    x.q[c] = a.xq.q + t * a.xq.q_stride + at.k0;
    x.d[c] = a.xq.d + t * a.xq.d_stride + at.k0 / block;
    x.s[c] = a.xq.s + t * a.xq.s_stride + at.k0 / kRun;
    chain[c] = {{vdupq_n_f32(0.0f), vdupq_n_f32(0.0f)}};
  }
  if constexpr (block == 32) {
    multiply32<minimum, C>(panel, x, at.blocks, chain);
  } else {
    multiply256<minimum, C>(panel, x, at.blocks, chain);
  }
  const int64_t rows = a.rows - at.r0 < kRows ? a.rows - at.r0 : kRows;
  for (int c = 0; c < C; ++c) {
    float sums[kRows];
    vst1q_f32(sums, chain[c].v[0]);
    vst1q_f32(sums + 4, chain[c].v[1]);
    float* out = a.out + (at.t0 + c) * a.out_stride + at.r0;
    for (int64_t r = 0; r < rows; ++r) out[r] = (at.k0 == 0 ? 0.0f : out[r]) + sums[r];
  }
}

template <typename Type, int64_t block>
void run(const MatmulArgs& a) {
  auto& panel = *reinterpret_cast<Panel*>(a.scratch);
  for (int64_t k0 = 0; k0 < a.k; k0 += kSegment) {
    const int64_t blocks = (a.k - k0 < kSegment ? a.k - k0 : kSegment) / block;
    for (int64_t r0 = 0; r0 < a.rows; r0 += kRows) {
      const std::byte* rows[kRows];
      for (int r = 0; r < kRows; ++r) {  // rows past the end repeat the last one
        const int64_t index = r0 + r < a.rows ? r0 + r : a.rows - 1;
        rows[r] = a.w + static_cast<size_t>(index) * a.row_bytes +
                  static_cast<size_t>(k0 / block) * sizeof(typename Type::Block);
      }
      if constexpr (block == 32) {
        fill32<Type>(panel, rows, blocks);
      } else {
        fill256<Type>(panel, rows, blocks);
      }
      int64_t t = 0;
      for (; t + kTokens <= a.tokens; t += kTokens)
        tile<block, Type::kMinimum, kTokens>(a, panel, {k0, blocks, r0, t});
      for (; t < a.tokens; ++t) tile<block, Type::kMinimum, 1>(a, panel, {k0, blocks, r0, t});
    }
  }
}

}  // namespace

void panel_matmul(DType type, const MatmulArgs& a) {
  for_block32(type,
              [&]<typename T>() {
                run<T, 32>(a);
                return true;
              }) ||
      for_block256(type, [&]<typename T>() {
        run<T, 256>(a);
        return true;
      });
}

}  // namespace weir::kernels::neon
