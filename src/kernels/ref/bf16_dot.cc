// The numerics option "bf16-dot" in plain C++: what vdpbf16ps does, step by step. Slow on purpose.
#include <algorithm>
#include <bit>
#include <cmath>

#include "kernels/ref/math.h"
#include "kernels/ref/ref.h"
#include "tensor/blocks.h"

namespace weir::kernels::ref {
namespace {

constexpr float kSmallest = 0x1p-126f;  // normal

/// Subnormals count as zeros of their sign.
float flushed(float x) { return std::fabs(x) < kSmallest ? std::copysign(0.0f, x) : x; }

uint16_t rounded(float x) { return float_to_bfloat(flushed(x)); }

/// fma(a, b, c) rounded to nearest even as if exponents had no end, then flushed: a result is tiny
/// by what it rounds to with 24 bits. That is not what it rounds to as a subnormal, of which a few
/// reach the smallest normal number; double holds those sums exactly.
float step(uint16_t a, uint16_t b, float c) {
  const float x = flushed(bfloat_to_float(a)), y = flushed(bfloat_to_float(b));
  const float sum = std::fma(x, y, flushed(c));
  if (std::fabs(sum) == kSmallest) {
    const double exact = double{x} * double{y} + double{flushed(c)};
    if (std::fabs(exact) < 0x1p-126 - 0x1p-151) return std::copysign(0.0f, sum);
  }
  return flushed(sum);
}

float dot(DType type, const std::byte* w, const float* x, int64_t k) {
  float total = 0.0f;
  float widened[kSegment];
  for (int64_t begin = 0; begin < k; begin += kSegment) {
    const int64_t n = std::min(k - begin, kSegment);
    to_float(type, w + bytes_of(type, begin), n, widened);
    // Missing inputs of the last 32 are +0 and take part.
    const auto weight = [&](int64_t i) { return i < n ? rounded(widened[i]) : uint16_t{0}; };
    const auto value = [&](int64_t i) { return i < n ? rounded(x[begin + i]) : uint16_t{0}; };
    float lanes[16] = {};
    for (int64_t i = 0; i < n; i += 32)
      for (int64_t lane = 0; lane < 16; ++lane)
        for (const int64_t at : {i + 2 * lane + 1, i + 2 * lane})
          lanes[lane] = step(weight(at), value(at), lanes[lane]);
    total += reduce16(lanes);
  }
  return total;
}

}  // namespace

template <DType type>
void matmul_bf16_dot(const MatmulArgs& a) {
  for (int64_t r = 0; r < a.rows; ++r)
    for (int64_t t = 0; t < a.tokens; ++t)
      a.out[t * a.out_stride + r] =
          dot(type, a.w + static_cast<size_t>(r) * a.row_bytes, a.x + t * a.x_stride, a.k);
}

template void matmul_bf16_dot<DType::f16>(const MatmulArgs&);
template void matmul_bf16_dot<DType::bf16>(const MatmulArgs&);

}  // namespace weir::kernels::ref
