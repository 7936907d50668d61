"""Muon for the matrices inside the layers, AdamW for the embedding and the norms.

Muon (Jordan and others, 2024) takes the momentum of a matrix and replaces it by the nearest
orthogonal matrix, found by five Newton-Schulz steps. On few tokens it learns clearly more from
each than AdamW alone does.
"""

from __future__ import annotations

from concurrent.futures import Executor

import torch

from model import Pocket

MOMENTUM = 0.95
STEPS = 5
FIT = (3.4445, -4.7750, 2.0315)  # quintic that drives singular values to about 1


def orthogonal(stack: torch.Tensor) -> torch.Tensor:
    """[n, rows, cols], rows <= cols, any scale → the same shape with singular values near 1."""
    x = (stack / (stack.norm(dim=(1, 2), keepdim=True) + 1e-7)).bfloat16()
    a, b, c = FIT
    for _ in range(STEPS):
        square = torch.bmm(x, x.transpose(1, 2))
        x = torch.baddbmm(x, torch.baddbmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return x.float()


class Optimizer:
    """One `step(rate)` a batch: `rate` runs from 0 to 1 and scales both peak rates."""

    def __init__(self, model: Pocket, adam_rate: float, muon_rate: float, decay: float) -> None:
        self.adam_rate, self.muon_rate = adam_rate, muon_rate
        vectors = [p for p in model.parameters() if p.dim() == 1]
        self.adam = torch.optim.AdamW([{"params": [model.embed], "weight_decay": decay},
                                       {"params": vectors, "weight_decay": 0.0}],
                                      lr=adam_rate, betas=(0.9, 0.98), eps=1e-8, foreach=True)
        width = model.config.heads * model.config.head_dim
        self.matrices = [p for layer in model.layers
                         for p in (layer.qkv, layer.out, layer.gate_up, layer.down)]
        self.momentum = [torch.zeros_like(p) for p in self.matrices]
        # Views of equal shape are treated in one stack; tall ones lie on their side.
        self.views: list[tuple[int, int, int, int]] = []  # (matrix, first row, end, group)
        for index, p in enumerate(self.matrices):
            kind = index % 4
            cuts = {0: [width, p.shape[0] - width], 2: [model.config.ffn] * 2}.get(kind, [p.shape[0]])
            start = 0
            for size in cuts:
                self.views.append((index, start, start + size, int(kind >= 2)))
                start += size

    def _move(self, group: int, rate: float) -> None:
        stack, places = [], []
        for index, start, end, kind in self.views:
            if kind == group:
                momentum = self.momentum[index][start:end]
                gradient = self.matrices[index].grad[start:end]
                momentum.mul_(MOMENTUM).add_(gradient)
                ahead = gradient.add(momentum, alpha=MOMENTUM)
                tall = ahead.shape[0] > ahead.shape[1]
                stack.append(ahead.t() if tall else ahead)
                places.append((self.matrices[index].data[start:end], tall))
        for update, (target, tall) in zip(orthogonal(torch.stack(stack)), places):
            scale = max(1.0, target.shape[0] / target.shape[1]) ** 0.5
            target.add_(update.t() if tall else update, alpha=-rate * self.muon_rate * scale)

    @torch.no_grad()
    def step(self, rate: float, pool: Executor) -> None:
        waiting = [pool.submit(self._guarded, group, rate) for group in (0, 1)]
        for group in self.adam.param_groups:
            group["lr"] = rate * self.adam_rate
        self.adam.step()
        for job in waiting:
            job.result()

    def _guarded(self, group: int, rate: float) -> None:
        torch.set_num_threads(1)
        with torch.no_grad():
            self._move(group, rate)

    def state(self) -> dict:
        return {"adam": self.adam.state_dict(), "momentum": self.momentum}

    def load_state(self, state: dict) -> None:
        self.adam.load_state_dict(state["adam"])
        for mine, saved in zip(self.momentum, state["momentum"]):
            mine.copy_(saved)
