"""Trains the embedded model, or its draft, on the packed corpus. CPU only, resumable.

The learning rate is level for the first 29 % of the planned work, then falls in a straight line.
Planned work is `--steps`, or, with `--until HH:MM` (UTC), the wall-clock time since the first start,
so that a run on a shared machine ends in time however fast it went. A checkpoint is written every
few minutes, on SIGTERM and at the end; starting again with the same --name goes on from it.
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Without these, glibc returns each freed activation to the kernel and every operation page-faults
# anew (three times slower). They are read when a process starts, hence the restart.
MALLOC = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "100000000000",
          "MALLOC_TOP_PAD_": "268435456"}


def deadline(text: str) -> float:
    """Seconds since the epoch of the next HH:MM, UTC."""
    hour, minute = map(int, text.split(":"))
    now = datetime.datetime.now(datetime.timezone.utc)
    then = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return (then if then > now else then + datetime.timedelta(days=1)).timestamp()


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--name", default="pocket", help="run name; work/NAME.pt is its checkpoint")
    parser.add_argument("--preset", choices=["pocket", "draft"], default="pocket")
    parser.add_argument("--steps", type=int, help="length of the schedule in steps")
    parser.add_argument("--until", help="end of the schedule as HH:MM, UTC")
    parser.add_argument("--batch", type=int, default=6, help="rows a step")
    parser.add_argument("--context", type=int, default=512)
    parser.add_argument("--rate", type=float, default=2e-3, help="peak learning rate of AdamW")
    parser.add_argument("--muon-rate", type=float, default=0.02, help="peak learning rate of Muon")
    parser.add_argument("--decay", type=float, default=0.1, help="weight decay of the embedding")
    parser.add_argument("--warmup", type=int, default=100, help="steps")
    parser.add_argument("--seed", type=int, default=20261121)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--save-minutes", type=float, default=3.0)
    parser.add_argument("--work", type=Path, default=HERE / "work")
    args = parser.parse_args()
    if (args.steps is None) == (args.until is None):
        parser.error("expected one of --steps and --until")
    return args


def main() -> None:
    args = parse()
    import numpy as np
    import torch

    from dataset import Packer, encode_corpus
    from model import Pocket, preset
    from optimizer import Optimizer
    from tokenizer import Tokenizer

    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    tokenizer = Tokenizer.load(args.work / "tokenizer.json")
    kinds = encode_corpus(args.work / "corpus.jsonl", tokenizer)
    separator = tokenizer.ids["<|endoftext|>"]
    packer = Packer(kinds, args.context, separator, args.seed)
    config = preset(args.preset, len(tokenizer.tokens), args.context)
    model = Pocket(config)
    optimizer = Optimizer(model, args.rate, args.muon_rate, args.decay)

    pool = ThreadPoolExecutor(args.threads)
    parameters = list(model.parameters())

    def share(part: tuple) -> tuple[float, tuple]:
        torch.set_num_threads(1)
        loss = model.loss(*part[:3]) * part[3]
        return float(loss), torch.autograd.grad(loss, parameters)

    def learn(*batch: torch.Tensor) -> float:
        """Sets the gradients of the batch's mean loss and returns the loss.

        The rows are split over threads that meet once a step. Threads inside each operation would
        wait for one another at every barrier, which is ruinous while other programs want the cores.
        """
        total = float(batch[2].sum())
        pieces = [(*piece, float(piece[2].sum()) / total)
                  for piece in zip(*(t.chunk(args.threads) for t in batch))]
        results = list(pool.map(share, pieces))
        for i, parameter in enumerate(parameters):
            parameter.grad = sum((grads[i] for _, grads in results[1:]), results[0][1][i])
        return sum(loss for loss, _ in results)

    # Held-out stories, each in a row of its own, measure the loss.
    held = [d[: args.context + 1] for d in kinds["held_out_story"]][:64]

    @torch.no_grad()
    def held_out_loss() -> float:
        total = count = 0.0
        for start in range(0, len(held), 8):
            part = held[start:start + 8]
            width = max(map(len, part))
            rows = np.full((len(part), width), separator, dtype=np.uint16)
            for row, document in zip(rows, part):
                row[: len(document)] = document
            ids = torch.from_numpy((rows & 0x7FFF).astype(np.int64))
            weight = torch.from_numpy((rows[:, 1:] >> 15).astype(np.float32))
            total += float(model.loss(ids[:, :-1], ids[:, 1:].contiguous(), weight)) * float(weight.sum())
            count += float(weight.sum())
        return total / count

    path = args.work / f"{args.name}.pt"
    step, tokens, began, busy = 0, 0, time.time(), 0.0
    if path.exists():
        saved = torch.load(path)
        model.load_state_dict(saved["model"])
        optimizer.load_state(saved["optimizer"])
        # With other kinds in the corpus the shares are other ones too: the counts begin anew.
        if saved["packer"].orders.keys() == packer.orders.keys():
            packer, packer.kinds = saved["packer"], packer.kinds
        step, tokens, began, busy = saved["step"], saved["tokens"], saved["began"], saved["busy"]
    end = deadline(args.until) if args.until else math.inf
    log = (args.work / f"{args.name}.log").open("a")
    size = sum(p.numel() for p in model.parameters())
    print(json.dumps({"parameters": size, "config": config.as_dict(), "seed": args.seed,
                      "from_step": step}), file=log, flush=True)

    def save() -> None:
        rows, packer.kinds = packer.kinds, {}
        state = {"model": model.state_dict(), "optimizer": optimizer.state(), "packer": packer,
                 "config": config.as_dict(), "step": step, "tokens": tokens, "began": began,
                 "busy": busy, "seed": args.seed}
        torch.save(state, path.with_suffix(".tmp"))
        path.with_suffix(".tmp").replace(path)
        packer.kinds = rows

    # SIGTERM: finish the step, write the checkpoint, leave.
    asked_to_stop = []
    signal.signal(signal.SIGTERM, lambda *_: asked_to_stop.append(True))
    saved_at, recent = time.time(), []
    while True:
        progress = step / args.steps if args.steps else (time.time() - began) / (end - began)
        if progress >= 1.0:
            break
        rate = min(1.0, max(0.02, 1.4 * (1.0 - progress)))
        rate *= min(1.0, (step + 1) / args.warmup)
        started = time.time()
        ids, target, weight = (torch.from_numpy(np.ascontiguousarray(x)) for x in packer.batch(args.batch))
        loss = learn(ids, target, weight)
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        if not math.isfinite(float(norm)):
            raise SystemExit(f"step {step}: expected a finite gradient, found {float(norm)}")
        optimizer.step(rate, pool)
        step += 1
        tokens += ids.numel()
        busy += time.time() - started
        recent.append(loss)
        if step % 50 == 0:
            entry = {"step": step, "progress": round(progress, 4), "loss": round(sum(recent) / len(recent), 4),
                     "rate": round(rate, 4), "tokens": tokens, "tokens_per_second": round(tokens / busy),
                     "norm": round(float(norm), 3)}
            if step % 250 == 0:
                entry["held_out_story_loss"] = round(held_out_loss(), 4)
                entry["passes"] = packer.passes
            print(json.dumps(entry), file=log, flush=True)
            recent = []
        if asked_to_stop or time.time() - saved_at > 60 * args.save_minutes:
            save()
            if asked_to_stop:
                return
            saved_at = time.time()
    save()
    print(json.dumps({"done": True, "step": step, "tokens": tokens, "busy_seconds": round(busy),
                      "held_out_story_loss": round(held_out_loss(), 4)}), file=log, flush=True)


if __name__ == "__main__":
    if not all(name in os.environ for name in MALLOC):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **MALLOC})
    main()
