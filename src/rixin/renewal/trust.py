"""Which corrections contradict what the others teach, and whose they are.

Two ways, the cheap one first. Where several people corrected the same question, most of them decide. Else each person's
corrections are scored by models that learned from other people's (`training.crossfit`): what a correction says that
those expect to be otherwise speaks against it, what they know nothing of does not. One correction is never doubted for
being a surprise: surprises are what a correction is for. A person is, whose corrections contradict the others' more
often than chance allows (a rank test, corrected for the number of people).
"""

import math
import re
import statistics
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from rixin.engines import Message, Tool
from rixin.evaluation.statistics.multiple import holm

FEWEST_PEOPLE = 3
FEWEST_CORRECTIONS = 20  # fewer teach a model too little to hold the others against it
NAMED_BELOW = 0.01
LEAST_SEPARATION = 0.7  # chance that a correction of the others is more expected; 0.5 is none the less
WORST_SHARE = 0.25  # a wrong value is a few tokens of an answer that is right otherwise
MAJORITY = 2 / 3


class Correction(Struct, frozen=True, kw_only=True):
    """What a person says that the model should have answered, given `messages`. Nobody's: `person` is None."""

    id: str
    person: str | None
    messages: tuple[Message, ...]
    correction: str
    tools: tuple[Tool, ...] = ()


class AccountDoubt(Struct, frozen=True, kw_only=True):
    """A person who is named: of their `corrections` so many are `doubted`; `p_value` is corrected for all people."""

    person: str
    corrections: int
    doubted: int
    p_value: float


class Verdict(Struct, frozen=True, kw_only=True):
    """Whose corrections are learned from. `doubted` has a reason for each id; `untold` says what could not be told."""

    kept: tuple[str, ...]
    doubted: Mapping[str, str]
    accounts: tuple[AccountDoubt, ...] = ()
    untold: str | None = None


class TokenScores(Protocol):
    """Of each token of a correction: its log-probability to the model as it was, and to one that others taught."""

    @property
    def before(self) -> Sequence[float]: ...
    @property
    def taught(self) -> Sequence[float]: ...


Score = Callable[[Sequence[Correction], Sequence[int]], Sequence[TokenScores]]


def examine(items: Sequence[Correction], score: Score | None = None) -> Verdict:
    """Hold corrections against each other. `score` cross-fits: given corrections and the fold of each, their scores.

    Without `score`, or with too few people or corrections for it, only what the same question says is held against
    each other, and `untold` says so. `score` may raise what it does; nothing else is raised.
    """
    outvoted = dict.fromkeys(_outvoted(items), "Others corrected the same question otherwise.")
    rest = [item for item in items if item.id not in outvoted]
    people = {item.person for item in rest if item.person is not None}
    untold = None
    if len(people) < FEWEST_PEOPLE:
        untold = f"{len(people)} people corrected; it takes {FEWEST_PEOPLE} to hold them against each other."
    elif len(rest) < FEWEST_CORRECTIONS:
        untold = f"{len(rest)} corrections are too few to hold them against each other; it takes {FEWEST_CORRECTIONS}."
    elif score is None:
        untold = "Only answers to the same question were held against each other."
    accounts: list[AccountDoubt] = []
    doubted = dict(outvoted)
    if untold is None and score is not None:
        standing = {
            item.id: found
            for item, scores in zip(rest, score(rest, folds([item.person for item in rest])), strict=True)
            if (found := support(scores)) is not None
        }
        named = suspects({item.id: item.person for item in rest if item.id in standing}, standing)
        usual = statistics.median(
            standing[item.id] for item in rest if item.id in standing and item.person not in named
        )
        for item in rest:
            if item.person in named and standing.get(item.id, -math.inf) < usual:
                doubted[item.id] = "It contradicts what other people's corrections teach, as many of this person's do."
        for person, p_value in named.items():
            own = [item.id for item in items if item.person == person]
            accounts.append(
                AccountDoubt(
                    person=person, corrections=len(own), doubted=sum(id in doubted for id in own), p_value=p_value
                )
            )
    kept = tuple(item.id for item in items if item.id not in doubted)
    return Verdict(kept=kept, doubted=doubted, accounts=tuple(accounts), untold=untold)


def support(scores: TokenScores) -> float | None:
    """How much other people's corrections made the worst quarter of a correction's tokens likelier, in nats a token.

    Below 0 they speak against it; near 0 they know nothing of it. Its length changes nothing. None without tokens.
    """
    gains = sorted(taught - before for taught, before in zip(scores.taught, scores.before, strict=True))
    worst = gains[: math.ceil(WORST_SHARE * len(gains))]
    return statistics.fmean(worst) if worst else None


def suspects(people: Mapping[str, str | None], standing: Mapping[str, float]) -> dict[str, float]:
    """The people whose corrections stand lower than all others' beyond chance, with Holm's p-values.

    `people` and `standing` have the same keys, a correction each.
    """
    by_person: dict[str, list[float]] = defaultdict(list)
    for id, person in people.items():
        if person is not None:
            by_person[person].append(standing[id])
    tested = {}
    for person, own in by_person.items():
        others = [standing[id] for id, one in people.items() if one != person]
        tested[person] = rank_test(own, others)
    adjusted = holm({person: p for person, (p, _) in tested.items()})
    return {person: p for person, p in adjusted.items() if p < NAMED_BELOW and tested[person][1] >= LEAST_SEPARATION}


def rank_test(own: Sequence[float], others: Sequence[float]) -> tuple[float, float]:
    """p of `own` being no lower than `others`, and the chance that one of `others` is above one of `own`.

    The normal approximation of Mann and Whitney's U with corrections for ties and continuity. (1, 0.5) where either is
    empty or all are equal. Source: Mann & Whitney 1947; Lehmann, Nonparametrics, 1975, section 1.4.
    """
    count = len(own) + len(others)
    if not own or not others:
        return 1.0, 0.5
    rank_of: dict[float, float] = {}
    ties, below = 0.0, 0
    for value, many in sorted(Counter([*own, *others]).items()):
        rank_of[value] = below + (many + 1) / 2
        ties += many**3 - many
        below += many
    pairs = len(own) * len(others)
    lower = sum(rank_of[value] for value in own) - len(own) * (len(own) + 1) / 2  # pairs in which own is above
    variance = pairs / 12 * (count + 1 - ties / (count * (count - 1)))
    if variance <= 0:
        return 1.0, 0.5
    z = (lower - pairs / 2 + 0.5) / math.sqrt(variance)
    return 0.5 * math.erfc(-z / math.sqrt(2)), 1 - lower / pairs


def folds(people: Sequence[str | None], many: int = 2) -> list[int]:
    """A fold for each correction: all of a person's in one, about as many in each; what is nobody's stands alone."""
    counts = Counter(person if person is not None else (at,) for at, person in enumerate(people))
    sizes = [0] * many
    fold_of: dict[str | tuple[int], int] = {}
    for person, count in sorted(counts.items(), key=lambda one: (-one[1], str(one[0]))):
        fold_of[person] = min(range(many), key=sizes.__getitem__)
        sizes[fold_of[person]] += count
    return [fold_of[person if person is not None else (at,)] for at, person in enumerate(people)]


def _outvoted(items: Sequence[Correction]) -> Collection[str]:
    """Corrections of questions that at least three people corrected, two thirds of them alike, and these otherwise."""
    alike: dict[str, list[Correction]] = defaultdict(list)
    for item in items:
        alike["\0".join(f"{one.role}:{_plain(one.content)}" for one in item.messages)].append(item)
    found: set[str] = set()
    for same in alike.values():
        votes: dict[str, set[str]] = defaultdict(set)
        for item in same:
            if item.person is not None:
                votes[_plain(item.correction)].add(item.person)
        voters = set().union(*votes.values()) if votes else set()
        best = max(votes, key=lambda text: len(votes[text]), default="")
        if len(voters) >= FEWEST_PEOPLE and len(votes[best]) >= MAJORITY * len(voters):
            found.update(item.id for item in same if _plain(item.correction) != best)
    return found


def _plain(text: object) -> str:
    return re.sub(r"[\s\"'“”‘’`*。.!!??]+", "", unicodedata.normalize("NFKC", str(text)).lower())
