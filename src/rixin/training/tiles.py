"""Cuts a pack's attention into tiles: some queries, and all the keys that any of them may see."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from rixin.training.batch import Segment
from rixin.training.team import dealt

QUERIES = 256


@dataclass(frozen=True)
class Tile:
    """Queries [first, stop) against the keys [prefix, prefix + shared) and [own, stop).

    Query t sees all shared keys, and of its own those from its segment's beginning up to itself: from column
    `begins[t - first]` of the tile on.
    """

    first: int
    stop: int
    prefix: int
    shared: int
    own: int
    begins: NDArray[np.int32]

    @property
    def keys(self) -> int:
        """How many keys the tile has."""
        return self.shared + self.stop - self.own

    @property
    def behind(self) -> int:
        """The column of the first query's own key."""
        return self.shared + self.first - self.own

    @property
    def cost(self) -> int:
        """Proportional to its work."""
        return (self.stop - self.first) * self.keys


@dataclass(frozen=True)
class Share:
    """What one member of a team does: these tiles, for key heads [head, head_stop)."""

    tiles: tuple[Tile, ...]
    head: int
    head_stop: int


def positions(segments: Sequence[Segment]) -> torch.Tensor:
    """RoPE's position of each token, int64 [T]: from 0, or from where the prefix ends."""
    starts = [0 if s.prefix is None else segments[s.prefix].length for s in segments]
    return torch.cat([torch.arange(start, start + s.length) for start, s in zip(starts, segments, strict=True)])


def families(segments: Sequence[Segment]) -> list[list[Tile]]:
    """All tiles; those of a list touch the same keys, no two lists do.

    Short neighbours share a tile (what one may not see of another is left out in the softmax), long segments are cut
    into rows of tiles, each with the keys up to its end.
    """
    starts = np.cumsum([0, *(segment.length for segment in segments)])
    found: dict[int, list[Tile]] = {}
    family_of: dict[int, int] = {}
    index = 0
    while index < len(segments):
        begin, prefix = index, segments[index].prefix
        length = segments[index].length
        index += 1
        while index < len(segments) and segments[index].prefix == prefix and length + segments[index].length <= QUERIES:
            length += segments[index].length
            index += 1
        family = begin if prefix is None else family_of[prefix]
        family_of.update(dict.fromkeys(range(begin, index), family))
        own = int(starts[begin])
        at, shared = (0, 0) if prefix is None else (int(starts[prefix]), segments[prefix].length)
        of_segment = np.repeat(starts[begin:index], [segment.length for segment in segments[begin:index]])
        begins = (of_segment - own + shared).astype(np.int32)
        for low in range(0, length, QUERIES):
            high = min(low + QUERIES, length)
            tile = Tile(own + low, own + high, at, shared, own, begins[low:high])
            found.setdefault(family, []).append(tile)
    return list(found.values())


def shares(segments: Sequence[Segment], kv_heads: int, members: int) -> list[list[Share]]:
    """What each member of a team does, evened out; no two members add to the same key of the same head."""
    parts = [(sum(tile.cost for tile in tiles), tuple(tiles)) for tiles in families(segments)]
    whole = [(cost * kv_heads, Share(tiles, 0, kv_heads)) for cost, tiles in parts]
    split = [(cost, Share(tiles, head, head + 1)) for cost, tiles in parts for head in range(kv_heads)]
    rough, even = (_evened(work, members) for work in (whole, split))
    # Each tile and head is a call or three: heads are only taken apart where that evens the work out.
    return (rough if rough[0] <= 1.1 * even[0] else even)[1]


def _evened(work: list[tuple[int, Share]], members: int) -> tuple[int, list[list[Share]]]:
    """What the busiest member has to do, and what each does."""
    hands = dealt(work, [cost for cost, _ in work], members)
    return max(sum(cost for cost, _ in hand) for hand in hands), [[share for _, share in hand] for hand in hands]
