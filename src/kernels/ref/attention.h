// What float and quantised pages share: the softmax state of a query and how segments are merged.
#pragma once

#include <limits>

#include "kernels/kernels.h"

namespace weir::kernels::ref {

inline constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

/// Softmax state: the score m that weights are held against, sum l of exp(score - m), weighted sum
/// o of values.
struct AttentionState {
  float m = kMinusInfinity;
  float l = 0.0f;
  float o[kMaxHeadDim] = {};
};

/// Adds a later segment to the total.
void merge(const AttentionState& segment, int64_t value_dim, AttentionState& total);

/// One query over Q8_0 or Q4_0 pages.
void quantised_query(const AttentionArgs& a, const float* q, int64_t position, float* out);

}  // namespace weir::kernels::ref
