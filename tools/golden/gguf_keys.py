"""GGUF metadata for each architecture: the key set that llama.cpp's converter writes, no more.

Two keys go beyond it, because the published converter loses what they say:
`<arch>.attention.sliding_window` for Mistral (arch llama), and `gemma2.attention.scale` where the
query scale is not the head size. Both names are the generic ones of the GGUF specification.
Sources: GGUF specification; key sets as llama.cpp's converter writes them.
"""
from __future__ import annotations

import math
from typing import Any, Dict, List, Optional

from gguf_writer import GgufWriter
from layers import Config

NORMAL, CONTROL = 1, 3  # tokenizer.ggml.token_type


class Keys:
    """Adds values under the architecture's prefix; None means the key is not written."""

    def __init__(self, writer: GgufWriter, arch: str) -> None:
        self.writer, self.arch = writer, arch

    def integer(self, key: str, value: Optional[int]) -> None:
        if value is not None:
            self.writer.uint32(f"{self.arch}.{key}", int(value))

    def real(self, key: str, value: Optional[float]) -> None:
        if value is not None:
            self.writer.float32(f"{self.arch}.{key}", float(value))

    def text(self, key: str, value: str) -> None:
        self.writer.string(f"{self.arch}.{key}", value)


def _sizes(keys: Keys, context: int, hidden: int, blocks: int, ff: int, heads: int,
           kv_heads: Optional[int]) -> None:
    keys.integer("context_length", context)
    keys.integer("embedding_length", hidden)
    keys.integer("block_count", blocks)
    keys.integer("feed_forward_length", ff)
    keys.integer("attention.head_count", heads)
    keys.integer("attention.head_count_kv", kv_heads)


def _rope_scaling(keys: Keys, scaling: Dict[str, Any]) -> None:
    kind = scaling.get("rope_type", scaling.get("type"))
    if kind in ("linear", "yarn"):
        keys.text("rope.scaling.type", kind)
        keys.real("rope.scaling.factor", scaling["factor"])
    if kind == "yarn":
        keys.integer("rope.scaling.original_context_length",
                     scaling["original_max_position_embeddings"])
        keys.real("rope.scaling.yarn_beta_fast", scaling.get("beta_fast"))
        keys.real("rope.scaling.yarn_beta_slow", scaling.get("beta_slow"))


def _common(keys: Keys, c: Config) -> None:
    """What the converter writes for any family unless the family has its own list."""
    _sizes(keys, c["max_position_embeddings"], c["hidden_size"], c["num_hidden_layers"],
           c["intermediate_size"], c["num_attention_heads"], c["num_key_value_heads"])
    _rope_scaling(keys, c.get("rope_scaling") or {})
    keys.real("rope.freq_base", c["rope_theta"])
    keys.real("attention.layer_norm_rms_epsilon", c.get("rms_norm_eps"))
    keys.real("attention.layer_norm_epsilon", c.get("norm_epsilon"))
    keys.integer("expert_count", c.get("num_local_experts", c.get("num_experts",
                                                                  c.get("n_routed_experts"))))
    keys.integer("expert_used_count", c.get("num_experts_per_tok"))
    keys.integer("attention.key_length", c.get("head_dim"))
    keys.integer("attention.value_length", c.get("head_dim"))


def _llama(keys: Keys, c: Config) -> None:
    _common(keys, c)
    keys.integer("vocab_size", c["vocab_size"])
    keys.integer("rope.dimension_count",
                 c.get("head_dim") or c["hidden_size"] // c["num_attention_heads"])
    keys.integer("attention.sliding_window", c.get("sliding_window"))


def _granite(keys: Keys, c: Config) -> None:
    _llama(keys, c)
    keys.real("attention.scale", c["attention_multiplier"])
    keys.real("embedding_scale", c["embedding_multiplier"])
    keys.real("residual_scale", c["residual_multiplier"])
    keys.real("logit_scale", c["logits_scaling"])


def _deepseek(keys: Keys, c: Config) -> None:
    _llama(keys, c)
    keys.text("rope.scaling.type", "none")
    keys.integer("leading_dense_block_count", c["first_k_dense_replace"])
    keys.integer("expert_feed_forward_length", c["moe_intermediate_size"])
    keys.real("expert_weights_scale", 1.0)
    keys.integer("expert_shared_count", c["n_shared_experts"])


def _moe(keys: Keys, c: Config) -> None:
    _common(keys, c)
    keys.integer("expert_feed_forward_length", c["moe_intermediate_size"])
    keys.integer("expert_shared_feed_forward_length", c.get("shared_expert_intermediate_size"))


def _gemma(keys: Keys, c: Config) -> None:
    _sizes(keys, c["max_position_embeddings"], c["hidden_size"], c["num_hidden_layers"],
           c["intermediate_size"], c["num_attention_heads"], c["num_key_value_heads"])
    keys.real("attention.layer_norm_rms_epsilon", c["rms_norm_eps"])
    keys.integer("attention.key_length", c["head_dim"])
    keys.integer("attention.value_length", c["head_dim"])


def _gemma2(keys: Keys, c: Config) -> None:
    _gemma(keys, c)
    keys.real("attn_logit_softcapping", c["attn_logit_softcapping"])
    keys.real("final_logit_softcapping", c["final_logit_softcapping"])
    keys.integer("attention.sliding_window", c["sliding_window"])
    if c["query_pre_attn_scalar"] != c["head_dim"]:
        keys.real("attention.scale", c["query_pre_attn_scalar"] ** -0.5)


def _gemma3(keys: Keys, c: Config) -> None:
    _gemma(keys, c)
    _rope_scaling(keys, c.get("rope_scaling") or {})
    keys.real("rope.freq_base", c["rope_theta"])
    if c["rope_local_base_freq"] != 10000:  # older files leave it out and mean 10000
        keys.real("rope.freq_base_swa", c["rope_local_base_freq"])
    keys.integer("attention.sliding_window", c["sliding_window"])


def _phi2(keys: Keys, c: Config) -> None:
    heads = c["num_attention_heads"]
    _sizes(keys, c["max_position_embeddings"], c["hidden_size"], c["num_hidden_layers"],
           4 * c["hidden_size"], heads, heads)
    keys.real("attention.layer_norm_epsilon", c["layer_norm_eps"])
    keys.integer("rope.dimension_count",
                 int(c["partial_rotary_factor"] * c["hidden_size"]) // heads)


def _phi3(keys: Keys, c: Config) -> None:
    heads, original = c["num_attention_heads"], c["original_max_position_embeddings"]
    keys.integer("rope.scaling.original_context_length", original)
    _sizes(keys, c["max_position_embeddings"], c["hidden_size"], c["num_hidden_layers"],
           c["intermediate_size"], heads, c["num_key_value_heads"])
    keys.real("attention.layer_norm_rms_epsilon", c["rms_norm_eps"])
    keys.integer("rope.dimension_count",
                 int(c.get("partial_rotary_factor", 1.0) * c["hidden_size"]) // heads)
    keys.real("rope.freq_base", c["rope_theta"])
    keys.integer("attention.sliding_window", c["sliding_window"] or 0)
    if c["rope_scaling"] is not None:
        stretch = c["max_position_embeddings"] / original
        factor = math.sqrt(1 + math.log(stretch) / math.log(original)) if stretch > 1 else 1.0
        keys.real("rope.scaling.attn_factor", factor)


def _gpt2(keys: Keys, c: Config) -> None:
    _sizes(keys, c["n_ctx"], c["n_embd"], c["n_layer"], 4 * c["n_embd"], c["n_head"], None)
    keys.real("attention.layer_norm_epsilon", c["layer_norm_epsilon"])


def _gptneox(keys: Keys, c: Config) -> None:
    heads = c["num_attention_heads"]
    _sizes(keys, c["max_position_embeddings"], c["hidden_size"], c["num_hidden_layers"],
           c["intermediate_size"], heads, None)
    keys.integer("rope.dimension_count", int(c["rotary_pct"] * (c["hidden_size"] // heads)))
    keys.writer.boolean("gptneox.use_parallel_residual", c["use_parallel_residual"])
    keys.real("attention.layer_norm_epsilon", c["layer_norm_eps"])


def _falcon(keys: Keys, c: Config) -> None:
    keys.text("tensor_data_layout", "jploski")
    _sizes(keys, 2048, c["hidden_size"], c["num_hidden_layers"], 4 * c["hidden_size"],
           c["num_attention_heads"], c.get("num_kv_heads", 1))
    keys.real("attention.layer_norm_epsilon", c["layer_norm_epsilon"])


FAMILIES = {
    "llama": _llama, "granite": _granite, "deepseek": _deepseek, "qwen2": _common,
    "qwen3": _common, "qwen2moe": _moe, "qwen3moe": _moe, "olmo2": _common, "starcoder2": _common,
    "gemma": _gemma, "gemma2": _gemma2, "gemma3": _gemma3, "phi2": _phi2, "phi3": _phi3,
    "gpt2": _gpt2, "gptneox": _gptneox, "falcon": _falcon,
}


def add_keys(writer: GgufWriter, arch: str, config: Config, file_type: int,
             tokens: List[str]) -> None:
    """General keys, the family's keys and the tokenizer (token 0 is the end of text)."""
    writer.string("general.architecture", arch)
    writer.string("general.type", "model")
    # Not the case's name: peers look for model names such as "phi3" and then expect its tokens.
    writer.string("general.name", "Golden")
    FAMILIES[arch](Keys(writer, arch), config)
    writer.uint32("general.file_type", file_type)
    writer.uint32("general.quantization_version", 2)
    writer.string("tokenizer.ggml.model", "gpt2")
    writer.string("tokenizer.ggml.pre", "gpt-2")
    writer.array("tokenizer.ggml.tokens", "string", tokens)
    writer.array("tokenizer.ggml.token_type", "int32", [CONTROL] + [NORMAL] * (len(tokens) - 1))
    writer.array("tokenizer.ggml.merges", "string", [])
    writer.uint32("tokenizer.ggml.bos_token_id", 0)
    writer.uint32("tokenizer.ggml.eos_token_id", 0)
