"""How well an embedding model finds: recall, nDCG and the rank of the first hit, over a suite's own corpus."""

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rixin.engines import Embeddings
from rixin.errors import InvalidRequest
from rixin.evaluation.journal import Given, Journal, key_of
from rixin.evaluation.report import Sample
from rixin.evaluation.suites import TaskSpec
from rixin.evaluation.templates import fill

Row = Mapping[str, object]
TEXTS_AT_ONCE = 256
DEPTH = 10


def retrieve(
    spec: TaskSpec,
    rows: Sequence[Row],
    corpus: Sequence[Row],
    names: Sequence[str],
    embed: Callable[[Sequence[str]], Embeddings],
    journal: Journal,
) -> list[Sample]:
    """One sample a question: the corpus is ranked by the cosine of the vectors.

    `prompt` makes a question's text, `delimiter` is not used; a row of the corpus has `id` and `text`; `target` names
    the field with the ids that are right.
    """
    if not corpus or not rows:
        raise InvalidRequest("There is nothing to find, or nothing is asked.", where=f"{spec.corpus}, {spec.data}")
    places = {}
    for at, document in enumerate(corpus):
        if "id" not in document or not isinstance(document.get("text"), str):
            raise InvalidRequest("A row of a corpus needs `id` and `text`.", where=f"{spec.corpus}:{at + 1}")
        places[str(document["id"])] = at
    ids = list(places)
    found = _vectors([str(document["text"]) for document in corpus], embed, journal)
    questions = [fill(spec.prompt, row, f"{spec.name}/{name}") for row, name in zip(rows, names, strict=True)]
    asked = _vectors(questions, embed, journal)
    samples = []
    for row, name, question, vector in zip(rows, names, questions, asked, strict=True):
        gold = row.get(spec.target)
        wanted = {str(one) for one in gold} if isinstance(gold, list) else {str(gold)}
        if unknown := wanted - places.keys():
            raise InvalidRequest(f"{sorted(unknown)[0]!r} is not in the corpus.", where=f"{spec.name}/{name}")
        closeness = found @ vector
        ranked = [ids[at] for at in np.argsort(-closeness, kind="stable")[:DEPTH]]
        samples.append(
            Sample(
                task=spec.name,
                item=name,
                cluster=f"{spec.name}/{row.get(spec.cluster, name) if spec.cluster else name}",
                prompt=question,
                answer=", ".join(ranked),
                expected=", ".join(sorted(wanted)),
                scores=ranking_scores(ranked, wanted),
                verdict=f"first hit at {_rank(ranked, wanted) or f'none of {DEPTH}'}",
            )
        )
    return samples


def ranking_scores(ranked: Sequence[str], wanted: set[str]) -> dict[str, float]:
    """recall@5, recall@10, nDCG@10 (binary gains) and MRR@10. Source: Järvelin and Kekäläinen 2002."""
    hits = np.array([name in wanted for name in ranked[:DEPTH]], dtype=float)
    discounts = 1 / np.log2(np.arange(2, DEPTH + 2))
    ideal = float(discounts[: min(len(wanted), DEPTH)].sum())
    rank = _rank(ranked, wanted)
    return {
        "recall_at_5": float(hits[:5].sum()) / len(wanted),
        "recall_at_10": float(hits.sum()) / len(wanted),
        "ndcg_at_10": float(hits @ discounts[: len(hits)]) / ideal,
        "mrr_at_10": 1 / rank if rank else 0.0,
    }


def _rank(ranked: Sequence[str], wanted: set[str]) -> int | None:
    return next((at for at, name in enumerate(ranked[:DEPTH], 1) if name in wanted), None)


def _vectors(
    texts: Sequence[str], embed: Callable[[Sequence[str]], Embeddings], journal: Journal
) -> NDArray[np.float32]:
    """Of length 1, [texts, dimensions]; what the journal has is not asked again."""
    keys = [key_of("embed", text) for text in texts]
    missing = {key: text for key, text in zip(keys, texts, strict=True) if journal.get(key) is None}
    names = list(missing)
    for start in range(0, len(names), TEXTS_AT_ONCE):
        some = names[start : start + TEXTS_AT_ONCE]
        made = embed([missing[name] for name in some])
        for name, vector in zip(some, _rows(made.vectors, made.dimensions), strict=True):
            journal.add(Given(key=name, text=b64encode(vector.tobytes()).decode()))
    found = [journal.get(key) for key in keys]
    kept = [b64decode(given.text) for given in found if given is not None and given.text is not None]
    vectors = _rows(b"".join(kept), len(kept[0]) // 4)
    lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    unit: NDArray[np.float32] = (vectors / lengths).astype(np.float32)
    return unit


def _rows(vectors: bytes, dimensions: int) -> NDArray[np.float32]:
    return np.frombuffer(vectors, dtype="<f4").reshape(-1, dimensions)
