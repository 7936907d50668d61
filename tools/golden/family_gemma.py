"""Gemma, Gemma 2 and Gemma 3 (text). Input: a Hugging Face config and weights.

Common: embeddings times sqrt(hidden), norms multiply by 1 + weight, tanh GELU gate, tied head.
Gemma 2 adds norms after each part, soft caps and windows on every other layer. Gemma 3 drops the
caps, adds q and k norms, and has five windowed layers with their own rope base to each global one;
its rope_scaling holds for the global layers only.
"""
from __future__ import annotations

import math
from typing import Dict, Optional, Tuple

from torch import Tensor

from layers import (ACTIVATIONS, Config, Weights, attention, gated_mlp, linear, rms_norm,
                    rope_table, rotate, softcap)

MODEL_TYPES = ("gemma", "gemma2", "gemma3_text")


def shapes(c: Config) -> Dict[str, Tuple[int, ...]]:
    hidden, ff, size = c["hidden_size"], c["intermediate_size"], c["head_dim"]
    q_width, kv_width = c["num_attention_heads"] * size, c["num_key_value_heads"] * size
    out: Dict[str, Tuple[int, ...]] = {"model.embed_tokens.weight": (c["vocab_size"], hidden),
                                       "model.norm.weight": (hidden,)}
    for i in range(c["num_hidden_layers"]):
        p = f"model.layers.{i}"
        norms = ["input_layernorm", "post_attention_layernorm"]
        if c["model_type"] != "gemma":
            norms += ["pre_feedforward_layernorm", "post_feedforward_layernorm"]
        for norm in norms:
            out[f"{p}.{norm}.weight"] = (hidden,)
        out[f"{p}.self_attn.q_proj.weight"] = (q_width, hidden)
        out[f"{p}.self_attn.k_proj.weight"] = out[f"{p}.self_attn.v_proj.weight"] = (
            kv_width, hidden)
        out[f"{p}.self_attn.o_proj.weight"] = (hidden, q_width)
        if c["model_type"] == "gemma3_text":
            out[f"{p}.self_attn.q_norm.weight"] = out[f"{p}.self_attn.k_norm.weight"] = (size,)
        out[f"{p}.mlp.gate_proj.weight"] = out[f"{p}.mlp.up_proj.weight"] = (ff, hidden)
        out[f"{p}.mlp.down_proj.weight"] = (hidden, ff)
    return out


def layer_window(c: Config, layer: int) -> Optional[int]:
    """The window of a layer, None for a global one."""
    if c["model_type"] == "gemma2":
        return c["sliding_window"] if layer % 2 == 0 else None
    if c["model_type"] == "gemma3_text":
        return c["sliding_window"] if (layer + 1) % c["sliding_window_pattern"] != 0 else None
    return None


def forward(c: Config, w: Weights, ids: Tensor) -> Tensor:
    """Logits [T, vocabulary]."""
    size, tokens = c["head_dim"], len(ids)
    act = ACTIVATIONS[c["hidden_activation"]]
    scale = c.get("query_pre_attn_scalar", size) ** -0.5
    global_rope = rope_table(c, size, c["rope_theta"], tokens, c.get("rope_scaling"))
    local_rope = rope_table(c, size, c.get("rope_local_base_freq", c["rope_theta"]), tokens, None)

    def norm(y: Tensor, name: str) -> Tensor:
        return rms_norm(y, 1 + w[f"{name}.weight"], c["rms_norm_eps"])

    x = w["model.embed_tokens.weight"][ids] * math.sqrt(c["hidden_size"])
    for i in range(c["num_hidden_layers"]):
        p = f"model.layers.{i}"
        y = norm(x, f"{p}.input_layernorm")
        q, k, v = (linear(w, f"{p}.self_attn.{n}_proj", y).reshape(tokens, -1, size)
                   for n in ("q", "k", "v"))
        if c["model_type"] == "gemma3_text":
            q, k = norm(q, f"{p}.self_attn.q_norm"), norm(k, f"{p}.self_attn.k_norm")
        window = layer_window(c, i)
        local = c["model_type"] == "gemma3_text" and window is not None
        cos, sin = local_rope if local else global_rope
        y = attention(rotate(q, cos, sin), rotate(k, cos, sin), v, scale, window,
                      c.get("attn_logit_softcapping"))
        y = linear(w, f"{p}.self_attn.o_proj", y)
        sandwich = c["model_type"] != "gemma"
        if sandwich:
            y = norm(y, f"{p}.post_attention_layernorm")
        x = x + y
        before = "pre_feedforward_layernorm" if sandwich else "post_attention_layernorm"
        y = gated_mlp(w, norm(x, f"{p}.{before}"), f"{p}.mlp.gate_proj", f"{p}.mlp.up_proj",
                      f"{p}.mlp.down_proj", act)
        x = x + (norm(y, f"{p}.post_feedforward_layernorm") if sandwich else y)
    logits = norm(x, "model.norm") @ w["model.embed_tokens.weight"].T
    return softcap(logits, c.get("final_logit_softcapping"))
