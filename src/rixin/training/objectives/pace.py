"""How many steps, what each takes of the data, and in which order: all of it a function of the step and the seed."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from rixin.training.objective import Loss
from rixin.training.packing import pack_sequences
from rixin.training.sums import Sums


@dataclass(frozen=True)
class Pace:
    """What all objectives are told: `steps`, each of `parts_per_step` packs of at most `part_tokens` tokens.

    One pack goes through the model at once, so its size bounds memory. `seed` gives the order of the data.
    """

    steps: int
    parts_per_step: int
    part_tokens: int
    seed: int


class Packs:
    """Packs of rows of these `lengths`, epoch after epoch without end; no row is left out of an epoch.

    A row longer than `capacity` tokens stands alone in a pack of its size.
    """

    def __init__(self, lengths: Sequence[int], capacity: int, seed: int) -> None:
        self._lengths = lengths
        self._capacity = max(capacity, *lengths)
        self._seed = seed
        self._sizes: list[int] = []  # packs in each epoch so far
        self._current: tuple[int, list[list[int]]] = (-1, [])

    @property
    def in_epoch(self) -> int:
        """How many packs the first epoch has; others have about as many."""
        return len(self._epoch(0))

    def take(self, first: int, many: int) -> list[list[int]]:
        """The rows of packs `first` to `first + many`."""
        epoch = 0
        while first >= self._size(epoch):
            first -= self._size(epoch)
            epoch += 1
        taken: list[list[int]] = []
        while len(taken) < many:
            taken += self._epoch(epoch)[first : first + many - len(taken)]
            first, epoch = 0, epoch + 1
        return taken

    def _size(self, epoch: int) -> int:
        if epoch == len(self._sizes):
            self._sizes.append(len(self._epoch(epoch)))
        return self._sizes[epoch]

    def _epoch(self, epoch: int) -> list[list[int]]:
        if self._current[0] != epoch:
            self._current = (epoch, pack_sequences(self._lengths, self._capacity, self._seed, epoch))
        return self._current[1]


def shuffled(count: int, first: int, many: int, seed: int) -> list[int]:
    """Rows `first` to `first + many` of the endless sequence of shuffled epochs over `count` rows."""
    return [_order(count, seed, at // count)[at % count] for at in range(first, first + many)]


@lru_cache(maxsize=4)
def _order(count: int, seed: int, epoch: int) -> list[int]:
    # random() is the one generator that Python promises to keep as it is, and a text seeds it the same everywhere.
    draw = random.Random(f"{seed}/{epoch}").random  # noqa: S311
    return sorted(range(count), key=[draw() for _ in range(count)].__getitem__)


def seed_of(*parts: int | str) -> int:
    """A 63-bit seed for one use: the same for the same parts, on every machine."""
    return random.Random("/".join(map(str, parts))).getrandbits(63)  # noqa: S311


def figures(losses: Iterable[Loss], weight: float) -> dict[str, float]:
    """The mean loss and the other figures of all parts together; none where nothing is held out."""
    sums = Sums()
    for loss in losses:
        sums.add(loss)
    return sums.means(weight) if weight else {}
