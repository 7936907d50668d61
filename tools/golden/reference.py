"""The independent forward pass: Hugging Face config and weights in, logits out.

`python3 reference.py DIRECTORY ID…` prints the greedy continuation id and the top logits of a
Hugging Face directory, for looking at a model by hand.
"""
from __future__ import annotations

import argparse
import json
import struct
from pathlib import Path
from types import ModuleType
from typing import Dict, List, Sequence

import numpy as np
import torch

import family_gemma
import family_gpt
import family_llama
import family_phi
from layers import Config, Weights

MODULES = (family_llama, family_gemma, family_phi, family_gpt)


def family(config: Config) -> ModuleType:
    """The module that knows this config's model_type."""
    for module in MODULES:
        if config["model_type"] in module.MODEL_TYPES:
            return module
    known = sorted(name for module in MODULES for name in module.MODEL_TYPES)
    raise ValueError(f"unknown model_type {config['model_type']!r}; known: {', '.join(known)}")


def logits(config: Config, weights: Weights, ids: Sequence[int],
           dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """Logits [tokens, vocabulary], computed in `dtype`."""
    converted = {name: value.to(dtype) for name, value in weights.items()}
    with torch.no_grad():
        return family(config).forward(config, converted, torch.tensor(list(ids)))


def read_safetensors(path: Path) -> Dict[str, torch.Tensor]:
    """Reads F32, F16 and BF16 tensors as float32."""
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    out: Dict[str, torch.Tensor] = {}
    for name, entry in json.loads(data[8:8 + size]).items():
        if name == "__metadata__":
            continue
        begin, end = (8 + size + offset for offset in entry["data_offsets"])
        raw = data[begin:end]
        if entry["dtype"] == "BF16":
            values = (np.frombuffer(raw, "<u2").astype(np.uint32) << 16).view(np.float32)
        else:
            values = np.frombuffer(raw, {"F32": "<f4", "F16": "<f2"}[entry["dtype"]])
        values = values.astype(np.float32).reshape(entry["shape"])
        out[name] = torch.from_numpy(values)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path, help="holds config.json and model.safetensors")
    parser.add_argument("ids", type=int, nargs="+", help="token ids")
    arguments = parser.parse_args()
    config = json.loads((arguments.directory / "config.json").read_text())
    weights = read_safetensors(arguments.directory / "model.safetensors")
    weights = {name[12:] if config["model_type"] == "gpt2" and name.startswith("transformer.")
               else name: value for name, value in weights.items()}
    last = logits(config, weights, arguments.ids)[-1]
    best: List[int] = last.topk(5).indices.tolist()
    for token in best:
        print(f"{token:6d}  {last[token]:.7f}")


if __name__ == "__main__":
    main()
