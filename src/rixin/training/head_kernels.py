"""Compiled work on logits, of some columns of the vocabulary."""

from typing import Any

import numpy as np

from rixin.training.elements import BLOCK, LEAST, ONE, ZERO, compiled, exp, exp_sum, largest, load, store, widened


@compiled
def partial_sums(logits: Any, tops: Any, sums: Any) -> None:
    """Of each row its largest value and the sum of e**(value - largest), float32."""
    size = logits.shape[1]
    line = np.full((size + BLOCK - 1) // BLOCK * BLOCK, LEAST)
    for i in range(logits.shape[0]):
        widened(logits[i], ONE, line)
        tops[i] = largest(line)
        sums[i] = exp_sum(line, tops[i])
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
def _scaled_chances(row: Any, lse: Any, factor: Any) -> None:
    for j in range(len(row)):
        row[j] = store(row[j], factor * exp(load(row[j]) - lse))


@compiled
def logprob_gradient(logits: Any, lse: Any, factors: Any, targets: Any, low: int) -> None:
    """`factor * (1 at the target - e**(logit - lse))` in the place of logits, row by row."""
    width = logits.shape[1]
    for i in range(len(targets)):
        column = targets[i] - low
        here = 0 <= column < width
        value = load(logits[i, column]) if here else ZERO
        _scaled_chances(logits[i], lse[i], -factors[i])
        if here:
            value = factors[i] * (ONE - exp(value - lse[i]))
            logits[i, column] = store(logits[i, column], value)
