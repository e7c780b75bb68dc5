"""Compiled work on logits, of some columns of the vocabulary."""

from typing import Any

import numpy as np

from rixin.training.elements import BLOCK, LEAST, ONE, compiled, exp_sum, largest, load, narrowed, store, widened


@compiled
def exponents(logits: Any, tops: Any, sums: Any) -> None:
    """Of each row its largest value (`tops`) and in its place e**(value - largest), whose sum goes to `sums`."""
    size = logits.shape[1]
    line = np.full((size + BLOCK - 1) // BLOCK * BLOCK, LEAST)
    some = np.empty(BLOCK, np.float32)
    for i in range(logits.shape[0]):
        widened(logits[i], ONE, line)
        tops[i] = largest(line, some)
        sums[i] = exp_sum(line, tops[i])
        narrowed(line[:size], ONE, logits[i])
        line[size:] = LEAST


@compiled
def put(logits: Any, targets: Any, low: int, values: Any) -> None:
    """`values[i]` in column `targets[i] - low` of row i, where there is such a column."""
    width = logits.shape[1]
    for i in range(len(targets)):
        column = targets[i] - low
        if 0 <= column < width:
            logits[i, column] = store(logits[i, column], values[i])


@compiled
def logprob_gradient(exponents: Any, shrink: Any, factors: Any, targets: Any, low: int, at_target: Any) -> None:
    """`factor * (1 at the target - chance)` in the place of exponents, whose chance is `shrink` times them.

    `at_target` is the target's gradient, without the exponents' rounding.
    """
    width = exponents.shape[1]
    for i in range(len(targets)):
        column, scale, row = targets[i] - low, -factors[i] * shrink[i], exponents[i]
        for j in range(width):
            row[j] = store(row[j], load(row[j]) * scale)
        if 0 <= column < width:
            row[column] = store(row[column], at_target[i])
