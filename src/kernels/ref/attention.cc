// Canonical attention over KV pages: segments of 256 absolute positions, each an online softmax
// over its pages of 16 in order, raised lazily; segments merged in ascending order, empty ones
// skipped. What a query sees depends on its position only.
#include <algorithm>
#include <cmath>

#include "kernels/kv_blocks.h"
#include "kernels/ref/attention.h"
#include "kernels/ref/math.h"
#include "kernels/ref/ref.h"
#include "tensor/blocks.h"

namespace weir::kernels::ref {
namespace {

float element(DType type, const std::byte* base, int64_t index) {
  float value;
  to_float(type, base + bytes_of(type, index), 1, &value);
  return value;
}

/// Adds positions [first, last) of one page to the state, whose sum of weights is in lanes.
void add_page(const AttentionArgs& a, const float* q, const std::byte* page, int first, int last,
              AttentionState& state, float* lanes) {
  float s[16];
  float largest = kMinusInfinity;
  for (int j = first; j < last; ++j) {
    float dot = 0.0f;
    for (int64_t i = 0; i < a.head_dim; ++i)
      dot = std::fma(q[i], element(a.kv_type, page + a.k_offset, i * 16 + j), dot);
    s[j] = dot * a.scale;
    if (a.softcap != 0.0f) s[j] = a.softcap * tanh(s[j] / a.softcap);
    largest = max_of(s[j], largest);
  }
  if (largest > state.m + kSoftmaxSlack) {
    const float correction = exp(state.m - largest);
    for (int j = 0; j < 16; ++j) lanes[j] *= correction;
    for (int64_t i = 0; i < a.value_dim; ++i) state.o[i] *= correction;
    state.m = largest;
  }
  for (int j = first; j < last; ++j) {
    const float weight = exp(s[j] - state.m);
    lanes[j] += weight;
    for (int64_t i = 0; i < a.value_dim; ++i)
      state.o[i] =
          std::fma(weight, element(a.kv_type, page + a.v_offset, j * a.value_dim + i), state.o[i]);
  }
}

void one_query(const AttentionArgs& a, const float* q, int64_t position, float* out) {
  const int64_t begin = a.window > 0 ? std::max<int64_t>(0, position - a.window + 1) : 0;
  const int64_t end = position + 1;
  AttentionState total;
  for (int64_t start = begin / kAttentionSegment * kAttentionSegment; start < end;
       start += kAttentionSegment) {
    AttentionState segment;
    float lanes[16] = {};
    for (int64_t page = start; page < std::min(end, start + kAttentionSegment);
         page += kPageTokens) {
      const int64_t first = std::max(begin, page), last = std::min(end, page + kPageTokens);
      if (first >= last) continue;
      add_page(a, q, a.pages[page / kPageTokens], static_cast<int>(first - page),
               static_cast<int>(last - page), segment, lanes);
    }
    segment.l = reduce16(lanes);
    merge(segment, a.value_dim, total);
  }
  for (int64_t i = 0; i < a.value_dim; ++i) out[i] = total.o[i] / total.l;
}

}  // namespace

void merge(const AttentionState& segment, int64_t value_dim, AttentionState& total) {
  const float m = max_of(segment.m, total.m);
  const float keep = exp(total.m - m), add = exp(segment.m - m);
  total.l = std::fma(total.l, keep, segment.l * add);
  for (int64_t i = 0; i < value_dim; ++i)
    total.o[i] = std::fma(total.o[i], keep, segment.o[i] * add);
  total.m = m;
}

void attention(const AttentionArgs& a) {
  const auto query = is_quantised_kv(a.kv_type) ? quantised_query : one_query;
  for (int64_t t = 0; t < a.tokens; ++t)
    for (int64_t g = 0; g < a.group; ++g)
      query(a, a.q + t * a.q_stride + g * a.head_dim, a.positions[t],
            a.out + t * a.out_stride + g * a.value_dim);
}

}  // namespace weir::kernels::ref
