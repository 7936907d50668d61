"""Corpus to training rows: encodes documents, packs them, weighs the tokens.

A row is whole documents, parted by <|endoftext|>, that together nearly fill the context. Only
what the model should say is learned: assistant turns with their <|end|>, and plain stories.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tokenizer import Tokenizer

LEARN = 1 << 15  # set in a stored token when it is a target
DECIDE = 1 << 14  # set in the first tokens of a short answer: they settle which answer it is
DECIDE_TOKENS, DECIDE_WEIGHT, SHORT = 6, 6.0, 80
SHARES = {"tale": 0.38, "story": 0.12, "request": 0.04, "weir": 0.16, "drill": 0.2, "talk": 0.06,
          "sum": 0.04}
LOOK_AHEAD = 48


def encode_document(tokenizer: Tokenizer, turns: list[list[str]]) -> list[int]:
    ids: list[int] = []
    end = tokenizer.ids["<|end|>"]
    for role, text in turns:
        body = tokenizer.encode(text)
        if role == "text":
            ids += [i | LEARN for i in body + [end]]
        elif role == "assistant":
            first = DECIDE_TOKENS if len(body) < SHORT else 0
            ids += [tokenizer.ids["<|assistant|>"], *(i | LEARN | DECIDE for i in body[:first]),
                    *(i | LEARN for i in body[first:] + [end])]
        else:
            ids += [tokenizer.ids[f"<|{role}|>"], *body, end]
    return ids


def encode_corpus(corpus: Path, tokenizer: Tokenizer) -> dict[str, list[np.ndarray]]:
    """Documents by kind, cached beside the corpus."""
    cache = corpus.with_suffix(".npz")
    if cache.exists() and cache.stat().st_mtime > corpus.stat().st_mtime:
        stored = np.load(cache)
        return {k: np.split(stored[k], stored[k + "_at"][1:-1])
                for k in stored.files if not k.endswith("_at")}
    kinds: dict[str, list[np.ndarray]] = {}
    with corpus.open() as lines:
        for line in lines:
            document = json.loads(line)
            ids = encode_document(tokenizer, document["turns"])
            if document["kind"] == "drill":
                start = ids.index(tokenizer.ids["<|assistant|>"]) + 1
                ids = ids[: start + DECIDE_TOKENS]
            kinds.setdefault(document["kind"], []).append(np.array(ids, dtype=np.uint16))
    arrays = {}
    for kind, documents in kinds.items():
        arrays[kind] = np.concatenate(documents)
        arrays[kind + "_at"] = np.cumsum([0] + [len(d) for d in documents])
    np.savez(cache, **arrays)
    return kinds


class Packer:
    """Endless rows in the shares above. State is (seed, rows made), so a resume can replay it."""

    def __init__(self, kinds: dict[str, list[np.ndarray]], context: int, separator: int,
                 seed: int) -> None:
        self.kinds = {k: kinds[k] for k in SHARES}
        self.context = context
        self.separator = separator
        self.rng = np.random.default_rng(seed)
        self.orders = {k: np.empty(0, dtype=np.int64) for k in SHARES}
        self.passes = {k: 0 for k in SHARES}
        self.used = {k: 0 for k in SHARES}
        self.queue: list[np.ndarray] = []

    def _next(self) -> np.ndarray:
        kind = min(SHARES, key=lambda k: self.used[k] / SHARES[k])
        if not len(self.orders[kind]):
            self.orders[kind] = self.rng.permutation(len(self.kinds[kind]))
            self.passes[kind] += 1
        document = self.kinds[kind][self.orders[kind][-1]][: self.context + 1]
        self.orders[kind] = self.orders[kind][:-1]
        self.used[kind] += len(document)
        return document

    def row(self) -> np.ndarray:
        """[context + 1] stored tokens; the unfilled end holds separators without LEARN."""
        while len(self.queue) < LOOK_AHEAD:
            self.queue.append(self._next())
        row = np.full(self.context + 1, self.separator, dtype=np.uint16)
        at = 0
        first = int(self.rng.integers(LOOK_AHEAD // 2))
        while True:
            if at == 0:
                pick = first
            else:
                room = len(row) - at
                fits = [i for i, d in enumerate(self.queue) if len(d) <= room]
                if not fits:
                    return row
                pick = fits[0] if room > 350 else max(fits, key=lambda i: len(self.queue[i]))
            document = self.queue.pop(pick)
            self.queue.append(self._next())
            row[at:at + len(document)] = document
            at += len(document) + 1

    def batch(self, rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """ids and targets as int64 [rows, context], and the F32 weights of the targets."""
        stored = np.stack([self.row() for _ in range(rows)])
        ids = (stored & (DECIDE - 1)).astype(np.int64)
        weight = (stored[:, 1:] >> 15) * np.where(stored[:, 1:] & DECIDE, DECIDE_WEIGHT, 1.0)
        return ids[:, :-1], ids[:, 1:], weight.astype(np.float32)
