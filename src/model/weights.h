// The weights of a decoder, bound by GGUF name with every shape checked against the configuration.
// Presence decides the optional parts (biases, a separate output, a second norm). Views: the
// checkpoint's mapping and the TensorMap keep the memory alive.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/config.h"
#include "model/tensor_map.h"
#include "tensor/tensor.h"

namespace weir {

struct Linear {
  Tensor weight;                // {rows, k}
  const float* bias = nullptr;  // {rows}, or null
};

struct Norm {
  const float* weight = nullptr;  // {width}; null: there is no such norm
  const float* bias = nullptr;    // {width}, or null
};

/// The experts of one layer; members are empty in a dense layer.
struct ExpertWeights {
  Tensor ffn_gate_inp;                 // {experts, width}: the router
  const float* exp_probs_b = nullptr;  // {experts}, added for the choice only; or null
  std::vector<Tensor> ffn_gate_exps;   // each {expert hidden, width}
  std::vector<Tensor> ffn_up_exps;     // each {expert hidden, width}
  std::vector<Tensor> ffn_down_exps;   // each {width, expert hidden}
  Tensor ffn_gate_shexp;               // {shared hidden, width}
  Tensor ffn_up_shexp;                 // {shared hidden, width}
  Tensor ffn_down_shexp;               // {width, shared hidden}
  Tensor ffn_gate_inp_shexp;           // {1, width}: how much the shared expert counts; or empty
};

struct LayerWeights {
  Norm attn_norm;                      // {width}
  Linear attn_q;                       // {heads * key_dim, width}
  Linear attn_k;                       // {kv_heads * key_dim, width}
  Linear attn_v;                       // {kv_heads * value_dim, width}
  const float* attn_q_norm = nullptr;  // {key_dim} or {heads * key_dim}
  const float* attn_k_norm = nullptr;  // {key_dim} or {kv_heads * key_dim}
  Linear attn_output;                  // {width, heads * value_dim}
  Norm post_attention_norm;            // {width}
  Norm ffn_norm;                       // {width}; parallel residual: none means attn_norm's output
  Linear ffn_gate;                     // {hidden, width}; empty in a plain layer
  Linear ffn_up;                       // {hidden, width}
  Linear ffn_down;                     // {width, hidden}
  Norm post_ffw_norm;                  // {width}
  ExpertWeights experts;
};

struct DecoderWeights {
  Tensor token_embd;     // {vocabulary, width}
  Tensor position_embd;  // {context, width}, or empty
  std::vector<LayerWeights> blk;
  Norm output_norm;  // {width}
  Linear output;     // {vocabulary, width}; token_embd where the head is tied
  bool tied = false;
};

/// Throws bad_format naming the tensor that is missing or has another shape than the configuration
/// says, with both shapes.
DecoderWeights bind_weights(TensorMap& tensors, const DecoderConfig& config);

}  // namespace weir
