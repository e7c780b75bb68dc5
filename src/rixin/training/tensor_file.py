"""A safetensors file written in one pass, hashed on the way. Source: the format in safetensors' README.

The library's own writer refuses tensors that share a buffer, and would want a copy of each.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

TYPES = {torch.float32: "F32"}
SLICE = 1 << 24  # bytes


def write_tensors(path: Path, tensors: Iterable[tuple[str, Tensor]]) -> tuple[str, int]:
    """Write contiguous float32 tensors by name and sync them to the disk. Returns SHA-256 and bytes; raises OSError."""
    named = list(tensors)
    header: dict[str, object] = {}
    end = 0
    for name, tensor in named:
        start, end = end, end + tensor.nbytes
        header[name] = {"dtype": TYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    digest = hashlib.sha256()
    with path.open("wb", buffering=0) as file:
        head = memoryview(len(text).to_bytes(8, "little") + text)
        for view in (head, *(_bytes(tensor) for _, tensor in named)):
            for start in range(0, len(view), SLICE):
                part = view[start : start + SLICE]
                digest.update(part)
                while len(part):
                    part = part[file.write(part) :]
        os.fsync(file.fileno())
    return digest.hexdigest(), 8 + len(text) + end


def _bytes(tensor: Tensor) -> memoryview:
    return tensor.detach().reshape(-1).numpy().data.cast("B")
