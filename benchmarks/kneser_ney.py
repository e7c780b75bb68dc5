"""An interpolated modified Kneser-Ney character model: what a neural model of the same text has to beat.

Source: Chen and Goodman, "An empirical study of smoothing techniques for language modeling", 1999. N-grams that open a
document keep their raw counts, as in KenLM (Heafield et al., 2013).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
Reals = NDArray[np.float64]

UNKNOWN, BOUNDARY = 0, 1  # ids of a character that the training text lacks, and of a document's start and end
UNICODE_BITS = float(np.log2(155_063))  # assigned code points of Unicode 16: what naming an unknown character costs
NONE = -1  # the id of an n-gram that the training text lacks


@dataclass(frozen=True)
class _Order:
    """All n-grams of one length, in the order of `keys`: number of the first n-1 characters, times V, plus the last.

    `discounted` [n-grams] is the count less its discount; `totals` and `kept` [shorter n-grams] are, of each context,
    the sum of its counts and the share that the next lower order may give away.
    """

    keys: Ids
    discounted: Reals
    totals: Reals
    kept: Reals


class KneserNey:
    """The model of some documents. A document's end is predicted like a character; its start is only seen."""

    def __init__(self, documents: Sequence[str], order: int = 5) -> None:
        characters = sorted(set().union(*map(set, documents)))
        self._ids = {character: index + 2 for index, character in enumerate(characters)}
        self._size = len(characters) + 2
        self._orders = self._fit(documents, order)

    def bits(self, documents: Sequence[str]) -> Reals:
        """What each character and each document's end costs, float64 [characters + documents], as they come."""
        text = self._encode(documents)
        age = _age(text)
        everywhere = np.arange(1, len(text))
        probability = np.full(len(everywhere), 1 / self._size)
        gram = text
        for n, order in enumerate(self._orders, start=1):
            context, gram = gram, (text if n == 1 else self._look_up(order, gram, text, age, n))
            before = (
                np.zeros(len(everywhere), np.int64) if n == 1 else np.where(age >= n - 1, _earlier(context), NONE)[1:]
            )
            seen = np.flatnonzero((before != NONE) & (order.totals[before] > 0))
            now, here = gram[1:][seen], before[seen]
            direct = np.where(now == NONE, 0, order.discounted[now]) / order.totals[here]
            probability[seen] = direct + order.kept[here] * probability[seen]
        bits: Reals = -np.log2(probability)
        bits[text[1:] == UNKNOWN] += UNICODE_BITS
        return bits

    def _encode(self, documents: Sequence[str]) -> Ids:
        """All documents in one row, with a boundary before, between and after them."""
        points = np.frombuffer("\0".join(["", *documents, ""]).encode("utf-32-le"), np.uint32)
        table = np.full(0x110000, UNKNOWN, np.int64)
        for character, index in self._ids.items():
            table[ord(character)] = index
        table[0] = BOUNDARY
        return table[points]

    def _fit(self, documents: Sequence[str], highest: int) -> list[_Order]:
        text = self._encode(documents)
        age = _age(text)
        grams, keys, firsts = [text], [np.arange(self._size)], [np.arange(0)]
        for n in range(2, highest + 1):
            usable = np.flatnonzero(age >= n - 1)
            if not len(usable):  # no text is that long
                highest = n - 1
                break
            number, unique, first = _number(_earlier(grams[-1])[usable] * self._size + text[usable])
            gram = np.full(len(text), NONE)
            gram[usable] = number
            grams.append(gram)
            keys.append(unique)
            firsts.append(usable[first])
        return [self._order(n, highest, grams, keys, firsts, age) for n in range(1, highest + 1)]

    def _order(self, n: int, highest: int, grams: list[Ids], keys: list[Ids], firsts: list[Ids], age: Ids) -> _Order:
        """Counts: raw for the highest order and for what opens a document, else of the distinct characters before."""
        gram, size = grams[n - 1], len(keys[n - 1])
        raw = gram[(age > 0) & ((age == n - 1) | (n == highest)) & (gram != NONE)]
        counts = np.bincount(raw, minlength=size)
        if n < highest:
            counts += np.bincount(gram[firsts[n]], minlength=size)
        discounts = _discounts(counts)[np.minimum(counts, 3)]
        contexts = np.zeros(size, np.int64) if n == 1 else keys[n - 1] // self._size
        width = 1 if n == 1 else len(keys[n - 2])
        totals = np.bincount(contexts, counts, minlength=width)
        kept = np.bincount(contexts, discounts, minlength=width) / np.maximum(totals, 1)
        return _Order(keys[n - 1], counts - discounts, totals.astype(np.float64), kept)

    def _look_up(self, order: _Order, shorter: Ids, text: Ids, age: Ids, n: int) -> Ids:
        """The number of the n-gram that ends at each place."""
        before = _earlier(shorter)
        wanted = before * self._size + text
        place = np.minimum(np.searchsorted(order.keys, wanted), len(order.keys) - 1)
        return np.where((age >= n - 1) & (before != NONE) & (order.keys[place] == wanted), place, NONE)


def _age(text: Ids) -> Ids:
    """How far back the last boundary before each place is; 0 at the first place, which has none."""
    places = np.arange(len(text))
    last = np.maximum.accumulate(np.where(text == BOUNDARY, places, 0))
    return places - _earlier(last, fill=0)


def _earlier(values: Ids, fill: int = NONE) -> Ids:
    return np.concatenate([np.array([fill]), values[:-1]])


def _number(keys: Ids) -> tuple[Ids, Ids, Ids]:
    """Of each key its rank among the different keys; the different keys, sorted; where each is first met."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    new = np.ones(len(keys), dtype=bool)
    new[1:] = ordered[1:] != ordered[:-1]
    number = np.empty(len(keys), np.int64)
    number[order] = np.cumsum(new) - 1
    return number, ordered[new], order[new]


def _discounts(counts: Ids) -> Reals:
    """What is taken off counts of 0, 1, 2 and 3 or more; KenLM's fixed values where a text is too small to tell."""
    ones, twos, threes, fours = (int((counts == k).sum()) for k in (1, 2, 3, 4))
    if ones and twos and threes:
        share = ones / (ones + 2 * twos)
        found = np.array(
            [0, 1 - 2 * share * twos / ones, 2 - 3 * share * threes / twos, 3 - 4 * share * fours / threes]
        )
        if (found[1:] > 0).all():
            return found
    return np.array([0, 0.5, 1, 1.5])
