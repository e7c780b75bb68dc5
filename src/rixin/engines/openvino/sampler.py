"""Chooses the next token from logits: penalties, temperature, top-k, top-p, min-p, and log-probabilities.

A vocabulary has some 150,000 tokens and nearly all of them are out of the question, so nothing here sorts it: exact
thresholds leave a few candidates first.
Sources: top-p https://arxiv.org/abs/1904.09751, min-p https://arxiv.org/abs/2407.01082, repetition penalty
https://arxiv.org/abs/1909.05858.
"""

import secrets
from collections.abc import Collection, Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rixin.engines.protocol import Sampling

Floats = NDArray[np.float32]

TILE = 64
LEAST_TEMPERATURE = 1e-5  # below it is greedy: logits divided by less overflow float32
SEED_MASK = (1 << 64) - 1


class Chosen(NamedTuple):
    """A token; with log-probabilities asked for, its own (natural) and the best (token, log-probability) pairs."""

    token: int
    logprob: float | None = None
    top: tuple[tuple[int, float], ...] = ()


class Sampler:
    """One answer's sampling state. The same seed and answer number on the same logits give the same tokens."""

    def __init__(
        self, sampling: Sampling, *, answer: int, prompt: Iterable[int], end_tokens: Collection[int] = ()
    ) -> None:
        """`end_tokens` are out of the question for the first `min_tokens` tokens."""
        self.sampling = sampling
        self._greedy = sampling.temperature < LEAST_TEMPERATURE
        self._to_come = 0 if sampling.ignore_eos else sampling.min_tokens
        self._end_tokens = np.fromiter(end_tokens, np.int64, len(end_tokens))
        seed = secrets.randbits(64) if sampling.seed is None else sampling.seed & SEED_MASK
        self._random = np.random.Generator(np.random.Philox(key=np.array([seed, answer], np.uint64)))
        self._counts: dict[int, int] = {}
        self._seen = set(prompt) if sampling.repetition_penalty != 1 else set()
        self._penalises = bool(sampling.presence_penalty or sampling.frequency_penalty)
        self._bias_tokens = np.fromiter(sampling.logit_bias, np.int64, len(sampling.logit_bias))
        self._bias_values = np.fromiter(sampling.logit_bias.values(), np.float32, len(sampling.logit_bias))

    @property
    def is_plain_greedy(self) -> bool:
        """True if the answer is the likeliest token and nothing else is asked for."""
        asked = self.sampling
        return (
            self._greedy
            and asked.logprobs is None
            and self._to_come <= 0
            and not self._penalises
            and asked.repetition_penalty == 1
            and not asked.logit_bias
        )

    def choose(self, logits: Floats, allowed: NDArray[np.bool_] | None = None) -> Chosen:
        """The next token for `logits` [vocabulary], among `allowed` ones. `logits` is left as it was."""
        asked = self.sampling
        adjusted = self._adjust(logits, allowed)
        token = int(adjusted.argmax()) if self._greedy else self._draw(adjusted)
        if asked.logprobs is None:
            return Chosen(token)
        normaliser = log_sum_exp(logits)
        top = largest(logits, asked.logprobs)
        return Chosen(
            token,
            float(logits[token] - normaliser),
            tuple((int(one), float(logits[one] - normaliser)) for one in top),
        )

    def accept(self, token: int) -> None:
        """Tell it the token that was taken, for the penalties and `min_tokens`."""
        self._to_come -= 1
        if self._penalises:
            self._counts[token] = self._counts.get(token, 0) + 1
        if self.sampling.repetition_penalty != 1:
            self._seen.add(token)

    def _adjust(self, logits: Floats, allowed: NDArray[np.bool_] | None) -> Floats:
        asked = self.sampling
        adjusted = logits
        if self._seen or self._counts or len(self._bias_tokens):
            adjusted = logits.copy()
        if self._seen:
            seen = np.fromiter(self._seen, np.int64, len(self._seen))
            values = adjusted[seen]
            penalty = np.float32(asked.repetition_penalty)
            adjusted[seen] = np.where(values > 0, values / penalty, values * penalty)
        if self._counts:
            tokens = np.fromiter(self._counts, np.int64, len(self._counts))
            counts = np.fromiter(self._counts.values(), np.float32, len(self._counts))
            adjusted[tokens] -= asked.presence_penalty + asked.frequency_penalty * counts
        if len(self._bias_tokens):
            adjusted[self._bias_tokens] += self._bias_values
        if allowed is not None:
            adjusted = np.where(allowed, adjusted, np.float32(-np.inf))
        if self._to_come > 0 and len(self._end_tokens):
            without_end = adjusted.copy()
            without_end[self._end_tokens] = -np.inf
            if without_end.max() > -np.inf:  # else a grammar has ended, which goes before
                adjusted = without_end
        return adjusted

    def _draw(self, logits: Floats) -> int:
        asked = self.sampling
        candidates: NDArray[np.int64] | None = None
        if 0 < asked.top_k < len(logits):
            candidates = largest(logits, asked.top_k)
            logits = logits[candidates]
        weights = np.exp((logits - logits.max()) / np.float32(asked.temperature))
        if asked.min_p > 0 or asked.top_p < 1:
            kept = self._nucleus(weights)
            weights = weights[kept]
            candidates = kept if candidates is None else candidates[kept]
        place = _pick(weights, self._random.random())
        return place if candidates is None else int(candidates[place])

    def _nucleus(self, weights: Floats) -> NDArray[np.int64]:
        """Indices that min-p and then top-p keep; `weights` are relative to the likeliest, which has 1."""
        asked = self.sampling
        kept = np.flatnonzero(weights >= asked.min_p) if asked.min_p > 0 else None
        if asked.top_p >= 1 and kept is not None:
            return kept
        scope = weights if kept is None else weights[kept]
        total = float(scope.sum(dtype=np.float64))
        # All tokens below this together weigh less than what top-p may leave out, so none of them is in the nucleus.
        inside = np.flatnonzero(scope >= (1 - asked.top_p) * total / len(scope))
        kept = inside if kept is None else kept[inside]
        order = kept[np.argsort(-weights[kept], kind="stable")]
        sums = np.cumsum(weights[order], dtype=np.float64)
        return order[: int(np.searchsorted(sums, asked.top_p * total)) + 1]


def _pick(weights: Floats, share: float) -> int:
    """The index at which the running sum of `weights` passes `share` (0…1) of their total."""
    tiles = len(weights) // TILE
    # Sums of tiles first: a running sum over the whole vocabulary takes 1 ms, this 0.1.
    sums = weights[: tiles * TILE].reshape(tiles, TILE).sum(axis=1, dtype=np.float64)
    rest = weights[tiles * TILE :]
    running = np.cumsum(np.append(sums, rest.sum(dtype=np.float64)))
    target = share * running[-1]
    tile = int(np.searchsorted(running, target, side="right"))
    before = running[tile - 1] if tile else 0.0
    within = before + np.cumsum(weights[tile * TILE : (tile + 1) * TILE], dtype=np.float64)
    place = tile * TILE + int(np.searchsorted(within, target, side="right"))
    # Rounding may lead past the end, or onto a weight of 0 behind it.
    return place if place < len(weights) and weights[place] > 0 else int(weights.argmax())


def largest(logits: Floats, number: int) -> NDArray[np.int64]:
    """Indices of the `number` largest, largest first."""
    number = min(number, len(logits))
    if number == 0:
        return np.empty(0, np.int64)
    tiles = len(logits) // TILE
    if tiles > number:
        # At least `number` logits reach the number-th largest tile maximum, so nothing below it is wanted.
        maxima = logits[: tiles * TILE].reshape(tiles, TILE).max(axis=1)
        candidates = np.flatnonzero(logits >= np.partition(maxima, -number)[-number])
    else:
        candidates = np.arange(len(logits))
    return candidates[np.argsort(-logits[candidates], kind="stable")[:number]]


def log_sum_exp(logits: Floats) -> float:
    """log Σ exp(logits), without overflow."""
    highest = logits.max()
    return float(highest) + float(np.log(np.exp(logits - highest).sum(dtype=np.float64)))
