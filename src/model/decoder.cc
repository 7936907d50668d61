// The order of the ops. One parallel region for each fused group: stream + norm + quantise, q·k·v,
// rotation and pages, attention, output, gate·up, down.
#include "model/decoder.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "base/checked.h"
#include "base/error.h"
#include "device/cpu/linear.h"

namespace weir {
namespace {

bool all_finite(std::span<const float> values) {
  uint32_t bad = 0;
  for (const float value : values)
    bad |= (std::bit_cast<uint32_t>(value) & 0x7f800000u) == 0x7f800000u ? 1u : 0u;
  return bad == 0;
}

int64_t q_width(const DecoderConfig& c) { return c.heads * c.key_dim; }
int64_t k_width(const DecoderConfig& c) { return c.kv_heads * c.key_dim; }
int64_t v_width(const DecoderConfig& c) { return c.kv_heads * c.value_dim; }

int64_t widest_hidden(const DecoderConfig& c) {
  const bool any_dense = c.moe.experts == 0 || c.moe.leading_dense > 0;
  return std::max(any_dense ? c.hidden : 1, c.moe.experts > 0 ? c.moe.shared_hidden : 1);
}

}  // namespace

KvLayout Decoder::kv_layout(const DecoderConfig& c, DType type) {
  const bool quantised = kernels::is_quantised_kv(type);
  WEIR_CHECK(quantised || type == DType::f32 || type == DType::f16 || type == DType::bf16,
             "KV type {}", info(type).name);
  if (quantised && (c.key_dim % kernels::kKvBlock != 0 || c.value_dim % kernels::kKvBlock != 0))
    fail(Code::unsupported,
         "KV type {} needs heads that are a multiple of 32 wide, this model's are {} (keys) and {} "
         "(values); use --kv-type f16",
         info(type).name, c.key_dim, c.value_dim);
  return {type, c.layers, c.kv_heads, c.key_dim, c.value_dim};
}

int64_t Decoder::workspace_bytes(const DecoderConfig& c, int64_t max_tokens) {
  int64_t floats = 4 * c.width + q_width(c) + k_width(c) + v_width(c) + c.heads * c.value_dim +
                   2 * widest_hidden(c) + c.rope.dims;
  if (c.moe.experts > 0) floats += c.moe.experts + 2 * c.moe.used * (c.width + c.moe.hidden);
  return 6 * max_tokens * floats;  // 4 bytes, and up to 2 for the quantised forms
}

Decoder::Decoder(std::shared_ptr<const Model> model, CpuDevice& device, int64_t max_tokens,
                 int64_t context)
    : model_(std::move(model)),
      config_(model_->config()),
      weights_(model_->weights()),
      device_(device),
      max_tokens_(max_tokens),
      context_(context) {
  const DecoderConfig& c = config_;
  if (max_tokens < 1 || max_tokens > 65536)
    fail(Code::invalid_argument, "a batch of {} tokens, expected 1 to 65536", max_tokens);
  if (context < 1 || (c.learned_positions && context > c.context))
    fail(Code::limit_exceeded, "a context of {} tokens, the model has {}", context, c.context);
  if (c.rope.mode != RopeMode::none) rope_ = Rope(c.rope, context, max_tokens);
  if (c.local_rope_differs) local_rope_ = Rope(c.local_rope, context, max_tokens);
  positions_.resize(static_cast<size_t>(max_tokens));
  stream_ = Activations(max_tokens, c.width);
  normed_ = Activations(max_tokens, c.width);
  qkv_ = Activations(max_tokens, q_width(c) + k_width(c) + v_width(c));
  mixed_ = Activations(max_tokens, c.heads * c.value_dim);
  attention_out_ = Activations(max_tokens, c.width);
  feed_forward_out_ = Activations(max_tokens, c.width);
  hidden_ = Activations(max_tokens, widest_hidden(c));
  spare_ = Activations(max_tokens, widest_hidden(c));
  if (c.moe.experts > 0) {
    moe_ = MoeWorkspace(max_tokens, c.moe.experts, c.moe.used, c.width, c.moe.hidden);
    shared_gate_ = Activations(max_tokens, 1);
    if (c.moe.shared_hidden > 0) shared_out_ = Activations(max_tokens, c.width);
  }
  last_ = Activations(max_tokens, c.width);
}

void Decoder::check(const Batch& batch) const {
  const auto tokens = static_cast<int64_t>(batch.tokens.size());
  if (tokens < 1 || tokens > max_tokens_)
    fail(Code::limit_exceeded, "a batch of {} tokens, expected 1 to {}", tokens, max_tokens_);
  for (const int32_t id : batch.tokens)
    if (id < 0 || id >= config_.vocabulary)
      fail(Code::invalid_argument, "token id {}, the vocabulary has ids 0 to {}", id,
           config_.vocabulary - 1);
  int64_t next = 0;
  for (const SequenceRun& run : batch.runs) {
    WEIR_CHECK(run.first_row == next && run.rows >= 1 && run.start >= 0);
    if (run.rows > context_ || run.start > context_ - run.rows)
      fail(Code::limit_exceeded, "a sequence of {} tokens, the context has {}",
           run.start + run.rows, context_);
    next += run.rows;
  }
  WEIR_CHECK(next == tokens, "runs cover {} of {} tokens", next, tokens);
  WEIR_CHECK(batch.wants_logits.empty() || batch.wants_logits.size() == batch.tokens.size());
  WEIR_CHECK(batch.wants_states.empty() || batch.wants_states.size() == batch.tokens.size());
}

void Decoder::embed(const Batch& batch) {
  for (const SequenceRun& run : batch.runs)
    for (int64_t i = 0; i < run.rows; ++i)
      positions_[static_cast<size_t>(run.first_row + i)] = static_cast<int32_t>(run.start + i);
  device_.set_op(Op::embedding);
  const int64_t width = config_.width;
  const auto scale = static_cast<float>(config_.embedding_scale);
  stream_.reset(tokens_, width);
  device_.for_each_row(tokens_, width, [&](int64_t t, int) {
    float* const x = stream_.row(t);
    embedding_row(weights_.token_embd, batch.tokens[static_cast<size_t>(t)], x);
    if (scale != 1.0f)
      for (int64_t i = 0; i < width; ++i) x[i] *= scale;
    if (!config_.learned_positions) return;
    float* const position = normed_.row(t);  // free until the first norm
    embedding_row(weights_.position_embd, positions_[static_cast<size_t>(t)], position);
    for (int64_t i = 0; i < width; ++i) x[i] += position[i];
  });
  if (config_.rope.mode != RopeMode::none) rope_.prepare(device_, positions_.data(), tokens_);
  if (config_.local_rope_differs) local_rope_.prepare(device_, positions_.data(), tokens_);
}

void Decoder::normalise(const Norm& norm, const float* x, float* out) const {
  const auto epsilon = static_cast<float>(config_.norm_epsilon);
  if (config_.norm == NormKind::rms)
    device_.table().rms_norm(x, norm.weight, config_.width, epsilon, out);
  else
    device_.table().layer_norm(x, norm.weight, norm.bias, config_.width, epsilon, out);
}

void Decoder::advance(std::span<float* const> parts, const Norm& post, const Norm* next,
                      Forms readers) {
  const int64_t width = config_.width, stride = stream_.stride();
  const auto scale = static_cast<float>(config_.residual_scale);
  device_.set_op(Op::norm);
  normed_.reset(tokens_, width);
  normed_.declare(readers);
  device_.for_each_row(tokens_, 4 * width, [&](int64_t t, int) {
    float* const x = stream_.row(t);
    for (float* const part : parts) {
      float* const y = part + t * stride;
      if (post.weight != nullptr) normalise(post, y, y);
      if (scale != 1.0f)
        for (int64_t i = 0; i < width; ++i) x[i] += scale * y[i];
      else
        for (int64_t i = 0; i < width; ++i) x[i] += y[i];
    }
    if (next == nullptr)
      std::memcpy(normed_.row(t), x, static_cast<size_t>(width) * 4);
    else
      normalise(*next, x, normed_.row(t));
    normed_.quantize_row(device_.table(), t);
  });
}

void Decoder::attention(const LayerWeights& layer, int64_t index,
                        std::span<const SequenceRun> runs) {
  const DecoderConfig& c = config_;
  const int64_t q = q_width(c), k = k_width(c);
  qkv_.reset(tokens_, q + k + v_width(c));
  const int64_t stride = qkv_.stride();
  float* const base = qkv_.row(0);
  const std::array<Projection, 3> in = {{
      {.weight = &layer.attn_q.weight,
       .bias = layer.attn_q.bias,
       .out = base,
       .out_stride = stride},
      {.weight = &layer.attn_k.weight,
       .bias = layer.attn_k.bias,
       .out = base + q,
       .out_stride = stride},
      {.weight = &layer.attn_v.weight,
       .bias = layer.attn_v.bias,
       .out = base + q + k,
       .out_stride = stride},
  }};
  device_.set_op(Op::matmul);
  matmul(device_, normed_, in);

  const bool windowed = c.is_windowed(index);
  const Rope& rope = windowed && c.local_rope_differs ? local_rope_ : rope_;
  AttentionRows rows;
  rows.q = base;
  rows.k = base + q;
  rows.v = base + q + k;
  rows.q_stride = rows.k_stride = rows.v_stride = stride;
  rows.tokens = tokens_;
  rows.heads = c.heads;
  rows.q_norm = layer.attn_q_norm;
  rows.k_norm = layer.attn_k_norm;
  rows.norm_full_width = c.qk_norm == QkNorm::full_width;
  rows.norm_epsilon = static_cast<float>(c.norm_epsilon);
  rows.rope = c.rope.mode;
  rows.cos = rope.cos();
  rows.sin = rope.sin();
  rows.pairs = rope.pairs();
  device_.set_op(Op::attention);
  prepare_attention(device_, rows, runs, index);

  const AttentionShape shape{.layer = index,
                             .window = windowed ? c.window : 0,
                             .scale = static_cast<float>(c.attention_scale),
                             .softcap = static_cast<float>(c.attention_softcap)};
  mixed_.reset(tokens_, c.heads * c.value_dim);
  attend(device_, rows, runs, positions_.data(), shape, mixed_.row(0), mixed_.stride());
  const Projection out{.weight = &layer.attn_output.weight,
                       .bias = layer.attn_output.bias,
                       .out = attention_out_.row(0),
                       .out_stride = attention_out_.stride()};
  device_.set_op(Op::matmul);
  matmul(device_, mixed_, {&out, 1});
}

void Decoder::dense(const Linear* gate, const Linear& up, const Linear& down, float* out) {
  const FeedForwardIn in{.gate = gate != nullptr ? &gate->weight : nullptr,
                         .up = &up.weight,
                         .gate_bias = gate != nullptr ? gate->bias : nullptr,
                         .up_bias = up.bias,
                         .activation = config_.activation};
  feed_forward_in(device_, normed_, in, hidden_, spare_);
  const Projection back{
      .weight = &down.weight, .bias = down.bias, .out = out, .out_stride = stream_.stride()};
  matmul(device_, hidden_, {&back, 1});
}

void Decoder::mixture(const ExpertWeights& experts, float* out) {
  const MoeConfig& m = config_.moe;
  const MoeLayer layer{.router = &experts.ffn_gate_inp,
                       .selection_bias = experts.exp_probs_b,
                       .gate = &experts.ffn_gate_exps,
                       .up = &experts.ffn_up_exps,
                       .down = &experts.ffn_down_exps,
                       .activation = config_.activation,
                       .function = m.function,
                       .used = m.used,
                       .normalise = m.normalise,
                       .weight_scale = static_cast<float>(m.weight_scale)};
  mixture_of_experts(device_, normed_, layer, moe_, out, stream_.stride());
  if (experts.ffn_up_shexp.empty()) return;
  const Linear gate{experts.ffn_gate_shexp, nullptr}, up{experts.ffn_up_shexp, nullptr},
      down{experts.ffn_down_shexp, nullptr};
  float* const shared = shared_out_.row(0);
  dense(&gate, up, down, shared);
  const bool gated = !experts.ffn_gate_inp_shexp.empty();
  if (gated) {
    shared_gate_.reset(tokens_, 1);
    const Projection to_gate{.weight = &experts.ffn_gate_inp_shexp,
                             .out = shared_gate_.row(0),
                             .out_stride = shared_gate_.stride()};
    matmul(device_, normed_, {&to_gate, 1});
  }
  const int64_t width = config_.width, stride = stream_.stride();
  device_.for_each_row(tokens_, width, [&](int64_t t, int) {
    const float weight = gated ? sigmoid(*shared_gate_.row(t)) : 1.0f;
    float* const to = out + t * stride;
    const float* const from = shared + t * stride;
    for (int64_t i = 0; i < width; ++i) to[i] += weight * from[i];
  });
}

void Decoder::feed_forward(const LayerWeights& layer, int64_t index, float* out) {
  device_.set_op(Op::matmul);
  if (config_.has_experts(index)) {
    mixture(layer.experts, out);
    return;
  }
  dense(config_.gated ? &layer.ffn_gate : nullptr, layer.ffn_up, layer.ffn_down, out);
}

std::span<const LogitRow> Decoder::forward(const Batch& batch) {
  check(batch);
  tokens_ = static_cast<int64_t>(batch.tokens.size());
  embed(batch);
  const auto norm_or_none = [&](const Norm& norm) { return config_.pre_norm ? &norm : nullptr; };
  const auto attention_forms = [](const LayerWeights& l) {
    return form_of(l.attn_q.weight.type) | form_of(l.attn_k.weight.type) |
           form_of(l.attn_v.weight.type);
  };
  const auto dense_forms = [](const LayerWeights& l) {
    if (l.ffn_up.weight.empty()) return form_of(l.experts.ffn_gate_inp.type);
    return form_of(l.ffn_up.weight.type) |
           (l.ffn_gate.weight.empty() ? Forms::real : form_of(l.ffn_gate.weight.type));
  };
  float* const a = attention_out_.row(0);
  float* const f = feed_forward_out_.row(0);
  const std::array<float*, 1> only_a = {a}, only_f = {f};
  const std::array<float*, 2> both = {a, f};

  std::span<float* const> done;  // outputs not yet in the stream
  Norm post;                     // that they pass first
  for (int64_t i = 0; i < config_.layers; ++i) {
    const LayerWeights& layer = weights_.blk[static_cast<size_t>(i)];
    advance(done, post, norm_or_none(layer.attn_norm), attention_forms(layer));
    attention(layer, i, batch.runs);
    if (config_.parallel_residual) {
      if (layer.ffn_norm.weight != nullptr) advance({}, {}, &layer.ffn_norm, dense_forms(layer));
      feed_forward(layer, i, f);
      done = both;
      continue;
    }
    advance(only_a, layer.post_attention_norm, norm_or_none(layer.ffn_norm), dense_forms(layer));
    feed_forward(layer, i, f);
    done = only_f;
    post = layer.post_ffw_norm;
  }
  advance(done, post, nullptr, Forms::real);
  if (!batch.wants_states.empty()) keep_states(batch);
  const auto rows = logits(batch);
  model_->check_intact();
  return rows;
}

void Decoder::keep_states(const Batch& batch) {
  if (states_.width() == 0) states_ = Activations(max_tokens_, config_.width);
  states_.reset(tokens_, config_.width);
  int64_t count = 0;
  for (int64_t t = 0; t < tokens_; ++t)
    if (batch.wants_states[static_cast<size_t>(t)] != 0)
      normalise(weights_.output_norm, stream_.row(t), states_.row(count++));
}

std::span<const LogitRow> Decoder::logits(const Batch& batch) {
  rows_.clear();
  if (batch.wants_logits.empty()) {
    for (const SequenceRun& run : batch.runs)
      rows_.push_back({run.first_row + run.rows - 1, {}, true});
  } else {
    for (int64_t t = 0; t < tokens_; ++t)
      if (batch.wants_logits[static_cast<size_t>(t)] != 0) rows_.push_back({t, {}, true});
  }
  const auto count = static_cast<int64_t>(rows_.size());
  if (count == 0) return rows_;
  const auto vocabulary = static_cast<size_t>(config_.vocabulary);
  const size_t bytes = rows_.size() * vocabulary * sizeof(float);
  if (logits_.size() < bytes) logits_ = Buffer(bytes);
  auto* const out = reinterpret_cast<float*>(logits_.data());

  device_.set_op(Op::head);
  last_.reset(count, config_.width);
  last_.declare(form_of(weights_.output.weight.type));
  device_.for_each_row(count, 4 * config_.width, [&](int64_t i, int) {
    normalise(weights_.output_norm, stream_.row(rows_[static_cast<size_t>(i)].row), last_.row(i));
    last_.quantize_row(device_.table(), i);
  });
  const Projection head{.weight = &weights_.output.weight,
                        .bias = weights_.output.bias,
                        .out = out,
                        .out_stride = config_.vocabulary,
                        .scale = static_cast<float>(config_.logit_scale),
                        .softcap = static_cast<float>(config_.logit_softcap)};
  matmul(device_, last_, {&head, 1});
  for (size_t i = 0; i < rows_.size(); ++i) {
    rows_[i].logits = {out + i * vocabulary, vocabulary};
    rows_[i].finite = all_finite(rows_[i].logits);
  }
  return rows_;
}

}  // namespace weir
