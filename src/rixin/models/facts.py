"""What an import finds out about a model, kept in its folder as `rixin.json` so that a second one costs nothing."""

from pathlib import Path

import msgspec
from msgspec import Struct

FACTS_FILE = "rixin.json"
HELD_FILE = "held.json"  # sequences of what was not learnt; see held.py
# Raise this when the files that an import writes change: folders of an older recipe are made anew from their blob.
RECIPE = 1


class Distance(Struct, frozen=True):
    """How far log-probabilities are from the trained model's: |Δ| on average and at most, over `tokens` tokens."""

    mean: float
    most: float
    tokens: int


class Facts(Struct, frozen=True, kw_only=True):
    """What the model's files say about it. `files` are the SHA-256 of every file in its folder, by name.

    `dimensions` are those of an embedder's vectors, 0 of any other model; `reranks` says that it is a reranker. Of a
    trained one, `checks` say how far each form is from it, and `notes` what could not be made or checked.
    """

    architecture: str
    parameters: int | None
    context_length: int
    template_hash: str | None
    title: str | None = None
    licence: str | None = None
    languages: list[str] = []
    weights: str | None = None
    dimensions: int = 0
    reranks: bool = False
    files: dict[str, str] = {}
    checks: dict[str, Distance] = {}
    notes: list[str] = []
    recipe: int = RECIPE


def read_facts(folder: Path) -> Facts | None:
    """The facts of a folder that an import finished with this recipe; None for any other."""
    try:
        facts = msgspec.json.decode((folder / FACTS_FILE).read_bytes(), type=Facts)
    except (OSError, msgspec.MsgspecError):
        return None
    return facts if facts.recipe == RECIPE else None


def write_facts(folder: Path, facts: Facts) -> None:
    """Put the facts beside the files that they describe."""
    (folder / FACTS_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(facts)))


def forget_held(folder: Path) -> None:
    """Delete the held set of a prepared folder: it has rows that somebody took back.

    What is exported from now on is compared with the model as it is served.
    """
    facts = read_facts(folder)
    if facts is not None and HELD_FILE in facts.files:
        files = {name: digest for name, digest in facts.files.items() if name != HELD_FILE}
        draft = folder / f".{FACTS_FILE}"
        draft.write_bytes(msgspec.json.format(msgspec.json.encode(msgspec.structs.replace(facts, files=files))))
        draft.replace(folder / FACTS_FILE)
    (folder / HELD_FILE).unlink(missing_ok=True)
