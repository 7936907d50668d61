"""Writes a trained checkpoint as GGUF: Q8_0 matrices, F32 norms, tokenizer and chat template."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

import model as pocket_model
from tokenizer import CHAT_TEMPLATE, SPECIAL, Tokenizer

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "golden"))
import gguf_writer  # noqa: E402  (the path above must be set first)

NORMAL, CONTROL = 1, 3  # values of tokenizer.ggml.token_type


def load_checkpoint(path: Path) -> tuple[pocket_model.Pocket, dict]:
    saved = torch.load(path)
    model = pocket_model.Pocket(pocket_model.Config(**saved["config"]))
    model.load_state_dict(saved["model"])
    return model, saved


def round_to_q8_0(values: torch.Tensor) -> torch.Tensor:
    """What a reader gets back from the Q8_0 blocks of `values`."""
    raw = np.frombuffer(gguf_writer.encode(values.detach().numpy(), "q8_0"), dtype=np.uint8)
    blocks = raw.reshape(-1, 34)
    scale = blocks[:, :2].copy().view("<f2").astype(np.float32)
    return torch.from_numpy(blocks[:, 2:].copy().view(np.int8) * scale).view(values.shape)


def tensors(model: pocket_model.Pocket):
    """(GGUF name, array): the joined matrices cut apart. RoPE pairs already lie as GGUF has them."""
    c = model.config
    kv = c.kv_heads * c.head_dim
    yield "token_embd.weight", model.embed
    for i, layer in enumerate(model.layers):
        q, k, v = layer.qkv.split([c.heads * c.head_dim, kv, kv])
        gate, up = layer.gate_up.split(c.ffn)
        for name, value in (("attn_norm", layer.attn_norm), ("attn_q", q), ("attn_k", k),
                            ("attn_v", v), ("attn_output", layer.out), ("ffn_norm", layer.ffn_norm),
                            ("ffn_gate", gate), ("ffn_up", up), ("ffn_down", layer.down)):
            yield f"blk.{i}.{name}.weight", value
    yield "output_norm.weight", model.final_norm


def write(model: pocket_model.Pocket, tokenizer: Tokenizer, name: str, path: Path) -> int:
    """Returns the size of the file in bytes. No `output.weight`: the head is the embedding."""
    c = model.config
    out = gguf_writer.GgufWriter()
    out.string("general.architecture", "llama")
    out.string("general.name", name)
    out.string("general.license", "apache-2.0")
    out.uint32("general.file_type", gguf_writer.FILE_TYPES["q8_0"])
    out.uint32("general.quantization_version", 2)
    out.uint32("llama.vocab_size", c.vocab)
    out.uint32("llama.context_length", c.context)
    out.uint32("llama.embedding_length", c.dim)
    out.uint32("llama.block_count", c.layers)
    out.uint32("llama.feed_forward_length", c.ffn)
    out.uint32("llama.attention.head_count", c.heads)
    out.uint32("llama.attention.head_count_kv", c.kv_heads)
    out.float32("llama.attention.layer_norm_rms_epsilon", pocket_model.NORM_EPS)
    out.uint32("llama.rope.dimension_count", c.head_dim)
    out.float32("llama.rope.freq_base", pocket_model.ROPE_BASE)
    out.string("tokenizer.ggml.model", "gpt2")
    out.string("tokenizer.ggml.pre", "gpt-2")
    out.array("tokenizer.ggml.tokens", "string", tokenizer.tokens)
    out.array("tokenizer.ggml.token_type", "int32",
              [CONTROL if t in SPECIAL else NORMAL for t in tokenizer.tokens])
    out.array("tokenizer.ggml.merges", "string", [" ".join(m) for m in tokenizer.merges])
    out.uint32("tokenizer.ggml.bos_token_id", tokenizer.ids["<|endoftext|>"])
    out.uint32("tokenizer.ggml.eos_token_id", tokenizer.ids["<|end|>"])
    out.uint32("tokenizer.ggml.eot_token_id", tokenizer.ids["<|end|>"])
    out.boolean("tokenizer.ggml.add_bos_token", False)
    out.boolean("tokenizer.ggml.add_eos_token", False)
    out.string("tokenizer.chat_template", CHAT_TEMPLATE)
    for tensor_name, value in tensors(model):
        out.tensor(tensor_name, value.detach().numpy(), "q8_0" if value.dim() == 2 else "f32")
    path.parent.mkdir(parents=True, exist_ok=True)
    out.write(path)
    return path.stat().st_size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", choices=["pocket", "draft"], default="pocket")
    parser.add_argument("--work", type=Path, default=HERE / "work")
    parser.add_argument("--out", type=Path, help="default: models/pocket.gguf or models/pocket-draft.gguf")
    args = parser.parse_args()
    file_name = "pocket.gguf" if args.name == "pocket" else "pocket-draft.gguf"
    path = args.out or HERE.parent.parent / "models" / file_name
    model, saved = load_checkpoint(args.work / f"{args.name}.pt")
    title = "Pocket" if args.name == "pocket" else "Pocket draft"
    size = write(model, Tokenizer.load(args.work / "tokenizer.json"), title, path)
    print(f"{path}: {size} bytes, from step {saved['step']}, {saved['tokens']} tokens")


if __name__ == "__main__":
    main()
