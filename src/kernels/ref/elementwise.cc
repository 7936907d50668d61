// Canonical quantisation of activations, norms, rotary embedding, activations, softmax.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/ref/math.h"
#include "kernels/ref/ref.h"
#include "tensor/blocks.h"

namespace weir::kernels::ref {
namespace {

/// Largest magnitude as bits: magnitudes compare as integers, NaN is above infinity.
uint32_t largest_magnitude(const float* x, int n) {
  uint32_t largest = 0;
  for (int i = 0; i < n; ++i)
    largest = std::max(largest, std::bit_cast<uint32_t>(x[i]) & 0x7fffffffu);
  return largest;
}

/// One block of `block` activations; the sums cover runs of `run` values.
void quantize_block(const float* x, int block, int run, int8_t* q, float* d, int16_t* s) {
  const uint32_t largest = largest_magnitude(x, block);
  std::memset(q, 0, static_cast<size_t>(block));
  std::memset(s, 0, static_cast<size_t>(block / run) * sizeof(int16_t));
  if (largest >= 0x7f800000u) {
    *d = std::numeric_limits<float>::quiet_NaN();
    return;
  }
  const float magnitude = std::bit_cast<float>(largest);
  *d = 0.0f;
  if (magnitude < kQuantFloor) return;
  *d = magnitude / 127.0f;
  const float inverse = 127.0f / magnitude;
  for (int i = 0; i < block; ++i) {
    q[i] = static_cast<int8_t>(std::nearbyint(x[i] * inverse));
    s[i / run] = static_cast<int16_t>(s[i / run] + q[i]);
  }
}

Peak peak_of(const int8_t* q) {
  int largest_16 = 0, largest_32 = 0;
  for (int i = 0; i < 256; i += 32) {
    int above[2] = {}, below[2] = {};  // of the two runs of 16
    for (int j = 0; j < 32; ++j) {
      above[j / 16] += std::max<int>(q[i + j], 0);
      below[j / 16] -= std::min<int>(q[i + j], 0);
    }
    largest_16 = std::max({largest_16, above[0] + below[0], above[1] + below[1]});
    largest_32 = std::max({largest_32, above[0] + above[1], below[0] + below[1]});
  }
  return {static_cast<uint16_t>(largest_16), static_cast<uint16_t>(largest_32)};
}

/// Sum over i of f(i) by 16 strided FMA chains and the tree.
float sum_of_squares(const float* x, int64_t n, float shift) {
  float lanes[16] = {};
  for (int64_t i = 0; i < n; ++i) {
    const float value = x[i] - shift;
    lanes[i % 16] = std::fma(value, value, lanes[i % 16]);
  }
  return reduce16(lanes);
}

float strided_sum(const float* x, int64_t n) {
  float lanes[16] = {};
  for (int64_t i = 0; i < n; ++i) lanes[i % 16] += x[i];
  return reduce16(lanes);
}

float apply(Activation f, float x) {
  switch (f) {
    case Activation::silu:
      return silu(x);
    case Activation::gelu_tanh:
      return gelu_tanh(x);
    case Activation::gelu_erf:
      return gelu_erf(x);
    case Activation::relu:
      return max_of(x, 0.0f);
    case Activation::relu_squared: {
      const float positive = max_of(x, 0.0f);
      return positive * positive;
    }
  }
  return x;
}

}  // namespace

void quantize32(const float* x, int64_t k, int8_t* q, float* d, int16_t* s) {
  for (int64_t b = 0; b < k / 32; ++b) quantize_block(x + 32 * b, 32, 32, q + 32 * b, d + b, s + b);
}

void quantize256(const float* x, int64_t k, int8_t* q, float* d, int16_t* s, Peak* peak) {
  for (int64_t b = 0; b < k / 256; ++b) {
    quantize_block(x + 256 * b, 256, 16, q + 256 * b, d + b, s + 16 * b);
    peak[b] = peak_of(q + 256 * b);
  }
}

void quantize4(const float* x, int64_t k, int8_t* q, float* d) {
  for (int64_t b = 0; b < k / 32; ++b, x += 32, q += 32) {
    const uint32_t largest = largest_magnitude(x, 32);
    const float magnitude = std::bit_cast<float>(largest);
    const bool usable = largest < 0x7f800000u && magnitude >= kQuantFloor;
    d[b] = usable                   ? magnitude / 16.0f
           : largest >= 0x7f800000u ? std::numeric_limits<float>::quiet_NaN()
                                    : 0.0f;
    const float inverse = usable ? 8.0f / magnitude : 0.0f;
    for (int i = 0; i < 32; ++i) {
      const float cell = usable ? std::floor(x[i] * inverse) : 0.0f;  // -8 ... 8, rounding aside
      q[i] = static_cast<int8_t>(2 * static_cast<int>(max_of(min_of(cell, 7.0f), -8.0f)) + 1);
    }
  }
}

void hadamard(float* x, int64_t n) {
  for (int64_t step = n / 2; step >= 1; step /= 2)
    for (int64_t i = 0; i < n; ++i) {
      if ((i & step) != 0) continue;
      const float a = x[i], b = x[i + step];
      x[i] = a + b;
      x[i + step] = a - b;
    }
  const float scale = 1.0f / std::sqrt(static_cast<float>(n));
  for (int64_t i = 0; i < n; ++i) x[i] = x[i] * scale;
}

void rms_norm(const float* x, const float* weight, int64_t n, float eps, float* out) {
  const float mean = sum_of_squares(x, n, 0.0f) / static_cast<float>(n);
  const float inverse = 1.0f / std::sqrt(mean + eps);
  for (int64_t i = 0; i < n; ++i) {
    const float y = x[i] * inverse;
    out[i] = weight != nullptr ? y * weight[i] : y;
  }
}

void layer_norm(const float* x, const float* weight, const float* bias, int64_t n, float eps,
                float* out) {
  const float mean = strided_sum(x, n) / static_cast<float>(n);
  const float variance = sum_of_squares(x, n, mean) / static_cast<float>(n);
  const float inverse = 1.0f / std::sqrt(variance + eps);
  for (int64_t i = 0; i < n; ++i) {
    float y = (x[i] - mean) * inverse;
    if (weight != nullptr) y = y * weight[i];
    out[i] = bias != nullptr ? y + bias[i] : y;
  }
}

void rope_adjacent(float* x, const float* cos, const float* sin, int64_t pairs) {
  for (int64_t i = 0; i < pairs; ++i) {
    const float a = x[2 * i], b = x[2 * i + 1];
    x[2 * i] = std::fma(a, cos[i], -(b * sin[i]));
    x[2 * i + 1] = std::fma(b, cos[i], a * sin[i]);
  }
}

void rope_split(float* x, const float* cos, const float* sin, int64_t pairs) {
  for (int64_t i = 0; i < pairs; ++i) {
    const float a = x[i], b = x[i + pairs];
    x[i] = std::fma(a, cos[i], -(b * sin[i]));
    x[i + pairs] = std::fma(b, cos[i], a * sin[i]);
  }
}

void activate(Activation f, const float* x, const float* up, int64_t n, float* out) {
  for (int64_t i = 0; i < n; ++i) {
    const float y = apply(f, x[i]);
    out[i] = up != nullptr ? y * up[i] : y;
  }
}

void softcap(float* x, int64_t n, float cap) {
  for (int64_t i = 0; i < n; ++i) x[i] = cap * tanh(x[i] / cap);
}

void softmax(float* x, int64_t n) {
  float largest = -std::numeric_limits<float>::infinity();
  for (int64_t i = 0; i < n; ++i) largest = max_of(x[i], largest);
  for (int64_t i = 0; i < n; ++i) x[i] = exp(x[i] - largest);
  const float sum = strided_sum(x, n);
  for (int64_t i = 0; i < n; ++i) x[i] = x[i] / sum;
}

void to_half(const float* x, int64_t n, uint16_t* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = float_to_half(x[i]);
}

}  // namespace weir::kernels::ref
