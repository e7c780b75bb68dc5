"""What a classifier sees of a row: its embedding, its words, and what models said of it."""

import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rixin.models import full_disk_named

Numbers = NDArray[np.float64]

DIMENSIONS = 384
LEARNED_FROM = 2000
TERMS = 20_000
LONGEST = 4000  # characters; what a row is about stands in its beginning
_CHUNK = 500
_WORD = re.compile(r"[^\W_]+")
_HAN = re.compile(r"[\u3400-\u9fff]")


def word_vectors(texts: Sequence[str]) -> Numbers:
    """[texts, up to 384]: the directions in which the rows' words differ most (latent semantic analysis).

    Words, and of Chinese characters and pairs of them, by tf-idf. Source: Deerwester et al. (1990).
    """
    counted = [Counter(_terms(text[:LONGEST])) for text in texts]
    some = [counted[int(at)] for at in np.linspace(0, len(texts) - 1, min(len(texts), LEARNED_FROM))]
    in_rows: Counter[str] = Counter()
    for terms in some:
        in_rows.update(terms.keys())
    kept = [term for term, rows in in_rows.most_common(TERMS) if rows > 1]
    if not kept:
        return np.zeros((len(texts), 1))
    places = {term: at for at, term in enumerate(kept)}
    weights = np.log(len(some) / np.array([in_rows[term] for term in kept])).astype(np.float32)
    learned = _table(some, places, weights)
    middle = learned.mean(axis=0)
    learned -= middle
    values, vectors = np.linalg.eigh((learned @ learned.T).astype(np.float64))
    best = np.argsort(-values)[: min(DIMENSIONS, len(some))]
    best = best[values[best] > 1e-6]
    directions = (learned.T @ (vectors[:, best] / np.sqrt(values[best])).astype(np.float32)).astype(np.float32)
    parts: list[NDArray[np.float32]] = [
        (_table(counted[start : start + _CHUNK], places, weights) - middle) @ directions
        for start in range(0, len(texts), _CHUNK)
    ]
    return np.concatenate(parts).astype(np.float64)


def keep_features(path: Path, texts: Sequence[str], vectors: bytes | None = None) -> None:
    """Write what the rows are told apart by: their words, and their embeddings (float32 rows) where there are any."""
    blocks = [word_vectors(texts)]
    if vectors is not None:
        blocks.append(np.frombuffer(vectors, "<f4").reshape(len(texts), -1).astype(np.float64))
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with full_disk_named(path.parent), partial.open("wb") as file:
            np.save(file, joined(*blocks).astype(np.float32))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def joined(*blocks: Numbers) -> Numbers:
    """The blocks beside each other, each centred and of the same weight: a row of any block has length 1 on average."""
    scaled = []
    for block in blocks:
        centred = block - block.mean(axis=0)
        spread = np.sqrt((centred**2).sum(axis=1).mean())
        scaled.append(centred / spread if spread > 0 else centred)
    beside: Numbers = np.concatenate(scaled, axis=1) / np.sqrt(len(scaled))
    return beside


def _terms(text: str) -> list[str]:
    found: list[str] = []
    for run in _WORD.findall(text.lower()):
        if _HAN.search(run):
            found += run
            found += [run[at : at + 2] for at in range(len(run) - 1)]
        else:
            found.append(run)
    return found


def _table(rows: Sequence[Counter[str]], places: dict[str, int], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    table: NDArray[np.float32] = np.zeros((len(rows), len(places)), np.float32)
    for at, terms in enumerate(rows):
        for term, times in terms.items():
            place = places.get(term)
            if place is not None:
                table[at, place] = (1 + np.log(times)) * weights[place]
    lengths = np.linalg.norm(table, axis=1, keepdims=True)
    table /= np.maximum(lengths, 1e-12)
    return table
