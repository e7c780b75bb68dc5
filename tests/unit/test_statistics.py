"""The statistics of comparisons, against scipy and statsmodels, and by simulation."""

from collections.abc import Callable
from math import comb

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar
from statsmodels.stats.inter_rater import cohens_kappa as reference_kappa
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from rixin.errors import InvalidRequest
from rixin.evaluation.statistics import (
    Vote,
    bootstrap_lower_bound,
    bradley_terry,
    cohen_kappa,
    confidence_sequence,
    holm,
    items_needed,
    mcnemar,
    paired,
    paired_difference,
    proportion_interval,
    proportion_lower_bound,
    sign_flip_p,
    smallest_difference,
)

NULL_COMPARISONS = 10_000
NOMINAL = 0.05
# Three standard errors of the share of 10,000 coin flips of 5%.
SLACK = 3 * (NOMINAL * (1 - NOMINAL) / NULL_COMPARISONS) ** 0.5


def test_a_paired_difference_is_students_t_when_items_are_independent() -> None:
    values = np.random.default_rng(1).normal(0.1, 1, 50)
    ours = paired_difference(values)
    theirs = stats.ttest_1samp(values, 0)
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs.confidence_interval(0.95)))
    assert ours.lower_bound == pytest.approx(
        stats.ttest_1samp(values, 0, alternative="greater").confidence_interval(0.95).low
    )


def test_a_clustered_standard_error_is_that_of_statsmodels() -> None:
    random = np.random.default_rng(2)
    values, clusters = random.normal(0.1, 1, 60), random.integers(0, 12, 60)
    fitted = sm.OLS(values, np.ones(60)).fit(cov_type="cluster", cov_kwds={"groups": clusters}, use_t=True)
    ours = paired_difference(values, clusters=list(clusters))
    assert ours.standard_error == pytest.approx(float(fitted.bse[0]))
    assert (ours.low, ours.high) == pytest.approx(tuple(fitted.conf_int()[0]))


def test_questions_on_one_document_are_not_taken_for_independent_evidence() -> None:
    per_document = np.random.default_rng(3).normal(0, 1, 8)
    repeated = np.repeat(per_document, 20)
    blind = paired_difference(repeated).standard_error
    told = paired_difference(repeated, clusters=list(np.repeat(np.arange(8), 20))).standard_error
    assert told == pytest.approx(paired_difference(per_document).standard_error)
    assert told > 4 * blind


def test_one_cluster_proves_nothing() -> None:
    alone = paired_difference([1.0, 1.0, 1.0], clusters=["a", "a", "a"])
    assert alone.lower_bound == -float("inf")
    assert smallest_difference(alone.standard_error, alone.clusters) == float("inf")


def test_mcnemar_is_that_of_statsmodels() -> None:
    random = np.random.default_rng(4)
    for _ in range(20):
        a, b = random.integers(0, 2, 40), random.integers(0, 2, 40)
        ours = mcnemar(a, b)
        table = [[0, ours.gained], [ours.lost, 0]]
        assert ours.p_different == pytest.approx(float(reference_mcnemar(table, exact=True).pvalue))


@given(st.integers(1, 80).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_an_exact_interval_is_clopper_and_pearsons(pair: tuple[int, int]) -> None:
    right, items = pair
    assert proportion_interval(right, items) == pytest.approx(
        tuple(map(float, proportion_confint(right, items, method="beta"))), abs=1e-9
    )
    assert proportion_lower_bound(right, items, level=0.975) == pytest.approx(
        proportion_interval(right, items)[0], abs=1e-9
    )


@settings(max_examples=15)  # statsmodels collects garbage each time
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holms_correction_is_that_of_statsmodels(p_values: list[float]) -> None:
    ours = holm({str(at): p for at, p in enumerate(p_values)})
    assert list(ours.values()) == pytest.approx(list(multipletests(p_values, method="holm")[1]))


@settings(max_examples=30)
@given(st.lists(st.integers(-4, 4), min_size=1, max_size=10))
def test_sign_flips_of_small_sets_are_counted_out(values: list[int]) -> None:
    moving = [value for value in values if value]
    larger = sum(
        sum(value if pattern >> at & 1 else -value for at, value in enumerate(moving)) >= sum(moving)
        for pattern in range(2 ** len(moving))
    )
    assert sign_flip_p(values) == pytest.approx(larger / 2 ** len(moving))


def test_sign_flips_of_binary_items_are_mcnemars_test() -> None:
    assert sign_flip_p([1.0] * 9 + [-1.0] * 2 + [0.0] * 30) == pytest.approx(
        sum(comb(11, k) for k in range(9, 12)) / 2**11
    )


def test_drawn_sign_flips_come_close_to_the_permutation_test_of_scipy() -> None:
    values = np.random.default_rng(5).exponential(1, 40) - 0.8
    theirs = stats.permutation_test(
        (values,), np.sum, permutation_type="samples", alternative="greater", n_resamples=20_000, rng=1
    )
    assert sign_flip_p(values) == pytest.approx(theirs.pvalue, abs=0.01)


def test_the_bootstrap_bound_is_students_where_there_is_no_skew_and_lower_where_luck_made_it_high() -> None:
    even = np.random.default_rng(6).normal(0, 1, 400)
    assert bootstrap_lower_bound(even) == pytest.approx(paired_difference(even).lower_bound, abs=0.01)
    covered = {"t": 0, "bootstrap": 0}
    for seed in range(300):
        # Rarely much worse: few items hide it, and Student's t believes them.
        values = 0.1 - (np.random.default_rng(seed).random(30) < 0.1).astype(float)
        covered["t"] += paired_difference(values).lower_bound <= 0.0
        covered["bootstrap"] += bootstrap_lower_bound(values, seed=seed) <= 0.0
    assert covered["bootstrap"] >= covered["t"]


@pytest.mark.parametrize("changed", [1.0, -1.0])
def test_a_single_item_that_changed_still_bounds_the_difference(changed: float) -> None:
    differences = [changed] + [0.0] * 29  # a third of the resamples have none of it, so nothing that varies
    bound = bootstrap_lower_bound(differences)
    assert -0.3 < bound <= changed / 30


def binary(random: np.random.Generator) -> NDArray[np.float64]:
    hard = random.random(60)
    return (random.random(60) < hard).astype(float) - (random.random(60) < hard).astype(float)


def skewed(random: np.random.Generator) -> NDArray[np.float64]:
    return random.exponential(1, 20) * random.choice([-1.0, 1.0], 20)


@pytest.mark.parametrize("draw", [binary, skewed], ids=lambda draw: draw.__name__)
def test_of_ten_thousand_comparisons_of_equals_at_most_the_nominal_share_is_promoted(
    draw: Callable[[np.random.Generator], NDArray[np.float64]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Gate promotes only where this p-value is small, so this bounds what it promotes falsely."""
    monkeypatch.setattr(paired, "PERMUTATIONS", 1000)
    random = np.random.default_rng(7)
    falsely = 0
    for at in range(NULL_COMPARISONS):
        differences = draw(random)
        if draw is binary:
            p = mcnemar((differences < 0).astype(int), (differences > 0).astype(int)).p_better
        else:
            p = sign_flip_p(differences, seed=at)
        falsely += p <= NOMINAL
    assert 0.01 < falsely / NULL_COMPARISONS <= NOMINAL + SLACK


def test_a_better_version_is_seen_as_often_as_the_smallest_difference_says() -> None:
    random = np.random.default_rng(8)
    true = smallest_difference(1 / 200**0.5, 200)
    seen = sum(paired_difference(random.normal(true, 1, 200)).lower_bound > 0 for _ in range(1000))
    assert 0.76 < seen / 1000 < 0.84
    needed = items_needed(true, 1 / 200**0.5, 200)
    assert needed is not None
    assert 190 <= needed <= 200
    assert items_needed(-0.1, 0.05, 100) is None


def test_a_confidence_sequence_holds_at_every_look_and_closes_in() -> None:
    misses = 0
    for seed in range(300):
        values = (np.random.default_rng(seed).random(300) < 0.5).astype(float)
        looks = confidence_sequence(values)
        misses += bool((looks.low > 0.5).any() or (looks.high < 0.5).any())
        assert (np.diff(looks.low) >= 0).all()
        assert (np.diff(looks.high) <= 0).all()
    assert misses / 300 <= NOMINAL + 3 * (NOMINAL * (1 - NOMINAL) / 300) ** 0.5
    better = confidence_sequence(np.random.default_rng(0).choice([-1.0, 0.0, 1.0], 600, p=[0.1, 0.4, 0.5]), smallest=-1)
    assert better.low[-1] > 0.2
    with pytest.raises(InvalidRequest, match="between 0 and 1"):
        confidence_sequence([0.2, 1.2])


def test_kappa_is_that_of_statsmodels() -> None:
    random = np.random.default_rng(9)
    first = random.integers(0, 3, 60)
    second = np.where(random.random(60) < 0.6, first, random.integers(0, 3, 60))
    table = np.zeros((3, 3))
    np.add.at(table, (first, second), 1)
    theirs = reference_kappa(table)
    ours = cohen_kappa(list(first), list(second))
    assert (ours.kappa, ours.low, ours.high) == pytest.approx((theirs.kappa, theirs.kappa_low, theirs.kappa_upp))
    assert cohen_kappa("aaaa", "aaaa").kappa == 1.0


def test_bradley_terry_finds_the_strengths_that_made_the_votes() -> None:
    true = {"a": 0.8, "b": 0.0, "c": -0.8}
    random = np.random.default_rng(10)
    inside = 0
    for _ in range(40):
        votes = []
        for first, second in [("a", "b"), ("b", "c"), ("c", "a")] * 100:
            chance = 1 / (1 + np.exp(true[second] - true[first]))
            votes.append(Vote(first, second, float(random.random() < chance)))
        found = bradley_terry(votes)
        inside += sum(found[name].low <= value <= found[name].high for name, value in true.items())
    assert inside / 120 >= 0.88
    logit = sm.Logit([vote.score for vote in votes], [[_sign("a", v), _sign("b", v)] for v in votes]).fit(disp=0)
    assert found["a"].value - found["c"].value == pytest.approx(float(logit.params[0]), abs=0.02)


def _sign(name: str, vote: Vote[str]) -> float:
    return float(vote.first == name) - float(vote.second == name)


def test_a_contestant_who_won_everything_has_a_finite_strength() -> None:
    found = bradley_terry([Vote("a", "b", 1.0)] * 5)
    assert 0 < found["a"].value < 10
    assert found["a"].low < found["a"].value


@pytest.mark.parametrize("values", [[], [float("nan")], [[1.0]]])
def test_what_is_no_list_of_numbers_is_refused(values: list[float]) -> None:
    with pytest.raises(InvalidRequest):
        paired_difference(values)
