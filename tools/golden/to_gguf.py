"""Hugging Face weights to GGUF tensors, laid out as published converters do.

Owns tensor names and the layout changes: rows of q and k interleaved for the families whose rope
pairs neighbours (llama, granite, deepseek), 1 + weight norms for Gemma, fused q|k|v reordered for
GPT-NeoX and Falcon, experts stacked, GPT-2's matrices transposed. Metadata is in gguf_keys.py.
Sources: GGUF specification; names as llama.cpp's converter writes them.
"""
from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

import numpy as np

from gguf_keys import add_keys
from gguf_writer import FILE_TYPES, GgufWriter
from layers import Config

ARCHITECTURES = {
    "llama": "llama", "mistral": "llama", "mixtral": "llama", "qwen2": "qwen2",
    "qwen2_moe": "qwen2moe", "qwen3": "qwen3", "qwen3_moe": "qwen3moe", "gemma": "gemma",
    "gemma2": "gemma2", "gemma3_text": "gemma3", "phi": "phi2", "phi3": "phi3", "gpt2": "gpt2",
    "gpt_neox": "gptneox", "falcon": "falcon", "starcoder2": "starcoder2", "olmo2": "olmo2",
    "granite": "granite", "deepseek": "deepseek",
}
INTERLEAVED = ("llama", "granite", "deepseek")  # architectures whose q and k rows are reordered

# Names outside the blocks.
TOP = {
    "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",
    "model.final_layernorm": "output_norm", "wte": "token_embd", "wpe": "position_embd",
    "ln_f": "output_norm", "gpt_neox.embed_in": "token_embd", "embed_out": "output",
    "gpt_neox.final_layer_norm": "output_norm", "transformer.word_embeddings": "token_embd",
    "transformer.ln_f": "output_norm",
}
# Names within a block, tried in this order; the layer prefix is cut off before.
BLOCK = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "self_attn.dense": "attn_output",
    "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
    "self_attn.qkv_proj": "attn_qkv", "attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output",
    "attention.query_key_value": "attn_qkv", "attention.dense": "attn_output",
    "self_attention.query_key_value": "attn_qkv", "self_attention.dense": "attn_output",
    "input_layernorm": "attn_norm", "ln_1": "attn_norm", "ln_2": "ffn_norm",
    "ln_mlp": "attn_norm", "ln_attn": "attn_norm_2", "post_attention_layernorm": "ffn_norm",
    "pre_feedforward_layernorm": "ffn_norm", "post_feedforward_layernorm": "post_ffw_norm",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
    "mlp.gate_up_proj": "ffn_up", "mlp.fc1": "ffn_up", "mlp.fc2": "ffn_down",
    "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down", "mlp.dense_h_to_4h": "ffn_up",
    "mlp.dense_4h_to_h": "ffn_down", "mlp.gate": "ffn_gate_inp",
    "block_sparse_moe.gate": "ffn_gate_inp", "mlp.shared_expert_gate": "ffn_gate_inp_shexp",
    "mlp.shared_expert.gate_proj": "ffn_gate_shexp", "mlp.shared_expert.up_proj": "ffn_up_shexp",
    "mlp.shared_expert.down_proj": "ffn_down_shexp",
}
EXPERTS = {"w1": "ffn_gate_exps", "w2": "ffn_down_exps", "w3": "ffn_up_exps",
           "gate_proj": "ffn_gate_exps", "down_proj": "ffn_down_exps", "up_proj": "ffn_up_exps"}
LAYER = re.compile(r"(?:model\.layers|gpt_neox\.layers|transformer\.h|h)\.(\d+)\.(.+)")
EXPERT = re.compile(r"(?:block_sparse_moe|mlp)\.experts\.(\d+)\.(\w+)\.weight")

Tensors = Dict[str, np.ndarray]


def interleave_rows(values: np.ndarray, heads: int) -> np.ndarray:
    """Rows of each head from (first half, second half) to (pair, pair, …)."""
    halves = values.reshape(heads, 2, values.shape[0] // heads // 2, *values.shape[1:])
    return halves.swapaxes(1, 2).reshape(values.shape)


def neox_qkv(values: np.ndarray, heads: int) -> np.ndarray:
    """From q, k, v of each head in turn to all q, all k, all v (matrix or bias)."""
    parts = values.reshape(heads, 3, values.shape[0] // heads // 3, *values.shape[1:])
    return parts.swapaxes(0, 1).reshape(values.shape)


def falcon_qkv(values: np.ndarray, heads: int, groups: int) -> np.ndarray:
    """From queries, key, value of each group in turn to all q, all k, all v."""
    size = values.shape[0] // (heads + 2 * groups)
    parts = values.reshape(groups, heads // groups + 2, size, values.shape[1])
    return np.concatenate([part.reshape(-1, values.shape[1])
                           for part in (parts[:, :-2], parts[:, -2], parts[:, -1])])


def _layout(config: Config, name: str, values: np.ndarray) -> np.ndarray:
    kind = config["model_type"]
    if kind.startswith("gemma") and name.endswith("norm.weight"):
        return values + np.float32(1)
    if ARCHITECTURES[kind] in INTERLEAVED and re.search(r"\.[qk]_proj\.", name):
        heads = "num_attention_heads" if ".q_proj." in name else "num_key_value_heads"
        return interleave_rows(values, config[heads])
    if kind == "gpt_neox" and ".query_key_value." in name:
        return neox_qkv(values, config["num_attention_heads"])
    if kind == "falcon" and ".query_key_value." in name:
        groups = config["num_kv_heads"] if config["new_decoder_architecture"] else 1
        return falcon_qkv(values, config["num_attention_heads"], groups)
    if kind == "gpt2" and re.search(r"\.c_(attn|proj|fc)\.weight$", name):
        return values.T
    if name.endswith("shared_expert_gate.weight"):
        return values.reshape(-1)
    return values


def _block_name(config: Config, stem: str) -> str:
    sandwich = config["model_type"] in ("gemma2", "gemma3_text", "olmo2")
    if stem == "post_attention_layernorm" and sandwich:
        return "post_attention_norm"
    return BLOCK[stem]


def tensors(config: Config, weights: Tensors) -> Iterator[Tuple[str, np.ndarray]]:
    """GGUF names and arrays (slowest dimension first)."""
    experts: Dict[str, List[np.ndarray]] = {}
    for name, values in weights.items():
        values = _layout(config, name, values)
        layer = LAYER.fullmatch(name)
        if layer is None:
            stem, suffix = name.rsplit(".", 1)
            yield f"{TOP[stem]}.{suffix}", values
            continue
        number, inner = layer.groups()
        expert = EXPERT.fullmatch(inner)
        if expert is not None:
            experts.setdefault(f"blk.{number}.{EXPERTS[expert.group(2)]}.weight", []).append(values)
            continue
        stem, suffix = inner.rsplit(".", 1)
        yield f"blk.{number}.{_block_name(config, stem)}.{suffix}", values
    for name, parts in experts.items():
        yield name, np.stack(parts)
    yield from rope_tensors(config)


def rope_tensors(config: Config) -> Iterator[Tuple[str, np.ndarray]]:
    """Divisors of the rope frequencies, where the family stores them as tensors."""
    scaling = config.get("rope_scaling") or {}
    kind = scaling.get("rope_type", scaling.get("type"))
    if kind == "llama3":
        size = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
        wave = 2 * math.pi * config["rope_theta"] ** (np.arange(0, size, 2) / size)
        turns = scaling["original_max_position_embeddings"] / wave
        low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
        smooth = np.clip((turns - low) / (high - low), 0, 1)
        divisors = 1 / ((1 - smooth) / scaling["factor"] + smooth)
        yield "rope_freqs.weight", divisors.astype(np.float32)
    elif kind == "longrope":
        for length in ("long", "short"):
            factors = np.array(scaling[f"{length}_factor"], dtype=np.float32)
            yield f"rope_factors_{length}.weight", factors


def stays_f32(name: str, values: np.ndarray) -> bool:
    """Vectors, norms, routers and learned positions are never stored in 16 bits."""
    return values.ndim == 1 or "norm" in name or name.startswith("position_embd") or (
        "ffn_gate_inp" in name)


def write(path: Path, config: Config, weights: Tensors, tokens: List[str], dtype: str) -> None:
    """Writes the whole model: metadata, tokenizer, tensors."""
    writer = GgufWriter()
    add_keys(writer, ARCHITECTURES[config["model_type"]], config, FILE_TYPES[dtype], tokens)
    for tensor, values in sorted(tensors(config, weights), key=lambda item: item[0]):
        kind = "f32" if stays_f32(tensor, values) else dtype
        writer.tensor(tensor, np.ascontiguousarray(values), kind)
    writer.write(path)
