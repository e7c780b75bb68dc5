"""The sampler against the same definitions written out with a full sort in float64."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from numpy.typing import NDArray

from rixin.engines.openvino.sampler import Chosen, Sampler, largest, log_sum_exp
from rixin.engines.protocol import Sampling

Floats = NDArray[np.float32]


def adjusted(logits: Floats, asked: Sampling, prompt: list[int], generated: list[int]) -> NDArray[np.float64]:
    """Penalties and bias, token by token."""
    values = logits.astype(np.float64)
    for token in set(prompt) | set(generated):
        if values[token] > 0:
            values[token] /= asked.repetition_penalty
        else:
            values[token] *= asked.repetition_penalty
    for token in set(generated):
        values[token] -= asked.presence_penalty + asked.frequency_penalty * generated.count(token)
    for token, bias in asked.logit_bias.items():
        values[token] += bias
    return values


def distribution(values: NDArray[np.float64], asked: Sampling) -> NDArray[np.float64]:
    """The probability of each token: top-k, then temperature, then min-p, then top-p, by a full sort."""
    order = np.argsort(-values, kind="stable")
    kept = np.zeros(len(values), bool)
    kept[order[: asked.top_k or len(values)]] = True
    weights = np.where(kept, np.exp((values - values.max()) / asked.temperature), 0)
    weights[weights < asked.min_p] = 0
    order = np.argsort(-weights, kind="stable")
    before = np.cumsum(weights[order]) - weights[order]
    outside = before >= asked.top_p * weights.sum()
    outside[0] = False
    weights[order[outside]] = 0
    return np.asarray(weights / weights.sum())


@dataclass(frozen=True)
class Case:
    logits: Floats
    sampling: Sampling
    prompt: list[int]
    generated: list[int]

    def sampler(self, seed: int | None = 7) -> Sampler:
        sampler = Sampler(structs.replace(self.sampling, seed=seed), answer=0, prompt=self.prompt)
        for token in self.generated:
            sampler.accept(token)
        return sampler


@st.composite
def cases(draw: st.DrawFn) -> Case:
    size = draw(st.sampled_from([3, 64, 100, 640, 5000]))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    logits = (random.standard_normal(size) * draw(st.sampled_from([0.1, 1, 4, 30]))).astype(np.float32)
    if draw(st.booleans()):
        logits = np.round(logits)  # ties
    token = st.integers(0, size - 1)
    return Case(
        logits,
        Sampling(
            temperature=draw(st.sampled_from([0.05, 0.7, 1.0, 2.0])),
            top_k=draw(st.sampled_from([0, 1, 2, 40, size, size + 5])),
            top_p=draw(st.sampled_from([0.0, 0.1, 0.5, 0.95, 1.0])),
            min_p=draw(st.sampled_from([0.0, 0.05, 0.5, 1.0])),
            presence_penalty=draw(st.sampled_from([0.0, 0.5, -2.0])),
            frequency_penalty=draw(st.sampled_from([0.0, 0.3, 2.0])),
            repetition_penalty=draw(st.sampled_from([1.0, 1.2, 0.8])),
            logit_bias=draw(st.dictionaries(token, st.sampled_from([-100.0, -1.0, 3.0]), max_size=3)),
        ),
        draw(st.lists(token, max_size=5)),
        draw(st.lists(token, max_size=5)),
    )


@settings(max_examples=300, deadline=None)
@given(cases())
def test_no_token_is_drawn_that_the_definitions_leave_out(case: Case) -> None:
    expected = distribution(adjusted(case.logits, case.sampling, case.prompt, case.generated), case.sampling)
    before = case.logits.copy()
    sampler = case.sampler()
    for _ in range(5):
        chosen = sampler.choose(case.logits).token
        # At the rim of top-p and min-p float32 may fall to the other side; never further inside or outside.
        assert expected[chosen] > 0 or _at_the_rim(case, chosen, expected), (chosen, expected[chosen])
    assert np.array_equal(case.logits, before)


def _at_the_rim(case: Case, token: int, expected: NDArray[np.float64]) -> bool:
    values = adjusted(case.logits, case.sampling, case.prompt, case.generated)
    least = values[expected > 0].min()
    return bool(values[token] > least - 1e-3 * max(1.0, abs(least)) * case.sampling.temperature)


@settings(max_examples=150, deadline=None)
@given(cases())
def test_the_likeliest_is_taken_at_temperature_0(case: Case) -> None:
    values = adjusted(case.logits, case.sampling, case.prompt, case.generated)
    greedy = Case(case.logits, structs.replace(case.sampling, temperature=0.0), case.prompt, case.generated)
    chosen = greedy.sampler().choose(case.logits).token
    assert values[chosen] >= values.max() - 1e-4 * max(1.0, abs(values.max()))


@pytest.mark.parametrize(
    "asked",
    [
        Sampling(),
        Sampling(temperature=0.5),
        Sampling(temperature=1.5, top_k=20),
        Sampling(top_p=0.8),
        Sampling(min_p=0.1),
        Sampling(temperature=1.2, top_k=50, top_p=0.9, min_p=0.02),
        Sampling(presence_penalty=1.0, frequency_penalty=0.5, repetition_penalty=1.3, logit_bias={3: 2.0}),
    ],
    ids=str,
)
def test_tokens_are_drawn_as_often_as_they_are_likely(asked: Sampling) -> None:
    logits = (np.random.default_rng(1).standard_normal(500) * 2).astype(np.float32)
    case = Case(logits, asked, prompt=[3, 5], generated=[5, 5, 8])
    expected = distribution(adjusted(logits, asked, case.prompt, case.generated), asked)
    sampler, draws = case.sampler(seed=11), 20_000
    seen = np.bincount([sampler.choose(logits).token for _ in range(draws)], minlength=500)
    assert not seen[expected == 0].any()
    # Chi-square over tokens with an expectation of five and more, the others in one bin.
    often = expected * draws >= 5
    observed = np.append(seen[often], seen[~often].sum())
    wanted = np.append(expected[often], expected[~often].sum()) * draws
    observed, wanted = observed[wanted > 0], wanted[wanted > 0]
    chi_square = float(((observed - wanted) ** 2 / wanted).sum())
    freedom = len(wanted) - 1
    assert chi_square < freedom + 4 * (2 * freedom) ** 0.5 + 8, (chi_square, freedom)


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 3000), st.integers(0, 60), st.integers(0, 2**32), st.booleans())
def test_the_largest_are_those_of_a_full_sort(size: int, number: int, seed: int, ties: bool) -> None:
    random = np.random.default_rng(seed)
    logits = random.standard_normal(size).astype(np.float32)
    if ties:
        logits = np.round(logits)
        logits[random.random(size) < 0.3] = -np.inf
    assert np.array_equal(largest(logits, number), np.argsort(-logits, kind="stable")[:number])


def test_log_probabilities_are_those_of_the_raw_logits() -> None:
    logits = (np.random.default_rng(3).standard_normal(1000) * 5).astype(np.float32)
    asked = Sampling(temperature=0.3, top_k=2, presence_penalty=2, logit_bias={int(logits.argmax()): -100}, logprobs=4)
    sampler = Sampler(asked, answer=0, prompt=[])
    chosen = sampler.choose(logits)
    exact = logits.astype(np.float64) - np.log(np.exp(logits.astype(np.float64)).sum())
    assert chosen.token != logits.argmax()
    assert chosen.logprob == pytest.approx(exact[chosen.token], abs=1e-5)
    order = np.argsort(-exact)[:4]
    assert [token for token, _ in chosen.top] == order.tolist()
    assert [logprob for _, logprob in chosen.top] == pytest.approx(exact[order], abs=1e-5)
    assert Sampler(Sampling(logprobs=0), answer=0, prompt=[]).choose(logits).top == ()
    assert Sampler(Sampling(), answer=0, prompt=[]).choose(logits).logprob is None


def test_log_sum_exp_does_not_overflow() -> None:
    assert log_sum_exp(np.array([1000, 1000], np.float32)) == pytest.approx(1000 + np.log(2))
    assert log_sum_exp(np.array([-1000, -1000], np.float32)) == pytest.approx(-1000 + np.log(2))


def draws(seed: int | None, answer: int = 0) -> list[int]:
    logits = np.zeros(1000, np.float32)
    sampler = Sampler(Sampling(seed=seed), answer=answer, prompt=[])
    return [sampler.choose(logits).token for _ in range(8)]


@pytest.mark.parametrize("seed", [0, 1, -1, 2**63 - 1, -(2**63), 2**64 - 1])
def test_a_seed_gives_the_same_tokens_again_and_each_answer_its_own(seed: int) -> None:
    assert draws(seed) == draws(seed)
    assert draws(seed) != draws(seed, answer=1)
    assert draws(seed) != draws(seed + 1 if seed < 2**64 - 1 else 5)


def test_without_a_seed_no_two_answers_are_alike() -> None:
    assert draws(None) != draws(None)


def test_only_allowed_tokens_are_chosen() -> None:
    logits = np.arange(100, dtype=np.float32)
    allowed = np.zeros(100, bool)
    allowed[[4, 7]] = True
    for asked in (Sampling(temperature=0), Sampling(), Sampling(top_k=5), Sampling(top_p=0.9), Sampling(min_p=0.5)):
        chosen = Sampler(asked, answer=0, prompt=[]).choose(logits, allowed)
        assert chosen.token in (4, 7)


def test_no_end_token_is_chosen_before_min_tokens() -> None:
    logits = np.array([0, 9, 1], np.float32)
    sampler = Sampler(Sampling(temperature=0, min_tokens=2), answer=0, prompt=[], end_tokens=[1])
    tokens = []
    for _ in range(3):
        tokens.append(sampler.choose(logits).token)
        sampler.accept(tokens[-1])
    assert tokens == [2, 2, 1]
    only_the_end = np.array([False, True, False])
    sampler = Sampler(Sampling(temperature=0, min_tokens=2), answer=0, prompt=[], end_tokens=[1])
    assert sampler.choose(logits, only_the_end) == Chosen(1)


@pytest.mark.parametrize("temperature", [1e-46, 1e-30, 1e-6])
def test_a_temperature_next_to_0_is_greedy(temperature: float) -> None:
    logits = (np.random.default_rng(5).standard_normal(300) * 10).astype(np.float32)
    sampler = Sampler(Sampling(temperature=temperature), answer=0, prompt=[])
    assert sampler.choose(logits).token == logits.argmax()
    assert sampler.is_plain_greedy
