"""The table of bench/peers/run: what a row holds and whether it meets its target.

A row is one test of one model, type and instruction set, with the figures of every round of both
sides and the ceilings that the same rounds measured. Nothing is measured here; render.py prints.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
from pathlib import Path

INTEGER_PREFILL = {kind: 0.65 for kind in ("q4_k_m", "q4_0", "q8_0", "q5_k_m", "q6_k")}
INTEGER_PREFILL |= {kind: 0.55 for kind in ("iq4_nl", "q2_k", "q3_k")}
REAL_PREFILL = {kind: 0.75 for kind in ("f16", "bf16", "f32")}
SHORT = ("pp8", "pp16", "pp32")
BATCHED = {"tg64x4": 3.4, "tg64x16": 9.0}
KV_GAIN = {"q8_0": 1.4, "q4_0": 1.8}


@dataclasses.dataclass
class Verdict:
    target: str = "–"
    figure: str = ""  # what is held against the target, where it is not in another column
    holds: bool | None = None


@dataclasses.dataclass
class Row:
    model: str
    type: str
    isa: str  # "native" (the best of the machine), "avx2", or "bf16-dot" (the numerics option)
    test: str  # as weir bench names it; "start16", "memory", "kv:q8_0@16384"
    unit: str = "tokens/s"  # or "ms", "MB"; of those less is better
    weir: list[float] = dataclasses.field(default_factory=list)
    peer: list[float] = dataclasses.field(default_factory=list)
    share: list[float] = dataclasses.field(default_factory=list)  # of the ceiling, by Weir
    best: list[float] = dataclasses.field(default_factory=list)  # of the ceiling's best moment
    ceiling: str = ""  # "int8", "f32", "bf16" or "read"
    read_bytes_per_second: float = 0  # of the same rounds
    facts: dict[str, float] = dataclasses.field(default_factory=dict)  # sizes, in bytes
    runs: int = 0  # of each round, whose figure is their median; 0: not told
    error: str = ""  # why there are no figures, or only of one side
    # Of a published row: which version ran when, and what its own run said of it.
    version: str = ""
    date: str = ""
    verdict: Verdict | None = None

    @property
    def key(self) -> tuple[str, str, str, str]:
        return (self.model, self.type, self.isa, self.test)

    @property
    def depth(self) -> int:
        return int(self.test.partition("@")[2] or 0)

    def goal(self) -> float | None:
        """The share of the ceiling that it should reach, where the target is one."""
        prefill = (INTEGER_PREFILL | REAL_PREFILL).get(self.type)
        if self.isa == "bf16-dot":
            prefill = 0.65
        return {"pp512": prefill, "tg64": 0.95}.get(self.test)

    def ours(self) -> float:
        return statistics.median(self.weir)

    def ratio(self) -> float | None:
        """Above 1: Weir is better."""
        if not self.weir or not self.peer:
            return None
        ratio = self.ours() / statistics.median(self.peer)
        return ratio if self.unit == "tokens/s" else 1 / ratio


class Table:
    """Rows by key, in the order they came; a later row replaces an earlier one."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str, str, str], Row] = {}
        self.about: dict[str, str] = {}

    def add(self, row: Row) -> None:
        self.rows[row.key] = row

    def load(self, path: Path, published: bool = False) -> None:
        """Verdicts stay as they are if `published`; else they follow from all that is loaded."""
        stored = json.loads(path.read_text(encoding="utf-8"))
        self.about |= stored["about"]
        for row in stored["rows"]:
            verdict = row.pop("verdict", None)
            self.add(Row(**row, verdict=Verdict(**verdict) if published else None))

    def save(self, path: Path) -> None:
        """A line for each row, so that two versions of a file can be compared."""
        rows = [dataclasses.asdict(row) | {"verdict": dataclasses.asdict(self.verdict(row))}
                for row in self.rows.values()]
        text = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        about = json.dumps(self.about, ensure_ascii=False)
        partial = path.with_suffix(".partial")
        partial.write_text(f'{{"about": {about},\n"rows": [\n{text}\n]}}\n', encoding="utf-8")
        partial.rename(path)

    def rate(self, row: Row, test: str) -> float | None:
        other = self.rows.get((row.model, row.type, row.isa, test))
        return other.ours() if other and other.weir else None

    def share(self, row: Row) -> float | None:
        """The median over the rounds. Weir holds each run against what the machine sustained just
        before and behind it, because a shared one gives more or less from second to second."""
        return statistics.median(row.share) if row.share else None

    def verdict(self, row: Row) -> Verdict:
        if row.verdict:
            return row.verdict
        if not row.weir:
            return Verdict(holds=None)
        if row.isa == "avx2":
            return self._against_peer(row)
        if row.test in SHORT:
            return self._share_of(row, "pp512", 0.60, "of the rate at 512")
        if row.test in BATCHED and row.model == "tinyllama-1.1b" and row.type == "q4_k_m":
            return self._share_of(row, "tg64", BATCHED[row.test], "x one stream")
        if row.test.startswith("kv:"):
            return self._kv(row)
        if row.depth > 0:
            return self._depth(row)
        if row.test == "start16":
            return self._start(row)
        if row.test == "memory":
            limit = (sum(row.facts[name] for name in ("file", "kv", "workspace")) + 64e6) / 1e6
            return Verdict(f"≤ {limit:.0f} MB (file + KV + 64 MB + scratch)", "",
                           row.ours() <= limit)
        goal, share = row.goal(), self.share(row)
        if goal is None or share is None:
            return Verdict()
        return Verdict(f"≥ {100 * goal:.0f} % of {row.ceiling}", "", share >= goal)

    def _against_peer(self, row: Row) -> Verdict:
        goal = {"pp512": 1.15, "tg64": 1.0}.get(row.test)
        ratio = row.ratio()
        if goal is None:
            return Verdict()
        return Verdict(f"≥ {goal:g} × llama.cpp", "", ratio >= goal if ratio else None)

    def _share_of(self, row: Row, test: str, goal: float, words: str) -> Verdict:
        base = self.rate(row, test)
        target = f"≥ {100 * goal:.0f} % {words}" if goal < 1 else f"≥ {goal:g} {words}"
        if base is None:
            return Verdict(f"{target} (no {test} row)")
        share = row.ours() / base
        return Verdict(target, f"{100 * share:.0f} %" if goal < 1 else f"{share:.2f} x",
                       share >= goal)

    def _depth(self, row: Row) -> Verdict:
        """Seconds of the test at depth 0 and those of reading the cache once a step."""
        test = row.test.partition("@")[0]
        base, ratio = self.rate(row, test), row.ratio()
        target = "≤ 1.1 × (matmul + KV read), ahead of llama.cpp"
        if base is None:
            return Verdict(f"{target} (no {test} row)")
        tokens = int(test[2:])
        steps = 1 if test.startswith("pp") else tokens
        kv = row.facts["kv_token"] * row.depth * steps / row.read_bytes_per_second
        over = tokens / row.ours() / (tokens / base + kv)
        return Verdict(target, f"{over:.2f} ×", over <= 1.1 and (ratio is None or ratio > 1))

    def _kv(self, row: Row) -> Verdict:
        kind, _, depth = row.test[3:].partition("@")
        base = self.rate(row, f"kv:f16@{depth}")
        if kind not in KV_GAIN:
            return Verdict()
        target = f"attention ≥ {KV_GAIN[kind]:g} × as fast as with F16"
        if base is None:
            return Verdict(f"{target} (no F16 row)")
        gain = base / row.ours()
        return Verdict(target, f"{gain:.2f} ×", gain >= KV_GAIN[kind])

    def _start(self, row: Row) -> Verdict:
        rate = self.rate(row, "pp16")
        if rate is None:
            return Verdict("≤ 1.15 × prefill + 30 ms (no pp16 row)")
        limit = 1.15 * 16e3 / rate + 30
        return Verdict(f"≤ {limit:.0f} ms (1.15 × prefill + 30 ms)", "", row.ours() <= limit)
