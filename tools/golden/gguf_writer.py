"""Write GGUF v3 files (little-endian) from numpy arrays.

Owns the byte layout of the GGUF specification and the encoders of the plain block types (F32, F16,
BF16, Q8_0, Q4_0). Refuses to know any model: names, keys and values come from the caller.

    writer = GgufWriter()
    writer.string("general.architecture", "llama")
    writer.uint32("llama.block_count", 2)
    writer.array("tokenizer.ggml.tokens", "string", ["a", "b"])
    writer.tensor("token_embd.weight", array, "q8_0")   # numpy shape: rows first, as in PyTorch
    writer.write("model.gguf")

Tensor shapes are given as numpy has them (slowest dimension first); the file lists them innermost
first, as the format asks. Source: the GGUF specification (ggml, docs/gguf.md).
"""
from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple, Union

import numpy as np

MAGIC = b"GGUF"
VERSION = 3

# Metadata value types: name -> (id, struct format or None).
VALUE_TYPES: Dict[str, Tuple[int, Union[str, None]]] = {
    "uint8": (0, "<B"),
    "int8": (1, "<b"),
    "uint16": (2, "<H"),
    "int16": (3, "<h"),
    "uint32": (4, "<I"),
    "int32": (5, "<i"),
    "float32": (6, "<f"),
    "bool": (7, "<?"),
    "string": (8, None),
    "array": (9, None),
    "uint64": (10, "<Q"),
    "int64": (11, "<q"),
    "float64": (12, "<d"),
}

# Tensor types: name -> (id, values per block, bytes per block).
TENSOR_TYPES: Dict[str, Tuple[int, int, int]] = {
    "f32": (0, 1, 4),
    "f16": (1, 1, 2),
    "q4_0": (2, 32, 18),
    "q8_0": (8, 32, 34),
    "bf16": (30, 1, 2),
}

# Values of the key general.file_type.
FILE_TYPES = {"f32": 0, "f16": 1, "q4_0": 2, "q8_0": 7, "bf16": 32}


def bf16_bits(values: np.ndarray) -> np.ndarray:
    """Rounds float32 to bfloat16, half to even; returns the 16-bit patterns (uint16)."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    rounded = (bits + (((bits >> 16) & 1) + 0x7FFF)) >> 16
    quiet = (bits >> 16) | 0x40  # keep a NaN a NaN
    is_nan = (bits & 0x7FFFFFFF) > 0x7F800000
    return np.where(is_nan, quiet, rounded).astype(np.uint16)


def round_to_bf16(values: np.ndarray) -> np.ndarray:
    """Rounds float32 to the nearest bfloat16 value; returns float32."""
    return (bf16_bits(values).astype(np.uint32) << 16).view(np.float32)


def _blocks(values: np.ndarray, size: int, name: str) -> np.ndarray:
    if values.shape[-1] % size != 0:
        raise ValueError(f"{name} needs rows that are a multiple of {size}, got {values.shape[-1]}")
    return np.ascontiguousarray(values, dtype=np.float32).reshape(-1, size)


def _reciprocal(scale: np.ndarray) -> np.ndarray:
    safe = np.where(scale == 0, np.float32(1), scale)
    return np.where(scale == 0, np.float32(0), np.float32(1) / safe).astype(np.float32)


def _round_away(values: np.ndarray) -> np.ndarray:
    """Rounds half away from zero, as C's roundf, which the Q8_0 encoder uses."""
    return np.sign(values) * np.floor(np.abs(values) + np.float32(0.5))


def encode_q8_0(values: np.ndarray) -> bytes:
    """32 values a block: half scale d = max|x|/127, then 32 int8 with x = d*q."""
    blocks = _blocks(values, 32, "q8_0")
    scale = (np.abs(blocks).max(axis=1) / np.float32(127)).astype(np.float32)
    quants = _round_away(blocks * _reciprocal(scale)[:, None]).astype(np.int8)
    out = np.empty((blocks.shape[0], 34), dtype=np.uint8)
    out[:, :2] = scale.astype("<f2").view(np.uint8).reshape(-1, 2)
    out[:, 2:] = quants.view(np.uint8)
    return out.tobytes()


def encode_q4_0(values: np.ndarray) -> bytes:
    """32 values a block: half scale d = (extreme value)/-8, then nibbles with x = d*(q-8).

    Byte j holds value j in its low and value j+16 in its high nibble.
    """
    blocks = _blocks(values, 32, "q4_0")
    rows = np.arange(blocks.shape[0])
    extreme = blocks[rows, np.abs(blocks).argmax(axis=1)]
    scale = (extreme / np.float32(-8)).astype(np.float32)
    quants = np.clip(np.floor(blocks * _reciprocal(scale)[:, None] + np.float32(8.5)), 0, 15)
    quants = quants.astype(np.uint8)
    out = np.empty((blocks.shape[0], 18), dtype=np.uint8)
    out[:, :2] = scale.astype("<f2").view(np.uint8).reshape(-1, 2)
    out[:, 2:] = quants[:, :16] | (quants[:, 16:] << 4)
    return out.tobytes()


def encode(values: np.ndarray, dtype: str) -> bytes:
    """Encodes an array as the named tensor type; block types run along the last dimension."""
    if dtype == "f32":
        return np.ascontiguousarray(values, dtype="<f4").tobytes()
    if dtype == "f16":
        return np.ascontiguousarray(values, dtype=np.float32).astype("<f2").tobytes()
    if dtype == "bf16":
        return bf16_bits(values).astype("<u2").tobytes()
    if dtype == "q8_0":
        return encode_q8_0(values)
    if dtype == "q4_0":
        return encode_q4_0(values)
    raise ValueError(f"unknown tensor type {dtype!r}; known: {', '.join(TENSOR_TYPES)}")


def _string(text: Union[str, bytes]) -> bytes:
    data = text if isinstance(text, bytes) else text.encode("utf-8")
    return struct.pack("<Q", len(data)) + data


def _value(kind: str, value: Any) -> bytes:
    if kind == "string":
        return _string(value)
    layout = VALUE_TYPES[kind][1]
    if layout is None:
        raise ValueError(f"{kind} cannot be written as a plain value")
    return struct.pack(layout, value)


class GgufWriter:
    """Collects metadata and tensors, then writes them in the order they were added."""

    def __init__(self, alignment: int = 32) -> None:
        if alignment < 8 or alignment % 8 != 0:
            raise ValueError(f"alignment must be a multiple of 8, got {alignment}")
        self._alignment = alignment
        self._metadata: Dict[str, bytes] = {}
        self._tensors: List[Tuple[str, Tuple[int, ...], str, bytes]] = []
        if alignment != 32:
            self.uint32("general.alignment", alignment)

    def add(self, key: str, kind: str, value: Any) -> None:
        """Adds one value of the named type (see VALUE_TYPES; arrays go through array())."""
        if key in self._metadata:
            raise ValueError(f"metadata key {key!r} is given twice")
        self._metadata[key] = struct.pack("<I", VALUE_TYPES[kind][0]) + _value(kind, value)

    def array(self, key: str, kind: str, values: Sequence[Any]) -> None:
        """Adds an array of values of one plain type or of strings."""
        if key in self._metadata:
            raise ValueError(f"metadata key {key!r} is given twice")
        head = struct.pack("<IIQ", VALUE_TYPES["array"][0], VALUE_TYPES[kind][0], len(values))
        self._metadata[key] = head + b"".join(_value(kind, item) for item in values)

    def string(self, key: str, value: Union[str, bytes]) -> None:
        self.add(key, "string", value)

    def uint32(self, key: str, value: int) -> None:
        self.add(key, "uint32", value)

    def float32(self, key: str, value: float) -> None:
        self.add(key, "float32", value)

    def boolean(self, key: str, value: bool) -> None:
        self.add(key, "bool", value)

    def tensor(self, name: str, values: np.ndarray, dtype: str = "f32") -> None:
        """Adds a tensor; values has the slowest dimension first (a matrix is [rows, columns])."""
        if any(name == other for other, _, _, _ in self._tensors):
            raise ValueError(f"tensor {name!r} is given twice")
        if len(name.encode("utf-8")) > 64:
            raise ValueError(f"tensor name {name!r} is longer than 64 bytes")
        if not 1 <= values.ndim <= 4:
            raise ValueError(f"tensor {name!r} has {values.ndim} dimensions, expected 1 to 4")
        self._tensors.append((name, values.shape, dtype, encode(values, dtype)))

    def to_bytes(self) -> bytes:
        out = bytearray(MAGIC)
        out += struct.pack("<IQQ", VERSION, len(self._tensors), len(self._metadata))
        for key, value in self._metadata.items():
            out += _string(key) + value
        offset = 0
        for name, shape, dtype, data in self._tensors:
            out += _string(name) + struct.pack("<I", len(shape))
            out += b"".join(struct.pack("<Q", size) for size in reversed(shape))
            out += struct.pack("<IQ", TENSOR_TYPES[dtype][0], offset)
            offset += len(data) + self._padding(len(data))
        out += bytes(self._padding(len(out)))
        for _, _, _, data in self._tensors:
            out += data + bytes(self._padding(len(data)))
        return bytes(out)

    def write(self, path: Union[str, Path]) -> None:
        Path(path).write_bytes(self.to_bytes())

    def _padding(self, size: int) -> int:
        return -size % self._alignment
