"""What a model is taught, and general data mixed in so that it forgets less."""

import dataclasses
import math
from collections.abc import Sequence

from rixin.training.batch import Pack
from rixin.training.objective import Batch
from rixin.training.objectives.pace import Pace, Packs
from rixin.training.objectives.trees import Tree, cut, pack


class Mixture:
    """Packs of `main`, of which a share `replay_share` (0 ≤ share < 1) is replaced by packs of `replay`."""

    def __init__(
        self, main: Sequence[Tree], pace: Pace, *, replay: Sequence[Tree] = (), replay_share: float = 0.0
    ) -> None:
        self._pace = pace
        self._main = main
        self._packs = Packs([tree.length for tree in main], pace.part_tokens, pace.seed)
        self._replay = replay
        self._share = replay_share if replay else 0.0
        self._replay_packs = Packs([tree.length for tree in replay] or [1], pace.part_tokens, pace.seed)

    def batch(self, step: int) -> Batch[Pack]:
        """What step `step` learns from; its weight is the number of predicted tokens."""
        many = self._pace.parts_per_step
        first, last = step * many, (step + 1) * many
        replayed, until = math.floor(first * self._share), math.floor(last * self._share)
        own = self._packs.take(first - replayed, many - (until - replayed))
        general = self._replay_packs.take(replayed, until - replayed)
        parts = [pack([self._main[row] for row in rows]) for rows in own]
        parts += [pack([self._replay[row] for row in rows]) for rows in general]
        return dataclasses.replace(token_batch(parts), mixed=len(general))


def held_out_batch(trees: Sequence[Tree], pace: Pace) -> Batch[Pack]:
    """All of `trees`, in order."""
    return token_batch([pack(group) for group in cut(trees, pace.part_tokens)])


def token_batch(parts: Sequence[Pack]) -> Batch[Pack]:
    """A batch in which every predicted token counts the same."""
    return Batch(parts, weight=sum(len(part.targets) for part in parts), tokens=sum(len(part.tokens) for part in parts))
