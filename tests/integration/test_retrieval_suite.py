"""A suite of questions with a corpus, for an embedding model: what is found, and what is asked again after a break."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from rixin.engines import Embeddings
from rixin.errors import EngineDied
from rixin.evaluation.evaluate import Material, load
from rixin.evaluation.journal import Journal
from rixin.evaluation.report import Sample
from rixin.evaluation.retrieval import TEXTS_AT_ONCE, retrieve
from rixin.evaluation.suites import read_suite

DOCUMENTS = 300
SUITE = """
name = "find"
title = "Find"

[[task]]
name = "numbers"
kind = "retrieval"
data = "questions.jsonl"
sha256 = "{questions}"
id = "id"
prompt = "Which document speaks of {{{{word}}}}?"
corpus = "corpus.jsonl"
corpus_sha256 = "{corpus}"
target = "right"
role = "primary"
"""


class Embedder:
    """Each text's vector points to the number in it; question 13 is misunderstood. It dies after so many calls."""

    def __init__(self, calls: int = 1000) -> None:
        self.calls = calls
        self.seen: list[str] = []

    def __call__(self, texts: Sequence[str]) -> Embeddings:
        if not self.calls:
            raise EngineDied("The engine died.")
        self.calls -= 1
        self.seen += texts
        vectors = np.zeros((len(texts), DOCUMENTS), np.float32)
        for row, text in enumerate(texts):
            number = int("".join(filter(str.isdigit, text)))
            vectors[row, 9 if text.startswith("Which") and number == 13 else number] = 2.0
        return Embeddings(vectors=vectors.tobytes(), dimensions=DOCUMENTS, tokens=len(texts))


@pytest.fixture
def material(tmp_path: Path) -> Material:
    folder = tmp_path / "find"
    folder.mkdir()
    corpus = "".join(json.dumps({"id": f"d{n}", "text": f"It speaks of {n}."}) + "\n" for n in range(DOCUMENTS))
    questions = "".join(json.dumps({"id": f"q{n}", "word": str(n), "right": f"d{n}"}) + "\n" for n in range(20))
    hashes = {}
    for name, text in (("corpus", corpus), ("questions", questions)):
        (folder / f"{name}.jsonl").write_text(text)
        hashes[name] = hashlib.sha256(text.encode()).hexdigest()
    (folder / "suite.toml").write_text(SUITE.format(**hashes))
    [only] = load(read_suite(folder), lambda _spec: folder)
    return only


def found(material: Material, embed: Embedder, journal: Journal) -> list[Sample]:
    return retrieve(material.spec, material.rows, material.corpus, material.names, embed, journal)


def test_what_is_found_is_scored_and_nothing_is_embedded_twice(material: Material, tmp_path: Path) -> None:
    whole = Embedder()
    with Journal(tmp_path / "whole.jsonl", about="x") as journal:
        samples = found(material, whole, journal)
    assert [sample.scores["recall_at_5"] for sample in samples] == [0.0 if n == 13 else 1.0 for n in range(20)]
    assert samples[5].answer.startswith("d5, ")
    broken = Embedder(calls=1)
    with Journal(tmp_path / "answers.jsonl", about="x") as journal, pytest.raises(EngineDied):
        found(material, broken, journal)
    assert len(broken.seen) == TEXTS_AT_ONCE
    again = Embedder()
    with Journal(tmp_path / "answers.jsonl", about="x") as journal:
        assert found(material, again, journal) == samples
        assert found(material, again, journal) == samples
    assert sorted(broken.seen + again.seen) == sorted(whole.seen)
