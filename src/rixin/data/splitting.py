"""What is held out for validation: chosen by hash, so that it stays held out when rows are added."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rixin.data.examples import AnyExample, ChatExample, TextExample, Turn, texts
from rixin.data.near import groups, near_duplicates
from rixin.errors import InvalidRequest

# More rows than this with one question are a form that all rows have, not a question asked twice.
MAX_SAME_QUESTION = 32


@dataclass(frozen=True)
class Split:
    """Numbers of rows, in their order: what is trained on, and what is held out."""

    train: list[int]
    validation: list[int]


def split(examples: Sequence[AnyExample], validation_share: float) -> Split:
    """Hold out about `validation_share` (0 to 1) of the rows.

    Rows that are nearly the same, or that ask the same question, are all on one side. A group's side depends on the
    smallest id of its rows, and on nothing else: a row changes sides only if a row that is nearly the same is added.
    At least one row is held out, and one kept, of two or more. Only where all rows are one group is that split too.
    """
    if not 0 <= validation_share < 1:
        raise InvalidRequest(f"A validation share of {validation_share} is not from 0 to 1.", param="validation_share")
    count = len(examples)
    if validation_share == 0 or count < 2:
        return Split(list(range(count)), [])
    places = np.array([int(example.id, 16) for example in examples], np.uint64)
    group = _groups(examples)
    if len(np.unique(group)) == 1:
        group = np.arange(count)
    smallest = np.full(count, np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(smallest, group, places)
    of_group = smallest[group]
    held = of_group < np.uint64(min(int(validation_share * 2**64), 2**64 - 1))
    if not held.any():
        held = of_group == _one_group(of_group, largest=False)
    elif held.all():
        held = of_group != _one_group(of_group, largest=True)
    return Split(np.flatnonzero(~held).tolist(), np.flatnonzero(held).tolist())


def _one_group(of_group: NDArray[np.uint64], *, largest: bool) -> np.uint64:
    """The smallest of the groups to hold out, or the largest to keep; of several the one of the smallest id."""
    ids, counts = np.unique(of_group, return_counts=True)
    return np.uint64(ids[np.argmax(counts) if largest else np.argmin(counts)])


def _groups(examples: Sequence[AnyExample]) -> NDArray[np.int64]:
    near = near_duplicates("\n".join(texts(example)) for example in examples)
    by_question: dict[str, list[int]] = {}
    for at, example in enumerate(examples):
        if not isinstance(example, TextExample):
            by_question.setdefault(_question(example), []).append(at)
    pairs = [(rows[0], row) for rows in by_question.values() if len(rows) <= MAX_SAME_QUESTION for row in rows[1:]]
    pairs += [(int(first), at) for at, first in enumerate(near) if first != at]
    return groups(len(examples), np.array(pairs, np.int64).reshape(-1, 2))


def _question(example: AnyExample) -> str:
    """What is asked first, with what stands before it."""
    if isinstance(example, TextExample):
        return example.text
    turns: tuple[Turn, ...] = example.messages if isinstance(example, ChatExample) else example.prompt
    end = next((at for at, turn in enumerate(turns) if turn.role == "assistant"), len(turns))
    return "\0".join(turn.content for turn in turns[:end])
