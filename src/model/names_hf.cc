// Hugging Face tensor names to GGUF names, and the few layouts that differ: Gemma's norm weights
// (stored minus one), GPT-2's transposed linear layers, the interleaved q, k, v of GPT-NeoX and
// Falcon. Only those tensors are copied. q and k stay in the split-half order; the configuration
// says so.
#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "formats/quote.h"
#include "model/tensor_map.h"
#include "tensor/blocks.h"

namespace weir {
namespace {

using Pair = std::pair<std::string_view, std::string_view>;

constexpr Pair kTop[] = {
    {"embed_tokens", "token_embd"},
    {"wte", "token_embd"},
    {"embed_in", "token_embd"},
    {"word_embeddings", "token_embd"},
    {"wpe", "position_embd"},
    {"norm", "output_norm"},
    {"final_layernorm", "output_norm"},
    {"final_layer_norm", "output_norm"},
    {"ln_f", "output_norm"},
    {"lm_head", "output"},
    {"embed_out", "output"},
};

constexpr Pair kLayer[] = {
    {"input_layernorm", "attn_norm"},
    {"ln_1", "attn_norm"},
    {"ln_mlp", "attn_norm"},
    {"ln_attn", "attn_norm_2"},
    {"ln_2", "ffn_norm"},
    {"pre_feedforward_layernorm", "ffn_norm"},
    {"post_feedforward_layernorm", "post_ffw_norm"},
    {"self_attn.q_proj", "attn_q"},
    {"self_attn.k_proj", "attn_k"},
    {"self_attn.v_proj", "attn_v"},
    {"self_attn.qkv_proj", "attn_qkv"},
    {"self_attention.query_key_value", "attn_qkv"},
    {"attention.query_key_value", "attn_qkv"},
    {"attn.c_attn", "attn_qkv"},
    {"self_attn.o_proj", "attn_output"},
    {"self_attn.dense", "attn_output"},
    {"self_attention.dense", "attn_output"},
    {"attention.dense", "attn_output"},
    {"attn.c_proj", "attn_output"},
    {"self_attn.q_norm", "attn_q_norm"},
    {"self_attn.k_norm", "attn_k_norm"},
    {"mlp.gate_proj", "ffn_gate"},
    {"mlp.up_proj", "ffn_up"},
    {"mlp.gate_up_proj", "ffn_up"},
    {"mlp.fc1", "ffn_up"},
    {"mlp.c_fc", "ffn_up"},
    {"mlp.dense_h_to_4h", "ffn_up"},
    {"mlp.down_proj", "ffn_down"},
    {"mlp.fc2", "ffn_down"},
    {"mlp.c_proj", "ffn_down"},
    {"mlp.dense_4h_to_h", "ffn_down"},
    {"mlp.gate", "ffn_gate_inp"},
    {"block_sparse_moe.gate", "ffn_gate_inp"},
    {"mlp.shared_expert_gate", "ffn_gate_inp_shexp"},
    {"mlp.shared_expert.gate_proj", "ffn_gate_shexp"},
    {"mlp.shared_expert.up_proj", "ffn_up_shexp"},
    {"mlp.shared_expert.down_proj", "ffn_down_shexp"},
    {"mlp.shared_experts.gate_proj", "ffn_gate_shexp"},
    {"mlp.shared_experts.up_proj", "ffn_up_shexp"},
    {"mlp.shared_experts.down_proj", "ffn_down_shexp"},
};

constexpr Pair kExpert[] = {
    {"gate_proj", "ffn_gate"}, {"up_proj", "ffn_up"}, {"down_proj", "ffn_down"},
    {"w1", "ffn_gate"},        {"w3", "ffn_up"},      {"w2", "ffn_down"},
};

// Buffers that older files carry beside the weights; they can be computed.
constexpr std::string_view kComputed[] = {".rotary_emb.inv_freq", ".attn.bias", ".attn.masked_bias",
                                          ".attention.bias", ".attention.masked_bias"};

std::optional<std::string_view> look_up(std::span<const Pair> table, std::string_view name) {
  for (const auto& [from, to] : table)
    if (from == name) return to;
  return std::nullopt;
}

/// Takes "12." off the front of `name`; nothing if no number stands there.
std::optional<std::string_view> take_index(std::string_view& name) {
  const size_t dot = name.find('.');
  if (dot == 0 || dot == std::string_view::npos || dot > 6) return std::nullopt;
  const std::string_view digits = name.substr(0, dot);
  if (digits.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
  name.remove_prefix(dot + 1);
  return digits;
}

std::optional<std::string> layer_part(std::string_view stem, bool post_norm) {
  if (stem == "post_attention_layernorm") return post_norm ? "post_attention_norm" : "ffn_norm";
  if (const auto to = look_up(kLayer, stem)) return std::string(*to);
  for (const std::string_view experts : {"mlp.experts.", "block_sparse_moe.experts."}) {
    if (!stem.starts_with(experts)) continue;
    std::string_view rest = stem.substr(experts.size());
    const auto index = take_index(rest);
    const auto to = index ? look_up(kExpert, rest) : std::nullopt;
    if (to) return fmt::format("{}.{}", *to, *index);
  }
  return std::nullopt;
}

/// GGUF's name, or nothing where the name is not known.
std::optional<std::string> translate(std::string_view name, bool post_norm) {
  for (const std::string_view prefix : {"language_model.", "model.", "transformer.", "gpt_neox."})
    if (name.starts_with(prefix)) name.remove_prefix(prefix.size());
  if (name.ends_with("e_score_correction_bias")) return std::nullopt;
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return std::nullopt;
  const std::string_view ending = name.substr(dot);  // ".weight" or ".bias"
  std::string_view stem = name.substr(0, dot);
  for (const std::string_view list : {"layers.", "h."}) {
    if (!stem.starts_with(list)) continue;
    std::string_view rest = stem.substr(list.size());
    const auto index = take_index(rest);
    if (!index) return std::nullopt;
    const auto part = layer_part(rest, post_norm);
    if (!part) return std::nullopt;
    return fmt::format("blk.{}.{}{}", *index, *part, ending);
  }
  if (const auto to = look_up(kTop, stem)) return std::string(*to) + std::string(ending);
  return std::nullopt;
}

/// {k, rows} to {rows, k}.
Tensor transposed(const Tensor& from, TensorMap& map) {
  const int64_t outer = from.shape[0], inner = from.shape[1];
  const auto size = static_cast<size_t>(bytes_of(from.type, 1));
  std::byte* const data = map.allocate(static_cast<size_t>(bytes_of(from.type, outer * inner)));
  for (int64_t r = 0; r < outer; ++r)
    for (int64_t c = 0; c < inner; ++c)
      std::memcpy(data + static_cast<size_t>(c * outer + r) * size,
                  from.data + static_cast<size_t>(r * inner + c) * size, size);
  return {data, from.type, Shape{inner, outer}};
}

/// Row r of the result is row source(r) of `from`; a bias counts as rows of one value.
template <typename Source>
Tensor reordered(const Tensor& from, TensorMap& map, const Source& source) {
  const int64_t rows = from.shape[0];
  const auto bytes = static_cast<size_t>(bytes_of(from.type, from.shape.elements()));
  const size_t row = bytes / static_cast<size_t>(rows);
  std::byte* const data = map.allocate(bytes);
  for (int64_t r = 0; r < rows; ++r)
    std::memcpy(data + static_cast<size_t>(r) * row,
                from.data + static_cast<size_t>(source(r)) * row, row);
  return {data, from.type, from.shape};
}

/// q of all heads, then k, then v, from blocks of one KV head each: `group` query heads, k, v.
Tensor ungrouped(const Tensor& from, const DecoderConfig& c, TensorMap& map) {
  const int64_t dim = c.key_dim, group = c.heads / c.kv_heads, block = group + 2;
  if (from.shape.rank() > 2 || from.shape[0] != c.kv_heads * block * dim) return from;
  return reordered(from, map, [&](int64_t r) {
    const int64_t head = r / dim, within = r % dim;
    int64_t kv, slot;
    if (head < c.heads) {
      kv = head / group;
      slot = head % group;
    } else {
      kv = (head - c.heads) % c.kv_heads;
      slot = group + (head - c.heads) / c.kv_heads;
    }
    return (kv * block + slot) * dim + within;
  });
}

Tensor plus_one(const Tensor& from, TensorMap& map) {
  const int64_t n = from.shape.elements();
  auto* const values = reinterpret_cast<float*>(map.allocate(static_cast<size_t>(n) * 4));
  to_float(from.type, from.data, n, values);
  for (int64_t i = 0; i < n; ++i) values[i] += 1.0f;
  return {reinterpret_cast<const std::byte*>(values), DType::f32, from.shape};
}

Tensor adapted(const std::string& name, const Tensor& from, const DecoderConfig& c,
               TensorMap& map) {
  const Family& family = family_of_gguf(c.family);
  if (info(from.type).kind != DTypeClass::real || from.data == nullptr) return from;
  if (family.norm_plus_one && name.ends_with("norm.weight")) return plus_one(from, map);
  const bool qkv = name.find(".attn_qkv.") != std::string::npos;
  if (c.family == "gpt2" && name.starts_with("blk.") && from.shape.rank() == 2)
    return transposed(from, map);
  if (c.family == "gptneox" && qkv) return ungrouped(from, c, map);
  // Falcon with one KV head is stored as q of all heads, k, v already.
  if (c.family == "falcon" && qkv && c.kv_heads > 1) return ungrouped(from, c, map);
  return from;
}

}  // namespace

void add_hugging_face(const Checkpoint& checkpoint, const DecoderConfig& config, TensorMap& map) {
  for (const TensorEntry& entry : checkpoint.tensors()) {
    const bool computed =
        std::any_of(std::begin(kComputed), std::end(kComputed),
                    [&](std::string_view suffix) { return entry.name.ends_with(suffix); });
    if (computed || entry.dims.size() > 4 || entry.data.empty()) continue;
    const auto name = translate(entry.name, config.post_norm);
    const Tensor tensor = view_of(entry);
    if (name)
      map.add(*name, adapted(*name, tensor, config, map));
    else
      map.add(entry.name, tensor);
  }
}

}  // namespace weir
