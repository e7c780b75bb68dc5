"""Tokens to learn from, before they are laid into packs: continuations, and the prompt that they share."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from rixin.training.batch import Pack, Segment

IntArray = NDArray[np.int32]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Branch:
    """A continuation: its `tokens` (int32 [L], L ≥ 1) and of each whether the model is to `predict` it (bool [L]).

    Where there is no shared prefix, the first token can't be predicted, whatever `predict` says of it.
    """

    tokens: IntArray
    predict: BoolArray


@dataclass(frozen=True, slots=True)
class Tree:
    """Branches that continue the same `prefix` (int32 [P]; P = 0: there is none), which itself is not learned."""

    prefix: IntArray
    branches: tuple[Branch, ...]

    @property
    def length(self) -> int:
        """Tokens that go through the model."""
        return len(self.prefix) + sum(len(branch.tokens) for branch in self.branches)


NO_PREFIX: IntArray = np.zeros(0, dtype=np.int32)


def branch(tokens: Sequence[int], predict: Sequence[bool] | None = None) -> Branch:
    """A Branch of plain lists; all of its tokens are to be predicted if `predict` is left out."""
    wanted = np.ones(len(tokens), dtype=np.bool_) if predict is None else np.asarray(predict, dtype=np.bool_)
    return Branch(np.asarray(tokens, dtype=np.int32), wanted)


def tree(prefix: Sequence[int], *branches: Branch) -> Tree:
    """A Tree of plain lists."""
    return Tree(np.asarray(prefix, dtype=np.int32), branches)


def groups(rows: Iterable[int], trees: Sequence[Tree], capacity: int) -> list[list[int]]:
    """`rows` of `trees` in order, in groups of at most `capacity` tokens; a tree that is longer stands alone."""
    found: list[list[int]] = []
    room = 0
    for row in rows:
        length = trees[row].length
        if not found or length > room:
            found.append([])
            room = capacity
        found[-1].append(row)
        room -= length
    return found


def cut(trees: Sequence[Tree], capacity: int) -> list[list[Tree]]:
    """`groups` of all trees."""
    return [[trees[row] for row in rows] for rows in groups(range(len(trees)), trees, capacity)]


def pack(trees: Sequence[Tree]) -> Pack:
    """Lay trees end to end. The pack's sequences are the branches, numbered through all trees in order."""
    tokens: list[IntArray] = []
    segments: list[Segment] = []
    predict_at: list[NDArray[np.int64]] = []
    targets: list[IntArray] = []
    sequence: list[NDArray[np.int64]] = []
    for start, prefix, each in _walk(trees, tokens, segments):
        wanted = np.flatnonzero(each.predict)
        # Token i is predicted at i - 1; the first token of a branch at the last one of its prefix.
        at = start + wanted - 1
        at[wanted == 0] = prefix - 1
        if prefix == 0:
            wanted, at = wanted[wanted > 0], at[wanted > 0]
        predict_at.append(at)
        targets.append(each.tokens[wanted])
        sequence.append(np.full(len(wanted), len(sequence), dtype=np.int64))
    return Pack(
        tokens=_long(tokens),
        segments=tuple(segments),
        predict_at=_long(predict_at),
        targets=_long(targets),
        sequence=_long(sequence),
    )


def pack_ends(trees: Sequence[Tree]) -> Pack:
    """The same pack, but with one prediction for each branch, at its last token (target 0): where it is scored."""
    tokens: list[IntArray] = []
    segments: list[Segment] = []
    ends = [start + len(each.tokens) - 1 for start, _, each in _walk(trees, tokens, segments)]
    return Pack(
        tokens=_long(tokens),
        segments=tuple(segments),
        predict_at=torch.tensor(ends, dtype=torch.int64),
        targets=torch.zeros(len(ends), dtype=torch.int64),
        sequence=torch.arange(len(ends)),
    )


def _walk(trees: Sequence[Tree], tokens: list[IntArray], segments: list[Segment]) -> Iterator[tuple[int, int, Branch]]:
    """Fills `tokens` and `segments`; gives where each branch begins, where its prefix ends (0: none), and itself."""
    at = 0
    for each in trees:
        prefix_segment, prefix_end = None, 0
        if len(each.prefix):
            prefix_segment = len(segments)
            segments.append(Segment(len(each.prefix)))
            tokens.append(each.prefix)
            at += len(each.prefix)
            prefix_end = at
        for one in each.branches:
            segments.append(Segment(len(one.tokens), prefix_segment))
            tokens.append(one.tokens)
            yield at, prefix_end, one
            at += len(one.tokens)


def _long(parts: Sequence[NDArray[np.int32] | NDArray[np.int64]]) -> torch.Tensor:
    return torch.from_numpy(np.concatenate(parts).astype(np.int64)) if parts else torch.zeros(0, dtype=torch.int64)
