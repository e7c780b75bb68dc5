"""People's votes: blind, once each, and what they add up to."""

from collections import Counter

import pytest

from rixin.errors import Conflict, InvalidRequest
from rixin.evaluation.arena import Arena, standings, verdicts
from rixin.evaluation.judge import Judged, Pair, outcome
from rixin.evaluation.judging import Judgement
from rixin.evaluation.statistics import Vote
from rixin.store import Database

A, B, C = "v_aaaaaaaaaaaa", "v_bbbbbbbbbbbb", "v_cccccccccccc"


def pair(number: int, a: str = "left", b: str = "right") -> Pair:
    return Pair(task="open", item=str(number), cluster=str(number), question=f"{number}?", a=a, b=b)


@pytest.fixture
def arena(database: Database) -> Arena:
    return Arena(database)


def test_a_vote_counts_once_however_the_versions_are_named(arena: Arena) -> None:
    arena.vote("open", A, B, pair(1), 1.0, "ada")
    with pytest.raises(Conflict, match="ada has voted on open/1 already"):
        arena.vote("open", B, A, pair(1), 1.0, "ada")
    arena.vote("open", B, A, pair(1), 0.5, "bob")
    arena.vote("open", B, A, pair(2), 1.0, "ada")
    arena.vote("other", A, B, pair(1), 0.0, "ada")
    assert arena.scores("open", A, B) == {"open/1": 0.75, "open/2": 0.0}
    assert arena.scores("open", B, A) == {"open/1": 0.25, "open/2": 1.0}
    assert len(arena.votes("open")) == 3
    assert len(arena.votes()) == 4
    with pytest.raises(InvalidRequest, match="of one Version"):
        arena.vote("open", A, A, pair(1), 1.0, "ada")


def test_what_was_voted_on_and_what_is_equal_is_not_shown(arena: Arena) -> None:
    pairs = [pair(number) for number in range(5)] + [pair(9, "same", "same ")]
    arena.vote("open", A, B, pair(3), 0.0, "ada")
    assert {match.pair.item for match in arena.matches("open", A, B, pairs, "ada")} == {"0", "1", "2", "4"}
    assert {match.pair.item for match in arena.matches("open", B, A, pairs, "ada")} == {"0", "1", "2", "4"}
    assert len(arena.matches("open", A, B, pairs, "bob")) == 5


def test_sides_and_order_are_drawn_and_the_score_is_bs(arena: Arena) -> None:
    pairs = [pair(number) for number in range(400)]
    matches = arena.matches("open", A, B, pairs, "ada", seed=1)
    assert [match.pair.item for match in matches] != [one.item for one in pairs]
    sides = Counter(match.swapped for match in matches)
    assert min(sides.values()) > 150
    for match in matches:
        first, _ = match.shown
        assert match.score_of_b(1.0) == (first == "right")
        assert match.score_of_b(0.5) == 0.5


def test_standings_follow_the_votes() -> None:
    votes = [Vote(A, B, 1.0)] * 15 + [Vote(A, B, 0.0)] * 5 + [Vote(B, C, 1.0)] * 15 + [Vote(C, B, 1.0)] * 5
    ranked = standings(votes)
    assert list(ranked) == [A, B, C]
    # Three wins in four are odds of 3 between neighbours.
    assert ranked[A].value - ranked[B].value == pytest.approx(1.0986, abs=0.03)
    assert ranked[A].low < ranked[A].value < ranked[A].high
    with pytest.raises(InvalidRequest, match="rixin arena vote"):
        standings([])


def test_a_judges_verdicts_are_votes() -> None:
    items = [
        Judged(
            task="open",
            item=str(number),
            cluster=str(number),
            forward="b",
            backward="b",
            score=score,
            length_a=1,
            length_b=1,
        )
        for number, score in enumerate([1.0, 0.5, 0.0, 1.0])
    ]
    made = Judgement(
        id="j_0",
        suite="open",
        suite_hash="",
        report_a="e_a",
        report_b="e_b",
        version_a=A,
        version_b=B,
        model_a="a",
        model_b="b",
        judge=C,
        judge_model="c",
        created_at="",
        outcome=outcome(items),
        items=items,
    )
    assert verdicts([made]) == [Vote(B, A, score) for score in (1.0, 0.5, 0.0, 1.0)]
    assert next(iter(standings(verdicts([made])))) == B
