"""Llama and its relatives: Llama, Mistral, Mixtral, Qwen2(-MoE), Qwen3(-MoE), OLMo 2, Granite,
DeepSeek (dense). Input: a Hugging Face config and weights under Hugging Face names.

What differs, by config:
- biases on q, k, v: present in the weights (Qwen2);
- q and k norms: per head (Qwen3) or over the full width (OLMo 2), by the length of their weight;
- norms before each part, or only after each part (OLMo 2);
- multipliers (Granite), windows (Mistral), experts (Mixtral, Qwen-MoE).
"""
from __future__ import annotations

from typing import Dict, Tuple

import torch
from torch import Tensor

from layers import (ACTIVATIONS, Config, Weights, attention, experts_mlp, gated_mlp, linear,
                    rms_norm, rope_table, rotate)

MODEL_TYPES = ("llama", "mistral", "mixtral", "qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "olmo2",
               "granite", "deepseek")


def head_size(c: Config) -> int:
    return c.get("head_dim") or c["hidden_size"] // c["num_attention_heads"]


def shapes(c: Config) -> Dict[str, Tuple[int, ...]]:
    """Name and shape of each tensor of the checkpoint."""
    hidden, ff, kind = c["hidden_size"], c["intermediate_size"], c["model_type"]
    q_width = c["num_attention_heads"] * head_size(c)
    kv_width = c["num_key_value_heads"] * head_size(c)
    out: Dict[str, Tuple[int, ...]] = {"model.embed_tokens.weight": (c["vocab_size"], hidden),
                                       "model.norm.weight": (hidden,)}
    if not c["tie_word_embeddings"]:
        out["lm_head.weight"] = (c["vocab_size"], hidden)

    def gated(prefix: str, width: int, names: Tuple[str, str, str]) -> None:
        for name in names[:2]:
            out[f"{prefix}.{name}.weight"] = (width, hidden)
        out[f"{prefix}.{names[2]}.weight"] = (hidden, width)

    projections = ("gate_proj", "up_proj", "down_proj")
    for i in range(c["num_hidden_layers"]):
        p = f"model.layers.{i}"
        for name, rows in (("q", q_width), ("k", kv_width), ("v", kv_width)):
            out[f"{p}.self_attn.{name}_proj.weight"] = (rows, hidden)
            if kind in ("qwen2", "qwen2_moe"):
                out[f"{p}.self_attn.{name}_proj.bias"] = (rows,)
        out[f"{p}.self_attn.o_proj.weight"] = (hidden, q_width)
        if kind.startswith("qwen3"):
            out[f"{p}.self_attn.q_norm.weight"] = out[f"{p}.self_attn.k_norm.weight"] = (
                head_size(c),)
        if kind == "olmo2":
            out[f"{p}.self_attn.q_norm.weight"] = (q_width,)
            out[f"{p}.self_attn.k_norm.weight"] = (kv_width,)
            out[f"{p}.post_feedforward_layernorm.weight"] = (hidden,)
        else:
            out[f"{p}.input_layernorm.weight"] = (hidden,)
        out[f"{p}.post_attention_layernorm.weight"] = (hidden,)
        if kind == "mixtral":
            out[f"{p}.block_sparse_moe.gate.weight"] = (c["num_local_experts"], hidden)
            for e in range(c["num_local_experts"]):
                gated(f"{p}.block_sparse_moe.experts.{e}", ff, ("w1", "w3", "w2"))
        elif kind in ("qwen2_moe", "qwen3_moe"):
            out[f"{p}.mlp.gate.weight"] = (c["num_experts"], hidden)
            for e in range(c["num_experts"]):
                gated(f"{p}.mlp.experts.{e}", c["moe_intermediate_size"], projections)
            if kind == "qwen2_moe":
                gated(f"{p}.mlp.shared_expert", c["shared_expert_intermediate_size"], projections)
                out[f"{p}.mlp.shared_expert_gate.weight"] = (1, hidden)
        else:
            gated(f"{p}.mlp", ff, projections)
    return out


def self_attention(c: Config, w: Weights, p: str, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    tokens, size, eps = x.shape[0], head_size(c), c["rms_norm_eps"]

    def heads(name: str, normed: bool) -> Tensor:
        y = linear(w, f"{p}.{name}_proj", x)
        norm = w.get(f"{p}.{name}_norm.weight") if normed else None
        if norm is not None and norm.shape[0] == y.shape[1]:
            y = rms_norm(y, norm, eps)
            norm = None
        y = y.reshape(tokens, -1, size)
        return y if norm is None else rms_norm(y, norm, eps)

    q, k, v = heads("q", True), heads("k", True), heads("v", False)
    window = c.get("sliding_window") if c["model_type"] in ("mistral", "mixtral") else None
    scale = c.get("attention_multiplier") or size ** -0.5
    mixed = attention(rotate(q, cos, sin), rotate(k, cos, sin), v, scale, window)
    return linear(w, f"{p}.o_proj", mixed)


def feed_forward(c: Config, w: Weights, p: str, x: Tensor) -> Tensor:
    act, kind = ACTIVATIONS[c["hidden_act"]], c["model_type"]
    if kind == "mixtral":
        p = f"{p}.block_sparse_moe"
        return experts_mlp(x, linear(w, f"{p}.gate", x), c["num_experts_per_tok"], True,
                           lambda e, rows: gated_mlp(w, rows, f"{p}.experts.{e}.w1",
                                                     f"{p}.experts.{e}.w3",
                                                     f"{p}.experts.{e}.w2", act))
    p = f"{p}.mlp"

    def mlp(prefix: str, rows: Tensor) -> Tensor:
        return gated_mlp(w, rows, f"{prefix}.gate_proj", f"{prefix}.up_proj",
                         f"{prefix}.down_proj", act)

    if kind not in ("qwen2_moe", "qwen3_moe"):
        return mlp(p, x)
    out = experts_mlp(x, linear(w, f"{p}.gate", x), c["num_experts_per_tok"], c["norm_topk_prob"],
                      lambda e, rows: mlp(f"{p}.experts.{e}", rows))
    if kind == "qwen2_moe":
        out = out + torch.sigmoid(linear(w, f"{p}.shared_expert_gate", x)) * mlp(
            f"{p}.shared_expert", x)
    return out


def forward(c: Config, w: Weights, ids: Tensor) -> Tensor:
    """Logits [T, vocabulary]."""
    eps, residual = c["rms_norm_eps"], c.get("residual_multiplier") or 1.0
    cos, sin = rope_table(c, head_size(c), c["rope_theta"], len(ids), c.get("rope_scaling"))
    x = w["model.embed_tokens.weight"][ids] * (c.get("embedding_multiplier") or 1.0)
    for i in range(c["num_hidden_layers"]):
        p = f"model.layers.{i}"
        after_attention = w[f"{p}.post_attention_layernorm.weight"]
        if c["model_type"] == "olmo2":
            attended = self_attention(c, w, f"{p}.self_attn", x, cos, sin)
            x = x + rms_norm(attended, after_attention, eps)
            fed = feed_forward(c, w, p, x)
            x = x + rms_norm(fed, w[f"{p}.post_feedforward_layernorm.weight"], eps)
            continue
        normed = rms_norm(x, w[f"{p}.input_layernorm.weight"], eps)
        x = x + residual * self_attention(c, w, f"{p}.self_attn", normed, cos, sin)
        x = x + residual * feed_forward(c, w, p, rms_norm(x, after_attention, eps))
    x = rms_norm(x, w["model.norm.weight"], eps)
    head = w["model.embed_tokens.weight" if c["tie_word_embeddings"] else "lm_head.weight"]
    return x @ head.T / (c.get("logits_scaling") or 1.0)
