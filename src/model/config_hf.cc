// A configuration from a Hugging Face directory's config.json. One key has several names among the
// families; features that change the answer and that Weir lacks are refused.
#include <cmath>
#include <initializer_list>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/math.h"
#include "formats/json_guard.h"
#include "formats/limits.h"
#include "formats/quote.h"
#include "model/read_config.h"

namespace weir {
namespace {

using nlohmann::json;
using Names = std::initializer_list<const char*>;

/// An object of the file; keys that are null count as absent.
class Keys {
 public:
  explicit Keys(const json& object) : object_(object) {}

  const json* find(Names names) const {
    for (const char* const name : names) {
      const auto it = object_.find(name);
      if (it != object_.end() && !it->is_null()) return &*it;
    }
    return nullptr;
  }
  bool has(Names names) const { return find(names) != nullptr; }

  int64_t count(Names names) const {
    const json* value = find(names);
    if (value == nullptr) fail(Code::bad_format, "config.json: {} is missing", *names.begin());
    return count_of(*value, *names.begin());
  }
  int64_t count(Names names, int64_t fallback) const {
    const json* value = find(names);
    return value == nullptr ? fallback : count_of(*value, *names.begin());
  }
  double number(Names names, double fallback) const {
    const json* value = find(names);
    if (value == nullptr) return fallback;
    if (!value->is_number()) wrong(*names.begin(), "a number");
    return value->get<double>();
  }
  bool flag(Names names, bool fallback) const {
    const json* value = find(names);
    if (value == nullptr) return fallback;
    if (!value->is_boolean()) wrong(*names.begin(), "true or false");
    return value->get<bool>();
  }
  std::string text(Names names, const char* fallback) const {
    const json* value = find(names);
    if (value == nullptr) return fallback;
    if (!value->is_string()) wrong(*names.begin(), "a text");
    return value->get<std::string>();
  }
  std::vector<float> floats(Names names) const {
    const json* value = find(names);
    std::vector<float> list;
    if (value == nullptr) return list;
    if (!value->is_array()) wrong(*names.begin(), "a list of numbers");
    for (const json& item : *value) {
      if (!item.is_number()) wrong(*names.begin(), "a list of numbers");
      list.push_back(item.get<float>());
    }
    return list;
  }

  [[noreturn]] static void wrong(const char* name, const char* expected) {
    fail(Code::bad_format, "config.json: {} is not {}", name, expected);
  }

 private:
  static int64_t count_of(const json& value, const char* name) {
    if (value.is_number_unsigned() && value.get<uint64_t>() > uint64_t{1} << 62)
      wrong(name, "a sensible whole number");
    if (!value.is_number_integer()) wrong(name, "a whole number");
    return value.get<int64_t>();
  }
  const json& object_;
};

kernels::Activation activation_named(const std::string& name) {
  using kernels::Activation;
  if (name == "silu" || name == "swish") return Activation::silu;
  if (name == "gelu_new" || name == "gelu_pytorch_tanh" || name == "gelu_fast")
    return Activation::gelu_tanh;
  if (name == "gelu") return Activation::gelu_erf;
  if (name == "relu") return Activation::relu;
  if (name == "relu2") return Activation::relu_squared;
  fail(Code::unsupported,
       "config.json: activation {} is not known; Weir knows silu, gelu, gelu_new, "
       "gelu_pytorch_tanh, relu, relu2",
       quote(name));
}

double yarn_attention(const Keys& scaling, double factor) {
  if (scaling.has({"mscale"}) && scaling.has({"mscale_all_dim"}) && factor > 1.0) {
    const double log_factor = 0.1 * math::log(factor);
    return (scaling.number({"mscale"}, 1.0) * log_factor + 1.0) /
           (scaling.number({"mscale_all_dim"}, 1.0) * log_factor + 1.0);
  }
  return yarn_magnitude(factor);
}

void read_scaling(const Keys& keys, const Keys& scaling, const DecoderConfig& c, RopeConfig& rope) {
  const std::string type = scaling.text({"rope_type", "type"}, "default");
  if (type == "default") return;
  rope.original_context =
      scaling.count({"original_max_position_embeddings"},
                    keys.count({"original_max_position_embeddings"}, c.context));
  const double stretch = rope.original_context > 0 ? static_cast<double>(c.context) /
                                                         static_cast<double>(rope.original_context)
                                                   : 1.0;
  rope.factor = scaling.number({"factor"}, type == "longrope" || type == "su" ? 1.0 : stretch);
  if (type == "linear") {
    rope.scaling = RopeScaling::linear;
  } else if (type == "llama3") {
    rope.scaling = RopeScaling::llama3;
    rope.low_frequency_factor = scaling.number({"low_freq_factor"}, 1.0);
    rope.high_frequency_factor = scaling.number({"high_freq_factor"}, 4.0);
  } else if (type == "yarn") {
    if (!scaling.flag({"truncate"}, true))
      fail(Code::unsupported, "config.json: rope_scaling with truncate false is not supported");
    rope.scaling = RopeScaling::yarn;
    rope.beta_fast = scaling.number({"beta_fast"}, 32.0);
    rope.beta_slow = scaling.number({"beta_slow"}, 1.0);
    rope.magnitude = scaling.number({"attention_factor"}, yarn_attention(scaling, rope.factor));
  } else if (type == "longrope" || type == "su") {
    rope.scaling = RopeScaling::longrope;
    rope.long_factors = scaling.floats({"long_factor"});
    rope.short_factors = scaling.floats({"short_factor"});
    rope.magnitude =
        scaling.number({"attention_factor"}, longrope_magnitude(c.context, rope.original_context));
    rope.factor = 1.0;
  } else {
    fail(Code::unsupported,
         "config.json: rope_scaling type {} is not known; Weir knows default, linear, llama3, "
         "yarn, longrope",
         quote(type));
  }
}

void read_rope(const Keys& keys, const Family& family, DecoderConfig& c) {
  if (family.gguf_rope == RopeMode::none) return;
  c.rope.mode = RopeMode::split;
  // Newer files hold one object of all rotary parameters, or one for each kind of layer.
  const json* scaling = keys.find({"rope_parameters", "rope_scaling"});
  const json* local = nullptr;
  if (scaling != nullptr && scaling->is_object() && scaling->contains("full_attention")) {
    local = Keys(*scaling).find({"sliding_attention"});
    scaling = Keys(*scaling).find({"full_attention"});
  }
  if (scaling != nullptr && !scaling->is_object()) Keys::wrong("rope_scaling", "an object");
  if (local != nullptr && !local->is_object()) Keys::wrong("sliding_attention", "an object");
  c.rope.base = keys.number({"rope_theta", "rotary_emb_base"}, family.rope_base);
  if (scaling != nullptr) c.rope.base = Keys(*scaling).number({"rope_theta"}, c.rope.base);
  const double fraction =
      keys.number({"partial_rotary_factor", "rotary_pct"}, family.name == "gptneox" ? 0.25 : 1.0);
  if (!(fraction > 0.0 && fraction <= 1.0))
    fail(Code::bad_format, "config.json: partial_rotary_factor is {}, expected above 0, to 1",
         fraction);
  if (c.key_dim == 0 && c.heads > 0)
    c.rope.dims = c.width / c.heads;
  else
    c.rope.dims = c.key_dim;
  c.rope.dims = static_cast<int64_t>(static_cast<double>(c.rope.dims) * fraction);
  if (scaling != nullptr) read_scaling(keys, Keys(*scaling), c, c.rope);
  if (family.local_rope_base != 0.0) {
    c.local_rope_differs = true;
    c.local_rope.mode = c.rope.mode;
    c.local_rope.dims = c.rope.dims;
    c.local_rope.base = keys.number({"rope_local_base_freq"}, family.local_rope_base);
    if (local != nullptr)
      c.local_rope.base = Keys(*local).number({"rope_theta"}, c.local_rope.base);
  }
}

void read_window(const Keys& keys, DecoderConfig& c) {
  c.window = keys.count({"sliding_window"}, c.window);
  const bool qwen = c.family.starts_with("qwen");
  if (qwen && !keys.flag({"use_sliding_window"}, false)) c.window = 0;
  if (const json* types = keys.find({"layer_types"})) {
    if (!types->is_array()) Keys::wrong("layer_types", "a list");
    for (const json& type : *types) {
      if (type != "sliding_attention" && type != "full_attention")
        fail(Code::unsupported,
             "config.json: layer type {}; Weir knows full_attention and "
             "sliding_attention",
             type.dump());
      c.windowed.push_back(type == "sliding_attention" ? 1 : 0);
    }
  } else if (qwen && c.window > 0 && c.layers > 0 && c.layers < 65536) {
    const int64_t first = keys.count({"max_window_layers"}, c.layers);
    for (int64_t layer = 0; layer < c.layers; ++layer) c.windowed.push_back(layer >= first);
  } else {
    c.window_period = keys.count({"sliding_window_pattern"}, c.window_period);
  }
}

void read_experts(const Keys& keys, DecoderConfig& c) {
  c.moe.experts = keys.count({"num_experts", "num_local_experts", "n_routed_experts"}, 0);
  if (c.moe.experts <= 0) return;
  c.moe.used = keys.count({"num_experts_per_tok"});
  c.moe.hidden = keys.count({"moe_intermediate_size"}, c.hidden);
  c.moe.shared_hidden = keys.count({"shared_expert_intermediate_size"}, 0);
  const int64_t shared = keys.count({"n_shared_experts"}, 0);
  if (shared < 0 || shared > 1024 || c.moe.hidden < 0 || c.moe.hidden > int64_t{1} << 32)
    fail(Code::bad_format, "config.json: {} shared experts of width {}", shared, c.moe.hidden);
  if (shared > 0) c.moe.shared_hidden = shared * c.moe.hidden;
  c.moe.leading_dense = keys.count({"first_k_dense_replace"}, 0);
  c.moe.normalise = keys.flag({"norm_topk_prob"}, c.moe.normalise);
  c.moe.weight_scale = keys.number({"routed_scaling_factor"}, 1.0);
  const std::string function = keys.text({"scoring_func"}, "softmax");
  if (function == "sigmoid")
    c.moe.function = RouterFunction::sigmoid;
  else if (function != "softmax")
    fail(Code::unsupported, "config.json: scoring_func {}; Weir knows softmax and sigmoid",
         quote(function));
  if (keys.count({"decoder_sparse_step", "moe_layer_freq"}, 1) != 1 ||
      keys.count({"n_group"}, 1) > 1)
    fail(Code::unsupported,
         "config.json: experts in some layers only, or in groups, are not "
         "supported");
  const json* dense = keys.find({"mlp_only_layers"});
  if (dense != nullptr && !dense->empty())
    fail(Code::unsupported, "config.json: mlp_only_layers are not supported");
}

/// Falcon states its KV heads by two flags.
int64_t falcon_kv_heads(const Keys& keys, int64_t heads) {
  if (keys.flag({"alibi"}, false))
    fail(Code::unsupported, "config.json: alibi positions are not supported");
  if (keys.flag({"new_decoder_architecture"}, false))
    return keys.count({"num_kv_heads", "n_head_kv"}, heads);
  return keys.flag({"multi_query"}, true) ? 1 : heads;
}

void read_sizes(const Keys& keys, const Family& family, DecoderConfig& c) {
  c.context = keys.count({"max_position_embeddings", "n_positions", "n_ctx"}, 2048);
  c.width = keys.count({"hidden_size", "n_embd", "n_embed"});
  c.layers = keys.count({"num_hidden_layers", "n_layer"});
  c.heads = keys.count({"num_attention_heads", "n_head"});
  c.kv_heads = family.name == "falcon" ? falcon_kv_heads(keys, c.heads)
                                       : keys.count({"num_key_value_heads"}, c.heads);
  c.key_dim = c.value_dim = keys.count({"head_dim"}, 0);
  c.vocabulary = keys.count({"vocab_size"});
  if (c.width < 0 || c.width > int64_t{1} << 32)
    fail(Code::bad_format, "config.json: hidden_size is {}", c.width);
  c.hidden = keys.count({"intermediate_size", "n_inner", "ffn_hidden_size"}, 4 * c.width);
}

json parse(const Checkpoint& checkpoint) {
  const std::string* text = checkpoint.document("config.json");
  WEIR_CHECK(text != nullptr);
  guard_json(*text, 32, limits::kJsonTokenBytes, "config.json", 0);
  json document = json::parse(*text, nullptr, false);
  if (!document.is_object())
    fail(Code::bad_format, "config.json is not a JSON object; the file is damaged");
  return document;
}

}  // namespace

bool is_hugging_face(const Checkpoint& checkpoint) {
  return checkpoint.document("config.json") != nullptr;
}

DecoderConfig read_config(const Checkpoint& checkpoint) {
  return is_hugging_face(checkpoint) ? config_from_hf(checkpoint) : config_from_gguf(checkpoint);
}

DecoderConfig config_from_hf(const Checkpoint& checkpoint) {
  json document = parse(checkpoint);
  const std::string type = Keys(document).text({"model_type"}, "");
  if (const auto nested = document.find("text_config");
      nested != document.end() && nested->is_object())
    document = json(*nested);
  const Keys keys(document);
  const Family& family = family_of_hf(type);
  if (keys.has({"quantization_config"}))
    fail(Code::unsupported,
         "config.json: the weights are quantised (quantization_config); Weir reads F32, F16 and "
         "BF16 safetensors, or a GGUF file of this model");
  DecoderConfig c = start_config(family);
  read_sizes(keys, family, c);
  c.norm_epsilon =
      keys.number({"rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon", "norm_epsilon"}, -1.0);
  if (!family.norm_plus_one)  // Gemma's files name an activation that its code does not use
    if (const json* name = keys.find({"hidden_act", "activation_function", "activation"}))
      c.activation = activation_named(name->is_string() ? name->get<std::string>() : "");
  c.parallel_residual = keys.flag({"use_parallel_residual", "parallel_attn"}, c.parallel_residual);
  read_rope(keys, family, c);
  read_window(keys, c);
  read_experts(keys, c);
  if (const double scalar = keys.number({"query_pre_attn_scalar"}, 0.0); scalar > 0.0)
    c.attention_scale = 1.0 / std::sqrt(scalar);
  c.attention_scale = keys.number({"attention_multiplier"}, c.attention_scale);
  c.attention_softcap = keys.number({"attn_logit_softcapping"}, 0.0);
  c.logit_softcap = keys.number({"final_logit_softcapping"}, 0.0);
  c.embedding_scale =
      keys.number({"embedding_multiplier"},
                  family.scale_embedding ? std::sqrt(static_cast<double>(c.width)) : 1.0);
  c.residual_scale = keys.number({"residual_multiplier"}, 1.0);
  const double divisor = keys.number({"logits_scaling"}, 1.0);
  c.logit_scale = divisor != 0.0 ? 1.0 / divisor : 1.0;
  if (keys.flag({"qk_layernorm"}, false) || keys.flag({"scale_attn_by_inverse_layer_idx"}, false))
    fail(Code::unsupported,
         "config.json: qk_layernorm and scale_attn_by_inverse_layer_idx are not "
         "supported");
  complete(c);
  return c;
}

}  // namespace weir
