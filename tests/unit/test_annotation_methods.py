"""What annotation counts on: agreement, calibration, votes, a classifier, and a bound that is not broken by looking."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import isotonic_regression
from scipy.stats import betabinom

from rixin.data.annotation.agreement import interval, krippendorff_alpha, nominal
from rixin.data.annotation.audit import _beta_binomial, draws_needed, most_wrong
from rixin.data.annotation.calibration import calibrate
from rixin.data.annotation.choosing import doubtful_rows, spread_rows
from rixin.data.annotation.classifier import class_chances, ridge
from rixin.data.annotation.features import joined, word_vectors
from rixin.data.annotation.votes import dawid_skene

# Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), part C: four observers, twelve units, with gaps.
OBSERVERS = (
    (1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None),
    (1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3),
    (None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None),
    (1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None),
)
UNITS = [[value for value in unit if value is not None] for unit in zip(*OBSERVERS, strict=True)]


def test_alpha_is_what_krippendorff_published() -> None:
    assert krippendorff_alpha(UNITS, nominal) == pytest.approx(0.743, abs=5e-4)
    assert krippendorff_alpha(UNITS, interval) == pytest.approx(0.849, abs=5e-4)
    # His part A: two observers, binary, nothing missing.
    one, other = (0, 1, 0, 0, 0, 0, 0, 0, 1, 0), (1, 1, 1, 0, 0, 1, 0, 0, 0, 0)
    assert krippendorff_alpha(list(zip(one, other, strict=True))) == pytest.approx(0.095, abs=5e-4)


def test_alpha_says_nothing_where_there_is_nothing_to_say() -> None:
    assert krippendorff_alpha([]) is None
    assert krippendorff_alpha([["a"], ["b"], []]) is None
    assert krippendorff_alpha([["a", "a"], ["a", "a"]]) is None
    assert krippendorff_alpha([["a", "a"], ["b", "b"]]) == 1.0
    assert (krippendorff_alpha([["a", "b"], ["b", "a"], ["a", "b"]]) or 0) < 0


@given(st.integers(1, 300), st.integers(1, 5), st.integers(1, 60))
def test_the_prior_of_an_audit_is_scipys_beta_binomial(trials: int, a: int, b: int) -> None:
    hits = np.arange(trials + 1)
    assert _beta_binomial(trials, hits, a, b) == pytest.approx(betabinom.logpmf(hits, trials, a, b), abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(20, 300), st.floats(0.01, 0.5), st.integers(0, 2**32 - 1))
def test_the_bound_holds_what_was_found_and_ends_at_the_truth(pool: int, share: float, seed: int) -> None:
    wrong = np.random.default_rng(seed).random(pool) < share
    assert most_wrong(pool, 0, 0, expected=0.05, chance=0.05) == pool
    for drawn in range(pool + 1):
        found = int(wrong[:drawn].sum())
        assert found <= most_wrong(pool, drawn, found, expected=0.05, chance=0.05) <= pool - (drawn - found)
    assert most_wrong(pool, pool, int(wrong.sum()), expected=0.05, chance=0.05) == wrong.sum()


def test_looking_after_every_row_breaks_the_bound_no_more_often_than_was_said() -> None:
    """The smallest bound of a whole audit, whatever it is stopped for, is below the truth in at most 10% of 400."""
    random = np.random.default_rng(7)
    pool, truth, chance = 300, 24, 0.1
    wrong = np.arange(pool) < truth
    broken = 0
    for _ in range(400):
        found = np.cumsum(random.permutation(wrong))
        looks = range(10, pool, 10)
        broken += any(most_wrong(pool, at, int(found[at - 1]), expected=0.04, chance=chance) < truth for at in looks)
    assert broken / 400 <= chance


def test_fewer_wrong_rows_are_proven_sooner() -> None:
    needed = [draws_needed(1500, wrong, 100, expected=wrong / 1500, chance=0.05) for wrong in (5, 25, 50, 75)]
    assert needed == sorted(needed)
    assert needed[0] < 100 < needed[-1]
    assert draws_needed(1500, 150, 100, expected=0.1, chance=0.05) > 500


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=1, max_size=60))
def test_a_calibration_is_isotonic_regression_with_a_doubt(checked: list[tuple[int, bool]]) -> None:
    checked = sorted(checked)
    scores, right = [float(score) for score, _ in checked], [one for _, one in checked]
    learned = calibrate(scores, right)
    assert (np.diff(learned.chances) >= 0).all()
    assert ((learned.chances > 0) & (learned.chances < 1)).all()
    blocks = isotonic_regression(np.array(right, float))
    sizes = np.diff(blocks.blocks)
    shares = (np.add.reduceat(np.array(right, float), blocks.blocks[:-1]) + 0.5) / (sizes + 1)
    assert learned.chances == pytest.approx(np.maximum.accumulate(shares))


def test_nothing_checked_is_as_good_as_a_coin() -> None:
    assert calibrate([], [])(np.array([0.1, 0.9])).tolist() == [0.5, 0.5]


def test_what_a_row_would_be_without_itself_is_what_learning_anew_says() -> None:
    random = np.random.default_rng(3)
    rows, wanted = random.normal(size=(14, 6)), random.normal(size=(14, 3))
    values, vectors = np.linalg.eigh(rows @ rows.T)
    _, left_out = ridge(values, vectors, wanted, 0.3)
    for at in range(14):
        others = np.delete(np.arange(14), at)
        some = rows[others]
        weights = np.linalg.solve(some @ some.T + 0.3 * np.eye(13), wanted[others])
        assert left_out[at] == pytest.approx(rows[at] @ some.T @ weights)


def test_chances_of_classes_are_calibrated_on_rows_never_seen() -> None:
    random = np.random.default_rng(5)
    centres = random.normal(size=(4, 20))
    classes = random.integers(4, size=2000)
    rows = joined(centres[classes] + random.normal(size=(2000, 20)) * 2.2)
    told = list(range(300))
    chances = class_chances(rows, told, classes[:300].tolist(), 4)[300:]
    right = chances.argmax(axis=1) == classes[300:]
    assert chances.sum(axis=1) == pytest.approx(1.0, abs=1e-6)
    assert right.mean() > 0.7
    assert chances.max(axis=1).mean() == pytest.approx(right.mean(), abs=0.06)


def test_a_class_never_seen_keeps_a_small_chance() -> None:
    chances = class_chances(np.eye(6), [0, 1, 2, 3], [0, 0, 1, 1], 3)
    assert (chances > 0).all()
    assert (chances[:, 2] < 0.34).all()


def test_annotators_count_as_much_as_they_are_worth() -> None:
    """Three who are often right and two who always say the same: dawid-skene is right more often than the majority."""
    random = np.random.default_rng(11)
    truth = random.integers(3, size=600)
    said = [np.where(random.random(600) < worth, truth, random.integers(3, size=600)) for worth in (0.8, 0.7, 0.6)]
    votes = np.stack([*said, np.zeros(600, np.int64), np.zeros(600, np.int64)], axis=1)
    majority = np.array([np.bincount(row, minlength=3).argmax() for row in votes])
    chances = dawid_skene(votes, 3)
    assert chances.sum(axis=1) == pytest.approx(1.0)
    assert (chances.argmax(axis=1) == truth).mean() > (majority == truth).mean() + 0.1
    known = {row: int(truth[row]) for row in range(60)}
    assert dawid_skene(votes, 3, known)[:60].argmax(axis=1).tolist() == truth[:60].tolist()
    nothing = np.full((5, 2), -1)
    assert dawid_skene(nothing, 3) == pytest.approx(np.full((5, 3), 1 / 3))


def test_rows_that_teach_are_spread_and_doubtful() -> None:
    heaps = np.repeat(np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]]), 20, axis=0)
    rows = heaps + np.random.default_rng(0).normal(size=heaps.shape) * 0.1
    chosen = spread_rows(rows, np.arange(60), 3)
    assert {int(at) // 20 for at in chosen} == {0, 1, 2}
    assert {int(at) // 20 for at in spread_rows(rows, np.arange(60), 2, [0])} == {1, 2}
    sure = np.linspace(0, 1, 60)
    assert max(doubtful_rows(rows, np.arange(60), sure, 5)) < 15
    assert len(spread_rows(rows, np.arange(4), 9)) == 4
    assert len(spread_rows(np.zeros((5, 2)), np.arange(5), 5)) == 5


def test_words_tell_topics_apart_in_any_language() -> None:
    texts = [f"股票市场上涨了{at}点" for at in range(8)] + [f"the garden has {at} flowers" for at in range(8)]
    rows = joined(word_vectors([*texts, "", "……"]))
    one, other = rows[:8], rows[8:16]
    assert (one @ one.T).mean() > (one @ other.T).mean() + 0.5
    assert np.isfinite(rows).all()
    assert word_vectors(["a", "b"]).shape[0] == 2
