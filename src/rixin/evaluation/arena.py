"""The arena: people choose between two answers without knowing whose they are."""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from rixin.errors import Conflict, InvalidRequest
from rixin.evaluation.judge import Pair
from rixin.evaluation.judging import Judgement
from rixin.evaluation.statistics import Strength, Vote, bradley_terry
from rixin.store import Database, VoteRow, new_id


@dataclass(frozen=True)
class Match:
    """One pair as it is shown; `swapped`: B's answer is the first."""

    pair: Pair
    swapped: bool

    @property
    def shown(self) -> tuple[str, str]:
        """The two answers in the order of the screen."""
        return (self.pair.b, self.pair.a) if self.swapped else (self.pair.a, self.pair.b)

    def score_of_b(self, first: float) -> float:
        """B's score, where the answer shown first got `first` (1 won, 0 lost, 0.5 tie)."""
        return first if self.swapped else 1 - first


class Arena:
    """The votes of a Workspace. An item is `task/item`; contestants are Versions. Safe between processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def matches(
        self, suite: str, a: str, b: str, pairs: Sequence[Pair], voter: str, *, seed: int | None = None
    ) -> list[Match]:
        """What this voter has not voted on yet, in random order and on random sides; equal answers are left out."""
        chance = random.Random(seed)  # noqa: S311 - the order of questions is no secret
        done = {row.item for row in self._rows(suite, a, b) if row.voter == voter}
        left = [pair for pair in pairs if f"{pair.task}/{pair.item}" not in done and pair.a.strip() != pair.b.strip()]
        chance.shuffle(left)
        return [Match(pair, chance.random() < 0.5) for pair in left]

    def vote(self, suite: str, a: str, b: str, pair: Pair, score: float, voter: str) -> None:
        """Keep B's score of this pair. Raises Conflict for a second vote of one voter, InvalidRequest for a == b."""
        if a == b:
            raise InvalidRequest("Both answers are of one Version.", fix="Compare two Versions.")
        first, second = sorted((a, b))
        row = VoteRow(
            id=new_id("vote"),
            suite=suite,
            item=f"{pair.task}/{pair.item}",
            first=first,
            second=second,
            score=score if first == b else 1 - score,
            voter=voter,
        )
        try:
            with self._database.write() as session:
                session.add(row)
        except IntegrityError:
            raise Conflict(f"{voter} has voted on {pair.task}/{pair.item} already.") from None

    def scores(self, suite: str, a: str, b: str) -> dict[str, float]:
        """The mean of B's scores over all voters, by `task/item`."""
        found: dict[str, list[float]] = {}
        for row in self._rows(suite, a, b):
            found.setdefault(row.item, []).append(row.score if row.first == b else 1 - row.score)
        return {item: sum(scores) / len(scores) for item, scores in found.items()}

    def votes(self, suite: str | None = None) -> list[Vote[str]]:
        """Every vote (on `suite`) between Versions."""
        with self._database.read() as session:
            query = select(VoteRow).order_by(VoteRow.created_at, VoteRow.id)
            rows = session.scalars(query if suite is None else query.where(VoteRow.suite == suite)).all()
            return [Vote(row.first, row.second, row.score) for row in rows]

    def _rows(self, suite: str, a: str, b: str) -> list[VoteRow]:
        first, second = sorted((a, b))
        with self._database.read() as session:
            query = select(VoteRow).where(VoteRow.suite == suite, VoteRow.first == first, VoteRow.second == second)
            return list(session.scalars(query).all())


def standings(votes: Iterable[Vote[str]]) -> Mapping[str, Strength]:
    """Versions by strength, the strongest first. Raises InvalidRequest without votes between two."""
    given = list(votes)
    if not given:
        raise InvalidRequest("There are no votes.", fix="`rixin arena vote A B --suite SUITE` asks for some.")
    found = bradley_terry(given)
    return dict(sorted(found.items(), key=lambda pair: -pair[1].value))


def verdicts(judgements: Iterable[Judgement]) -> list[Vote[str]]:
    """A judge's verdicts as votes, one an item."""
    return [
        Vote(one.version_b, one.version_a, item.score)
        for one in judgements
        if one.version_a != one.version_b
        for item in one.items
    ]
