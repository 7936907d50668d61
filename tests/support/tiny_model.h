// Tiny random models as GGUF bytes, of any family, for tests that change something in them. Weights
// are small noise from a fixed generator; the golden models are elsewhere (tests/golden).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "formats/gguf.h"
#include "formats/gguf_writer.h"
#include "model/families.h"
#include "model/model.h"
#include "tensor/blocks.h"

namespace weir::test {

struct TinyModel {
  std::string family = "llama";
  int64_t layers = 1, width = 32, heads = 4, kv_heads = 2, hidden = 32, vocabulary = 24;
  int64_t context = 64;
  int64_t experts = 0, experts_used = 2;
  DType type = DType::f16;  // of the matrices: f32, f16, bf16, q8_0 or q4_0
  bool tokenizer = false;   // SentencePiece kind with byte tokens: needs a vocabulary of 300
  /// Adds further keys, before the writer closes the metadata.
  std::function<void(MetadataBuilder&)> more_keys;
  /// Changes a tensor's values before they are stored.
  std::function<void(const std::string& name, std::vector<float>& values)> edit;
};

namespace tiny {

inline std::vector<std::byte> encode(DType type, const std::vector<float>& values) {
  std::vector<std::byte> bytes(
      static_cast<size_t>(bytes_of(type, static_cast<int64_t>(values.size()))));
  if (type == DType::f32) std::memcpy(bytes.data(), values.data(), bytes.size());
  for (size_t i = 0; i < values.size() && (type == DType::f16 || type == DType::bf16); ++i) {
    const uint16_t bits =
        type == DType::f16 ? float_to_half(values[i]) : float_to_bfloat(values[i]);
    std::memcpy(bytes.data() + 2 * i, &bits, 2);
  }
  for (size_t b = 0; b < values.size() / 32; ++b) {
    const float scale = 1.0f / 128;
    if (type == DType::q8_0) {
      BlockQ8_0 block{float_to_half(scale), {}};
      for (size_t i = 0; i < 32; ++i) block.qs[i] = static_cast<int8_t>(values[32 * b + i] / scale);
      std::memcpy(bytes.data() + b * sizeof(block), &block, sizeof(block));
    } else if (type == DType::q4_0) {
      BlockQ4_0 block{float_to_half(scale * 8), {}};
      for (size_t i = 0; i < 16; ++i)
        block.qs[i] = static_cast<uint8_t>(static_cast<int>(values[32 * b + i] * 100.0f) & 0xff);
      std::memcpy(bytes.data() + b * sizeof(block), &block, sizeof(block));
    }
  }
  return bytes;
}

class Builder {
 public:
  explicit Builder(const TinyModel& m) : m_(m), family_(family_of_gguf(m.family)) {}

  std::string bytes() {
    GgufWriter writer(keys());
    writer_ = &writer;
    tensors();
    return writer.to_bytes();
  }

 private:
  std::string key(const char* name) const { return m_.family + "." + name; }

  MetadataBuilder keys() const {
    MetadataBuilder b;
    const auto u32 = [](int64_t value) { return static_cast<uint32_t>(value); };
    b.add("general.architecture", m_.family);
    b.add(key("context_length"), u32(m_.context));
    b.add(key("embedding_length"), u32(m_.width));
    b.add(key("block_count"), u32(m_.layers));
    b.add(key("feed_forward_length"), u32(m_.hidden));
    b.add(key("attention.head_count"), u32(m_.heads));
    b.add(key("attention.head_count_kv"), u32(m_.kv_heads));
    b.add(key("attention.key_length"), u32(m_.width / m_.heads));
    b.add(key("attention.value_length"), u32(m_.width / m_.heads));
    b.add(key("attention.layer_norm_rms_epsilon"), 1e-5f);
    b.add(key("attention.layer_norm_epsilon"), 1e-5f);
    b.add(key("rope.dimension_count"), u32(m_.width / m_.heads));
    b.add(key("rope.freq_base"), 10000.0f);
    if (m_.experts > 0) {
      b.add(key("expert_count"), u32(m_.experts));
      b.add(key("expert_used_count"), u32(m_.experts_used));
      b.add(key("expert_feed_forward_length"), u32(m_.hidden));
      if (shared()) b.add(key("expert_shared_feed_forward_length"), u32(m_.hidden));
    }
    if (m_.tokenizer) vocabulary(b);
    if (m_.more_keys) m_.more_keys(b);
    return b;
  }

  bool shared() const { return m_.family == "qwen2moe"; }

  void vocabulary(MetadataBuilder& b) const {
    std::vector<std::string> tokens = {"<unk>", "<s>", "</s>"};
    std::vector<int32_t> types = {2, 3, 3};
    for (int byte = 0; byte < 256; ++byte) {
      tokens.push_back(fmt::format("<0x{:02X}>", byte));
      types.push_back(6);
    }
    while (tokens.size() < static_cast<size_t>(m_.vocabulary)) {
      tokens.push_back(std::string(1, static_cast<char>('a' + tokens.size() % 26)) +
                       (tokens.size() >= 285 ? "x" : ""));
      types.push_back(1);
    }
    b.add("tokenizer.ggml.model", "llama");
    b.add("tokenizer.ggml.tokens", tokens);
    b.add("tokenizer.ggml.scores", std::vector<float>(tokens.size(), -1.0f));
    b.add("tokenizer.ggml.token_type", types);
    b.add("tokenizer.ggml.bos_token_id", uint32_t{1});
    b.add("tokenizer.ggml.eos_token_id", uint32_t{2});
    b.add("tokenizer.ggml.unknown_token_id", uint32_t{0});
  }

  void add(const std::string& name, DType type, std::vector<int64_t> dims, float middle = 0.0f) {
    int64_t count = 1;
    for (const int64_t dim : dims) count *= dim;
    std::vector<float> values(static_cast<size_t>(count));
    std::uniform_real_distribution<float> noise(-0.6f, 0.6f);
    for (float& value : values) value = middle + noise(random_);
    if (m_.edit) m_.edit(name, values);
    auto data = std::make_shared<std::vector<std::byte>>(encode(type, values));
    writer_->add_tensor(name, type, std::move(dims), [data](const ByteSink& sink) { sink(*data); });
  }
  void matrix(const std::string& name, int64_t rows, int64_t k) { add(name, m_.type, {k, rows}); }
  void norm(const std::string& stem) {
    add(stem + ".weight", DType::f32, {m_.width}, 1.0f);
    if (family_.norm == NormKind::layer) add(stem + ".bias", DType::f32, {m_.width});
  }

  void tensors() {
    matrix("token_embd.weight", m_.vocabulary, m_.width);
    if (family_.learned_positions) matrix("position_embd.weight", m_.context, m_.width);
    norm("output_norm");
    for (int64_t i = 0; i < m_.layers; ++i) layer(fmt::format("blk.{}.", i));
  }

  void layer(const std::string& blk) {
    const int64_t dim = m_.width / m_.heads, kv = m_.kv_heads * dim;
    if (family_.pre_norm) {
      norm(blk + "attn_norm");
      norm(blk + "ffn_norm");
    }
    matrix(blk + "attn_q.weight", m_.width, m_.width);
    matrix(blk + "attn_k.weight", kv, m_.width);
    matrix(blk + "attn_v.weight", kv, m_.width);
    matrix(blk + "attn_output.weight", m_.width, m_.width);
    if (family_.qk_norm != QkNorm::none) {
      const bool full = family_.qk_norm == QkNorm::full_width;
      add(blk + "attn_q_norm.weight", DType::f32, {full ? m_.width : dim}, 1.0f);
      add(blk + "attn_k_norm.weight", DType::f32, {full ? kv : dim}, 1.0f);
    }
    if (family_.post_norm) {
      norm(blk + "post_attention_norm");
      norm(blk + "post_ffw_norm");
    }
    if (m_.experts > 0) {
      experts(blk);
      return;
    }
    if (family_.gated && !family_.fused_gate) matrix(blk + "ffn_gate.weight", m_.hidden, m_.width);
    matrix(blk + "ffn_up.weight", family_.fused_gate ? 2 * m_.hidden : m_.hidden, m_.width);
    matrix(blk + "ffn_down.weight", m_.width, m_.hidden);
  }

  void experts(const std::string& blk) {
    add(blk + "ffn_gate_inp.weight", DType::f32, {m_.width, m_.experts});
    add(blk + "ffn_gate_exps.weight", m_.type, {m_.width, m_.hidden, m_.experts});
    add(blk + "ffn_up_exps.weight", m_.type, {m_.width, m_.hidden, m_.experts});
    add(blk + "ffn_down_exps.weight", m_.type, {m_.hidden, m_.width, m_.experts});
    if (!shared()) return;
    add(blk + "ffn_gate_inp_shexp.weight", DType::f32, {m_.width});
    matrix(blk + "ffn_gate_shexp.weight", m_.hidden, m_.width);
    matrix(blk + "ffn_up_shexp.weight", m_.hidden, m_.width);
    matrix(blk + "ffn_down_shexp.weight", m_.width, m_.hidden);
  }

  const TinyModel& m_;
  const Family& family_;
  GgufWriter* writer_ = nullptr;
  std::minstd_rand random_{7};
};

}  // namespace tiny

/// The file's bytes.
inline std::string tiny_gguf(const TinyModel& model) { return tiny::Builder(model).bytes(); }

/// A checkpoint over a copy of the bytes; throws what read_gguf throws.
inline Checkpoint checkpoint_of(const std::string& bytes) {
  return read_gguf(std::as_bytes(std::span(bytes)), "tiny.gguf");
}

/// A loaded model whose file bytes live as long as it.
inline std::shared_ptr<const Model> load_bytes(std::string bytes) {
  struct Kept {
    std::string bytes;
    std::shared_ptr<const Model> model;
  };
  auto kept = std::make_shared<Kept>(Kept{std::move(bytes), nullptr});
  kept->model = Model::from(checkpoint_of(kept->bytes));
  return {kept, kept->model.get()};
}
inline std::shared_ptr<const Model> load_tiny(const TinyModel& model) {
  return load_bytes(tiny_gguf(model));
}

/// Two layers, a tokenizer and a context of 512 tokens: enough for an engine.
inline std::shared_ptr<const Model> load_two_layers(const std::string& family = "llama",
                                                    DType type = DType::q8_0) {
  TinyModel tiny;
  tiny.family = family;
  tiny.tokenizer = true;
  tiny.vocabulary = 300;
  tiny.layers = 2;
  tiny.context = 512;
  tiny.type = type;
  return load_tiny(tiny);
}

}  // namespace weir::test
