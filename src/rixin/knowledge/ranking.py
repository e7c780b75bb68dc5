"""How what was found by words and what was found by meaning become one list, and how sure it is. Pure functions."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# Source: Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion outperforms Condorcet…" (SIGIR 2009), its k.
K = 60
LEXICAL_WEIGHT = 1.0
VECTOR_WEIGHT = 1.0
DEPTH = 200  # candidates of each kind
# A cosine at which an answer is as likely as not, and how quickly that changes around it.
EVEN_COSINE, COSINE_SCALE = 0.45, 0.08


@dataclass(frozen=True)
class Fused:
    """A chunk's place in the one list. Ranks count from 1; None where it was not among the candidates."""

    chunk_id: str
    score: float
    lexical_rank: int | None
    vector_rank: int | None


def fuse(lexical: Sequence[str], nearest: Sequence[str]) -> list[Fused]:
    """Weighted reciprocal rank fusion, the best first; equal scores in the order of their words, then their ids."""
    by_words: Mapping[str, int] = {chunk_id: rank for rank, chunk_id in enumerate(lexical, 1)}
    by_meaning: Mapping[str, int] = {chunk_id: rank for rank, chunk_id in enumerate(nearest, 1)}
    fused = []
    for chunk_id in {**by_words, **by_meaning}:
        words, meaning = by_words.get(chunk_id), by_meaning.get(chunk_id)
        score = (LEXICAL_WEIGHT / (K + words) if words else 0.0) + (VECTOR_WEIGHT / (K + meaning) if meaning else 0.0)
        fused.append(Fused(chunk_id, score, words, meaning))
    return sorted(fused, key=lambda one: (-one.score, one.lexical_rank or math.inf, one.chunk_id))


def confidence(cosine: float | None) -> float:
    """How likely a text answers a question, from the cosine of the two; 0…1."""
    if cosine is None:
        return 0.0
    return 1 / (1 + math.exp(-(cosine - EVEN_COSINE) / COSINE_SCALE))
