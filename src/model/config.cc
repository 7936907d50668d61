// The check between what a file says and what the decoder computes: after it, no field can make the
// arithmetic of sizes overflow or a kernel read outside its arrays. Shapes are checked in
// weights.cc.
#include "model/config.h"

#include <cmath>

#include "base/error.h"

namespace weir {
namespace {

// Generous for every published model. Products of two stay below 2^63.
constexpr int64_t kMaxLayers = 4096;
constexpr int64_t kMaxWidth = int64_t{1} << 20;
constexpr int64_t kMaxHidden = int64_t{1} << 22;
constexpr int64_t kMaxHeads = 4096;
constexpr int64_t kMaxExperts = 4096;
constexpr int64_t kMaxContext = int64_t{1} << 27;

void in_range(const char* field, int64_t value, int64_t low, int64_t high) {
  if (value < low || value > high)
    fail(Code::bad_format, "the model's {} is {}, expected {} to {}; the file is damaged", field,
         value, low, high);
}

void in_range(const char* field, double value, double low, double high) {
  if (!(value >= low && value <= high))
    fail(Code::bad_format, "the model's {} is {}, expected {} to {}; the file is damaged", field,
         value, low, high);
}

void check_factors(const char* field, const std::vector<float>& factors, int64_t dims,
                   bool required) {
  if (factors.empty() && !required) return;
  if (static_cast<int64_t>(factors.size()) != dims / 2)
    fail(Code::bad_format, "the model has {} {}, expected {} (half of the {} rotary dimensions)",
         factors.size(), field, dims / 2, dims);
  for (const float factor : factors) in_range(field, static_cast<double>(factor), 1e-3, 1e12);
}

void check_rope(const RopeConfig& rope, int64_t key_dim) {
  if (rope.mode == RopeMode::none) return;
  in_range("number of rotary dimensions", rope.dims, 2, key_dim);
  if (rope.dims % 2 != 0)
    fail(Code::bad_format, "the model's number of rotary dimensions is {}, expected an even number",
         rope.dims);
  in_range("rotary base", rope.base, 1.0, 1e15);
  in_range("rotary scaling factor", rope.factor, 1e-3, 1e6);
  in_range("rotary magnitude", rope.magnitude, 1e-3, 1e3);
  check_factors("rotary divisors", rope.factors, rope.dims, false);
  const bool longrope = rope.scaling == RopeScaling::longrope;
  check_factors("long rotary divisors", rope.long_factors, rope.dims, longrope);
  check_factors("short rotary divisors", rope.short_factors, rope.dims, longrope);
  if (rope.scaling == RopeScaling::llama3 || rope.scaling == RopeScaling::yarn || longrope)
    in_range("original context length", rope.original_context, 1, kMaxContext);
  if (rope.scaling == RopeScaling::llama3) {
    in_range("low frequency factor", rope.low_frequency_factor, 1e-3, 1e6);
    in_range("high frequency factor", rope.high_frequency_factor, 1e-3, 1e6);
    if (rope.high_frequency_factor <= rope.low_frequency_factor)
      fail(Code::bad_format, "the model's high frequency factor {} is not above the low one, {}",
           rope.high_frequency_factor, rope.low_frequency_factor);
  }
  if (rope.scaling == RopeScaling::yarn) {
    in_range("yarn beta_fast", rope.beta_fast, 1e-3, 1e6);
    in_range("yarn beta_slow", rope.beta_slow, 1e-3, 1e6);
    in_range("rotary base under yarn", rope.base, 1.001, 1e15);
  }
}

void check_moe(const MoeConfig& moe, int64_t layers) {
  in_range("number of experts", moe.experts, 0, kMaxExperts);
  if (moe.experts == 0) return;
  in_range("number of experts used", moe.used, 1, moe.experts);
  in_range("width of an expert", moe.hidden, 1, kMaxHidden);
  in_range("width of the shared expert", moe.shared_hidden, 0, kMaxHidden);
  in_range("number of leading dense layers", moe.leading_dense, 0, layers);
  in_range("expert weight scale", moe.weight_scale, -1e6, 1e6);
}

void mark_windows(DecoderConfig& c) {
  in_range("sliding window period", c.window_period, 1, kMaxLayers);
  if (c.windowed.empty())
    for (int64_t layer = 0; layer < c.layers; ++layer)
      c.windowed.push_back(c.window_period == 1 || layer % c.window_period < c.window_period - 1);
  if (static_cast<int64_t>(c.windowed.size()) != c.layers)
    fail(Code::bad_format, "the model says of {} layers whether they are windowed, it has {}",
         c.windowed.size(), c.layers);
}

}  // namespace

void complete(DecoderConfig& c) {
  in_range("number of layers", c.layers, 1, kMaxLayers);
  in_range("width", c.width, 1, kMaxWidth);
  in_range("number of heads", c.heads, 1, kMaxHeads);
  in_range("number of KV heads", c.kv_heads, 1, c.heads);
  if (c.heads % c.kv_heads != 0)
    fail(Code::bad_format, "the model's {} heads cannot share {} KV heads evenly", c.heads,
         c.kv_heads);
  if (c.key_dim == 0 || c.value_dim == 0) {
    if (c.width % c.heads != 0)
      fail(Code::bad_format, "the model's width {} is not a multiple of its {} heads", c.width,
           c.heads);
    if (c.key_dim == 0) c.key_dim = c.width / c.heads;
    if (c.value_dim == 0) c.value_dim = c.width / c.heads;
  }
  in_range("key size of a head", c.key_dim, 1, kernels::kMaxHeadDim);
  in_range("value size of a head", c.value_dim, 1, kernels::kMaxHeadDim);
  in_range("context length", c.context, 1, kMaxContext);
  in_range("width of the feed-forward layer", c.hidden, 1, kMaxHidden);
  in_range("norm epsilon", c.norm_epsilon, 0.0, 1.0);
  in_range("sliding window", c.window, 0, int64_t{1} << 31);
  mark_windows(c);
  in_range("embedding scale", c.embedding_scale, -1e6, 1e6);
  in_range("residual scale", c.residual_scale, -1e6, 1e6);
  in_range("attention scale", c.attention_scale, 0.0, 1e6);
  in_range("attention soft cap", c.attention_softcap, 0.0, 1e6);
  in_range("logit scale", c.logit_scale, -1e6, 1e6);
  in_range("logit soft cap", c.logit_softcap, 0.0, 1e6);
  if (c.attention_scale == 0.0) c.attention_scale = 1.0 / std::sqrt(static_cast<double>(c.key_dim));
  for (RopeConfig* rope : {&c.rope, &c.local_rope})
    if (rope->mode != RopeMode::none && rope->dims == 0) rope->dims = c.key_dim;
  check_rope(c.rope, c.key_dim);
  if (c.local_rope_differs) check_rope(c.local_rope, c.key_dim);
  check_moe(c.moe, c.layers);
}

}  // namespace weir
