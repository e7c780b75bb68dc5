"""Which sequences share a pack: the same for the same seed and epoch, with little room left empty."""

from bisect import bisect_left, insort
from collections.abc import Sequence
from random import Random
from typing import TypeVar

from rixin.errors import InvalidRequest

Item = TypeVar("Item")
WINDOW = 1024  # sequences packed together: enough for over 99% full packs, few enough to keep the order random


def pack_sequences(lengths: Sequence[int], capacity: int, seed: int, epoch: int) -> list[list[int]]:
    """Lay whole sequences into packs of at most `capacity` tokens; every sequence is in exactly one pack.

    The order is shuffled by seed and epoch, windows of it are packed by best-fit decreasing, and the packs are
    shuffled again. Returns the sequences' numbers, pack by pack. Raises InvalidRequest for a sequence that is longer
    than a pack.
    """
    _check(lengths, capacity)
    longest = max(range(len(lengths)), key=lengths.__getitem__, default=None)
    if longest is not None and lengths[longest] > capacity:
        raise InvalidRequest(
            f"Sequence {longest} has {lengths[longest]} tokens; a pack holds {capacity}.",
            fix=f"Make packs of {lengths[longest]} tokens, or leave the sequence out.",
            param="capacity",
        )
    random = Random(f"{seed}/{epoch}")  # noqa: S311  # not a secret
    order = _shuffled(list(range(len(lengths))), random)
    packs = []
    for start in range(0, len(order), WINDOW):
        packs += _best_fit_decreasing(order[start : start + WINDOW], lengths, capacity)
    return _shuffled(packs, random)


def _best_fit_decreasing(order: list[int], lengths: Sequence[int], capacity: int) -> list[list[int]]:
    packs: list[list[int]] = []
    rooms: list[tuple[int, int]] = []  # (tokens left, pack), ascending
    for sequence in sorted(order, key=lengths.__getitem__, reverse=True):
        tightest = bisect_left(rooms, (lengths[sequence], -1))
        if tightest < len(rooms):
            left, pack = rooms.pop(tightest)
        else:
            left, pack = capacity, len(packs)
            packs.append([])
        packs[pack].append(sequence)
        insort(rooms, (left - lengths[sequence], pack))
    return packs


def _shuffled(items: list[Item], random: Random) -> list[Item]:
    """By `random()`, the one method that Python promises to keep the same from version to version."""
    keys = [random.random() for _ in items]
    return [items[at] for at in sorted(range(len(items)), key=keys.__getitem__)]


def _check(lengths: Sequence[int], capacity: int) -> None:
    if capacity < 1:
        raise InvalidRequest(f"A pack of {capacity} tokens holds nothing.", param="capacity")
    if any(length < 1 for length in lengths):
        raise InvalidRequest(f"Sequence {min(range(len(lengths)), key=lengths.__getitem__)} has no tokens.")
