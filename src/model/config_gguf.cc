// A configuration from GGUF metadata: keys "<architecture>.…" as the format's specification and its
// public converter name them. Features that change the answer and that Weir lacks are refused.
#include <cmath>

#include "base/error.h"
#include "base/math.h"
#include "formats/quote.h"
#include "model/read_config.h"
#include "tensor/blocks.h"

namespace weir {
namespace {

class Keys {
 public:
  Keys(const Checkpoint& checkpoint, std::string_view architecture)
      : metadata_(checkpoint.metadata()), prefix_(std::string(architecture) + ".") {}

  bool has(std::string_view name) const { return metadata_.contains(key(name)); }

  bool is_array(std::string_view name) const {
    const Value* value = metadata_.find(key(name));
    return value != nullptr && value->type == ValueType::array;
  }

  template <typename T>
  T get(std::string_view name, T fallback) const {
    return metadata_.get_or<T>(key(name), fallback);
  }

  /// A count that some files state for each layer: all layers must agree.
  int64_t count(std::string_view name) const {
    const std::string full = key(name);
    const Value* value = metadata_.find(full);
    if (value == nullptr || value->type != ValueType::array)
      return metadata_.require<int64_t>(full);
    const auto values = value->as<std::vector<int64_t>>(full);
    if (values.empty()) fail(Code::bad_format, "key {} is an empty list", full);
    for (const int64_t other : values)
      if (other != values[0])
        fail(Code::unsupported, "key {} differs between layers ({} and {}); Weir cannot do that",
             full, values[0], other);
    return values[0];
  }
  int64_t count(std::string_view name, int64_t fallback) const {
    return has(name) ? count(name) : fallback;
  }

  /// Refuses a feature: the key must be absent or have its neutral value.
  void refuse(std::string_view name, double neutral) const {
    const auto value = metadata_.find(key(name));
    if (value == nullptr) return;
    double number = neutral + 1;
    if (value->type == ValueType::boolean)
      number = value->as<bool>(name) ? 1.0 : 0.0;
    else if (value->type == ValueType::f32 || value->type == ValueType::f64)
      number = value->as<double>(name);
    else if (value->type != ValueType::array && value->type != ValueType::string)
      number = static_cast<double>(value->as<int64_t>(name));
    if (number != neutral)
      fail(Code::unsupported, "the model needs {} = {}, which Weir cannot do", key(name),
           value->text());
  }

  std::string key(std::string_view name) const { return prefix_ + std::string(name); }

 private:
  const Metadata& metadata_;
  std::string prefix_;
};

std::vector<float> read_vector(const Checkpoint& checkpoint, std::string_view name) {
  const TensorEntry* entry = checkpoint.find(name);
  if (entry == nullptr) return {};
  if (entry->dims.size() != 1 || info(entry->type).kind != DTypeClass::real)
    fail(Code::bad_format, "tensor {}: a list of floats expected", quote(name));
  std::vector<float> values(static_cast<size_t>(entry->dims[0]));
  to_float(entry->type, entry->data.data(), entry->dims[0], values.data());
  return values;
}

void read_scaling(const Checkpoint& checkpoint, const Keys& keys, const DecoderConfig& config,
                  RopeConfig& rope) {
  rope.factors = read_vector(checkpoint, "rope_freqs.weight");
  rope.long_factors = read_vector(checkpoint, "rope_factors_long.weight");
  rope.short_factors = read_vector(checkpoint, "rope_factors_short.weight");
  rope.original_context = keys.get<int64_t>("rope.scaling.original_context_length", config.context);
  const auto type =
      keys.get<std::string>("rope.scaling.type", keys.has("rope.scale_linear") ? "linear" : "none");
  rope.factor = keys.get<double>("rope.scaling.factor", keys.get<double>("rope.scale_linear", 1.0));
  if (rope.factor == 0.0) rope.factor = 1.0;  // some files write 0 for "none"
  if (!rope.long_factors.empty() || type == "longrope") {
    rope.scaling = RopeScaling::longrope;
    rope.magnitude = keys.get<double>("rope.scaling.attn_factor",
                                      longrope_magnitude(config.context, rope.original_context));
  } else if (type == "linear") {
    rope.scaling = RopeScaling::linear;
  } else if (type == "yarn") {
    rope.scaling = RopeScaling::yarn;
    rope.beta_fast = keys.get<double>("rope.scaling.yarn_beta_fast", rope.beta_fast);
    rope.beta_slow = keys.get<double>("rope.scaling.yarn_beta_slow", rope.beta_slow);
    rope.magnitude =
        keys.get<double>("rope.scaling.attn_factor", 1.0) * yarn_magnitude(rope.factor);
    keys.refuse("rope.scaling.yarn_log_multiplier", 0.0);
  } else if (type != "none" && !type.empty()) {
    fail(Code::unsupported, "{} is {}; Weir knows none, linear, yarn, longrope",
         keys.key("rope.scaling.type"), quote(type));
  }
}

void read_rope(const Checkpoint& checkpoint, const Keys& keys, const Family& family,
               DecoderConfig& c) {
  if (family.gguf_rope == RopeMode::none) return;
  c.rope.mode = family.gguf_rope;
  c.rope.dims = keys.get<int64_t>("rope.dimension_count", 0);
  c.rope.base = keys.get<double>("rope.freq_base", family.rope_base);
  keys.refuse("rope.dimension_sections", 0.0);
  read_scaling(checkpoint, keys, c, c.rope);
  if (family.local_rope_base == 0.0) return;
  c.local_rope_differs = true;
  c.local_rope.mode = c.rope.mode;
  c.local_rope.dims = c.rope.dims;
  c.local_rope.base = keys.get<double>("rope.freq_base_swa", family.local_rope_base);
}

void read_window(const Keys& keys, DecoderConfig& c) {
  c.window = keys.get<int64_t>("attention.sliding_window", c.window);
  if (!keys.has("attention.sliding_window_pattern")) return;
  if (!keys.is_array("attention.sliding_window_pattern")) {
    c.window_period = keys.get<int64_t>("attention.sliding_window_pattern", c.window_period);
    return;
  }
  const auto pattern = keys.get<std::vector<bool>>("attention.sliding_window_pattern", {});
  c.windowed.assign(pattern.begin(), pattern.end());
}

void read_experts(const Keys& keys, DecoderConfig& c) {
  c.moe.experts = keys.get<int64_t>("expert_count", 0);
  if (c.moe.experts <= 0) return;
  c.moe.used = keys.get<int64_t>("expert_used_count", 0);
  c.moe.hidden = c.hidden;
  if (c.family == "qwen2moe" && c.moe.used > 0) c.moe.hidden = c.hidden / c.moe.used;
  c.moe.hidden = keys.get<int64_t>("expert_feed_forward_length", c.moe.hidden);
  const auto shared = keys.get<int64_t>("expert_shared_count", 0);
  if (shared < 0 || shared > 1024)
    fail(Code::bad_format, "{} is {}, expected 0 to 1024", keys.key("expert_shared_count"), shared);
  if (shared > 0 && c.moe.hidden > 0 && c.moe.hidden <= int64_t{1} << 32)
    c.moe.shared_hidden = shared * c.moe.hidden;
  if (c.family == "qwen2moe") c.moe.shared_hidden = c.hidden;
  c.moe.shared_hidden = keys.get<int64_t>("expert_shared_feed_forward_length", c.moe.shared_hidden);
  c.moe.leading_dense = keys.get<int64_t>("leading_dense_block_count", 0);
  c.moe.normalise = keys.get<bool>("expert_weights_norm", c.moe.normalise);
  c.moe.weight_scale = keys.get<double>("expert_weights_scale", 1.0);
  if (c.moe.weight_scale == 0.0) c.moe.weight_scale = 1.0;  // written as 0 where there is none
  switch (const auto function = keys.get<int64_t>("expert_gating_func", 0)) {
    case 0:
    case 1:
      c.moe.function = RouterFunction::softmax;
      break;
    case 2:
      c.moe.function = RouterFunction::sigmoid;
      break;
    default:
      fail(Code::unsupported, "{} is {}; Weir knows 1 (softmax) and 2 (sigmoid)",
           keys.key("expert_gating_func"), function);
  }
  if (keys.get<int64_t>("expert_group_count", 1) > 1) keys.refuse("expert_group_count", 1.0);
}

int64_t vocabulary_rows(const Checkpoint& checkpoint) {
  const TensorEntry& embedding = checkpoint.require("token_embd.weight");
  if (embedding.dims.size() != 2)
    fail(Code::bad_format, "tensor token_embd.weight has {} dimensions, expected 2",
         embedding.dims.size());
  return embedding.dims[1];
}

}  // namespace

double longrope_magnitude(int64_t context, int64_t original) {
  if (original <= 1 || context <= original) return 1.0;
  const double stretch = static_cast<double>(context) / static_cast<double>(original);
  return std::sqrt(1.0 + math::log(stretch) / math::log(static_cast<double>(original)));
}

double yarn_magnitude(double factor) { return factor <= 1.0 ? 1.0 : 0.1 * math::log(factor) + 1.0; }

DecoderConfig config_from_gguf(const Checkpoint& checkpoint) {
  const auto architecture = checkpoint.metadata().require<std::string>("general.architecture");
  const Family& family = family_of_gguf(architecture);
  const Keys keys(checkpoint, architecture);
  DecoderConfig c = start_config(family);
  c.context = keys.count("context_length");
  c.width = keys.count("embedding_length");
  c.layers = keys.count("block_count");
  c.heads = keys.count("attention.head_count");
  c.kv_heads = keys.count("attention.head_count_kv", c.heads);
  c.key_dim = keys.get<int64_t>("attention.key_length", 0);
  c.value_dim = keys.get<int64_t>("attention.value_length", 0);
  c.hidden = keys.has("feed_forward_length") || !keys.has("expert_feed_forward_length")
                 ? keys.count("feed_forward_length")
                 : keys.count("expert_feed_forward_length");
  const char* const epsilon = family.norm == NormKind::rms ? "attention.layer_norm_rms_epsilon"
                                                           : "attention.layer_norm_epsilon";
  c.norm_epsilon = checkpoint.metadata().require<double>(keys.key(epsilon));
  c.parallel_residual = keys.get<bool>("use_parallel_residual", c.parallel_residual);
  c.vocabulary = vocabulary_rows(checkpoint);

  read_rope(checkpoint, keys, family, c);
  read_window(keys, c);
  read_experts(keys, c);

  c.attention_scale = keys.get<double>("attention.scale", 0.0);
  if (family.layers_scaled_by_width == c.layers && c.heads > 0)
    c.attention_scale =
        1.0 / std::sqrt(static_cast<double>(c.width) / static_cast<double>(c.heads));
  c.attention_softcap = keys.get<double>("attn_logit_softcapping", c.attention_softcap);
  c.logit_softcap = keys.get<double>("final_logit_softcapping", c.logit_softcap);
  c.embedding_scale = keys.get<double>(
      "embedding_scale", family.scale_embedding ? std::sqrt(static_cast<double>(c.width)) : 1.0);
  c.residual_scale = keys.get<double>("residual_scale", 1.0);
  const auto logit_divisor = keys.get<double>("logit_scale", 1.0);
  c.logit_scale = logit_divisor != 0.0 ? 1.0 / logit_divisor : 1.0;
  keys.refuse("attention.max_alibi_bias", 0.0);
  keys.refuse("attention.clamp_kqv", 0.0);
  keys.refuse("attention.causal", 1.0);
  complete(c);
  return c;
}

}  // namespace weir
