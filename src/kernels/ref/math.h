// The canonical f32 functions: polynomials evaluated with the same operations on every ISA, so that
// results are the same bits everywhere. docs/numerics.md states the error bounds. Scalar form.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "kernels/constants.h"

namespace weir::kernels::ref {

/// a > b ? a : b, the rule of the x86 instruction: a NaN in `a` gives b.
inline float max_of(float a, float b) { return a > b ? a : b; }
inline float min_of(float a, float b) { return a < b ? a : b; }

/// 2^n for integral n in [-126, 127].
inline float pow2(float n) {
  return std::bit_cast<float>(static_cast<uint32_t>(static_cast<int32_t>(n) + 127) << 23);
}

/// e^x. Cody-Waite reduction to |r| <= ln2/2, Taylor polynomial of degree 7, two-step scaling so
/// that subnormal results round once. NaN stays NaN.
inline float exp(float x) {
  if (std::isnan(x)) return x;
  x = max_of(min_of(x, kExpMax), kExpMin);
  const float n = std::nearbyint(x * kLog2e);
  const float r = std::fma(n, -kLn2Low, std::fma(n, -kLn2High, x));
  float p = kExpCoefficients[0];
  for (int i = 1; i < 8; ++i) p = std::fma(p, r, kExpCoefficients[i]);
  const float half = std::floor(n * 0.5f);
  return p * pow2(half) * pow2(n - half);
}

/// tanh x: odd polynomial below kTanhSplit, 1 - 2 / (e^{2|x|} + 1) above.
inline float tanh(float x) {
  const float a = std::fabs(x);
  const float z = a * a;
  float p = kTanhCoefficients[0];
  for (int i = 1; i < 5; ++i) p = std::fma(p, z, kTanhCoefficients[i]);
  const float small = std::fma(p * z, a, a);
  const float large = 1.0f - 2.0f / (exp(a + a) + 1.0f);
  const float magnitude = a < kTanhSplit ? small : large;
  return std::copysign(magnitude, x);
}

inline float silu(float x) { return x / (1.0f + exp(-x)); }

/// x * sigmoid(2 u), u = sqrt(2/pi) (x + 0.044715 x^3): the tanh form of GELU.
inline float gelu_tanh(float x) {
  const float u = x * std::fma(x * x, kGeluCubic, kGeluLinear);
  return x / (1.0f + exp(-(u + u)));
}

/// x * Phi(x) with the complementary error function of Abramowitz and Stegun 7.1.26.
inline float gelu_erf(float x) {
  const float z = std::fabs(x) * kInverseSqrt2;
  const float t = 1.0f / std::fma(kErfP, z, 1.0f);
  float p = kErfCoefficients[0];
  for (int i = 1; i < 5; ++i) p = std::fma(p, t, kErfCoefficients[i]);
  const float tail = (p * t) * exp(-(z * z)) * 0.5f;  // erfc(z) / 2
  return x * (x < 0.0f ? tail : 1.0f - tail);
}

/// Sum of 16 partial sums by halving: i with i + 8, i + 4, i + 2, i + 1.
inline float reduce16(const float* lanes) {
  float a[8];
  for (int i = 0; i < 8; ++i) a[i] = lanes[i] + lanes[i + 8];
  for (int i = 0; i < 4; ++i) a[i] = a[i] + a[i + 4];
  for (int i = 0; i < 2; ++i) a[i] = a[i] + a[i + 2];
  return a[0] + a[1];
}

}  // namespace weir::kernels::ref
