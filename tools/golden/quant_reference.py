"""What the GGUF block types mean, in numpy: `python3 tools/golden/quant_reference.py`.

Writes tests/golden/data/quant/<type>.json: random blocks as hex bytes and the values they stand
for. Written from the published descriptions of the block layouts (ggml, GGUF specification); shares
nothing with the C++ code it checks.

Values are computed in float64 and rounded once to float32. That is the only possible answer: all
products of a half, a small scale and a quant fit 24 bits, so only the subtraction of a minimum can
round. A zero may have either sign.
"""
from __future__ import annotations

import argparse
import json
import zlib
from pathlib import Path
from typing import Callable, Dict, NamedTuple, Tuple

import numpy as np

ROOT = Path(__file__).resolve().parents[2] / "tests" / "golden" / "data" / "quant"
BLOCKS = 6

# The 16 levels of the non-linear 4-bit types.
IQ4_LEVELS = np.array([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113],
                      dtype=np.float64)

Block = np.ndarray  # uint8, the bytes of one block


def half(block: Block, offset: int) -> float:
    """The little-endian IEEE half at an offset."""
    return float(block[offset:offset + 2].copy().view("<f2")[0])


def nibbles(data: np.ndarray) -> np.ndarray:
    """All low nibbles, then all high nibbles."""
    return np.concatenate([data & 15, data >> 4]).astype(np.float64)


def fifth_bits(block: Block, offset: int) -> np.ndarray:
    """16 where bit i of the 32-bit little-endian word is set."""
    return np.unpackbits(block[offset:offset + 4], bitorder="little").astype(np.float64) * 16


def q4_0(block: Block) -> np.ndarray:
    """half d, 16 bytes of nibbles: d (q - 8)."""
    return half(block, 0) * (nibbles(block[2:18]) - 8)


def q4_1(block: Block) -> np.ndarray:
    """half d, half m, 16 bytes of nibbles: d q + m."""
    return half(block, 0) * nibbles(block[4:20]) + half(block, 2)


def q5_0(block: Block) -> np.ndarray:
    """half d, 32 fifth bits, 16 bytes of nibbles: d (q - 16)."""
    return half(block, 0) * (nibbles(block[6:22]) + fifth_bits(block, 2) - 16)


def q5_1(block: Block) -> np.ndarray:
    """half d, half m, 32 fifth bits, 16 bytes of nibbles: d q + m."""
    return half(block, 0) * (nibbles(block[8:24]) + fifth_bits(block, 4)) + half(block, 2)


def q8_0(block: Block) -> np.ndarray:
    """half d, 32 signed bytes: d q."""
    return half(block, 0) * block[2:34].view(np.int8).astype(np.float64)


def two_bits(data: np.ndarray) -> np.ndarray:
    """64 bytes to 256 numbers: each 32 bytes hold 128, plane by plane of 2 bits."""
    parts = data.reshape(2, 1, 32) >> np.array([0, 2, 4, 6], dtype=np.uint8).reshape(1, 4, 1)
    return (parts & 3).reshape(256).astype(np.float64)


def q2_k(block: Block) -> np.ndarray:
    """16 bytes (scale in the low, minimum in the high nibble), 64 bytes of 2 bits, half d and dmin.

    Groups of 16: d scale q - dmin minimum.
    """
    quants = two_bits(block[16:80]).reshape(16, 16)
    scale, minimum = (block[:16] & 15).astype(np.float64), (block[:16] >> 4).astype(np.float64)
    return (half(block, 80) * scale[:, None] * quants - half(block, 82) * minimum[:, None]).ravel()


def q3_k(block: Block) -> np.ndarray:
    """32 bytes of third bits, 64 bytes of 2 bits, 12 bytes of scales, half d.

    Groups of 16: d (scale - 32) q, with q from -4 to 3: a clear third bit subtracts 4. Byte l of
    the third bits serves values l, l + 32, l + 64, … with bit 0, 1, 2, … Scales are 6 bits: the
    nibbles of 8 bytes, low ones first, and 2 bits above from the last 4 bytes.
    """
    third = (block[:32][None, :] >> np.arange(8, dtype=np.uint8)[:, None]) & 1
    quants = (two_bits(block[32:96]) - 4 * (1 - third.reshape(256).astype(np.float64)))
    low = np.concatenate([block[96:104] & 15, block[96:104] >> 4])
    high = np.concatenate([(block[104:108] >> shift) & 3 for shift in (0, 2, 4, 6)])
    scale = (low | (high << 4)).astype(np.float64) - 32
    return (half(block, 108) * scale[:, None] * quants.reshape(16, 16)).ravel()


def scales_and_minimums(data: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """12 bytes to 8 scales and 8 minimums of 6 bits (Q4_K, Q5_K).

    The low 6 bits of bytes 0-3 and 4-7 are the first four of each; bytes 8-11 hold the low nibbles
    of the others, whose top 2 bits are the top bits of bytes 0-3 and 4-7.
    """
    first, second, third = data[:4], data[4:8], data[8:12]
    scale = np.concatenate([first & 63, (third & 15) | ((first >> 6) << 4)])
    minimum = np.concatenate([second & 63, (third >> 4) | ((second >> 6) << 4)])
    return scale.astype(np.float64), minimum.astype(np.float64)


def four_bits(data: np.ndarray) -> np.ndarray:
    """128 bytes to 8 groups of 32: each 32 bytes hold two groups, first the low nibbles."""
    return np.stack([nibbles(part).reshape(2, 32) for part in data.reshape(4, 32)]).reshape(8, 32)


def q4_k(block: Block) -> np.ndarray:
    """half d, half dmin, 12 bytes of scales, 128 bytes of nibbles: d scale q - dmin minimum."""
    scale, minimum = scales_and_minimums(block[4:16])
    quants = four_bits(block[16:144])
    return (half(block, 0) * scale[:, None] * quants - half(block, 2) * minimum[:, None]).ravel()


def q5_k(block: Block) -> np.ndarray:
    """As Q4_K, with 32 bytes of fifth bits first: bit g of byte l for value l of group g."""
    scale, minimum = scales_and_minimums(block[4:16])
    fifth = (block[16:48][None, :] >> np.arange(8, dtype=np.uint8)[:, None]) & 1
    quants = four_bits(block[48:176]) + 16 * fifth.astype(np.float64)
    return (half(block, 0) * scale[:, None] * quants - half(block, 2) * minimum[:, None]).ravel()


def q6_k(block: Block) -> np.ndarray:
    """128 bytes of nibbles, 64 bytes of 2 bits above, 16 signed scales, half d: d scale (q - 32).

    Each 128 values: 64 bytes of nibbles (all low ones, then all high ones), 32 bytes of 2 bits.
    """
    low = np.concatenate([nibbles(part) for part in block[:128].reshape(2, 64)])
    quants = low + 16 * two_bits(block[128:192]) - 32
    scale = block[192:208].view(np.int8).astype(np.float64)
    return (half(block, 208) * scale[:, None] * quants.reshape(16, 16)).ravel()


def iq4_nl(block: Block) -> np.ndarray:
    """half d, 16 bytes of nibbles: d level[q]."""
    return half(block, 0) * IQ4_LEVELS[nibbles(block[2:18]).astype(int)]


def iq4_xs(block: Block) -> np.ndarray:
    """half d, 16 bits of scale tops, 4 bytes of scale nibbles, 128 bytes of nibbles.

    8 groups of 32, each with its own 16 bytes of nibbles: d (scale - 32) level[q].
    """
    tops = int(block[2:4].copy().view("<u2")[0])
    scale = np.array([((int(block[4 + g // 2]) >> 4 * (g % 2)) & 15) | ((tops >> 2 * g) & 3) << 4
                      for g in range(8)], dtype=np.float64) - 32
    levels = np.stack([IQ4_LEVELS[nibbles(part).astype(int)] for part in block[8:].reshape(8, 16)])
    return (half(block, 0) * scale[:, None] * levels).ravel()


class Type(NamedTuple):
    """Bytes and values of a block, where its halves lie, and what it means."""
    size: int
    count: int
    halves: Tuple[int, ...]
    decode: Callable[[Block], np.ndarray]


TYPES: Dict[str, Type] = {
    "q4_0": Type(18, 32, (0,), q4_0), "q4_1": Type(20, 32, (0, 2), q4_1),
    "q5_0": Type(22, 32, (0,), q5_0), "q5_1": Type(24, 32, (0, 2), q5_1),
    "q8_0": Type(34, 32, (0,), q8_0), "q2_k": Type(84, 256, (80, 82), q2_k),
    "q3_k": Type(110, 256, (108,), q3_k), "q4_k": Type(144, 256, (0, 2), q4_k),
    "q5_k": Type(176, 256, (0, 2), q5_k), "q6_k": Type(210, 256, (208,), q6_k),
    "iq4_nl": Type(18, 32, (0,), iq4_nl), "iq4_xs": Type(136, 256, (0,), iq4_xs),
}


def random_blocks(name: str) -> np.ndarray:
    """Random bytes with finite scales: usual, negative, smallest subnormal, zero; then all bits."""
    kind = TYPES[name]
    random = np.random.RandomState(zlib.crc32(name.encode()))
    blocks = random.randint(0, 256, size=(BLOCKS, kind.size)).astype(np.uint8)
    blocks[-1] = 0xFF
    for number, block in enumerate(blocks):
        for offset in kind.halves:
            scale = random.uniform(0.001, 0.1)
            value = np.array([scale, -scale, 2.0 ** -24, 0.0, 3.0 * scale, scale][number])
            block[offset:offset + 2] = np.frombuffer(value.astype("<f2").tobytes(), np.uint8)
    return blocks


def make(name: str) -> None:
    kind = TYPES[name]
    rows = []
    for block in random_blocks(name):
        values = kind.decode(block).astype(np.float32)
        assert values.shape == (kind.count,) and np.isfinite(values).all()
        words = " ".join(f"{word:08x}" for word in values.view(np.uint32))
        rows.append(f'  {{"bytes": "{block.tobytes().hex()}",\n   "values": "{words}"}}')
    head = {"type": name, "script": "tools/golden/quant_reference.py", "block_bytes": kind.size,
            "block_values": kind.count}
    lines = ",\n".join(f" {json.dumps(key)}: {json.dumps(value)}" for key, value in head.items())
    ROOT.mkdir(parents=True, exist_ok=True)
    text = "{\n" + lines + ',\n "blocks": [\n' + ",\n".join(rows) + "\n ]\n}\n"
    json.loads(text)
    (ROOT / f"{name}.json").write_text(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("type", nargs="*", help=f"all by default; known: {', '.join(TYPES)}")
    wanted = parser.parse_args().type or list(TYPES)
    unknown = [name for name in wanted if name not in TYPES]
    if unknown:
        parser.error(f"unknown type {', '.join(unknown)}; known: {', '.join(TYPES)}")
    for name in wanted:
        make(name)


if __name__ == "__main__":
    main()
