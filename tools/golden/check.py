"""Check the reference against what must hold whatever the weights: `python3 tools/golden/check.py`.

For every case: later tokens do not change earlier logits; float32 gives the float64 answer; stored
golden logits and the Hugging Face directory agree; each switch of the case matters (switching
it off changes the logits). For experts: rescaled weights sum to 1, and no choice is a near tie that
rounding could flip. For windows: a token outside every window's reach does not matter.
"""
from __future__ import annotations

import argparse
import copy
import json
from typing import Any, Dict, List, Tuple

import numpy as np
import torch

import layers
import make
import reference
from cases import CASES, VOCABULARY

# Config values that switch a feature off, by the key that switches it on.
OFF: Dict[str, Any] = {
    "rope_scaling": None, "sliding_window": None, "attn_logit_softcapping": None,
    "final_logit_softcapping": None, "attention_multiplier": None, "embedding_multiplier": None,
    "residual_multiplier": None, "logits_scaling": None,
}
# Keys that a case states although they have no effect on it.
IDLE = {("qwen2", "sliding_window"), ("starcoder2", "sliding_window"),
        ("gemma2_scale", "sliding_window"), ("phi3_longrope", "sliding_window"),
        ("phi3_longrope_short", "sliding_window")}
SMALLEST_GAP = 1e-4  # between the last chosen and the first refused expert's probability


def difference(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a.double() - b.double()).abs().max())


def expect(condition: bool, case: str, what: str) -> None:
    if not condition:
        raise SystemExit(f"{case}: {what}")


class RouterLog:
    """Records what layers.route is asked for while a forward pass runs."""

    def __init__(self) -> None:
        self.calls: List[Tuple[torch.Tensor, int, bool]] = []
        self._route = layers.route

    def __enter__(self) -> "RouterLog":
        def logged(logits: torch.Tensor, used: int, normalise: bool) -> Any:
            self.calls.append((logits, used, normalise))
            return self._route(logits, used, normalise)

        layers.route = logged
        return self

    def __exit__(self, *_: Any) -> None:
        layers.route = self._route


def check_router(case: str, log: RouterLog) -> None:
    for logits, used, normalise in log.calls:
        weights, _ = layers.route(logits, used, normalise)
        expect(not normalise or difference(weights.sum(-1), torch.ones(len(weights))) < 1e-12,
               case, "expert weights do not sum to 1")
        ranked = torch.softmax(logits, -1).sort(-1, descending=True).values
        gap = float((ranked[:, used - 1] - ranked[:, used]).min())
        expect(gap > SMALLEST_GAP, case, f"experts are nearly tied ({gap:.1e})")


def check_window(case: str, config: Dict[str, Any], weights: reference.Weights, ids: List[int],
                 logits: torch.Tensor) -> None:
    """With all layers windowed, the last token sees back layers * (window - 1) tokens."""
    if config["model_type"] not in ("mistral", "phi3") or not config["sliding_window"]:
        return
    reach = config["num_hidden_layers"] * (config["sliding_window"] - 1)
    first = len(ids) - 1 - reach
    if first < 1:
        return
    for position, matters in ((first - 1, False), (first, True)):
        changed = list(ids)
        changed[position] = changed[position] % (VOCABULARY - 1) + 1
        moved = difference(reference.logits(config, weights, changed)[-1], logits[-1])
        expect((moved > 0) == matters, case, f"the window reaches wrongly to token {position}")


def check_switches(case: str, config: Dict[str, Any], weights: reference.Weights, ids: List[int],
                   logits: torch.Tensor) -> None:
    for key, off in OFF.items():
        if config.get(key) is None or (case, key) in IDLE:
            continue
        without = copy.deepcopy(config)
        without[key] = off
        moved = difference(reference.logits(without, weights, ids), logits)
        expect(moved > 0.02, case, f"{key} hardly matters ({moved:.1e})")


def check(case: str) -> float:
    """Checks one case; returns the largest error of float32 relative to the largest logit."""
    config, count = CASES[case].config, CASES[case].tokens
    weights = make.torch_weights(make.random_weights(case, config))
    ids = make.prompt(case, count)
    with RouterLog() as log:
        logits = reference.logits(config, weights, ids)
    check_router(case, log)
    for cut in (1, count // 2, count - 1):
        changed = ids[:cut] + [token % (VOCABULARY - 1) + 1 for token in ids[cut:]]
        moved = difference(reference.logits(config, weights, changed)[:cut], logits[:cut])
        expect(moved == 0, case, f"tokens after {cut} change earlier logits by {moved:.1e}")
    check_window(case, config, weights, ids, logits)
    check_switches(case, config, weights, ids, logits)
    single = reference.logits(config, weights, ids, torch.float32)
    error = difference(single, logits) / float(logits.abs().max())
    expect(error < 1e-5, case, f"float32 is off by {error:.1e}")
    folder = make.ROOT / case
    golden = json.loads((folder / "golden.json").read_text())
    stored = torch.tensor(np.array(golden["logits"]))
    expect(golden["ids"] == ids and difference(stored, logits[golden["positions"]]) < 1e-6, case,
           "golden.json is out of date; run make.py")
    prefix = CASES[case].hf_prefix
    on_disk = {name[len(prefix):]: value for name, value in
               reference.read_safetensors(folder / "hf" / "model.safetensors").items()}
    expect(all(torch.equal(on_disk[name], value) for name, value in weights.items()), case,
           "model.safetensors is out of date; run make.py")
    return error


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("case", nargs="*", help="all by default")
    for case in parser.parse_args().case or list(CASES):
        print(f"{case:20s} float32 error {check(case):.1e}")


if __name__ == "__main__":
    main()
