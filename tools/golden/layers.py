"""The building blocks that decoder families share, in PyTorch, written from their papers.

Owns norms, rotary embeddings with their scalings, masked attention, activations and expert routing.
Refuses to know families. Everything runs in the dtype of its inputs (float64 for the golden files).

Shapes: T tokens, H query heads, K key/value heads, D head size, R rotated dimensions (R <= D).
"""
from __future__ import annotations

import math
from typing import Any, Callable, Dict, Mapping, Optional, Tuple

import torch
from torch import Tensor

Config = Mapping[str, Any]
Weights = Mapping[str, Tensor]


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """Zhang & Sennrich 2019, over the last dimension."""
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * weight


def layer_norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """Ba, Kiros & Hinton 2016, over the last dimension, biased variance."""
    centred = x - x.mean(-1, keepdim=True)
    return centred * torch.rsqrt(centred.pow(2).mean(-1, keepdim=True) + eps) * weight + bias


def linear(weights: Weights, name: str, x: Tensor) -> Tensor:
    """x [T, in] times weight [out, in], plus the bias where the checkpoint has one."""
    y = x @ weights[name + ".weight"].T
    bias = weights.get(name + ".bias")
    return y if bias is None else y + bias


def gelu_tanh(x: Tensor) -> Tensor:
    """The tanh form of Hendrycks & Gimpel 2016 ("gelu_new", "gelu_fast", "gelu_pytorch_tanh")."""
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x.pow(3))))


def gelu_exact(x: Tensor) -> Tensor:
    """x times the normal distribution function ("gelu")."""
    return 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))


def silu(x: Tensor) -> Tensor:
    return x * torch.sigmoid(x)


ACTIVATIONS: Dict[str, Callable[[Tensor], Tensor]] = {
    "silu": silu,
    "gelu": gelu_exact,
    "gelu_new": gelu_tanh,
    "gelu_fast": gelu_tanh,
    "gelu_pytorch_tanh": gelu_tanh,
}


def softcap(x: Tensor, cap: Optional[float]) -> Tensor:
    """cap * tanh(x / cap), or x where there is no cap (Gemma 2 report, section 2)."""
    return x if cap is None else cap * torch.tanh(x / cap)


def plain_frequencies(dim: int, base: float) -> Tensor:
    """Radians per position of each of the dim/2 pairs: base^(-2i/dim) (Su et al. 2021)."""
    return base ** (-torch.arange(0, dim, 2, dtype=torch.float64) / dim)


def llama3_frequencies(plain: Tensor, scaling: Config) -> Tensor:
    """Llama 3.1: long waves are divided by the factor, short ones kept, a linear blend between."""
    factor, original = scaling["factor"], scaling["original_max_position_embeddings"]
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    turns = original * plain / (2 * math.pi)  # full turns within the original context
    blend = ((turns - low) / (high - low)).clamp(0, 1)
    return plain * ((1 - blend) / factor + blend)


def yarn_frequencies(plain: Tensor, scaling: Config, dim: int, base: float) -> Tuple[Tensor, float]:
    """YaRN (Peng et al. 2023), sections 3.2 to 3.4: NTK-by-parts and the attention temperature.

    The ramp runs over pair numbers between the ones that make beta_fast and beta_slow turns in
    the original context, rounded outwards. Returns the frequencies and the factor on cos and sin.
    """
    factor, original = scaling["factor"], scaling["original_max_position_embeddings"]

    def pair_with_turns(turns: float) -> float:
        return dim * math.log(original / (turns * 2 * math.pi)) / (2 * math.log(base))

    first = max(math.floor(pair_with_turns(scaling.get("beta_fast") or 32)), 0)
    last = min(math.ceil(pair_with_turns(scaling.get("beta_slow") or 1)), dim - 1)
    pairs = torch.arange(dim // 2, dtype=torch.float64)
    interpolated = ((pairs - first) / max(last - first, 0.001)).clamp(0, 1)
    frequencies = plain * (1 - interpolated) + plain / factor * interpolated
    return frequencies, 0.1 * math.log(factor) + 1


def longrope_frequencies(plain: Tensor, config: Config, tokens: int) -> Tuple[Tensor, float]:
    """LongRoPE (Ding et al. 2024) as Phi-3 uses it: one divisor a pair, long or short list.

    The long list serves a whole sequence as soon as it exceeds the original context.
    """
    scaling, original = config["rope_scaling"], config["original_max_position_embeddings"]
    divisors = scaling["long_factor" if tokens > original else "short_factor"]
    stretch = config["max_position_embeddings"] / original
    factor = math.sqrt(1 + math.log(stretch) / math.log(original)) if stretch > 1 else 1.0
    return plain / torch.tensor(divisors, dtype=torch.float64), factor


def rope_table(config: Config, dim: int, base: float, tokens: int,
               scaling: Optional[Config]) -> Tuple[Tensor, Tensor]:
    """cos and sin, each [T, R/2], for positions 0..T-1 and the config's rope_scaling (or None)."""
    frequencies, factor = plain_frequencies(dim, base), 1.0
    kind = "none" if scaling is None else scaling.get("rope_type", scaling.get("type"))
    if kind == "linear":  # position interpolation (Chen et al. 2023)
        frequencies = frequencies / scaling["factor"]
    elif kind == "llama3":
        frequencies = llama3_frequencies(frequencies, scaling)
    elif kind == "yarn":
        frequencies, factor = yarn_frequencies(frequencies, scaling, dim, base)
    elif kind == "longrope":
        frequencies, factor = longrope_frequencies(frequencies, config, tokens)
    elif kind != "none":
        raise ValueError(f"unknown rope scaling {kind!r}")
    angles = torch.outer(torch.arange(tokens, dtype=torch.float64), frequencies)
    return angles.cos() * factor, angles.sin() * factor


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotates x [T, heads, D]; pair i is (x[i], x[i + R/2]), values beyond R pass through."""
    half = cos.shape[1]
    cos, sin = cos[:, None, :].to(x.dtype), sin[:, None, :].to(x.dtype)
    first, second, rest = x[..., :half], x[..., half:2 * half], x[..., 2 * half:]
    return torch.cat((first * cos - second * sin, second * cos + first * sin, rest), dim=-1)


def causal_mask(tokens: int, window: Optional[int]) -> Tensor:
    """[T, T], True where query i sees key j: j <= i and, with a window, i - j < window."""
    query, key = torch.arange(tokens)[:, None], torch.arange(tokens)[None, :]
    mask = key <= query
    return mask if window is None else mask & (query - key < window)


def attention(q: Tensor, k: Tensor, v: Tensor, scale: float, window: Optional[int] = None,
              cap: Optional[float] = None) -> Tensor:
    """Causal attention of q [T, H, D] over k, v [T, K, D]; returns [T, H*D].

    Query head h uses key/value head h // (H/K) (Ainslie et al. 2023).
    """
    tokens, heads, size = q.shape
    group = heads // k.shape[1]
    k, v = k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)
    scores = softcap(torch.einsum("ihd,jhd->hij", q, k) * scale, cap)
    scores = scores.masked_fill(~causal_mask(tokens, window), -math.inf)
    mixed = torch.einsum("hij,jhd->ihd", torch.softmax(scores, dim=-1), v)
    return mixed.reshape(tokens, heads * size)


def route(logits: Tensor, used: int, normalise: bool) -> Tuple[Tensor, Tensor]:
    """Softmax over all experts, then the best `used`; returns weights and experts, both [T, used].

    Mixtral (Jiang et al. 2024) and Qwen3 rescale the kept weights to sum to 1, Qwen2 does not.
    """
    weights, experts = torch.softmax(logits, dim=-1).topk(used, dim=-1)
    return (weights / weights.sum(-1, keepdim=True) if normalise else weights), experts


def gated_mlp(weights: Weights, x: Tensor, gate: str, up: str, down: str,
              act: Callable[[Tensor], Tensor]) -> Tensor:
    """down(act(gate(x)) * up(x)) (Shazeer 2020)."""
    return linear(weights, down, act(linear(weights, gate, x)) * linear(weights, up, x))


def experts_mlp(x: Tensor, logits: Tensor, used: int, normalise: bool,
                expert: Callable[[int, Tensor], Tensor]) -> Tensor:
    """Sum over each token's experts of weight times expert(number, rows)."""
    kept, chosen = route(logits, used, normalise)
    out = torch.zeros_like(x)
    for token in range(x.shape[0]):
        for rank in range(used):
            number = int(chosen[token, rank])
            out[token] += kept[token, rank] * expert(number, x[token:token + 1])[0]
    return out
