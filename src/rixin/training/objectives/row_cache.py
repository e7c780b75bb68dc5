"""Figures that are computed once for each row and needed all through a run: a table on disk, filled as it goes."""

import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from rixin.training.objectives.trees import Tree
from rixin.training.transformer import Transformer

Progress = Callable[[int, int], None]


class RowCache:
    """A memory-mapped table float32 [rows, columns] in `folder`; a row that begins with NaN isn't computed yet.

    `key` names what the figures depend on and is a part of the file's name, so that figures of other data or another
    model are never taken for these. What a killed run had computed is there when it goes on.
    """

    def __init__(self, folder: Path, name: str, key: str, rows: int, columns: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{name}-{key}.npy"
        if not self.path.exists():
            draft = self.path.with_name(f"{self.path.name}.{os.getpid()}")
            table = np.lib.format.open_memmap(draft, mode="w+", dtype=np.float32, shape=(rows, columns))
            table[:] = np.nan
            table.flush()
            draft.replace(self.path)
        self._table: NDArray[np.float32] = np.lib.format.open_memmap(self.path, mode="r+")

    def missing(self) -> list[int]:
        """Rows still to be computed."""
        return [int(row) for row in np.flatnonzero(np.isnan(self._table[:, 0]))]

    def write(self, rows: Iterable[int], values: torch.Tensor) -> None:
        """Write `values` [rows, columns]. A row's first figure is written last: it says that the row is whole."""
        rows = list(rows)
        given = values.numpy()
        self._table[rows, 1:] = given[:, 1:]
        self._table[rows, 0] = given[:, 0]

    def read(self, rows: Iterable[int]) -> torch.Tensor:
        """The figures of these rows, float32 [rows, columns]."""
        return torch.from_numpy(self._table[list(rows)])


def key_of(trees: Iterable[Tree], *others: object) -> str:
    """A hash of the tokens and of what else the figures depend on."""
    digest = hashlib.sha256(repr(others).encode())
    for tree in trees:
        digest.update(tree.prefix.tobytes())
        for branch in tree.branches:
            digest.update(b"|" + branch.tokens.tobytes() + branch.predict.tobytes())
        digest.update(b"/")
    return digest.hexdigest()[:16]


def fingerprint(model: Transformer) -> str:
    """A hash of the model's weights without its adapters."""
    digest = hashlib.sha256(str(model.dtype).encode())
    for name, parameter in model.named_parameters():
        if ".adapter." not in name:
            digest.update(name.encode())
            digest.update(parameter.detach().contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
