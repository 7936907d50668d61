"""Make the tiny models and their golden logits: `python3 tools/golden/make.py [CASE…]`.

Writes tests/golden/data/<case>/{model.gguf, hf/, golden.json}. The weights come from numpy's frozen
RandomState seeded by the case's model (see seed_name), are rounded to values that BF16 and F16 both
hold exactly, and are the same in both files. Logits are computed in float64, stored as float32.
"""
from __future__ import annotations

import argparse
import json
import zlib
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import torch

import reference
import safetensors_writer
import to_gguf
from cases import CASES, VOCABULARY, Case
from gguf_writer import round_to_bf16

ROOT = Path(__file__).resolve().parents[2] / "tests" / "golden" / "data"
SMALLEST = 2.0 ** -10  # smaller weights become zero, so that F16 holds all of them exactly


def tokens() -> List[str]:
    """End of text, the 94 visible ASCII characters, and the byte-alphabet form of the space."""
    return ["<|endoftext|>"] + [chr(code) for code in range(0x21, 0x7F)] + ["\u0120"]


def seed_name(case: str) -> str:
    """Cases that differ only in prompt or spelling share their weights."""
    return {"phi3_longrope_short": "phi3_longrope", "gpt2_bare": "gpt2"}.get(case, case)


def standard_deviation(config: Dict[str, Any], name: str, shape: tuple) -> float:
    """Large enough that attention is not flat and logits spread over a few units."""
    hidden = config.get("hidden_size", config.get("n_embd"))
    if len(shape) == 1:
        return 0.2
    if name.startswith(("wpe", "lm_head", "embed_out", "wte")) or name.endswith("mlp.gate.weight"):
        return 2 / hidden ** 0.5
    if "embed" in name:
        tied = config.get("tie_word_embeddings", True)
        return 2 / hidden ** 0.5 if tied else 1.0
    fan_in = shape[0] if config["model_type"] == "gpt2" else shape[1]
    sharp = any(part in name for part in ("q_proj", "k_proj", "qkv", "query_key_value", "c_attn",
                                          "moe.gate"))
    return (1.5 if sharp else 1.0) / fan_in ** 0.5


def random_weights(case: str, config: Dict[str, Any]) -> Dict[str, np.ndarray]:
    """Float32 arrays under Hugging Face names, in checkpoint order."""
    random = np.random.RandomState(zlib.crc32(seed_name(case).encode()))
    out: Dict[str, np.ndarray] = {}
    for name, shape in reference.family(config).shapes(config).items():
        values = random.standard_normal(shape) * standard_deviation(config, name, shape)
        is_norm = len(shape) == 1 and name.endswith(".weight")
        if is_norm and not config["model_type"].startswith("gemma"):
            values = values + 1
        values = np.where(np.abs(values) < SMALLEST, 0, values)
        out[name] = round_to_bf16(values.astype(np.float32))
    return out


def prompt(case: str, count: int) -> List[int]:
    random = np.random.RandomState(zlib.crc32(("prompt of " + case).encode()))
    return [int(token) for token in random.randint(1, VOCABULARY, size=count)]


def chosen_positions(count: int) -> List[int]:
    """Eight positions: the first two, five spread over the middle, the last."""
    return sorted({0, 1, *(round(count * part / 6) for part in range(1, 6)), count - 1})


def torch_weights(weights: Dict[str, np.ndarray]) -> Dict[str, torch.Tensor]:
    return {name: torch.from_numpy(values) for name, values in weights.items()}


def short(value: float) -> float:
    """The shortest decimal with nine significant digits; it names one float32."""
    return float(f"{np.float32(value):.9g}")


def tokenizer_json() -> Dict[str, Any]:
    """The same vocabulary as the GGUF has, as byte-level BPE without merges."""
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
             "use_regex": True}
    special = {"id": 0, "content": tokens()[0], "single_word": False, "lstrip": False,
               "rstrip": False, "normalized": False, "special": True}
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [special],
            "normalizer": None, "pre_tokenizer": level, "post_processor": level, "decoder": level,
            "model": {"type": "BPE", "dropout": None, "unk_token": None,
                      "continuing_subword_prefix": "", "end_of_word_suffix": "",
                      "fuse_unk": False, "byte_fallback": False,
                      "vocab": {token: i for i, token in enumerate(tokens())}, "merges": []}}


def hf_tensors(case: Case, weights: Dict[str, np.ndarray]) -> Dict[str, np.ndarray]:
    """What model.safetensors holds: the weights under the checkpoint's own prefix and buffers."""
    out = {case.hf_prefix + name: values for name, values in weights.items()}
    if case.config["model_type"] == "gpt2" and not case.hf_prefix:
        size = case.config["n_positions"]  # the published GPT-2 file carries its masks
        for i in range(case.config["n_layer"]):
            out[f"h.{i}.attn.bias"] = np.tril(np.ones((1, 1, size, size), dtype=np.float32))
    return out


def make(name: str) -> None:
    case = CASES[name]
    weights = random_weights(name, case.config)
    folder = ROOT / name
    (folder / "hf").mkdir(parents=True, exist_ok=True)
    ids = prompt(name, case.tokens)
    logits = reference.logits(case.config, torch_weights(weights), ids).numpy()
    positions = chosen_positions(case.tokens)
    golden = {
        "case": name, "script": "tools/golden/make.py", "about": case.about,
        "architecture": to_gguf.ARCHITECTURES[case.config["model_type"]], "ids": ids,
        "positions": positions,
        "logits": [[short(value) for value in logits[position]] for position in positions],
    }
    lines = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in golden.items()
             if key != "logits"]
    rows = ",\n".join("  " + json.dumps(row, separators=(",", ":")) for row in golden["logits"])
    text = "{\n" + ",\n".join(lines) + ',\n "logits": [\n' + rows + "\n ]\n}\n"
    (folder / "golden.json").write_text(text)
    config = {**case.config, "torch_dtype": {"bf16": "bfloat16", "f32": "float32"}[case.hf_type]}
    (folder / "hf" / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    (folder / "hf" / "tokenizer.json").write_text(
        json.dumps(tokenizer_json(), ensure_ascii=False, separators=(",", ":")) + "\n")
    safetensors_writer.write(folder / "hf" / "model.safetensors", hf_tensors(case, weights),
                             case.hf_type)
    to_gguf.write(folder / "model.gguf", case.config, weights, tokens(), case.gguf_type)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{name:20s} {size:7d} bytes, logits {logits.min():6.2f} to {logits.max():5.2f}, "
          f"deviation {logits.std():.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("case", nargs="*", help=f"all by default; known: {', '.join(CASES)}")
    wanted = parser.parse_args().case or list(CASES)
    unknown = [name for name in wanted if name not in CASES]
    if unknown:
        parser.error(f"unknown case {', '.join(unknown)}; known: {', '.join(CASES)}")
    for name in wanted:
        make(name)


if __name__ == "__main__":
    main()
