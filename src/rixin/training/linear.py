"""A linear layer, and the low-rank adapter beside it.

Projections of the same input are one matrix: q, k, v; gate, up. With an adapter the matrix is wider: to the right of
the weight stands `scale * B`, and to the right of each input its product with A, so that one product gives
`W x + scale * B A x`, and one gives both gradients of the way back.
"""

from collections.abc import Collection, Iterator

import torch
from torch import Tensor, nn

# A row of the wider matrix is a whole number of cache lines; at 48 more columns products took a quarter longer.
ALIGNED = 32


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

    def pieces(self) -> Iterator[tuple[str, slice, slice, slice]]:
        """Of each part its name, its rows in the merged layer, its rows of `a` and its rows of `b`."""
        start = 0
        for index, (name, rows) in enumerate(self.parts):
            stop = start + rows.stop - rows.start
            yield name, rows, slice(index * self.rank, (index + 1) * self.rank), slice(start, stop)
            start = stop


class Linear(nn.Module):
    """One matrix [out, in] for one or several projections of the same input: `parts` are their names and rows."""

    def __init__(self, parts: tuple[tuple[str, int], ...], inputs: int, *, bias: bool, dtype: torch.dtype) -> None:
        super().__init__()
        self.parts = parts
        self.inputs = inputs
        self.outputs = sum(rows for _, rows in parts)
        self.weight = nn.Parameter(torch.empty(self.outputs, inputs, dtype=dtype))
        self.bias = nn.Parameter(torch.zeros(self.outputs, dtype=dtype)) if bias else None
        self.adapter: Adapter | None = None
        self.low: Tensor | None = None
        self.wide: Tensor | None = None

    def adapt(self, adapter: Adapter) -> None:
        """Put the adapter beside the weight."""
        extra = -(-len(adapter.a) // ALIGNED) * ALIGNED
        self.adapter = adapter
        self.low = torch.zeros(extra, self.inputs, dtype=self.weight.dtype)
        self.wide = torch.zeros(self.outputs, self.inputs + extra, dtype=self.weight.dtype)
        self.wide[:, : self.inputs] = self.weight.detach()
        self.weight.data = self.wide[:, : self.inputs]

    @property
    def extra(self) -> int:
        """How many columns the adapter adds."""
        return 0 if self.low is None else len(self.low)

    @torch.no_grad()
    def refresh(self) -> None:
        """Take the adapter's present values into the wider matrix. Cheap; done before every forward."""
        if self.adapter is None or self.low is None or self.wide is None:
            return
        self.low[: len(self.adapter.a)] = self.adapter.a
        for _, rows, at, of_b in self.adapter.pieces():
            columns = slice(self.inputs + at.start, self.inputs + at.stop)
            torch.mul(self.adapter.b[of_b], self.adapter.scale, out=self.wide[rows, columns])

    def slices(self) -> Iterator[tuple[str, slice]]:
        """Each part's name and rows."""
        start = 0
        for name, rows in self.parts:
            yield name, slice(start, start + rows)
            start += rows

    def forward(self, x: Tensor, adapters_on: bool) -> Tensor:
        """[T, out] from [T, in], without gradients, for a few rows."""
        if self.low is not None and self.wide is not None and adapters_on:
            return nn.functional.linear(torch.cat((x, x @ self.low.T), dim=1), self.wide, self.bias)
        return nn.functional.linear(x, self.weight, self.bias)

    @torch.no_grad()
    def merged(self) -> Tensor:
        """The weight with the adapter added in float32, in the weight's dtype."""
        if self.adapter is None:
            return self.weight.detach()
        full = self.weight.detach().float().clone()
        for _, rows, of_a, of_b in self.adapter.pieces():
            full[rows] += self.adapter.b[of_b] @ self.adapter.a[of_a] * self.adapter.scale
        return full.to(self.weight.dtype)
