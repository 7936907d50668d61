// The rows. Sources: the papers and the published configurations of each family; GGUF names and
// layouts as its specification and the public converter write them.
#include "model/families.h"

#include "base/error.h"
#include "formats/quote.h"

namespace weir {
namespace {

using kernels::Activation;

constexpr Family kFamilies[] = {
    {.name = "llama",
     .hf_types = {"llama", "mistral", "mixtral"},
     .gguf_rope = RopeMode::adjacent,
     .normalise_experts = true},
    {.name = "qwen2", .hf_types = {"qwen2"}},
    {.name = "qwen2moe", .hf_types = {"qwen2_moe"}},
    {.name = "qwen3", .hf_types = {"qwen3"}, .qk_norm = QkNorm::per_head},
    {.name = "qwen3moe",
     .hf_types = {"qwen3_moe"},
     .qk_norm = QkNorm::per_head,
     .normalise_experts = true},
    {.name = "gemma",
     .hf_types = {"gemma"},
     .activation = Activation::gelu_tanh,
     .scale_embedding = true,
     .norm_plus_one = true},
    {.name = "gemma2",
     .hf_types = {"gemma2"},
     .post_norm = true,
     .activation = Activation::gelu_tanh,
     .scale_embedding = true,
     .norm_plus_one = true,
     .window_period = 2,
     .window_default = 4096,
     .attention_softcap = 50.0,
     .logit_softcap = 30.0,
     .layers_scaled_by_width = 46},
    {.name = "gemma3",
     .hf_types = {"gemma3_text", "gemma3"},
     .post_norm = true,
     .qk_norm = QkNorm::per_head,
     .activation = Activation::gelu_tanh,
     .scale_embedding = true,
     .norm_plus_one = true,
     .window_period = 6,
     .rope_base = 1000000.0,
     .local_rope_base = 10000.0,
     .layers_scaled_by_width = 62},
    {.name = "phi2",
     .hf_types = {"phi"},
     .norm = NormKind::layer,
     .activation = Activation::gelu_tanh,
     .gated = false,
     .parallel_residual = true},
    {.name = "phi3", .hf_types = {"phi3"}, .fused_gate = true},
    {.name = "gpt2",
     .hf_types = {"gpt2"},
     .norm = NormKind::layer,
     .activation = Activation::gelu_tanh,
     .gated = false,
     .learned_positions = true,
     .gguf_rope = RopeMode::none},
    {.name = "gptneox",
     .hf_types = {"gpt_neox"},
     .norm = NormKind::layer,
     .activation = Activation::gelu_erf,
     .gated = false,
     .parallel_residual = true},
    {.name = "falcon",
     .hf_types = {"falcon", "RefinedWeb", "RefinedWebModel"},
     .norm = NormKind::layer,
     .activation = Activation::gelu_erf,
     .gated = false,
     .parallel_residual = true},
    {.name = "starcoder2",
     .hf_types = {"starcoder2"},
     .norm = NormKind::layer,
     .activation = Activation::gelu_tanh,
     .gated = false},
    {.name = "olmo2",
     .hf_types = {"olmo2"},
     .pre_norm = false,
     .post_norm = true,
     .qk_norm = QkNorm::full_width},
    {.name = "granite", .hf_types = {"granite"}, .gguf_rope = RopeMode::adjacent},
    {.name = "deepseek", .hf_types = {"deepseek"}, .gguf_rope = RopeMode::adjacent},
};

}  // namespace

std::span<const Family> families() { return kFamilies; }

const Family& family_of_gguf(std::string_view architecture) {
  std::string known;
  for (const Family& family : kFamilies) {
    if (family.name == architecture) return family;
    known += (known.empty() ? "" : ", ") + std::string(family.name);
  }
  fail(Code::unsupported, "model family {} is not known; Weir runs: {}", quote(architecture),
       known);
}

const Family& family_of_hf(std::string_view model_type) {
  std::string known;
  for (const Family& family : kFamilies)
    for (const std::string_view type : family.hf_types) {
      if (type.empty()) continue;
      if (type == model_type) return family;
      known += (known.empty() ? "" : ", ") + std::string(type);
    }
  fail(Code::unsupported, "config.json: model_type {} is not known; Weir runs: {}",
       quote(model_type), known);
}

DecoderConfig start_config(const Family& family) {
  DecoderConfig c;
  c.family = family.name;
  c.norm = family.norm;
  c.pre_norm = family.pre_norm;
  c.post_norm = family.post_norm;
  c.qk_norm = family.qk_norm;
  c.activation = family.activation;
  c.gated = family.gated;
  c.fused_gate = family.fused_gate;
  c.parallel_residual = family.parallel_residual;
  c.learned_positions = family.learned_positions;
  c.attention_softcap = family.attention_softcap;
  c.logit_softcap = family.logit_softcap;
  c.moe.normalise = family.normalise_experts;
  c.window = family.window_default;
  c.window_period = family.window_period;
  return c;
}

}  // namespace weir
