"""Phi-2 and Phi-3. Input: a Hugging Face config and weights.

Phi-2: layer norm, partial rotation, biases everywhere, attention and feed-forward side by side.
Phi-3: Llama-like with q|k|v in one matrix and gate|up in one matrix; long context by LongRoPE.
"""
from __future__ import annotations

from typing import Dict, Tuple

from torch import Tensor

from layers import (ACTIVATIONS, Config, Weights, attention, layer_norm, linear, rms_norm,
                    rope_table, rotate)

MODEL_TYPES = ("phi", "phi3")


def head_size(c: Config) -> int:
    return c["hidden_size"] // c["num_attention_heads"]


def rotated(c: Config) -> int:
    return int(head_size(c) * c.get("partial_rotary_factor", 1.0))


def shapes(c: Config) -> Dict[str, Tuple[int, ...]]:
    hidden, ff, vocab = c["hidden_size"], c["intermediate_size"], c["vocab_size"]
    kv_width = c["num_key_value_heads"] * head_size(c)
    out: Dict[str, Tuple[int, ...]] = {"model.embed_tokens.weight": (vocab, hidden)}

    def biased(name: str, *shape: int) -> None:
        out[f"{name}.weight"] = shape
        out[f"{name}.bias"] = shape[:1]

    layers = [f"model.layers.{i}" for i in range(c["num_hidden_layers"])]
    if c["model_type"] == "phi":
        biased("model.final_layernorm", hidden)
        biased("lm_head", vocab, hidden)
        for p in layers:
            biased(f"{p}.input_layernorm", hidden)
            for name in ("q_proj", "k_proj", "v_proj", "dense"):
                biased(f"{p}.self_attn.{name}", hidden, hidden)
            biased(f"{p}.mlp.fc1", ff, hidden)
            biased(f"{p}.mlp.fc2", hidden, ff)
        return out
    out["model.norm.weight"] = (hidden,)
    if not c["tie_word_embeddings"]:
        out["lm_head.weight"] = (vocab, hidden)
    for p in layers:
        out[f"{p}.input_layernorm.weight"] = out[f"{p}.post_attention_layernorm.weight"] = (
            hidden,)
        out[f"{p}.self_attn.qkv_proj.weight"] = (hidden + 2 * kv_width, hidden)
        out[f"{p}.self_attn.o_proj.weight"] = (hidden, hidden)
        out[f"{p}.mlp.gate_up_proj.weight"] = (2 * ff, hidden)
        out[f"{p}.mlp.down_proj.weight"] = (hidden, ff)
    return out


def forward_phi2(c: Config, w: Weights, ids: Tensor) -> Tensor:
    size, tokens, eps = head_size(c), len(ids), c["layer_norm_eps"]
    act = ACTIVATIONS[c["hidden_act"]]
    cos, sin = rope_table(c, rotated(c), c["rope_theta"], tokens, c.get("rope_scaling"))

    def norm(y: Tensor, name: str) -> Tensor:
        return layer_norm(y, w[f"{name}.weight"], w[f"{name}.bias"], eps)

    x = w["model.embed_tokens.weight"][ids]
    for i in range(c["num_hidden_layers"]):
        p = f"model.layers.{i}"
        y = norm(x, f"{p}.input_layernorm")
        q, k, v = (linear(w, f"{p}.self_attn.{n}_proj", y).reshape(tokens, -1, size)
                   for n in ("q", "k", "v"))
        mixed = attention(rotate(q, cos, sin), rotate(k, cos, sin), v, size ** -0.5)
        attended = linear(w, f"{p}.self_attn.dense", mixed)
        fed = linear(w, f"{p}.mlp.fc2", act(linear(w, f"{p}.mlp.fc1", y)))
        x = x + attended + fed
    return linear(w, "lm_head", norm(x, "model.final_layernorm"))


def forward_phi3(c: Config, w: Weights, ids: Tensor) -> Tensor:
    size, tokens, eps = head_size(c), len(ids), c["rms_norm_eps"]
    kv_width, hidden = c["num_key_value_heads"] * size, c["hidden_size"]
    act = ACTIVATIONS[c["hidden_act"]]
    cos, sin = rope_table(c, rotated(c), c["rope_theta"], tokens, c.get("rope_scaling"))
    x = w["model.embed_tokens.weight"][ids]
    for i in range(c["num_hidden_layers"]):
        p = f"model.layers.{i}"
        y = rms_norm(x, w[f"{p}.input_layernorm.weight"], eps)
        q, k, v = (part.reshape(tokens, -1, size)
                   for part in linear(w, f"{p}.self_attn.qkv_proj", y).split(
                       [hidden, kv_width, kv_width], dim=-1))
        mixed = attention(rotate(q, cos, sin), rotate(k, cos, sin), v, size ** -0.5,
                          c.get("sliding_window"))
        x = x + linear(w, f"{p}.self_attn.o_proj", mixed)
        y = rms_norm(x, w[f"{p}.post_attention_layernorm.weight"], eps)
        gate, up = linear(w, f"{p}.mlp.gate_up_proj", y).chunk(2, dim=-1)
        x = x + linear(w, f"{p}.mlp.down_proj", act(gate) * up)
    x = rms_norm(x, w["model.norm.weight"], eps)
    head = w["model.embed_tokens.weight" if c["tie_word_embeddings"] else "lm_head.weight"]
    return x @ head.T


def forward(c: Config, w: Weights, ids: Tensor) -> Tensor:
    """Logits [T, vocabulary]."""
    return (forward_phi2 if c["model_type"] == "phi" else forward_phi3)(c, w, ids)
