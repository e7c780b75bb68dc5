"""A linear layer, and the low-rank adapter beside it.

Projections of the same input are one matrix: q, k, v; gate, up. Their adapters' first halves are one matrix too.
"""

from collections.abc import Collection, Iterator

import torch
from torch import Tensor, nn


class Adapter(nn.Module):
    """What is added to a merged linear layer: `scale * b @ a @ x`, for the parts that are targets.

    `a` float32 [parts * rank, in]; `b` float32 [rows of all those parts, rank], zero at first.
    """

    def __init__(
        self, parts: tuple[tuple[str, int], ...], inputs: int, targets: Collection[str], rank: int, alpha: float
    ) -> None:
        super().__init__()
        self.rank = rank
        self.scale = alpha / rank
        self.parts: list[tuple[str, slice]] = []
        start = 0
        for name, rows in parts:
            if name.rpartition(".")[2] in targets:
                self.parts.append((name, slice(start, start + rows)))
            start += rows
        self.a = nn.Parameter(torch.empty(len(self.parts) * rank, inputs))
        self.b = nn.Parameter(torch.zeros(sum(part.stop - part.start for _, part in self.parts), rank))

    def pieces(self) -> Iterator[tuple[str, slice, Tensor, Tensor]]:
        """Of each part its name, its rows in the merged layer, its A [rank, in] and its B [rows, rank]."""
        start = 0
        for index, (name, rows) in enumerate(self.parts):
            stop = start + rows.stop - rows.start
            yield name, rows, self.a[index * self.rank : (index + 1) * self.rank], self.b[start:stop]
            start = stop

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """`y` and the adapter's share of it. `x` [T, in], `y` [T, out]."""
        low = x @ self.a.to(x.dtype).T * self.scale
        y = y.clone()
        for index, (_, rows, _, b) in enumerate(self.pieces()):
            y[:, rows] += low[:, index * self.rank : (index + 1) * self.rank] @ b.to(x.dtype).T
        return y

    @torch.no_grad()
    def delta(self) -> Iterator[tuple[slice, Tensor]]:
        """What merging adds to the layer's rows, float32."""
        for _, rows, a, b in self.pieces():
            yield rows, b @ a * self.scale


class Linear(nn.Module):
    """One matrix [out, in] for one or several projections of the same input: `parts` are their names and rows."""

    def __init__(self, parts: tuple[tuple[str, int], ...], inputs: int, *, bias: bool, dtype: torch.dtype) -> None:
        super().__init__()
        self.parts = parts
        rows = sum(rows for _, rows in parts)
        self.weight = nn.Parameter(torch.empty(rows, inputs, dtype=dtype))
        self.bias = nn.Parameter(torch.zeros(rows, dtype=dtype)) if bias else None
        self.adapter: Adapter | None = None

    def slices(self) -> Iterator[tuple[str, slice]]:
        """Each part's name and rows."""
        start = 0
        for name, rows in self.parts:
            yield name, slice(start, start + rows)
            start += rows

    def forward(self, x: Tensor, adapters_on: bool) -> Tensor:
        """[T, out] from [T, in]."""
        y = nn.functional.linear(x, self.weight, self.bias)
        if self.adapter is not None and adapters_on:
            y = self.adapter(x, y)
        return y

    @torch.no_grad()
    def merged(self) -> Tensor:
        """The weight with the adapter added in float32, in the weight's dtype."""
        if self.adapter is None:
            return self.weight.detach()
        full = self.weight.detach().float().clone()
        for rows, delta in self.adapter.delta():
            full[rows] += delta
        return full.to(self.weight.dtype)
