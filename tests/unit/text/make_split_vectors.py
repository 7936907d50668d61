#!/usr/bin/env python3
"""Makes split_vectors.json: where the published pre-tokenizer patterns cut some texts.

Needs python3-regex, which reads the patterns as published (set operations, \\G, nested classes), so
that nothing of Weir's own forms of them is trusted. Every cut is given by the length of its piece in
bytes. Run from the repository root:

    tests/unit/text/make_split_vectors.py > tests/unit/text/split_vectors.json
"""

import argparse
import json
import random
from collections.abc import Callable

import regex

Step = Callable[[str], list[str]]

CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
END = r"|\s*[\r\n]+|\s+(?!\S)|\s+"
WORD = r"|[^\r\n\p{L}\p{N}]?\p{L}+"
SIGNS = r"| ?[^\s\p{L}\p{N}]+[\r\n]*"
LLAMA3 = CONTRACTIONS + WORD + r"|\p{N}{1,3}" + SIGNS + END
QWEN2 = CONTRACTIONS + WORD + r"|\p{N}" + SIGNS + END
UPPER = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}"
LOWER = r"\p{Ll}\p{Lm}\p{Lo}\p{M}"
CJK = "[一-龥\u3040-ゟ゠-ヿ]+"
BLOOM = " ?[^(\\s|.,!?…。，、।۔،)]+"


def o200k(digits: str, tail: str = CONTRACTIONS + "?", signs: str = r"[\r\n/]*",
          without: str = "") -> str:
    """The pattern of GPT-4o with its later variations."""
    upper, lower = f"[{UPPER}{without}]", f"[{LOWER}{without}]"
    before = r"[^\r\n\p{L}\p{N}]?"
    return (f"{before}{upper}*{lower}+{tail}|{before}{upper}+{lower}*{tail}|{digits}"
            rf"| ?[^\s\p{{L}}\p{{N}}]+{signs}" + END)


DEEPSEEK_WORDS = (r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+"""
                  r"|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+")
DEEPSEEK_V3 = DEEPSEEK_WORDS + r"| ?[\p{P}\p{S}]+[\r\n]*" + END


def isolated(pattern: str) -> Step:
    """Matches and gaps alike are pieces."""
    compiled = regex.compile(pattern, regex.V1)

    def split(text: str) -> list[str]:
        cuts = {0, len(text)}
        for match in compiled.finditer(text):
            cuts |= {match.start(), match.end()}
        places = sorted(cuts)
        return [text[a:b] for a, b in zip(places, places[1:])]

    return split


def merged_with_next(pattern: str) -> Step:
    """A match and the gap after it are one piece."""
    compiled = regex.compile(pattern, regex.V1)

    def split(text: str) -> list[str]:
        places = sorted({0, len(text)} | {match.start() for match in compiled.finditer(text)})
        return [text[a:b] for a, b in zip(places, places[1:])]

    return split


PUBLISHED: dict[str, list[Step]] = {
    "gpt-2": [isolated(GPT2)],
    "command-r": [isolated(r"\p{N}"), isolated(GPT2)],
    "llama-bpe": [isolated(LLAMA3)],
    "qwen2": [isolated(QWEN2)],
    "qwen35": [isolated(CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}"
                        r"| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*" + END)],
    "seed-coder": [isolated(CONTRACTIONS + WORD + r"|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+" + END)],
    "bailingmoe": [isolated(r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}"
                            r"| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+")],
    "ufakzeka": [isolated(WORD[1:] + r"|\p{N}" + SIGNS + END)],
    "minicpm5": [isolated(r"\p{N}{1,3}"), isolated(CONTRACTIONS + WORD + r"|\p{N}+" + SIGNS + END)],
    "laguna": [merged_with_next(r"(?:\r?\n)+(?!\r?\n)"), isolated(QWEN2)],
    "exaone-moe": [isolated(CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+"
                            r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+")],
    "jais-2": [isolated(CONTRACTIONS + WORD + r"|\p{N}{1,3}" + SIGNS + r"|\s*[\r\n]+"
                        + "".join(rf"|\s{{{2 ** n}}}(?!\S)" for n in range(9, 1, -1))
                        + r"|\s{1,2}(?!\S)|\s{1}")],
    "gpt-4o": [isolated(o200k(r"\p{N}{1,3}"))],
    "tekken": [isolated(o200k(r"\p{N}", tail=""))],
    "tiny_aya": [isolated(r"\d{1,3}(?=(?:\d{3})*\b)"), isolated(o200k(r"\p{N}{1,3}"))],
    "youtu": [isolated("[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|" + CJK),
              isolated(o200k(r"\p{N}"))],
    "kimi-k2": [isolated(r"[\p{Script=Han}]+|" + o200k(r"\p{N}{1,3}", signs=r"[\r\n]*",
                                                       without=r"&&[^\p{Script=Han}]"))],
    "deepseek-v3": [isolated(r"\p{N}{1,3}"), isolated(CJK), isolated(DEEPSEEK_V3)],
    "spark2_5": [isolated(r"\p{N}{1,3}"), isolated(CJK),
                 isolated(DEEPSEEK_WORDS + r"| ?[\p{P}\p{S}]+|[\r\n]|\s+(?!\S)|\s+"),
                 isolated(r"\p{N}")],
    "afmoe": [isolated(r"\p{Nd}{1,510}(?=(?>\p{Nd}{510})*(?:\P{Nd}|$))|\G\p{Nd}{510}"),
              isolated(r"\A\p{Nd}{1,2}(?=(?:\p{Nd}{3})+\Z)"), isolated(r"\A\p{Nd}{3}|\G\p{Nd}{3}"),
              isolated("[\u4E00-\u9FFF\u3040-\u309F\u30A0-\u30FF\u3400-\u4DBF\uF900-\uFAFF"
                       "\uFF65-\uFF9F\u2F00-\u2FDF]+|[\u0E00-\u0E7F]+|[\u0E80-\u0EFF]+"
                       "|[\u1780-\u17FF]+|[\u1000-\u109F\uAA60-\uAA7F\uA9E0-\uA9FF]+"
                       "|[\uAC00-\uD7AF\u1100-\u11FF]+"),
              isolated(DEEPSEEK_V3)],
    "superbpe": [isolated(r"\p{N}+"), isolated(r"(?=(\d{3})+(?!\d))")],
    "bloom": [isolated(BLOOM)],
    "viking": [isolated(BLOOM), isolated(r"\p{N}")],
}

TEXTS = [
    "I'Ve 1234567 ideas, THEY'RE «fine»...\r\n\r\nHelloWorld's DNA/RNA\n/path x2",
    "  \t\n   leading, trailing   \n\n  ",
    "1 12 123 1234 12345678x ½123 1234½ ٠١٢٣٤٥٦ 1234_ 12-345",
    "漢字とかな、カナ。中文，English混合 々〇 한국어 ㄱㄴ ㄅㄆ ภาษาไทย ລາວ ខ្មែរ မြန်မာ",
    "e\u0301cole cafe\u0301S हिन्दी में। Ünïcödé ǅ ʰx ß",
    "a b c de f  g\u0301 h'll don't DON'T",
    "🦙🦙 emoji!? -- ~~~ (x) [y] {z} @user #tag $5.00 a|b",
    "if (x==1){\n\treturn x+1;\n}\r\n\r\r\n// done" + " " * 21 + "end" + " " * 7,
]
ATOMS = list(" \t\n\r'aAbBzZéÉ012½٣_-/.!?(中々、カ한ㄱก។ǅʰß🦙") + ["\u0301", "'S", "'ll", "\r\n", "  "]


def texts(extra: int) -> list[str]:
    """The texts above and `extra` random ones."""
    source = random.Random(1)
    made = ["".join(source.choice(ATOMS) for _ in range(source.randrange(1, 40)))
            for _ in range(extra)]
    return TEXTS + made


def pieces(steps: list[Step], text: str) -> list[int]:
    """Byte lengths of the pieces of `text`."""
    parts = [text]
    for step in steps:
        parts = [piece for part in parts for piece in step(part)]
    return [len(part.encode()) for part in parts]


def main() -> None:
    """Writes the vectors to standard output."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--random", type=int, default=12, help="random texts beside the fixed ones")
    chosen = texts(parser.parse_args().random)
    vectors = {name: [pieces(steps, text) for text in chosen] for name, steps in PUBLISHED.items()}
    print(json.dumps({"texts": chosen, "pieces": vectors}, separators=(",", ":")))


if __name__ == "__main__":
    main()
