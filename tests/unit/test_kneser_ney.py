"""The benchmark's Kneser-Ney model, beside one written from the paper's formulas with dictionaries."""

import sys
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from kneser_ney import UNICODE_BITS, KneserNey, _discounts

END = "\0"


class Reference:
    """p(w | h) = (c(h w) - D(c(h w))) / c(h) + kept(h) p(w | h without its first character)."""

    def __init__(self, documents: list[str], order: int) -> None:
        self.order = order
        raw: list[Counter[str]] = [Counter() for _ in range(order + 1)]
        for document in documents:
            text = END + document + END
            for n in range(1, order + 1):
                raw[n].update(text[i : i + n] for i in range(len(text) - n + 1) if (n, i) != (1, 0))
        self.counts = [Counter[str](), *raw[1:]]
        for n in range(1, order):
            left = defaultdict(set)
            for longer in raw[n + 1]:
                left[longer[1:]].add(longer[0])
            opening = {gram: count for gram, count in raw[n].items() if n > 1 and gram[0] == END}
            self.counts[n] = Counter({gram: len(before) for gram, before in left.items()}) + Counter(opening)
        self.vocabulary = len(set("".join(documents))) + 2  # the end, and the unknown

    def probability(self, history: str, word: str) -> float:
        below = self.probability(history[1:], word) if history else 1 / self.vocabulary
        counts = self.counts[len(history) + 1]
        discounts = _discounts(np.array(list(counts.values())))
        following = {gram: count for gram, count in counts.items() if gram[:-1] == history}
        total = sum(following.values())
        if not total:
            return below
        taken = {gram: discounts[min(count, 3)] for gram, count in following.items()}
        own = following.get(history + word, 0) - taken.get(history + word, 0)
        return float(own / total + sum(taken.values()) / total * below)

    def bits(self, document: str) -> list[float]:
        text = END + document + END
        known = set(self.counts[1])
        return [
            -np.log2(self.probability(text[max(0, i - self.order + 1) : i], text[i]))
            + (0 if text[i] in known else UNICODE_BITS)
            for i in range(1, len(text))
        ]


DOCUMENTS = st.lists(st.text("abc\n", max_size=12), min_size=1, max_size=6)


@settings(max_examples=30)
@given(DOCUMENTS, st.lists(st.text("abcd\n", max_size=8), min_size=1, max_size=3), st.integers(1, 5))
def test_every_character_costs_what_the_formulas_say(learned: list[str], told: list[str], order: int) -> None:
    reference = Reference(learned, order)
    expected = [bits for document in told for bits in reference.bits(document)]
    assert KneserNey(learned, order).bits(told) == pytest.approx(expected, abs=1e-9)


@settings(max_examples=30)
@given(DOCUMENTS, st.text("abc\n", max_size=5))
def test_what_may_follow_has_probability_one_in_all(learned: list[str], prefix: str) -> None:
    model = KneserNey(learned)
    known = set("".join(learned))
    # "z" is unknown: its cost holds the naming of one character among Unicode's.
    after = [model.bits([prefix + one])[len(prefix)] for one in [*known, "z"]]
    after[-1] -= UNICODE_BITS
    ended = model.bits([prefix])[-1]
    assert sum(2.0**-bits for bits in [*after, ended]) == pytest.approx(1)


def test_discounts_are_chen_and_goodmans() -> None:
    counts = np.repeat([1, 2, 3, 4], [8, 4, 2, 1])
    # Y = 8 / (8 + 2 * 4) = 1/2; D1 = 1 - 2 Y 4/8, D2 = 2 - 3 Y 2/4, D3+ = 3 - 4 Y 1/2
    assert _discounts(counts).tolist() == [0, 0.5, 1.25, 2.0]
