"""What one version of a dataset has that another has not."""

from collections import Counter
from collections.abc import Mapping, Sequence

from msgspec import Struct


class Difference(Struct, frozen=True, kw_only=True):
    """Lines (from 1) of two versions. `same` rows are in both, wherever they stand; a row twice counts twice.

    `changed` pairs a line of A with the line of B that came from the same place and says something else; the other
    lines of A are `removed`, those of B `added`.
    """

    a: str
    b: str
    same: int
    changed: tuple[tuple[int, int], ...]
    removed: tuple[int, ...]
    added: tuple[int, ...]


class Rows(Struct, frozen=True):
    """A version by its id, the ids of its examples in their order, and of its lines where they came from, if known."""

    version: str
    ids: Sequence[str]
    origins: Mapping[int, str]

    def places(self, line: int) -> tuple[str, ...]:
        """What a row that was made of this one, or of what it was made of, gives as its origin."""
        own = f"{self.version}:{line}"
        return (own, self.origins[line]) if line in self.origins else (own,)


def difference(a: Rows, b: Rows) -> Difference:
    """What is in one and not in the other."""
    ids_a, ids_b = a.ids, b.ids
    left = Counter(ids_a) - Counter(ids_b)
    right = Counter(ids_b) - Counter(ids_a)
    removed, added = _lines(ids_a, left), _lines(ids_b, right)
    waiting = {place: line for line in reversed(added) for place in b.places(line)}
    changed: list[tuple[int, int]] = []
    taken: set[int] = set()
    for line in removed:
        match = next((waiting[place] for place in a.places(line) if place in waiting), None)
        if match is not None and match not in taken:
            taken.add(match)
            changed.append((line, match))
    gone = {line for line, _ in changed}
    return Difference(
        a=a.version,
        b=b.version,
        same=len(ids_a) - len(removed),
        changed=tuple(changed),
        removed=tuple(line for line in removed if line not in gone),
        added=tuple(line for line in added if line not in taken),
    )


def _lines(ids: Sequence[str], wanted: Counter[str]) -> list[int]:
    """The last lines with these ids, as often as each is wanted."""
    left = Counter(wanted)
    found = []
    for line in range(len(ids), 0, -1):
        if left[ids[line - 1]] > 0:
            left[ids[line - 1]] -= 1
            found.append(line)
    return found[::-1]
