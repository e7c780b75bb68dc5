"""Compiled work on tiles of attention: the softmax, its gradient, and moving heads."""

from typing import Any

import numpy as np

from rixin.training.elements import (
    BLOCK,
    LEAST,
    ONE,
    ZERO,
    compiled,
    exp,
    exp_sum,
    inlined,
    largest,
    load,
    narrowed,
    store,
    widened,
)


@compiled
def softmax_tile(scores: Any, group: int, shared: int, begins: Any, behind: int, scale: Any, lse: Any) -> None:
    """Chances in the place of scores [heads, rows or more, keys or more]; row r is of token r // group.

    Token t sees the first `shared` keys and those from `begins[t]` up to `behind + t`. `lse` float32 [heads, rows]
    takes the logarithm of each row's sum. Rows of no token, and what a token does not see, become 0.
    """
    heads, padded, keys = scores.shape
    rows = len(begins) * group
    whole, some = np.empty(keys + BLOCK, np.float32), np.empty(BLOCK, np.float32)
    for h in range(heads):
        scores[h, rows:padded] = 0
        for r in range(rows):
            t = r // group
            begin, end = begins[t], behind + t + 1
            low = 0 if shared > 0 else begin // BLOCK * BLOCK
            high = (end + BLOCK - 1) // BLOCK * BLOCK
            line = whole[low:high]
            row = scores[h, r, low : min(high, keys)]
            widened(row, scale, line)
            whole[max(shared, low) : begin] = LEAST
            whole[end:high] = LEAST
            top = largest(line, some)
            total = exp_sum(line, top)
            lse[h, r] = top + np.log(total)
            whole[max(shared, low) : begin] = ZERO
            whole[end:high] = ZERO
            narrowed(line, ONE / total, row)
            scores[h, r, :low] = 0
            scores[h, r, high:] = 0


@inlined
def _chances(row: Any, scale: Any, lse: Any, line: Any) -> None:
    for j in range(len(row)):
        line[j] = exp(load(row[j]) * scale - lse)


@inlined
def _dot(line: Any, d_row: Any) -> Any:
    dot = ZERO
    for j in range(len(d_row)):
        dot += line[j] * load(d_row[j])
    return dot


@inlined
def _scores_gradient(line: Any, dot: Any, scale: Any, row: Any, d_row: Any) -> None:
    for j in range(len(row)):
        row[j] = store(row[j], line[j])
        d_row[j] = store(d_row[j], line[j] * (load(d_row[j]) - dot) * scale)


@compiled
def softmax_tile_backward(
    scores: Any, d_chances: Any, group: int, shared: int, begins: Any, behind: int, scale: Any, lse: Any
) -> None:
    """Chances in the place of scores, the scores' gradient in the place of the chances'; sizes as above."""
    heads, padded, keys = scores.shape
    rows = len(begins) * group
    whole = np.empty(keys + BLOCK, np.float32)
    for h in range(heads):
        scores[h, rows:padded] = 0
        d_chances[h, rows:padded] = 0
        for r in range(rows):
            t = r // group
            begin, end = begins[t], behind + t + 1
            low = 0 if shared > 0 else begin // BLOCK * BLOCK
            high = min((end + BLOCK - 1) // BLOCK * BLOCK, keys)
            line, row, d_row = whole[low:high], scores[h, r, low:high], d_chances[h, r, low:high]
            _chances(row, scale, lse[h, r], line)
            whole[max(shared, low) : begin] = ZERO
            whole[end:high] = ZERO
            _scores_gradient(line, _dot(line, d_row), scale, row, d_row)
            scores[h, r, :low] = 0
            scores[h, r, high:] = 0
            d_chances[h, r, :low] = 0
            d_chances[h, r, high:] = 0


@compiled
def heads_to_rows(source: Any, group: int, size: int, target: Any, first: int, stop: int, head: int) -> None:
    """[heads, tokens * group or more, size] into the columns of those heads, of rows [first, stop), of `target`."""
    for i in range(stop - first):
        for h in range(source.shape[0]):
            for g in range(group):
                at = ((head + h) * group + g) * size
                target[first + i, at : at + size] = source[h, i * group + g]


@compiled
def rows_to_heads(source: Any, group: int, size: int, target: Any, first: int, stop: int, head: int) -> None:
    """The way back of `heads_to_rows`; rows of no token become 0."""
    heads, padded, _ = target.shape
    for i in range(stop - first):
        for h in range(heads):
            for g in range(group):
                at = ((head + h) * group + g) * size
                target[h, i * group + g] = source[first + i, at : at + size]
    for h in range(heads):
        target[h, (stop - first) * group : padded] = 0


@compiled
def accumulate(source: Any, keys: int, total: Any, head: int, prefix: int, shared: int, first: int) -> None:
    """Adds [heads, keys or more, size] to float32 `total` [kv_heads, T, size].

    `shared` rows go to those from `prefix` on, the others to those from `first` on.
    """
    heads, _, size = source.shape
    for h in range(heads):
        for i in range(keys):
            row = source[h, i]
            out = total[head + h, prefix + i if i < shared else first + i - shared]
            for j in range(size):
                out[j] += load(row[j])
