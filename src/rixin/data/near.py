"""Which texts are nearly the same: MinHash over runs of three words (of Chinese: of three characters), then LSH.

Our own on numpy, since the library for it (datasketch) brings scipy and works a text at a time in Python; here
300,000 poems take seconds. Source: Broder, "On the resemblance and containment of documents" (1997); Leskovec,
Rajaraman and Ullman, "Mining of Massive Datasets", chapter 3 (bands and rows).
"""

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

_CHUNK_CHARACTERS = 2_000_000
_SEED = 20_240_229

Words = NDArray[np.uint64]
Signatures = NDArray[np.uint32]


@dataclass(frozen=True)
class Nearness:
    """What is nearly the same: texts that have at least `share` of their runs of `run` words in common.

    Only pairs that agree in all `rows` of one of `bands` are looked at.
    """

    share: float
    bands: int
    rows: int
    run: int


ALIKE = Nearness(0.7, 16, 4, 3)  # at 0.7 a pair is missed once in 80 times, at 0.8 once in 5,000


def near_duplicates(texts: Iterable[str], how: Nearness = ALIKE) -> NDArray[np.int64]:
    """For each text the number of the first text of its group; a text unlike all others is its own group.

    A group is what is near in a chain. The texts themselves are not kept: memory is 4 bytes times bands and rows (here
    256 bytes) a text, and one chunk.
    """
    made = signatures(texts, how)
    pairs = near_pairs(made, how)
    return groups(len(made), pairs[likeness(made, pairs) >= how.share])


def signatures(texts: Iterable[str], how: Nearness) -> Signatures:
    """[texts, bands * rows]: what `near_pairs` and `likeness` work on."""
    made = [_signatures(chunk, how) for chunk in _chunks(texts)]
    return np.concatenate(made) if made else np.zeros((0, how.bands * how.rows), np.uint32)


def near_pairs(made: Signatures, how: Nearness) -> NDArray[np.int64]:
    """Pairs [N, 2] of texts, the earlier one first, that agree in a whole band; each group of such is connected."""
    if not len(made):
        return np.zeros((0, 2), np.int64)
    return np.unique(np.concatenate([_candidates(made, band, how.rows) for band in range(how.bands)]), axis=0)


def likeness(made: Signatures, pairs: NDArray[np.int64]) -> NDArray[np.float64]:
    """Of each pair the share of runs that the texts have in common (Jaccard), as the signatures estimate it."""
    found = np.empty(len(pairs), np.float64)
    for start in range(0, len(pairs), 1 << 16):
        left, right = pairs[start : start + (1 << 16)].T
        found[start : start + (1 << 16)] = (made[left] == made[right]).mean(axis=1)
    return found


def groups(count: int, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """The smallest number that each of `count` things is joined to by `pairs` [N, 2] (union-find)."""
    parent = list(range(count))

    def root(at: int) -> int:
        while parent[at] != at:
            parent[at] = parent[parent[at]]
            at = parent[at]
        return at

    for left, right in pairs.tolist():
        one, other = sorted((root(left), root(right)))
        parent[other] = one
    return np.array([root(at) for at in range(count)], np.int64)


def _chunks(texts: Iterable[str]) -> Iterator[list[str]]:
    chunk: list[str] = []
    size = 0
    for text in texts:
        chunk.append(unicodedata.normalize("NFKC", text).lower())
        size += len(text)
        if size > _CHUNK_CHARACTERS:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _signatures(texts: list[str], how: Nearness) -> Signatures:
    """[texts, bands * rows]: of each text the smallest of its runs' hashes, under as many hash functions."""
    runs, first = _runs(texts, how.run)
    size = how.bands * how.rows
    random = np.random.default_rng(_SEED)
    factors = random.integers(1 << 62, size=size, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    offsets = random.integers(1 << 62, size=size, dtype=np.uint64)
    made = np.empty((len(texts), size), np.uint32)
    for at, (factor, offset) in enumerate(zip(factors, offsets, strict=True)):
        hashed = ((runs * factor + offset) >> np.uint64(32)).astype(np.uint32)
        made[:, at] = np.minimum.reduceat(hashed, first)
    return made


def _runs(texts: list[str], run: int) -> tuple[Words, NDArray[np.int64]]:
    """Hashes of every run of `run` words, text after text, and where each text's begin. Each text has at least one."""
    words, ends = _words(texts)
    begins = np.concatenate([[0], ends[:-1]])
    counts = ends - begins
    runs = words.copy()
    for ahead in range(1, min(run, len(words))):
        runs[: len(words) - ahead] = _mixed(runs[: len(words) - ahead]) + words[ahead:]
    kept = np.ones(len(words), bool)
    last = np.arange(len(words)) >= np.repeat(ends - (run - 1), counts)
    kept[last & (np.repeat(counts, counts) >= run)] = False  # a run ends within its own text
    for text in np.flatnonzero(counts < run):  # too short for a run: the text as a whole is one
        begin, end = begins[text], ends[text]
        whole = np.uint64(len(texts[text]))
        for word in words[begin:end]:
            whole = _mixed(np.array([whole], np.uint64))[0] ^ word
        runs[begin], kept[begin + 1 : end] = whole, False
    first = np.concatenate([[0], np.cumsum(kept)])[begins]
    return _mixed(runs[kept]), first


def _words(texts: list[str]) -> tuple[Words, NDArray[np.int64]]:
    """A hash of every word, and where each text's words end. A text without a word has one, of all its characters.

    A word's hash is the difference of two prefix sums of character times base to the power of its place, divided by
    the base to the power of the word's place: all of it modulo 2**64, where an odd base has an inverse.
    """
    text = "\n".join(texts) + "\n"
    letters = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    lengths = np.array([len(one) for one in texts], np.int64)
    ends = np.cumsum(lengths + 1)
    kinds = _kinds()[np.minimum(letters, 0xFFFF)]
    kinds = np.where((letters >= 0x20000) & (letters < 0x40000), 2, kinds)
    wordless = np.add.reduceat(kinds > 0, ends - lengths - 1) == 0
    if wordless.any():
        inside = np.repeat(wordless, lengths + 1)
        inside[ends - 1] = False
        kinds = np.where(inside, 1, kinds)
        kinds[(ends - 1)[wordless & (lengths == 0)]] = 1  # an empty text: its end is its word
    before = np.concatenate([[0], kinds[:-1]])
    after = np.concatenate([kinds[1:], [0]])
    boundary = np.zeros(len(letters), bool)
    boundary[ends - 1] = True
    begin = (kinds > 0) & ((kinds == 2) | (before != 1) | np.concatenate([[True], boundary[:-1]]))
    end = (kinds > 0) & ((kinds == 2) | (after != 1) | boundary)
    powers, inverses = _powers(len(letters))
    sums = np.cumsum(_mixed(letters.astype(np.uint64)) * powers, dtype=np.uint64)
    starts, stops = np.flatnonzero(begin), np.flatnonzero(end)
    hashes = (sums[stops] - np.where(starts > 0, sums[starts - 1], np.uint64(0))) * inverses[starts]
    return _mixed(hashes), np.searchsorted(starts, ends)


def _powers(count: int) -> tuple[Words, Words]:
    base = np.uint64(0x9E3779B97F4A7C15)
    inverse = np.uint64(pow(int(base), -1, 1 << 64))
    both = []
    for one in (base, inverse):
        powers = np.full(count, one, np.uint64)
        powers[:1] = 1
        both.append(np.cumprod(powers, dtype=np.uint64))
    return both[0], both[1]


def _mixed(values: Words) -> Words:
    """The finaliser of splitmix64. Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators"."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


@cache
def _kinds() -> NDArray[np.uint8]:
    """Of each character below U+10000: 0 between words, 1 in a word, 2 a word by itself (Chinese, kana)."""
    kinds = np.array([chr(code).isalnum() for code in range(0xFFFF)] + [True], np.uint8)
    for begin, end in ((0x3040, 0x30FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF)):
        kinds[begin : end + 1] *= 2
    return kinds


def _candidates(made: Signatures, band: int, rows: int) -> NDArray[np.int64]:
    """Pairs [N, 2] of texts that are the same in this band: each with the one before it and the first of its kind."""
    key = np.zeros(len(made), np.uint64)
    for column in range(band * rows, (band + 1) * rows):
        key = _mixed(key * np.uint64(31) + made[:, column].astype(np.uint64))
    order = np.argsort(key, kind="stable")
    same = np.concatenate([[False], key[order][1:] == key[order][:-1]])
    heads = order[np.maximum.accumulate(np.where(same, 0, np.arange(len(order))))]
    at = np.flatnonzero(same)
    previous = np.stack([order[at - 1], order[at]], axis=1)
    head = np.stack([heads[at], order[at]], axis=1)
    pairs = np.concatenate([previous, head])
    pairs.sort(axis=1)
    return pairs
