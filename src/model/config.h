// Everything that tells one decoder from another, as data. Filled from GGUF metadata
// (config_gguf.cc) or config.json (config_hf.cc), checked in config.cc, read by the decoder.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "device/cpu/attention.h"
#include "device/cpu/moe.h"
#include "kernels/kernels.h"

namespace weir {

enum class NormKind : uint8_t { rms, layer };

enum class QkNorm : uint8_t { none, per_head, full_width };

enum class RopeScaling : uint8_t { none, linear, llama3, yarn, longrope };

/// Rotary positions (Su et al. 2021) and the ways to stretch them.
struct RopeConfig {
  RopeMode mode = RopeMode::none;
  int64_t dims = 0;       // values of a head that turn; even
  double base = 10000.0;  // longest wavelength / 2 pi
  RopeScaling scaling = RopeScaling::none;
  double factor = 1.0;           // linear, llama3, yarn: how far the context is stretched
  int64_t original_context = 0;  // tokens, before stretching; llama3, yarn, longrope
  double low_frequency_factor = 1.0, high_frequency_factor = 4.0;  // llama3
  double beta_fast = 32.0, beta_slow = 1.0;                        // yarn, turns per context
  double magnitude = 1.0;  // cos and sin are multiplied by this (yarn, longrope)
  std::vector<float> long_factors, short_factors;  // longrope: dims / 2 divisors each
  std::vector<float> factors;                      // any mode: dims / 2 divisors, or none
};

struct MoeConfig {
  int64_t experts = 0;        // 0: no mixture
  int64_t used = 0;           // experts a token
  int64_t hidden = 0;         // width inside an expert
  int64_t shared_hidden = 0;  // width inside the shared expert; 0: there is none
  int64_t leading_dense = 0;  // first layers without experts
  RouterFunction function = RouterFunction::softmax;
  bool normalise = false;  // chosen weights add up to 1
  double weight_scale = 1.0;
};

struct DecoderConfig {
  std::string family;  // name of the row in families.cc

  int64_t context = 0;     // tokens the model was made for
  int64_t vocabulary = 0;  // rows of the embedding
  int64_t layers = 0;
  int64_t width = 0;   // of the residual stream
  int64_t hidden = 0;  // width inside a dense feed-forward layer
  int64_t heads = 0, kv_heads = 0;
  int64_t key_dim = 0, value_dim = 0;

  NormKind norm = NormKind::rms;
  double norm_epsilon = 1e-5;
  bool pre_norm = true;    // attention and feed-forward read the normed stream
  bool post_norm = false;  // their outputs are normed before they are added
  QkNorm qk_norm = QkNorm::none;
  bool parallel_residual = false;  // x + attention(x) + feed_forward(x)

  RopeConfig rope;
  RopeConfig local_rope;  // layers with a window, where `local_rope_differs`
  bool local_rope_differs = false;
  bool learned_positions = false;

  int64_t window = 0;             // tokens seen by windowed layers; 0: none is windowed
  int64_t window_period = 1;      // the last of every so many layers is not windowed; 1: all are
  std::vector<uint8_t> windowed;  // one a layer: 1 if it is windowed; empty: by window_period

  kernels::Activation activation = kernels::Activation::silu;
  bool gated = true;
  bool fused_gate = false;  // the up tensor holds gate rows, then up rows

  double embedding_scale = 1.0;
  double residual_scale = 1.0;     // of what attention and feed-forward add
  double attention_scale = 0.0;    // 0: 1 / sqrt(key_dim)
  double attention_softcap = 0.0;  // 0: none
  double logit_scale = 1.0;        // logits are multiplied by this
  double logit_softcap = 0.0;      // 0: none

  MoeConfig moe;

  bool is_windowed(int64_t layer) const {
    return window > 0 && windowed[static_cast<size_t>(layer)] != 0;
  }
  bool has_experts(int64_t layer) const { return moe.experts > 0 && layer >= moe.leading_dense; }
};

/// Fills what follows from other fields (head sizes, scales) and checks every field: range, and how
/// they fit each other. Throws bad_format naming the field and its value.
void complete(DecoderConfig& config);

}  // namespace weir
