// Matmul of the quantised types for one to four tokens: the step of one block of four rows. Integer
// sums are exact in any order; the float chain runs over four rows at once, blocks in order.
#include "kernels/vec/stream.inc"
#include "kernels/neon/integer_matmul.h"
#include "kernels/neon/unpack.h"

namespace weir::kernels::neon {
namespace {

/// Element r = sum over the lanes of x[r].
inline int32x4_t row_sums(const int32x4_t* x) {
  return vpaddq_s32(vpaddq_s32(x[0], x[1]), vpaddq_s32(x[2], x[3]));
}

/// The halves `get` reads from four blocks, widened.
template <typename Block, typename Get>
inline float32x4_t four_halves(const Block* const* row, int64_t b, Get get) {
  uint16_t bits[kStreamRows];
  for (int r = 0; r < kStreamRows; ++r) bits[r] = get(row[r][b]);
  return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(bits)));
}

/// One block of 32 of four rows.
template <typename Type>
struct Step32 {
  using Sum = float32x4_t;
  static constexpr int kBlock = 32;
  static Sum step(const typename Type::Block* const* row, const MatmulArgs& a, int64_t b,
                  Sum chain) {
    const int8_t* q = a.xq.q + 32 * b;
    const int8x16_t x0 = vld1q_s8(q), x1 = vld1q_s8(q + 16);
    int32x4_t sums[kStreamRows];
    for (int r = 0; r < kStreamRows; ++r) {
      const Bytes w = Type::unpack(row[r][b]);
      sums[r] = vdotq_s32(vdotq_s32(vdupq_n_s32(0), w.v[0], x0), w.v[1], x1);
    }
    const float dx = a.xq.d[b];
    const float32x4_t d = four_halves(row, b, [](const typename Type::Block& w) { return w.d; });
    chain = vfmaq_f32(chain, vmulq_n_f32(d, dx), vcvtq_f32_s32(row_sums(sums)));
    if (!Type::kMinimum) return chain;
    const float32x4_t m = four_halves(row, b, Type::minimum);
    return vfmaq_f32(chain, vmulq_n_f32(m, dx), vdupq_n_f32(static_cast<float>(a.xq.s[b])));
  }
};

/// One block of 256 of four rows.
template <typename Type>
struct Step256 {
  using Sum = float32x4_t;
  static constexpr int kBlock = 256;

  /// Scale times products of one row, and minimum times sums of activations, spread over lanes.
  static void row_dot(const typename Type::Block& w, const int8_t* q, const int16_t* runs,
                      int32x4_t& sum, int32x4_t& low) {
    int32_t scale[16], min[16];
    Type::scales(w, scale, min);
    sum = low = vdupq_n_s32(0);
    for (int j = 0; j < 8; ++j) {
      const Bytes v = Type::unpack(w, j);
      for (int h = 0; h < 2; ++h) {
        const int32x4_t dot = vdotq_s32(vdupq_n_s32(0), v.v[h], vld1q_s8(q + 32 * j + 16 * h));
        sum = vmlaq_n_s32(sum, dot, scale[2 * j + h]);
      }
    }
    if (!Type::kMinimum) return;
    for (int j = 0; j < 16; j += 4)
      low = vmlaq_s32(low, vld1q_s32(min + j), vmovl_s16(vld1_s16(runs + j)));
  }

  static Sum step(const typename Type::Block* const* row, const MatmulArgs& a, int64_t b,
                  Sum chain) {
    int32x4_t sums[kStreamRows], lows[kStreamRows];
    for (int r = 0; r < kStreamRows; ++r)
      row_dot(row[r][b], a.xq.q + 256 * b, a.xq.s + 16 * b, sums[r], lows[r]);
    const float dx = a.xq.d[b];
    const float32x4_t d = four_halves(row, b, [](const typename Type::Block& w) { return w.d; });
    chain = vfmaq_f32(chain, vmulq_n_f32(d, dx), vcvtq_f32_s32(row_sums(sums)));
    if (!Type::kMinimum) return chain;
    const float32x4_t dmin = vmulq_n_f32(four_halves(row, b, Type::minimum), dx);
    return vfmaq_f32(chain, vnegq_f32(dmin), vcvtq_f32_s32(row_sums(lows)));
  }
};

}  // namespace

bool stream_matmul(DType type, const MatmulArgs& a) {
  return for_block32(type, [&]<typename T>() { return stream_few<T, Step32<T>>(a); }) ||
         for_block256(type, [&]<typename T>() { return stream_few<T, Step256<T>>(a); });
}

}  // namespace weir::kernels::neon
