// Binding: every tensor that the configuration calls for, by name and shape.
#include "model/weights.h"

#include "base/error.h"
#include "formats/quote.h"
#include "tensor/blocks.h"

namespace weir {
namespace {

class Binder {
 public:
  Binder(TensorMap& tensors, const DecoderConfig& config) : tensors_(tensors), c_(config) {}

  DecoderWeights bind();

 private:
  LayerWeights layer(int64_t index);
  void attention(LayerWeights& layer);
  void dense(LayerWeights& layer);
  void experts(ExpertWeights& experts);
  std::vector<Tensor> expert_list(const char* stem, int64_t rows, int64_t k);

  Tensor matrix(const std::string& name, int64_t rows, int64_t k);
  std::optional<Tensor> optional_matrix(const std::string& name, int64_t rows, int64_t k);
  const float* optional_vector(const std::string& name, int64_t n);
  const float* vector(const std::string& name, int64_t n);
  Linear linear(const std::string& stem, int64_t rows, int64_t k);
  Norm norm(const std::string& stem);
  Norm optional_norm(const std::string& stem);

  std::string in_layer(std::string_view stem) const { return prefix_ + std::string(stem); }
  bool has(const std::string& name) { return tensors_.find(name) != nullptr; }
  [[noreturn]] void missing(const std::string& name) const {
    fail(Code::bad_format, "tensor {} is missing; a {} model needs it", quote(name), c_.family);
  }

  TensorMap& tensors_;
  const DecoderConfig& c_;
  std::string prefix_;  // "blk.7."
};

/// Rows [first, first + rows) of a linear layer.
Linear rows_of(const Linear& from, int64_t first, int64_t rows) {
  return {{from.weight.row(first), from.weight.type, Shape{rows, from.weight.columns()}},
          from.bias != nullptr ? from.bias + first : nullptr};
}

std::optional<Tensor> Binder::optional_matrix(const std::string& name, int64_t rows, int64_t k) {
  const Tensor* tensor = tensors_.find(name);
  if (tensor == nullptr) return std::nullopt;
  const Shape expected{rows, k};
  const bool vector = rows == 1 && tensor->shape == Shape{k};
  if (tensor->shape != expected && !vector)
    fail(Code::bad_format, "tensor {} has shape {}, the model's sizes ask for {}", quote(name),
         tensor->shape.to_string(), expected.to_string());
  return Tensor{tensor->data, tensor->type, expected};
}

Tensor Binder::matrix(const std::string& name, int64_t rows, int64_t k) {
  const auto tensor = optional_matrix(name, rows, k);
  if (!tensor) missing(name);
  return *tensor;
}

const float* Binder::optional_vector(const std::string& name, int64_t n) {
  const auto row = optional_matrix(name, 1, n);
  if (!row) return nullptr;
  if (row->type == DType::f32) return row->f32();
  auto* const values = reinterpret_cast<float*>(tensors_.allocate(static_cast<size_t>(n) * 4));
  to_float(row->type, row->data, n, values);
  return values;
}

const float* Binder::vector(const std::string& name, int64_t n) {
  const float* const values = optional_vector(name, n);
  if (values == nullptr) missing(name);
  return values;
}

Linear Binder::linear(const std::string& stem, int64_t rows, int64_t k) {
  return {matrix(stem + ".weight", rows, k), optional_vector(stem + ".bias", rows)};
}

Norm Binder::norm(const std::string& stem) {
  return {vector(stem + ".weight", c_.width), optional_vector(stem + ".bias", c_.width)};
}

Norm Binder::optional_norm(const std::string& stem) {
  return has(stem + ".weight") ? norm(stem) : Norm{};
}

void Binder::attention(LayerWeights& l) {
  const int64_t q = c_.heads * c_.key_dim, k = c_.kv_heads * c_.key_dim,
                v = c_.kv_heads * c_.value_dim;
  if (has(in_layer("attn_qkv.weight"))) {
    const Linear fused = linear(in_layer("attn_qkv"), q + k + v, c_.width);
    l.attn_q = rows_of(fused, 0, q);
    l.attn_k = rows_of(fused, q, k);
    l.attn_v = rows_of(fused, q + k, v);
  } else {
    l.attn_q = linear(in_layer("attn_q"), q, c_.width);
    l.attn_k = linear(in_layer("attn_k"), k, c_.width);
    l.attn_v = linear(in_layer("attn_v"), v, c_.width);
  }
  if (c_.qk_norm != QkNorm::none) {
    const bool full = c_.qk_norm == QkNorm::full_width;
    l.attn_q_norm = vector(in_layer("attn_q_norm.weight"), full ? q : c_.key_dim);
    l.attn_k_norm = vector(in_layer("attn_k_norm.weight"), full ? k : c_.key_dim);
  }
  l.attn_output = linear(in_layer("attn_output"), c_.width, c_.heads * c_.value_dim);
}

void Binder::dense(LayerWeights& l) {
  if (c_.fused_gate) {
    const Linear fused = linear(in_layer("ffn_up"), 2 * c_.hidden, c_.width);
    l.ffn_gate = rows_of(fused, 0, c_.hidden);
    l.ffn_up = rows_of(fused, c_.hidden, c_.hidden);
  } else {
    if (c_.gated) l.ffn_gate = linear(in_layer("ffn_gate"), c_.hidden, c_.width);
    l.ffn_up = linear(in_layer("ffn_up"), c_.hidden, c_.width);
  }
  l.ffn_down = linear(in_layer("ffn_down"), c_.width, c_.hidden);
}

/// One stacked tensor {experts, rows, k}, or one tensor an expert as older files have it.
std::vector<Tensor> Binder::expert_list(const char* stem, int64_t rows, int64_t k) {
  std::vector<Tensor> list;
  const std::string stacked_name = in_layer(fmt::format("{}_exps.weight", stem));
  if (const Tensor* stacked = tensors_.find(stacked_name)) {
    const Shape expected{c_.moe.experts, rows, k};
    if (stacked->shape != expected)
      fail(Code::bad_format, "tensor {} has shape {}, the model's sizes ask for {}",
           quote(stacked_name), stacked->shape.to_string(), expected.to_string());
    for (int64_t e = 0; e < c_.moe.experts; ++e)
      list.push_back({stacked->row(e * rows), stacked->type, Shape{rows, k}});
    return list;
  }
  if (!has(in_layer(fmt::format("{}.0.weight", stem)))) missing(stacked_name);
  for (int64_t e = 0; e < c_.moe.experts; ++e)
    list.push_back(matrix(in_layer(fmt::format("{}.{}.weight", stem, e)), rows, k));
  return list;
}

void Binder::experts(ExpertWeights& x) {
  x.ffn_gate_inp = matrix(in_layer("ffn_gate_inp.weight"), c_.moe.experts, c_.width);
  x.exp_probs_b = optional_vector(in_layer("exp_probs_b.bias"), c_.moe.experts);
  x.ffn_gate_exps = expert_list("ffn_gate", c_.moe.hidden, c_.width);
  x.ffn_up_exps = expert_list("ffn_up", c_.moe.hidden, c_.width);
  x.ffn_down_exps = expert_list("ffn_down", c_.width, c_.moe.hidden);
  const int64_t shared = c_.moe.shared_hidden;
  if (shared == 0) return;
  x.ffn_gate_shexp = matrix(in_layer("ffn_gate_shexp.weight"), shared, c_.width);
  x.ffn_up_shexp = matrix(in_layer("ffn_up_shexp.weight"), shared, c_.width);
  x.ffn_down_shexp = matrix(in_layer("ffn_down_shexp.weight"), c_.width, shared);
  if (const auto gate = optional_matrix(in_layer("ffn_gate_inp_shexp.weight"), 1, c_.width))
    x.ffn_gate_inp_shexp = *gate;
}

LayerWeights Binder::layer(int64_t index) {
  prefix_ = fmt::format("blk.{}.", index);
  LayerWeights l;
  if (c_.pre_norm) {
    l.attn_norm = norm(in_layer("attn_norm"));
    // Falcon 40B: the second norm is for attention, the first one for the feed-forward layer.
    const Norm second = c_.parallel_residual ? optional_norm(in_layer("attn_norm_2")) : Norm{};
    if (second.weight != nullptr) {
      l.ffn_norm = l.attn_norm;
      l.attn_norm = second;
    } else {
      l.ffn_norm =
          c_.parallel_residual ? optional_norm(in_layer("ffn_norm")) : norm(in_layer("ffn_norm"));
    }
  }
  attention(l);
  if (c_.post_norm) {
    l.post_attention_norm = norm(in_layer("post_attention_norm"));
    l.post_ffw_norm = norm(in_layer("post_ffw_norm"));
  }
  if (c_.has_experts(index))
    experts(l.experts);
  else
    dense(l);
  return l;
}

DecoderWeights Binder::bind() {
  DecoderWeights w;
  for (const char* const read_by_config :
       {"rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight"})
    tensors_.find(read_by_config);
  w.token_embd = matrix("token_embd.weight", c_.vocabulary, c_.width);
  if (c_.learned_positions) w.position_embd = matrix("position_embd.weight", c_.context, c_.width);
  for (int64_t i = 0; i < c_.layers; ++i) w.blk.push_back(layer(i));
  w.output_norm = norm("output_norm");
  w.tied = !has("output.weight");
  if (w.tied)
    w.output = {w.token_embd, optional_vector("output.bias", c_.vocabulary)};
  else
    w.output = linear("output", c_.vocabulary, c_.width);
  return w;
}

}  // namespace

DecoderWeights bind_weights(TensorMap& tensors, const DecoderConfig& config) {
  return Binder(tensors, config).bind();
}

}  // namespace weir
