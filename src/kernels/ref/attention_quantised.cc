// Canonical attention over quantised KV pages: the query as int8, scores and weighted sums as
// integer products. Each page has its own largest score; segments of 256 positions are merged as
// with float pages (attention.cc). What a query sees depends on its position only.
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "kernels/kv_blocks.h"
#include "kernels/ref/attention.h"
#include "kernels/ref/math.h"
#include "kernels/ref/ref.h"
#include "tensor/blocks.h"

namespace weir::kernels::ref {
namespace {

constexpr int kPages = kAttentionSegment / kPageTokens;

struct Query {
  int8_t q[kMaxHeadDim];
  float d[kMaxHeadDim / kKvBlock];
  int16_t sums[kMaxHeadDim / kKvBlock];
};

/// The visible positions of one page: weights e = exp(score - top), the others +0.
struct PageWeights {
  const std::byte* page = nullptr;  // null: nothing is visible
  int first = 0, last = 0;
  float top = kMinusInfinity;
  float e[16] = {};
};

/// The matmul rule for blocks of 32: keys are the weights.
float product(const AttentionArgs& a, const Query& query, const std::byte* keys, int slot) {
  float dot = 0.0f;
  for (int64_t b = 0; b < a.head_dim / kKvBlock; ++b) {
    int32_t sum = 0;
    for (int64_t i = b * kKvBlock; i < (b + 1) * kKvBlock; ++i)
      sum += query.q[i] * kv_number(a.kv_type, KvPart::keys, keys, a.head_dim, i, slot);
    dot =
        std::fma(half_to_float(kv_scale(keys, b, slot)) * query.d[b], static_cast<float>(sum), dot);
  }
  return dot;
}

float score(const AttentionArgs& a, const Query& query, const std::byte* keys, int slot) {
  float dot = product(a, query, keys, slot);
  if (a.kv_type == DType::q4_0 && kv_is_difference(keys, slot)) dot += product(a, query, keys, 0);
  const float s = dot * a.scale;
  return a.softcap != 0.0f ? a.softcap * tanh(s / a.softcap) : s;
}

void weigh(const AttentionArgs& a, const Query& query, PageWeights& w) {
  float s[16];
  for (int j = w.first; j < w.last; ++j) {
    s[j] = score(a, query, w.page + a.k_offset, j);
    w.top = max_of(s[j], w.top);
  }
  for (int j = w.first; j < w.last; ++j) w.e[j] = exp(s[j] - w.top);
}

/// Weights times scales as bytes, for one block of values.
struct Bytes {
  float unit = 0.0f;  // one step of t
  int32_t t[16] = {};
};

Bytes bytes_of_page(const AttentionArgs& a, const PageWeights& w, int64_t block) {
  Bytes out;
  uint16_t largest = 0;  // scales are not negative: halves compare as integers, NaN above infinity
  for (int j = w.first; j < w.last; ++j)
    largest = std::max(largest, kv_scale(w.page + a.v_offset, block, j));
  const float d = half_to_float(largest);
  const float inverse = largest > 0 && largest < 0x7c00 ? 255.0f / d : 0.0f;
  out.unit = d / 255.0f;
  for (int j = w.first; j < w.last; ++j) {
    const float scale = half_to_float(kv_scale(w.page + a.v_offset, block, j)) * inverse;
    const float t = std::nearbyint(w.e[j] * max_of(scale, 0.0f));
    out.t[j] = t > 0.0f ? static_cast<int32_t>(t) : 0;  // NaN gives 0; l carries it to the output
  }
  return out;
}

void segment_of(const AttentionArgs& a, PageWeights* pages, float* correction,
                AttentionState& state) {
  for (int p = 0; p < kPages; ++p) state.m = max_of(pages[p].top, state.m);
  float lanes[16] = {};
  for (int p = 0; p < kPages; ++p) {
    if (pages[p].page == nullptr) continue;
    correction[p] = exp(pages[p].top - state.m);
    for (int j = 0; j < 16; ++j) lanes[j] = std::fma(correction[p], pages[p].e[j], lanes[j]);
  }
  state.l = reduce16(lanes);
  for (int64_t b = 0; b < a.value_dim / kKvBlock; ++b) {
    for (int p = 0; p < kPages; ++p) {
      if (pages[p].page == nullptr) continue;
      const Bytes bytes = bytes_of_page(a, pages[p], b);
      const float unit = correction[p] * bytes.unit;
      for (int64_t i = b * kKvBlock; i < (b + 1) * kKvBlock; ++i) {
        int32_t sum = 0;
        for (int j = pages[p].first; j < pages[p].last; ++j)
          sum += bytes.t[j] * kv_number(a.kv_type, KvPart::values, pages[p].page + a.v_offset,
                                        a.value_dim, i, j);
        state.o[i] = std::fma(unit, static_cast<float>(sum), state.o[i]);
      }
    }
  }
}

}  // namespace

AttentionState quantised_segment(const AttentionArgs& a, const float* q, int64_t begin,
                                 int64_t end) {
  Query query;
  quantize32(q, a.head_dim, query.q, query.d, query.sums);
  PageWeights pages[kPages];
  float correction[kPages] = {};
  for (int64_t page = begin / kPageTokens * kPageTokens; page < end; page += kPageTokens) {
    PageWeights& w = pages[page / kPageTokens % kPages];
    w.page = a.pages[page / kPageTokens];
    w.first = static_cast<int>(std::max(begin, page) - page);
    w.last = static_cast<int>(std::min(end, page + kPageTokens) - page);
    weigh(a, query, w);
  }
  AttentionState segment;
  segment_of(a, pages, correction, segment);
  return segment;
}

}  // namespace weir::kernels::ref
