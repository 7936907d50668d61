"""The tiny models: one Hugging Face config a case, as the published configs spell it.

Owns sizes, switches and prompt lengths. Where a published config leaves a key out and relies on the
default, so does the case. Sizes are chosen so that every switch changes the logits: prompts are
longer than windows, scaled contexts are longer than the original ones, soft caps bend.
"""
from __future__ import annotations

from typing import Any, Dict, NamedTuple

VOCABULARY = 96


class Case(NamedTuple):
    """One model: its config, prompt length, GGUF tensor type and what the case is about."""
    config: Dict[str, Any]
    tokens: int
    about: str
    gguf_type: str = "f32"
    hf_type: str = "bf16"
    hf_prefix: str = ""


def _config(architecture: str, model_type: str, **values: Any) -> Dict[str, Any]:
    return {"architectures": [architecture], "model_type": model_type, "bos_token_id": 0,
            "eos_token_id": 0, "torch_dtype": "bfloat16", "vocab_size": VOCABULARY, **values}


def _llama(architecture: str, model_type: str, **values: Any) -> Dict[str, Any]:
    """The keys that Llama and its relatives share; values override."""
    base: Dict[str, Any] = {
        "hidden_act": "silu", "hidden_size": 32, "intermediate_size": 40,
        "max_position_embeddings": 128, "num_attention_heads": 4, "num_hidden_layers": 2,
        "num_key_value_heads": 2, "rms_norm_eps": 1e-5, "rope_scaling": None,
        "rope_theta": 10000.0, "tie_word_embeddings": False,
    }
    return _config(architecture, model_type, **{**base, **values})


def _gemma(architecture: str, model_type: str, **values: Any) -> Dict[str, Any]:
    base: Dict[str, Any] = {
        "head_dim": 16, "hidden_activation": "gelu_pytorch_tanh", "hidden_size": 32,
        "intermediate_size": 40, "max_position_embeddings": 128, "num_attention_heads": 4,
        "num_hidden_layers": 2, "num_key_value_heads": 2, "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
    }
    return _config(architecture, model_type, **{**base, **values})


def _phi3(**values: Any) -> Dict[str, Any]:
    return _llama("Phi3ForCausalLM", "phi3",
                  **{"original_max_position_embeddings": 128, "sliding_window": None, **values})


def _neox(parallel: bool) -> Dict[str, Any]:
    return _config("GPTNeoXForCausalLM", "gpt_neox", hidden_act="gelu", hidden_size=32,
                   intermediate_size=64, layer_norm_eps=1e-5, max_position_embeddings=128,
                   num_attention_heads=4, num_hidden_layers=2, rotary_emb_base=10000,
                   rotary_pct=0.25, tie_word_embeddings=False, use_parallel_residual=parallel)


def _gpt2() -> Dict[str, Any]:
    return _config("GPT2LMHeadModel", "gpt2", activation_function="gelu_new",
                   layer_norm_epsilon=1e-5, n_ctx=48, n_embd=32, n_head=4, n_layer=2,
                   n_positions=48)


def _falcon(**values: Any) -> Dict[str, Any]:
    return _config("FalconForCausalLM", "falcon", alibi=False, bias=False, hidden_size=32,
                   layer_norm_epsilon=1e-5, multi_query=True, num_attention_heads=4,
                   num_hidden_layers=2, parallel_attn=True, **values)


_LONGROPE = {"type": "longrope",
             "short_factor": [1.0, 1.125, 1.5], "long_factor": [1.125, 2.25, 5.0]}
_PHI3_LONG = _phi3(max_position_embeddings=128,
                   original_max_position_embeddings=32, partial_rotary_factor=0.75,
                   rope_scaling=_LONGROPE, tie_word_embeddings=True,
                   sliding_window=128)
_GEMMA3 = {"attn_logit_softcapping": None, "final_logit_softcapping": None, "head_dim": 8,
           "intermediate_size": 24, "num_hidden_layers": 7, "num_key_value_heads": 1,
           "query_pre_attn_scalar": 8, "rope_theta": 1000000, "sliding_window": 8,
           "sliding_window_pattern": 6}

CASES: Dict[str, Case] = {
    "llama": Case(
        _llama("LlamaForCausalLM", "llama", num_key_value_heads=4, rms_norm_eps=1e-6), 24,
        "Llama 1 and 2: multi-head attention, own output matrix"),
    "llama3": Case(
        _llama("LlamaForCausalLM", "llama", rope_theta=20000.0, tie_word_embeddings=True,
               num_hidden_layers=3, max_position_embeddings=256,
               rope_scaling={"factor": 8.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
                             "original_max_position_embeddings": 128, "rope_type": "llama3"}), 48,
        "Llama 3.2: grouped queries, tied head, llama3 rope scaling (rope_freqs.weight in GGUF)"),
    "llama_linear": Case(
        _llama("LlamaForCausalLM", "llama", rope_scaling={"type": "linear", "factor": 4.0}), 40,
        "linear position interpolation"),
    "llama_yarn": Case(
        _llama("LlamaForCausalLM", "llama", head_dim=16, rope_theta=500.0,
               rope_scaling={"rope_type": "yarn", "factor": 4.0, "beta_fast": 2.0,
                             "beta_slow": 0.25, "original_max_position_embeddings": 32}), 48,
        "YaRN with given betas; context length is the stretched one; runs past the original"),
    "mistral": Case(
        _llama("MistralForCausalLM", "mistral", head_dim=16, sliding_window=8), 24,
        "window on every layer; heads wider than hidden/heads"),
    "mixtral": Case(
        _llama("MixtralForCausalLM", "mixtral", intermediate_size=16, num_local_experts=4,
               num_experts_per_tok=2, rope_theta=1000000.0, sliding_window=None,
               output_router_logits=False), 24,
        "4 experts, 2 used, weights rescaled"),
    "qwen2": Case(
        _llama("Qwen2ForCausalLM", "qwen2", rms_norm_eps=1e-6, rope_theta=1000000.0,
               tie_word_embeddings=True, sliding_window=128, max_window_layers=2,
               use_sliding_window=False), 24,
        "biases on q, k, v; tied head"),
    "qwen2_yarn": Case(
        _llama("Qwen2ForCausalLM", "qwen2", rms_norm_eps=1e-6, rope_theta=1000000.0,
               max_position_embeddings=32, use_sliding_window=False,
               rope_scaling={"type": "yarn", "factor": 4.0,
                             "original_max_position_embeddings": 32}), 48,
        "YaRN with default betas; the stated context is the original one, the prompt is longer"),
    "qwen2moe": Case(
        _llama("Qwen2MoeForCausalLM", "qwen2_moe", rms_norm_eps=1e-6, rope_theta=1000000.0,
               decoder_sparse_step=1, moe_intermediate_size=12, norm_topk_prob=False,
               num_experts=4, num_experts_per_tok=2, shared_expert_intermediate_size=20,
               use_sliding_window=False), 24,
        "weights not rescaled; shared expert behind a sigmoid gate"),
    "qwen3": Case(
        _llama("Qwen3ForCausalLM", "qwen3", attention_bias=False, head_dim=16, rms_norm_eps=1e-6,
               rope_theta=1000000, tie_word_embeddings=True, use_sliding_window=False), 24,
        "q and k norm per head; head_dim given"),
    "qwen3moe": Case(
        _llama("Qwen3MoeForCausalLM", "qwen3_moe", attention_bias=False, decoder_sparse_step=1,
               head_dim=8, mlp_only_layers=[], moe_intermediate_size=8, norm_topk_prob=True,
               num_experts=6, num_experts_per_tok=3, rms_norm_eps=1e-6, rope_theta=1000000.0,
               use_sliding_window=False), 24,
        "6 experts, 3 used, weights rescaled"),
    "gemma": Case(
        _gemma("GemmaForCausalLM", "gemma", hidden_act="gelu_pytorch_tanh",
               num_key_value_heads=1), 24,
        "1 + weight norms, scaled embeddings, multi-query"),
    "gemma2": Case(
        _gemma("Gemma2ForCausalLM", "gemma2", attn_logit_softcapping=4.0,
               final_logit_softcapping=6.0, query_pre_attn_scalar=16, sliding_window=8), 24,
        "both soft caps, window on even layers, norms before and after"),
    "gemma2_scale": Case(
        _gemma("Gemma2ForCausalLM", "gemma2", attn_logit_softcapping=50.0,
               final_logit_softcapping=30.0, query_pre_attn_scalar=8, sliding_window=64), 24,
        "query scale other than the head size (as the 27B model); GGUF says attention.scale"),
    "gemma3": Case(
        _gemma("Gemma3ForCausalLM", "gemma3_text", **_GEMMA3, rope_local_base_freq=10000,
               rope_scaling=None), 24,
        "five local layers to a global one, local rope base 10000 not in the GGUF", "bf16"),
    "gemma3_scaled": Case(
        _gemma("Gemma3ForCausalLM", "gemma3_text", **_GEMMA3, rope_local_base_freq=500.0,
               rope_scaling={"factor": 8.0, "rope_type": "linear"}), 32,
        "linear rope scaling on global layers only, local rope base in the GGUF", "bf16"),
    "phi2": Case(
        _config("PhiForCausalLM", "phi", hidden_act="gelu_new", hidden_size=32,
                intermediate_size=128, layer_norm_eps=1e-5, max_position_embeddings=128,
                num_attention_heads=4, num_hidden_layers=2, num_key_value_heads=4,
                partial_rotary_factor=0.5, qk_layernorm=False, rope_scaling=None,
                rope_theta=10000.0, tie_word_embeddings=False), 24,
        "parallel parts on one layer norm, partial rotation, biases also on the head"),
    "phi3": Case(
        _phi3(num_key_value_heads=4, sliding_window=8), 24,
        "fused q|k|v and gate|up, window on every layer"),
    "phi3_longrope": Case(
        _PHI3_LONG, 48, "LongRoPE, prompt past the original context: long factors; 3/4 rotated"),
    "phi3_longrope_short": Case(
        _PHI3_LONG, 24, "LongRoPE, run within the original context: short factors"),
    "gpt2": Case(
        _gpt2(), 24, "learned positions; GGUF in F16; names with the transformer. prefix", "f16",
        hf_prefix="transformer."),
    "gpt2_bare": Case(
        _gpt2(), 24, "as the published file: names without prefix, F32, attention buffers", "f16",
        hf_type="f32"),
    "gptneox": Case(_neox(True), 24, "parallel residual, a quarter rotated, exact GELU"),
    "gptneox_sequential": Case(_neox(False), 24, "the same one after the other"),
    "falcon": Case(
        _falcon(new_decoder_architecture=False, tie_word_embeddings=False), 24,
        "7B style: multi-query, one norm for both parts, exact GELU", "bf16"),
    "falcon_40b": Case(
        _falcon(new_decoder_architecture=True, num_kv_heads=2), 24,
        "40B style: key/value groups, two norms, tied head", "bf16"),
    "starcoder2": Case(
        _config("Starcoder2ForCausalLM", "starcoder2", hidden_act="gelu_pytorch_tanh",
                hidden_size=32, intermediate_size=96, max_position_embeddings=128, mlp_type=None,
                norm_epsilon=1e-5, norm_type="layer_norm", num_attention_heads=4,
                num_hidden_layers=2, num_key_value_heads=2, rope_theta=999999.4420358813,
                sliding_window=128, use_bias=True), 24,
        "layer norm, biases, plain tanh GELU, grouped queries, tied head"),
    "olmo2": Case(
        _llama("Olmo2ForCausalLM", "olmo2", attention_bias=False, rms_norm_eps=1e-6,
               rope_theta=500000), 24,
        "norms after the parts only; q and k norms over the full width"),
    "granite": Case(
        _llama("GraniteForCausalLM", "granite", attention_bias=False, attention_multiplier=0.25,
               embedding_multiplier=3.0, logits_scaling=1.5, mlp_bias=False,
               residual_multiplier=0.4375, tie_word_embeddings=True), 24,
        "multipliers on embeddings, attention, residuals; logits divided"),
    "deepseek": Case(
        _llama("DeepseekForCausalLM", "deepseek", first_k_dense_replace=2,
               moe_intermediate_size=16, moe_layer_freq=1, n_routed_experts=4, n_shared_experts=1,
               norm_topk_prob=False, num_experts_per_tok=2, rms_norm_eps=1e-6,
               scoring_func="softmax"), 24,
        "every layer among the leading dense ones"),
}
