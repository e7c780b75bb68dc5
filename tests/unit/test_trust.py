"""Whose corrections contradict the others': the statistics, and what is said where nothing can be told."""

import random
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import hypergeom

from rixin.engines import Message
from rixin.renewal.trust import CONTRADICTS, Correction, Verdict, enrichment, examine, folds, support, suspects
from rixin.training.crossfit_job import TokenScores


@given(st.data())
def test_the_exact_test_is_scipys(data: st.DataObject) -> None:
    total = data.draw(st.integers(1, 60))
    drawn, marked = data.draw(st.integers(0, total)), data.draw(st.integers(0, total))
    found = data.draw(st.integers(max(0, drawn + marked - total), min(drawn, marked)))
    theirs = hypergeom.sf(found - 1, total, marked, drawn)
    assert enrichment(found, drawn, marked, total) == pytest.approx(theirs, abs=1e-9)


@given(st.lists(st.none() | st.sampled_from("abcdefgh"), max_size=60), st.integers(2, 4))
def test_folds_part_people_and_are_about_equal(people: list[str | None], many: int) -> None:
    given = folds(people, many)
    assert len(given) == len(people)
    for person in {one for one in people if one is not None}:
        assert len({fold for fold, one in zip(given, people, strict=True) if one == person}) == 1
    sizes = [given.count(fold) for fold in range(many)]
    largest = max([people.count(one) for one in people if one is not None], default=1)
    assert max(sizes) - min(sizes) <= largest


@given(st.lists(st.floats(-20, 0), min_size=1, max_size=40), st.integers(2, 5))
def test_an_answers_length_changes_nothing(chances: list[float], times: int) -> None:
    once = TokenScores(before=[-3.0] * 4 * len(chances), taught=chances * 4)
    longer = TokenScores(before=[-3.0] * 4 * len(chances) * times, taught=chances * 4 * times)
    assert support(once) == pytest.approx(support(longer))
    assert support(TokenScores([], [])) is None


def test_what_others_know_nothing_of_is_no_contradiction() -> None:
    unknown = support(TokenScores(before=[-6.0] * 20, taught=[-6.0] * 20))
    contradicted = support(TokenScores(before=[-1.0] * 20, taught=[-0.1] * 15 + [-8.0] * 5))
    known = support(TokenScores(before=[-6.0] * 20, taught=[-0.1] * 20))
    hard = support(TokenScores(before=[-6.0] * 20, taught=[-2.0] * 20))
    assert contradicted is not None
    assert contradicted < CONTRADICTS
    assert (unknown, hard) == (0.0, 0.0)
    assert known == 0.0


@pytest.mark.parametrize("common", [0.05, 0.2, 0.5])
def test_equals_are_named_at_most_as_often_as_is_said(common: float) -> None:
    draw = np.random.default_rng(0)
    named = 0
    for _ in range(400):
        values = np.where(draw.random(150) < common, 2 * CONTRADICTS, 0.0)
        named += bool(suspects([(f"u{at % 10}", float(value)) for at, value in enumerate(values)]))
    assert named / 400 <= 0.015


def test_two_who_do_harm_do_not_hide_each_other_and_never_half_are_named() -> None:
    def standing(*harmful: int, of: int) -> list[tuple[str | None, float]]:
        return [(f"u{at % of}", 2 * CONTRADICTS if at % of in harmful else 0.0) for at in range(12 * of)]

    assert set(suspects(standing(1, 2, of=6))) == {"u1", "u2"}
    assert len(suspects(standing(1, 2, 3, of=6))) < 3
    assert suspects([(None, 2 * CONTRADICTS)] * 50) == {}
    assert suspects([]) == {}


def corrections(count: int, people: int, text: Callable[[int], str] = str) -> list[Correction]:
    return [
        Correction(
            id=f"f_{at}",
            person=f"u_{at % people}",
            messages=(Message(role="user", content=f"question {at}"),),
            correction=text(at),
        )
        for at in range(count)
    ]


def scored(low: set[str], *, share: float = 0.75) -> Callable[[Sequence[Correction], Sequence[int]], list[TokenScores]]:
    """Scores in which that share of what these people say is contradicted."""

    def score(items: Sequence[Correction], in_folds: Sequence[int]) -> list[TokenScores]:
        assert len(items) == len(in_folds)
        draw = random.Random(1)
        found = []
        for item in items:
            wrong = item.person in low and draw.random() < share
            taught = [draw.gauss(-0.5, 0.1) - (6 if wrong and at < 4 else 0) for at in range(20)]
            found.append(TokenScores(before=[-2.0] * 20, taught=taught))
        return found

    return score


def test_people_who_do_harm_are_named_and_their_doubtful_corrections_left_out() -> None:
    items = corrections(150, 10)
    verdict = examine(items, scored({"u_3", "u_7"}))
    assert {one.person for one in verdict.accounts} == {"u_3", "u_7"}
    assert all(one.p_value < 0.01 and one.corrections == 15 for one in verdict.accounts)
    assert {item.person for item in items if item.id in verdict.doubted} == {"u_3", "u_7"}
    assert 20 <= len(verdict.doubted) <= 30
    assert sorted([*verdict.kept, *verdict.doubted]) == sorted(item.id for item in items)
    assert sum(one.doubted for one in verdict.accounts) == len(verdict.doubted)
    assert verdict.untold is None


def test_honest_people_are_not_named() -> None:
    items = corrections(150, 10)
    for sloppy in (scored(set()), scored({"u_2"}, share=0.2)):
        assert examine(items, sloppy) == Verdict(kept=tuple(item.id for item in items), doubted={})


@pytest.mark.parametrize(
    ("count", "people", "said"), [(0, 1, "0 people"), (40, 1, "1 people"), (40, 2, "2 people"), (12, 4, "too few")]
)
def test_few_people_and_few_corrections_tell_nothing(count: int, people: int, said: str) -> None:
    verdict = examine(corrections(count, people), scored({"u_0"}))
    assert not verdict.doubted
    assert verdict.untold is not None
    assert said in verdict.untold


def test_corrections_of_nobody_are_judged_by_and_blamed_on_nobody() -> None:
    items = [*corrections(60, 4)]
    nameless = [
        Correction(id=f"n_{at}", person=None, messages=items[0].messages, correction=str(at)) for at in range(20)
    ]
    verdict = examine([*items, *nameless], scored({"u_1"}))
    assert [one.person for one in verdict.accounts] == ["u_1"]
    assert not [id for id in verdict.doubted if id.startswith("n_")]


def test_of_one_question_most_people_decide() -> None:
    def said(person: str, text: str) -> Correction:
        asked = (Message(role="user", content="多少钱？"),)
        return Correction(id=f"{person}-{text}", person=person, messages=asked, correction=text)

    agreed = [said("a", "200 元。"), said("b", "200元"), said("c", " 200元 ")]
    verdict = examine([*agreed, said("d", "900元")])
    assert list(verdict.doubted) == ["d-900元"]
    assert not examine([said("a", "200元"), said("b", "200元"), said("d", "900元")][:2]).doubted
    assert not examine([said("a", "1"), said("b", "2"), said("c", "3")]).doubted
    loud = [said("d", text) for text in ("900元", "900元。", "900元！")]
    assert {*examine([*agreed, *loud]).doubted} == {one.id for one in loud}, "a person has one vote"


def test_a_score_that_fails_is_not_hidden() -> None:
    def broken(items: Sequence[Correction], in_folds: Sequence[int]) -> list[TokenScores]:
        raise MemoryError

    with pytest.raises(MemoryError):
        examine(corrections(40, 4), broken)


def test_corrections_too_long_to_be_scored_are_kept() -> None:
    items = corrections(150, 10)

    def score(given: Sequence[Correction], in_folds: Sequence[int]) -> list[TokenScores]:
        found = scored({"u_3"})(given, in_folds)
        return [TokenScores([], []) if at < 20 else one for at, one in enumerate(found)]

    verdict = examine(items, score)
    assert {one.person for one in verdict.accounts} == {"u_3"}
