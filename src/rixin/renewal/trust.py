"""Which corrections contradict what the others teach, and whose they are.

Two ways, the cheap one first. Where several people corrected the same question, most of them decide. Else each person's
corrections are scored by models that learned from other people's (`training.crossfit`): a correction contradicts them
where they hold its worst tokens for unlikely, and more so than before they were taught; what they know nothing of does
not. One correction is never doubted for that: surprises are what a correction is for. A person is, whose corrections
contradict the others' more often than chance allows (an exact test, corrected for the number of people).
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

FEWEST_PEOPLE = 3
FEWEST_CORRECTIONS = 20  # fewer teach a model too little to hold the others against it
NAMED_BELOW = 0.01
LEAST_SHARE = 0.3  # of a person's corrections: who is sloppy, or differs in manner, does not contradict that often
# Of 100 corrections by ten people, 13 of them wrong (qwen2.5-coder-0.5b): AUROC 0.98; 9 of the wrong ones and 1 of the
# right ones contradicted. The limits below were set on those 100.
WORST_SHARE = 0.25  # a wrong value is a few tokens of an answer that is right otherwise
CONTRADICTS = -1.0  # nats a token of the worst share
OF_LESSONS = 4.0  # at least a quarter of it has to come from the lessons
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
        named = suspects([(item.person, standing[item.id]) for item in rest if item.id in standing])
        usual = [standing[item.id] for item in rest if item.id in standing and item.person not in named]
        limit = statistics.quantiles(usual, n=4)[0]
        for item in rest:
            if item.person in named and standing.get(item.id, -math.inf) < limit:
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
    """How likely the worst quarter of a correction's tokens is to who learned from others, in nats a token (at most 0).

    Nearer to 0 where it was no likelier before: then others know nothing of it. Its length changes nothing. None
    without tokens.
    """
    if not scores.taught:
        return None
    count = math.ceil(WORST_SHARE * len(scores.taught))
    gains = (taught - before for taught, before in zip(scores.taught, scores.before, strict=True))
    unlikely, unlearned = (statistics.fmean(sorted(values)[:count]) for values in (scores.taught, gains))
    return min(0.0, max(unlikely, OF_LESSONS * unlearned))


def suspects(standing: Sequence[tuple[str | None, float]]) -> dict[str, float]:
    """The people who contradict others more often than chance allows, with p-values that are corrected for all people.

    `standing` has the person and the support of each correction. One after the other, the most suspicious first: who
    is named no longer counts among the others, so that two do not hide each other. Never half of the people.
    """
    left = list(standing)
    named: dict[str, float] = {}
    people = len({person for person, _ in standing if person is not None})
    last = 0.0
    while 2 * (len(named) + 1) < people:
        counts = Counter(person for person, _ in left if person is not None)
        against = Counter(person for person, value in left if value < CONTRADICTS)
        chance = {
            person: enrichment(against[person], count, sum(against.values()), len(left))
            for person, count in counts.items()
            if against[person] >= LEAST_SHARE * count
        }
        worst = min(chance, key=chance.__getitem__, default=None)
        if worst is None:
            break
        last = max(last, min(1.0, chance[worst] * len(counts)))  # Bonferroni among those who are left, as Holm does
        if last >= NAMED_BELOW:
            break
        named[worst] = last
        left = [one for one in left if one[0] != worst]
    return named


def enrichment(found: int, drawn: int, marked: int, total: int) -> float:
    """The chance of `found` or more marked ones among `drawn` of `total` with `marked` ones: Fisher's exact test."""
    most = min(drawn, marked)
    ways = sum(math.comb(marked, at) * math.comb(total - marked, drawn - at) for at in range(found, most + 1))
    return ways / math.comb(total, drawn)


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
