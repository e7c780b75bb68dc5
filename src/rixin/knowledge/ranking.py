"""How what was found by words and what was found by meaning become one list, and how sure it is. Pure functions."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# What the best by words gets beside its cosine; others in proportion. On two sets of questions of law every weight from
# 0.08 to 0.15 was better than either way alone, and than fusing by ranks (RRF): 0.64 of the articles were among the
# first five, 0.49 by ranks.
LEXICAL_WEIGHT = 0.1
DEPTH = 400  # candidates of each kind
CLAUSE = 40  # characters
_CLAUSE_END = re.compile(r"[。；，！？\n]|[.;,!?](?=\s|$)")


@dataclass(frozen=True)
class CosineScale:
    """What a model's cosines mean: at `even` a text is as likely an answer as not, `scale` is how fast that changes."""

    even: float = 0.45
    scale: float = 0.08


@dataclass(frozen=True)
class Fused:
    """A chunk's place in the one list. Ranks count from 1; None where it was not among the candidates."""

    chunk_id: str
    score: float
    lexical_rank: int | None
    vector_rank: int | None


def fuse(lexical: Sequence[tuple[str, float]], nearest: Sequence[tuple[str, float]]) -> list[Fused]:
    """Ids with scores by words (BM25) and by meaning (cosine), each the best first, as one list, the best first.

    What was found by words only has the least cosine of those found by meaning, for it can't be nearer.
    """
    by_words = {chunk_id: (rank, score) for rank, (chunk_id, score) in enumerate(lexical, 1)}
    by_meaning = {chunk_id: (rank, score) for rank, (chunk_id, score) in enumerate(nearest, 1)}
    most = max((score for _, score in lexical), default=0.0)
    least = min((score for _, score in nearest), default=0.0)
    fused = []
    for chunk_id in {**by_words, **by_meaning}:
        words, meaning = _of(by_words, chunk_id, 0.0), _of(by_meaning, chunk_id, least)
        score = meaning[1] + (LEXICAL_WEIGHT * words[1] / most if most > 0 else 0.0)
        fused.append(Fused(chunk_id, score, words[0], meaning[0]))
    return sorted(fused, key=lambda one: (-one.score, one.lexical_rank or math.inf, one.chunk_id))


def _of(ranked: Mapping[str, tuple[int, float]], chunk_id: str, otherwise: float) -> tuple[int | None, float]:
    return ranked.get(chunk_id, (None, otherwise))


def confidence(cosine: float, scale: CosineScale) -> float:
    """How likely a text answers a question, from the cosine of the two as they came; 0…1.

    A weak sign: AUROC 0.61 on 48 questions of law with and without an answer, 0.74 on 94 others.
    """
    return 1 / (1 + math.exp(-(cosine - scale.even) / scale.scale))


def clause(text: str) -> str:
    """What could be a question about a text: its first clause that says something, without what stands before it."""
    pieces = [piece.strip() for piece in _CLAUSE_END.split(text)]
    return (next((piece for piece in pieces if len(piece) > 5), "") or text.strip())[:CLAUSE]
