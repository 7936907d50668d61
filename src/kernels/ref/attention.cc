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

/// What a query makes of the positions [begin, end) of one segment.
AttentionState real_segment(const AttentionArgs& a, const float* q, int64_t begin, int64_t end) {
  AttentionState state;
  float lanes[16] = {};
  for (int64_t page = begin / kPageTokens * kPageTokens; page < end; page += kPageTokens) {
    const int64_t first = std::max(begin, page), last = std::min(end, page + kPageTokens);
    add_page(a, q, a.pages[page / kPageTokens], static_cast<int>(first - page),
             static_cast<int>(last - page), state, lanes);
  }
  state.l = reduce16(lanes);
  return state;
}

/// Adds a later segment to the total.
void merge(const AttentionState& segment, int64_t value_dim, AttentionState& total) {
  const float m = max_of(segment.m, total.m);
  const float keep = exp(total.m - m), add = exp(segment.m - m);
  total.l = std::fma(total.l, keep, segment.l * add);
  for (int64_t i = 0; i < value_dim; ++i)
    total.o[i] = std::fma(total.o[i], keep, segment.o[i] * add);
  total.m = m;
}

void put(const AttentionState& state, int64_t value_dim, float* to) {
  to[0] = state.l;
  to[1] = state.m;
  std::copy_n(state.o, value_dim, to + 16);
}

AttentionState get(const float* from, int64_t value_dim) {
  AttentionState state{.m = from[1], .l = from[0]};
  std::copy_n(from + 16, value_dim, state.o);
  return state;
}

/// Calls f(query, segment, first position seen, the one behind the last) for all that queries see,
/// segments in ascending order, and done(query) behind the last one of each.
template <typename F, typename Done>
void for_each_segment(const AttentionArgs& a, F f, Done done) {
  for (int64_t query = 0; query < a.tokens * a.group; ++query) {
    const int64_t position = a.positions[query / a.group], begin = a.first_seen(position);
    for (int64_t n = begin / kAttentionSegment; n * kAttentionSegment <= position; ++n)
      f(query, n, std::max(begin, n * kAttentionSegment),
        std::min(position + 1, (n + 1) * kAttentionSegment));
    done(query);
  }
}

/// Merges what segment_of(query, segment, begin, end) returns and divides.
template <typename F>
void merge_all(const AttentionArgs& a, F segment_of) {
  AttentionState total;
  for_each_segment(
      a,
      [&](int64_t query, int64_t n, int64_t begin, int64_t end) {
        merge(segment_of(query, n, begin, end), a.value_dim, total);
      },
      [&](int64_t query) {
        float* const out = a.out + query / a.group * a.out_stride + query % a.group * a.value_dim;
        for (int64_t i = 0; i < a.value_dim; ++i) out[i] = total.o[i] / total.l;
        total = {};
      });
}

}  // namespace

void attention(const AttentionArgs& a) {
  const auto segment = is_quantised_kv(a.kv_type) ? quantised_segment : real_segment;
  const auto segment_of = [&](int64_t query, int64_t, int64_t begin, int64_t end) {
    return segment(a, a.q + query / a.group * a.q_stride + query % a.group * a.head_dim, begin,
                   end);
  };
  if (a.states == nullptr) return merge_all(a, segment_of);
  for_each_segment(
      a,
      [&](int64_t query, int64_t n, int64_t begin, int64_t end) {
        if (n >= a.first_segment && n < a.last_segment)
          put(segment_of(query, n, begin, end), a.value_dim, a.state(query, n));
      },
      [](int64_t) {});
}

void merge_attention(const AttentionArgs& a) {
  merge_all(a, [&](int64_t query, int64_t n, int64_t, int64_t) {
    return get(a.state(query, n), a.value_dim);
  });
}

}  // namespace weir::kernels::ref
