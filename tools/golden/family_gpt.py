"""GPT-2, GPT-NeoX, Falcon and StarCoder2: layer norm and a plain (ungated) feed-forward.

Input: a Hugging Face config and weights under Hugging Face names (GPT-2 without the "transformer."
prefix that some checkpoints carry; make.py adds it where a case asks for it).
"""
from __future__ import annotations

from typing import Dict, Tuple

from torch import Tensor

from layers import ACTIVATIONS, Config, Weights, attention, layer_norm, linear, rope_table, rotate

MODEL_TYPES = ("gpt2", "gpt_neox", "falcon", "starcoder2")

Shapes = Dict[str, Tuple[int, ...]]


def _biased(out: Shapes, name: str, *shape: int, width: int = 0) -> None:
    out[f"{name}.weight"] = shape
    out[f"{name}.bias"] = (width or shape[0],)


def _norm(w: Weights, name: str, x: Tensor, eps: float) -> Tensor:
    return layer_norm(x, w[f"{name}.weight"], w[f"{name}.bias"], eps)


def shapes(c: Config) -> Shapes:
    return {"gpt2": shapes_gpt2, "gpt_neox": shapes_neox, "falcon": shapes_falcon,
            "starcoder2": shapes_starcoder2}[c["model_type"]](c)


def forward(c: Config, w: Weights, ids: Tensor) -> Tensor:
    """Logits [T, vocabulary]."""
    return {"gpt2": forward_gpt2, "gpt_neox": forward_neox, "falcon": forward_falcon,
            "starcoder2": forward_starcoder2}[c["model_type"]](c, w, ids)


def shapes_gpt2(c: Config) -> Shapes:
    n = c["n_embd"]
    out: Shapes = {"wte.weight": (c["vocab_size"], n), "wpe.weight": (c["n_positions"], n)}
    _biased(out, "ln_f", n)
    for i in range(c["n_layer"]):
        p = f"h.{i}"
        _biased(out, f"{p}.ln_1", n)
        _biased(out, f"{p}.ln_2", n)
        # Conv1D: weights are stored [in, out].
        _biased(out, f"{p}.attn.c_attn", n, 3 * n, width=3 * n)
        _biased(out, f"{p}.attn.c_proj", n, n)
        _biased(out, f"{p}.mlp.c_fc", n, 4 * n, width=4 * n)
        _biased(out, f"{p}.mlp.c_proj", 4 * n, n, width=n)
    return out


def forward_gpt2(c: Config, w: Weights, ids: Tensor) -> Tensor:
    tokens, eps, size = len(ids), c["layer_norm_epsilon"], c["n_embd"] // c["n_head"]
    act = ACTIVATIONS[c["activation_function"]]

    def conv(name: str, y: Tensor) -> Tensor:
        return y @ w[f"{name}.weight"] + w[f"{name}.bias"]

    x = w["wte.weight"][ids] + w["wpe.weight"][:tokens]
    for i in range(c["n_layer"]):
        p = f"h.{i}"
        qkv = conv(f"{p}.attn.c_attn", _norm(w, f"{p}.ln_1", x, eps))
        q, k, v = (part.reshape(tokens, -1, size) for part in qkv.chunk(3, dim=-1))
        x = x + conv(f"{p}.attn.c_proj", attention(q, k, v, size ** -0.5))
        fed = act(conv(f"{p}.mlp.c_fc", _norm(w, f"{p}.ln_2", x, eps)))
        x = x + conv(f"{p}.mlp.c_proj", fed)
    return _norm(w, "ln_f", x, eps) @ w["wte.weight"].T


def shapes_neox(c: Config) -> Shapes:
    n, ff = c["hidden_size"], c["intermediate_size"]
    out: Shapes = {"gpt_neox.embed_in.weight": (c["vocab_size"], n),
                   "embed_out.weight": (c["vocab_size"], n)}
    _biased(out, "gpt_neox.final_layer_norm", n)
    for i in range(c["num_hidden_layers"]):
        p = f"gpt_neox.layers.{i}"
        _biased(out, f"{p}.input_layernorm", n)
        _biased(out, f"{p}.post_attention_layernorm", n)
        _biased(out, f"{p}.attention.query_key_value", 3 * n, n)
        _biased(out, f"{p}.attention.dense", n, n)
        _biased(out, f"{p}.mlp.dense_h_to_4h", ff, n)
        _biased(out, f"{p}.mlp.dense_4h_to_h", n, ff)
    return out


def forward_neox(c: Config, w: Weights, ids: Tensor) -> Tensor:
    tokens, eps, heads = len(ids), c["layer_norm_eps"], c["num_attention_heads"]
    size = c["hidden_size"] // heads
    act = ACTIVATIONS[c["hidden_act"]]
    cos, sin = rope_table(c, int(size * c["rotary_pct"]), c["rotary_emb_base"], tokens, None)
    x = w["gpt_neox.embed_in.weight"][ids]
    for i in range(c["num_hidden_layers"]):
        p = f"gpt_neox.layers.{i}"
        normed = _norm(w, f"{p}.input_layernorm", x, eps)
        # The fused matrix holds q, k and v of one head after the other.
        qkv = linear(w, f"{p}.attention.query_key_value", normed).reshape(tokens, heads, 3, size)
        q, k, v = qkv.unbind(dim=2)
        mixed = attention(rotate(q, cos, sin), rotate(k, cos, sin), v, size ** -0.5)
        attended = linear(w, f"{p}.attention.dense", mixed)
        source = x if c["use_parallel_residual"] else x + attended
        fed = act(linear(w, f"{p}.mlp.dense_h_to_4h",
                         _norm(w, f"{p}.post_attention_layernorm", source, eps)))
        x = x + attended + linear(w, f"{p}.mlp.dense_4h_to_h", fed)
    return linear(w, "embed_out", _norm(w, "gpt_neox.final_layer_norm", x, eps))


def shapes_falcon(c: Config) -> Shapes:
    n, size = c["hidden_size"], c["hidden_size"] // c["num_attention_heads"]
    kv = c["num_kv_heads"] if c["new_decoder_architecture"] else 1
    out: Shapes = {"transformer.word_embeddings.weight": (c["vocab_size"], n)}
    if not c.get("tie_word_embeddings", True):
        out["lm_head.weight"] = (c["vocab_size"], n)
    _biased(out, "transformer.ln_f", n)
    for i in range(c["num_hidden_layers"]):
        p = f"transformer.h.{i}"
        for norm in ("ln_attn", "ln_mlp") if c["new_decoder_architecture"] else (
                "input_layernorm",):
            _biased(out, f"{p}.{norm}", n)
        out[f"{p}.self_attention.query_key_value.weight"] = (n + 2 * kv * size, n)
        out[f"{p}.self_attention.dense.weight"] = (n, n)
        out[f"{p}.mlp.dense_h_to_4h.weight"] = (4 * n, n)
        out[f"{p}.mlp.dense_4h_to_h.weight"] = (n, 4 * n)
    return out


def forward_falcon(c: Config, w: Weights, ids: Tensor) -> Tensor:
    tokens, eps, heads = len(ids), c["layer_norm_epsilon"], c["num_attention_heads"]
    size = c["hidden_size"] // heads
    kv = c["num_kv_heads"] if c["new_decoder_architecture"] else 1
    act = ACTIVATIONS[c.get("activation", "gelu")]
    cos, sin = rope_table(c, size, c.get("rope_theta", 10000.0), tokens, None)
    x = w["transformer.word_embeddings.weight"][ids]
    for i in range(c["num_hidden_layers"]):
        p = f"transformer.h.{i}"
        if c["new_decoder_architecture"]:
            for_attention, for_mlp = (_norm(w, f"{p}.{n}", x, eps) for n in ("ln_attn", "ln_mlp"))
        else:
            for_attention = for_mlp = _norm(w, f"{p}.input_layernorm", x, eps)
        # Each key/value group holds its queries, then its key, then its value.
        qkv = linear(w, f"{p}.self_attention.query_key_value", for_attention)
        qkv = qkv.reshape(tokens, kv, heads // kv + 2, size)
        q, k, v = qkv[:, :, :-2].reshape(tokens, heads, size), qkv[:, :, -2], qkv[:, :, -1]
        mixed = attention(rotate(q, cos, sin), rotate(k, cos, sin), v, size ** -0.5)
        fed = linear(w, f"{p}.mlp.dense_4h_to_h", act(linear(w, f"{p}.mlp.dense_h_to_4h",
                                                             for_mlp)))
        x = x + linear(w, f"{p}.self_attention.dense", mixed) + fed
    head = "transformer.word_embeddings" if c.get("tie_word_embeddings", True) else "lm_head"
    return _norm(w, "transformer.ln_f", x, eps) @ w[f"{head}.weight"].T


def shapes_starcoder2(c: Config) -> Shapes:
    n, ff = c["hidden_size"], c["intermediate_size"]
    kv_width = c["num_key_value_heads"] * n // c["num_attention_heads"]
    out: Shapes = {"model.embed_tokens.weight": (c["vocab_size"], n)}
    _biased(out, "model.norm", n)
    for i in range(c["num_hidden_layers"]):
        p = f"model.layers.{i}"
        _biased(out, f"{p}.input_layernorm", n)
        _biased(out, f"{p}.post_attention_layernorm", n)
        _biased(out, f"{p}.self_attn.q_proj", n, n)
        _biased(out, f"{p}.self_attn.k_proj", kv_width, n)
        _biased(out, f"{p}.self_attn.v_proj", kv_width, n)
        _biased(out, f"{p}.self_attn.o_proj", n, n)
        _biased(out, f"{p}.mlp.c_fc", ff, n)
        _biased(out, f"{p}.mlp.c_proj", n, ff)
    return out


def forward_starcoder2(c: Config, w: Weights, ids: Tensor) -> Tensor:
    tokens, eps = len(ids), c["norm_epsilon"]
    size = c["hidden_size"] // c["num_attention_heads"]
    act = ACTIVATIONS[c["hidden_act"]]
    cos, sin = rope_table(c, size, c["rope_theta"], tokens, None)
    x = w["model.embed_tokens.weight"][ids]
    for i in range(c["num_hidden_layers"]):
        p = f"model.layers.{i}"
        y = _norm(w, f"{p}.input_layernorm", x, eps)
        q, k, v = (linear(w, f"{p}.self_attn.{n}_proj", y).reshape(tokens, -1, size)
                   for n in ("q", "k", "v"))
        mixed = attention(rotate(q, cos, sin), rotate(k, cos, sin), v, size ** -0.5,
                          c["sliding_window"])
        x = x + linear(w, f"{p}.self_attn.o_proj", mixed)
        y = _norm(w, f"{p}.post_attention_layernorm", x, eps)
        x = x + linear(w, f"{p}.mlp.c_proj", act(linear(w, f"{p}.mlp.c_fc", y)))
    return _norm(w, "model.norm", x, eps) @ w["model.embed_tokens.weight"].T
