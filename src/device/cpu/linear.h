// Linear layers over Tensors: matmul with several weights in one parallel region, the gated and the
// plain first half of a feed-forward layer, embedding rows. Checks shapes, splits rows over
// threads.
#pragma once

#include <cstdint>
#include <span>

#include "device/cpu/activations.h"
#include "device/cpu/cpu_device.h"
#include "tensor/tensor.h"

namespace weir {

/// out[t * out_stride + r] = dot(weight row r, x row t), then + bias[r], then * scale, then the
/// soft cap; the last three where they are set.
struct Projection {
  const Tensor* weight = nullptr;  // {rows, k}
  const float* bias = nullptr;     // rows values, or null
  float* out = nullptr;
  int64_t out_stride = 0;
  float scale = 1.0f;
  float softcap = 0.0f;
};

/// All projections of x {tokens, k} in one parallel region; x gets the quantised forms they need.
/// Throws Error{internal} naming both shapes if they do not fit.
void matmul(CpuDevice& device, Activations& x, std::span<const Projection> projections);

/// One layer's way from k inputs to `rows` hidden values.
struct FeedForwardIn {
  const Tensor* gate = nullptr;  // {rows, k}; null for a plain layer
  const Tensor* up = nullptr;    // {rows, k}
  const float* gate_bias = nullptr;
  const float* up_bias = nullptr;
  kernels::Activation activation = kernels::Activation::silu;
};

/// hidden = f(gate x) * (up x), or f(up x) for a plain layer, in one parallel region. `hidden` and
/// `spare` are reset to {tokens, rows}; `spare` is scratch of a gated layer.
void feed_forward_in(CpuDevice& device, Activations& x, const FeedForwardIn& layer,
                     Activations& hidden, Activations& spare);

/// out = row `id` of the embedding {vocabulary, width} as floats. Throws invalid_argument if there
/// is no such row.
void embedding_row(const Tensor& embedding, int64_t id, float* out);

// Parts shared with the experts of moe.cc.

/// Weight rows [first, last) times `tokens` rows of x from row `x_row`; out as in Projection, row
/// `first` of the weight at out[first]. `next`: weights that the thread reads after these, asked
/// for ahead; null stands for those that follow in memory.
void matmul_rows(CpuDevice& device, int thread, const Tensor& weight, int64_t first, int64_t last,
                 const Activations& x, int64_t x_row, int64_t tokens, float* out,
                 int64_t out_stride, const std::byte* next = nullptr);

/// Rows of a thread's share are multiples of this (except the last).
inline constexpr int64_t kRowUnit = 16;

}  // namespace weir
