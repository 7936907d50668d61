"""The pocket model: a Llama-architecture decoder small enough to train on a CPU.

Owns the arithmetic of training and of greedy or sampled generation. Refuses data, files and
schedules. Master weights are F32; matrix products run in BF16 where asked. RoPE rotates
neighbouring pairs (2i, 2i+1), which is what GGUF's `llama` architecture means, so that the
exported rows need no permutation.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import nn

ROPE_BASE = 10000.0
NORM_EPS = 1e-5


@dataclass(frozen=True)
class Config:
    """Sizes. Every width is a multiple of 32, so that Q8_0 blocks fill their rows."""

    vocab: int
    dim: int
    layers: int
    heads: int
    kv_heads: int
    ffn: int
    context: int

    @property
    def head_dim(self) -> int:
        return self.dim // self.heads

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


def preset(name: str, vocab: int, context: int) -> Config:
    """`pocket` (4.1 M parameters) or `draft` (0.6 M, same vocabulary, for speculation)."""
    if name == "pocket":
        return Config(vocab, dim=256, layers=6, heads=8, kv_heads=4, ffn=512, context=context)
    if name == "draft":
        return Config(vocab, dim=128, layers=2, heads=4, kv_heads=2, ffn=256, context=context)
    raise ValueError(f"expected preset pocket or draft, found {name}")


class _RmsNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, dtype):
        r = x.square().mean(-1, keepdim=True).add_(NORM_EPS).rsqrt_()
        n = x * r
        ctx.save_for_backward(n, r, weight)
        return (n * weight).to(dtype)

    @staticmethod
    def backward(ctx, grad):
        n, r, weight = ctx.saved_tensors
        grad = grad.float()
        grad_weight = (grad * n).sum(0)
        grad = grad * weight
        dot = (grad * n).mean(-1, keepdim=True)
        return grad.sub_(n * dot).mul_(r), grad_weight, None


class _Attention(torch.autograd.Function):
    """Causal attention by query blocks, so that keys after a block are never touched.

    q: [B*KV, G, T, D] already scaled; k, v: [B*KV, T, D]. Result as q.
    """

    BLOCK = 128

    @staticmethod
    def forward(ctx, q, k, v):
        n, groups, length, width = q.shape
        block = min(_Attention.BLOCK, length)
        out = torch.empty_like(q)
        kept = []
        for start in range(0, length, block):
            end = min(start + block, length)
            size = end - start
            mask = torch.zeros(size, end, dtype=q.dtype)
            mask.masked_fill_(torch.ones(size, end, dtype=torch.bool).triu_(start + 1), -1e30)
            mask = mask.repeat(groups, 1)
            rows = q[:, :, start:end].reshape(n, groups * size, width)
            scores = torch.baddbmm(mask, rows, k[:, :end].transpose(1, 2))
            p = torch.softmax(scores, -1)
            kept.append(p)
            out[:, :, start:end] = torch.bmm(p, v[:, :end]).view(n, groups, size, width)
        ctx.save_for_backward(q, k, v, *kept)
        return out

    @staticmethod
    def backward(ctx, grad):
        q, k, v, *kept = ctx.saved_tensors
        n, groups, length, width = q.shape
        block = min(_Attention.BLOCK, length)
        gq = torch.empty_like(q)
        gk = torch.zeros(k.shape)
        gv = torch.zeros(v.shape)
        for p, start in zip(kept, range(0, length, block)):
            end = min(start + block, length)
            size = end - start
            g = grad[:, :, start:end].reshape(n, groups * size, width)
            rows = q[:, :, start:end].reshape(n, groups * size, width)
            gv[:, :end] += torch.bmm(p.transpose(1, 2), g)
            gp = torch.bmm(g, v[:, :end].transpose(1, 2))
            gs = torch._softmax_backward_data(gp, p, -1, p.dtype)
            gq[:, :, start:end] = torch.bmm(gs, k[:, :end]).view(n, groups, size, width)
            gk[:, :end] += torch.bmm(gs.transpose(1, 2), rows)
        return gq, gk.to(k.dtype), gv.to(v.dtype)


class _HeadLoss(torch.autograd.Function):
    """Cross-entropy of a tied head, by chunks of rows; the logits are never kept."""

    CHUNK = 512

    @staticmethod
    def forward(ctx, hidden, table, target, weight):
        total = weight.sum().clamp(min=1.0)
        loss = torch.zeros(())
        grad_hidden = torch.empty_like(hidden)
        grad_table = torch.zeros(table.shape)
        for start in range(0, hidden.shape[0], _HeadLoss.CHUNK):
            part = slice(start, start + _HeadLoss.CHUNK)
            logp = torch.log_softmax((hidden[part] @ table.t()).float(), -1)
            goal = target[part].unsqueeze(1)
            share = (weight[part] / total).unsqueeze(1)
            loss -= (logp.gather(1, goal) * share).sum()
            if ctx.needs_input_grad[0]:
                grad = logp.exp_()
                grad.scatter_add_(1, goal, torch.full_like(share, -1.0))
                grad = grad.mul_(share).to(hidden.dtype)
                grad_hidden[part] = grad @ table
                grad_table += grad.t() @ hidden[part]
        ctx.save_for_backward(grad_hidden, grad_table)
        ctx.dtype = table.dtype
        return loss

    @staticmethod
    def backward(ctx, grad):
        grad_hidden, grad_table = ctx.saved_tensors
        return grad_hidden * grad.to(grad_hidden.dtype), (grad_table * grad).to(ctx.dtype), None, None


def rope_tables(config: Config, start: int, length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """cos and sin, [length, head_dim]; each angle stands twice, once for each of its pair."""
    half = torch.arange(0, config.head_dim, 2, dtype=torch.float64) / config.head_dim
    angle = torch.outer(torch.arange(start, start + length, dtype=torch.float64), ROPE_BASE**-half)
    angle = angle.repeat_interleave(2, dim=1)
    return angle.cos().float(), angle.sin().float()


def pair_turn(width: int) -> torch.Tensor:
    """[width, width]: x @ turn gives (-x1, x0, -x3, x2, …)."""
    turn = torch.zeros(width, width)
    even = torch.arange(0, width, 2)
    turn[even, even + 1] = 1.0
    turn[even + 1, even] = -1.0
    return turn


class Pocket(nn.Module):
    """Parameters carry q·k·v and gate·up joined; `export.py` cuts them apart."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        width = config.head_dim
        joined = (config.heads + 2 * config.kv_heads) * width

        def matrix(rows: int, cols: int, std: float) -> nn.Parameter:
            return nn.Parameter(torch.randn(rows, cols) * std)

        deep = 0.02 / (2 * config.layers) ** 0.5
        self.embed = matrix(config.vocab, config.dim, 0.02)
        self.final_norm = nn.Parameter(torch.ones(config.dim))
        self.layers = nn.ModuleList()
        for _ in range(config.layers):
            layer = nn.Module()
            layer.attn_norm = nn.Parameter(torch.ones(config.dim))
            layer.qkv = matrix(joined, config.dim, 0.04)
            layer.out = matrix(config.dim, config.heads * width, deep)
            layer.ffn_norm = nn.Parameter(torch.ones(config.dim))
            layer.gate_up = matrix(2 * config.ffn, config.dim, 0.04)
            layer.down = matrix(config.dim, config.ffn, deep)
            self.layers.append(layer)

    def hidden(self, ids: torch.Tensor, dtype: torch.dtype, cache: list | None = None) -> torch.Tensor:
        """ids [B, T] → final normed state [B*T, dim]. `cache` (one [k, v] a layer) is for T = 1."""
        c = self.config
        batch, length = ids.shape
        width, groups = c.head_dim, c.heads // c.kv_heads
        past = cache[0][0].shape[1] if cache and cache[0] else 0
        cos, sin = (t.to(dtype).view(1, length, 1, width) for t in rope_tables(c, past, length))
        turn = pair_turn(width).to(dtype)
        x = torch.nn.functional.embedding(ids.reshape(-1), self.embed)
        for i, layer in enumerate(self.layers):
            y = _RmsNorm.apply(x, layer.attn_norm, dtype)
            qkv = (y @ layer.qkv.to(dtype).t()).view(batch, length, -1, width)
            qk, v = qkv.split([c.heads + c.kv_heads, c.kv_heads], dim=2)
            qk = qk * cos + (qk @ turn) * sin
            q, k = qk.split([c.heads, c.kv_heads], dim=2)
            q = q.view(batch, length, c.kv_heads, groups, width).permute(0, 2, 3, 1, 4)
            q = (q * width**-0.5).reshape(-1, groups, length, width)
            k = k.permute(0, 2, 1, 3).reshape(-1, length, width)
            v = v.permute(0, 2, 1, 3).reshape(-1, length, width)
            if cache is not None and past:
                k, v = torch.cat([cache[i][0], k], 1), torch.cat([cache[i][1], v], 1)
                p = torch.softmax(torch.matmul(q, k.unsqueeze(1).transpose(2, 3)), -1)
                y = torch.matmul(p, v.unsqueeze(1))
            else:
                y = _Attention.apply(q, k, v)
            if cache is not None:
                cache[i] = [k, v]
            y = y.view(batch, c.heads, length, width).permute(0, 2, 1, 3)
            y = y.reshape(batch * length, c.heads * width)
            x = x + y @ layer.out.to(dtype).t()
            y = _RmsNorm.apply(x, layer.ffn_norm, dtype)
            gate, up = (y @ layer.gate_up.to(dtype).t()).split(c.ffn, dim=1)
            x = x + (torch.nn.functional.silu(gate) * up) @ layer.down.to(dtype).t()
        return _RmsNorm.apply(x, self.final_norm, dtype)

    def loss(self, ids: torch.Tensor, target: torch.Tensor, weight: torch.Tensor,
             dtype: torch.dtype = torch.bfloat16) -> torch.Tensor:
        """Mean nats over the weighted targets. ids, target [B, T]; weight F32 [B, T]."""
        goal, share = target.reshape(-1), weight.reshape(-1)
        learned = share.nonzero().squeeze(1)
        state = self.hidden(ids, dtype)[learned]
        return _HeadLoss.apply(state, self.embed.to(dtype), goal[learned], share[learned])

    @torch.no_grad()
    def generate(self, prompt: list[int], stop: set[int], limit: int, temperature: float = 0.0,
                 top_p: float = 1.0, rng: torch.Generator | None = None) -> list[int]:
        """Greedy when temperature is 0. Stops at a stop id (not returned) or a full context."""
        cache: list = [[] for _ in self.layers]
        made: list[int] = []
        step = torch.tensor([prompt])
        while len(made) < limit and len(prompt) + len(made) < self.config.context:
            logits = self.hidden(step, torch.float32, cache)[-1] @ self.embed.t()
            if temperature == 0.0:
                token = int(logits.argmax())
            else:
                p, order = torch.softmax(logits / temperature, -1).sort(descending=True)
                p[p.cumsum(0) - p >= top_p] = 0.0
                token = int(order[torch.multinomial(p, 1, generator=rng)])
            if token in stop:
                break
            made.append(token)
            step = torch.tensor([[token]])
        return made
