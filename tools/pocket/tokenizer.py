"""Byte-level BPE of the embedded model: training, encoding, decoding.

The words come from GPT-2's pre-tokenizer; the bytes of a word are written in GPT-2's printable
alphabet, so that tokens and merges can stand in a GGUF file (`tokenizer.ggml.model` = gpt2).
Every byte is a token, therefore any text can be encoded.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter, defaultdict
from functools import lru_cache
from pathlib import Path

HERE = Path(__file__).resolve().parent
SPECIAL = ["<|endoftext|>", "<|user|>", "<|assistant|>", "<|system|>", "<|end|>"]
# GPT-2: 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
PIECES = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?[^\W\d_]+| ?\d+| ?(?:[^\s\w]|_)+|\s+(?!\S)|\s+")
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ '<|system|>' }}"
    "{% elif message['role'] == 'user' %}{{ '<|user|>' }}"
    "{% elif message['role'] == 'assistant' %}{{ '<|assistant|>' }}"
    "{% else %}{{ raise_exception('expected the role system, user or assistant') }}{% endif %}"
    "{{ message['content'] | trim }}{{ '<|end|>' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def byte_alphabet() -> list[str]:
    """GPT-2's printable sign for each byte."""
    plain = set(range(33, 127)) | set(range(161, 173)) | set(range(174, 256))
    signs, extra = [], 256
    for byte in range(256):
        if byte in plain:
            signs.append(chr(byte))
        else:
            signs.append(chr(extra))
            extra += 1
    return signs


ALPHABET = byte_alphabet()
BYTE_OF = {sign: byte for byte, sign in enumerate(ALPHABET)}


def to_signs(word: str) -> str:
    return "".join(ALPHABET[b] for b in word.encode("utf-8"))


def learn_merges(words: Counter, count: int) -> list[tuple[str, str]]:
    """The `count` best merges. Ties go to the pair that sorts first, so the result is fixed."""
    texts = sorted(words)
    weights = [words[t] for t in texts]
    parts = [list(to_signs(t)) for t in texts]
    pairs: Counter = Counter()
    where: defaultdict = defaultdict(set)
    for i, part in enumerate(parts):
        for pair in zip(part, part[1:]):
            pairs[pair] += weights[i]
            where[pair].add(i)
    merges = []
    for _ in range(count):
        best = max(pairs.items(), key=lambda item: (item[1], item[0]))[0]
        merges.append(best)
        for i in where.pop(best):
            part = parts[i]
            for pair in zip(part, part[1:]):
                pairs[pair] -= weights[i]
            parts[i] = part = merge_once(part, best)
            for pair in zip(part, part[1:]):
                pairs[pair] += weights[i]
                where[pair].add(i)
        pairs = +pairs
    return merges


def merge_once(part: list[str], pair: tuple[str, str]) -> list[str]:
    out, i = [], 0
    while i < len(part):
        if i + 1 < len(part) and (part[i], part[i + 1]) == pair:
            out.append(part[i] + part[i + 1])
            i += 2
        else:
            out.append(part[i])
            i += 1
    return out


class Tokenizer:
    """Ids: 256 bytes, then the merges in order, then the special tokens."""

    def __init__(self, merges: list[tuple[str, str]]) -> None:
        self.merges = [tuple(m) for m in merges]
        self.tokens = ALPHABET + ["".join(m) for m in self.merges] + SPECIAL
        self.ids = {token: i for i, token in enumerate(self.tokens)}
        if len(self.ids) != len(self.tokens):
            raise ValueError("expected distinct tokens, found two merges that make the same token")
        self.rank = {m: i for i, m in enumerate(self.merges)}
        self.word = lru_cache(maxsize=None)(self._word)

    def _word(self, word: str) -> tuple[int, ...]:
        part = list(to_signs(word))
        while len(part) > 1:
            best = min(zip(part, part[1:]), key=lambda p: self.rank.get(p, len(self.rank)))
            if best not in self.rank:
                break
            part = merge_once(part, best)
        return tuple(self.ids[p] for p in part)

    def encode(self, text: str) -> list[int]:
        """Ordinary text; special tokens are not looked for."""
        return [i for word in PIECES.findall(text) for i in self.word(word)]

    def decode(self, ids: list[int]) -> str:
        signs = "".join(self.tokens[i] for i in ids if self.tokens[i] not in SPECIAL)
        return bytes(BYTE_OF[s] for s in signs).decode("utf-8", errors="replace")

    def prompt(self, turns: list[tuple[str, str]]) -> list[int]:
        """What the chat template gives for `turns` with a generation prompt."""
        ids = []
        for role, text in turns:
            ids += [self.ids[f"<|{role}|>"], *self.encode(text.strip()), self.ids["<|end|>"]]
        return ids + [self.ids["<|assistant|>"]]

    def save(self, path: Path) -> None:
        path.write_text(json.dumps({"merges": self.merges, "special": SPECIAL}))

    @staticmethod
    def load(path: Path) -> "Tokenizer":
        return Tokenizer(json.loads(path.read_text())["merges"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, default=HERE / "work" / "corpus.jsonl")
    parser.add_argument("--out", type=Path, default=HERE / "work" / "tokenizer.json")
    parser.add_argument("--vocab", type=int, default=2048)
    args = parser.parse_args()
    words: Counter = Counter()
    with args.corpus.open() as lines:
        for line in lines:
            document = json.loads(line)
            if document["kind"] not in ("request", "held_out_story"):
                for _, text in document["turns"]:
                    words.update(PIECES.findall(text))
    tokenizer = Tokenizer(learn_merges(words, args.vocab - 256 - len(SPECIAL)))
    tokenizer.save(args.out)
    sample = "Tell me a story about a fox and a kite.\nWeir reads GGUF, Zürich 😀 "
    if tokenizer.decode(tokenizer.encode(sample)) != sample:
        raise SystemExit("expected the round trip to hold")
    print(f"{len(tokenizer.tokens)} tokens from {len(words)} distinct words -> {args.out}")
    print([tokenizer.tokens[i] for i in tokenizer.encode(sample)])


if __name__ == "__main__":
    main()
