"""Write safetensors files (F32, F16, BF16) from numpy arrays.

Owns the byte layout: a 64-bit little-endian header length, a JSON header padded with spaces to
8 bytes, then the data without gaps. Source: the format section of the safetensors README.
"""
from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Dict, Mapping, Optional, Union

import numpy as np

from gguf_writer import encode

DTYPES = {"f32": "F32", "f16": "F16", "bf16": "BF16"}


def to_bytes(tensors: Mapping[str, np.ndarray], dtype: str = "bf16",
             metadata: Optional[Mapping[str, str]] = None) -> bytes:
    """Encodes tensors (slowest dimension first, as PyTorch has them), sorted by name."""
    if dtype not in DTYPES:
        raise ValueError(f"unknown type {dtype!r}; known: {', '.join(DTYPES)}")
    header: Dict[str, object] = {"__metadata__": dict(metadata or {"format": "pt"})}
    body = bytearray()
    for name in sorted(tensors):
        data = encode(tensors[name], dtype)
        header[name] = {
            "dtype": DTYPES[dtype],
            "shape": list(tensors[name].shape),
            "data_offsets": [len(body), len(body) + len(data)],
        }
        body += data
    text = json.dumps(header, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + bytes(body)


def write(path: Union[str, Path], tensors: Mapping[str, np.ndarray], dtype: str = "bf16") -> None:
    Path(path).write_bytes(to_bytes(tensors, dtype))
