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

/// What a query makes of the positions [begin, end) of one segment, over Q8_0 or Q4_0 pages.
AttentionState quantised_segment(const AttentionArgs& a, const float* q, int64_t begin,
                                 int64_t end);

}  // namespace weir::kernels::ref
