"""Questions whose right places are known: as a file has them, and as a state of a Library's index finds them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec import Struct

from rixin.errors import InvalidRequest
from rixin.knowledge.index import Index, Place

LONGEST = 2000  # characters of a question


class PlacedQuestion(Struct, frozen=True, kw_only=True):
    """A question and where its answer stands: in one `chunk` (by its id), anywhere in a `document` (by its id, title,
    location or file name), or where the metadata has all of one of `gold`.
    """

    question: str
    chunk: str | None = None
    document: str | None = None
    gold: tuple[dict[str, str], ...] = ()


@dataclass(frozen=True)
class Answered:
    """A question with the chunks that answer it; `rows` are their vectors' places in the table."""

    question: str
    chunk_ids: frozenset[str]
    document_ids: frozenset[str]
    rows: tuple[int, ...]


def read_questions(path: Path) -> list[PlacedQuestion]:
    """One JSON object a line; fields that PlacedQuestion does not have are passed over. Raises InvalidRequest."""
    found = []
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise InvalidRequest(f"The questions can't be read: {error.strerror}.", where=str(path)) from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            one = msgspec.json.decode(line, type=PlacedQuestion)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InvalidRequest(
                f"The line is no question with its place ({error}).",
                where=f"{path}:{number}",
                fix='Write {"question": …, "document": …} or "chunk": … as `rixin library search --json` prints it.',
            ) from None
        if not one.question.strip() or len(one.question) > LONGEST:
            raise InvalidRequest(
                f"A question has from 1 to {LONGEST:,} characters.", where=f"{path}:{number}", param="question"
            )
        found.append(one)
    return found


async def answered(
    asked: Iterable[PlacedQuestion],
    index: Index,
    place: Place,
    names: Mapping[str, Sequence[str]],
    filters: Mapping[str, str],
) -> list[Answered]:
    """Those of the questions that have a right place in this state of the index, each question once.

    `names` are ids of documents by what they may be called; `filters` hold for every chunk, as in a search.
    """
    unique = list({one.question.strip(): one for one in asked}.values())
    documents = {
        id
        for one in unique
        for id in ([_document_of(one.chunk)] if one.chunk else names.get(one.document or "", ()))
        if id in names
    }
    by_document: dict[str, list[tuple[str, int]]] = {}
    for chunk_id, document_id, row in await index.chunks(place, sorted(documents), filters):
        by_document.setdefault(document_id, []).append((chunk_id, row))
    by_gold: dict[frozenset[tuple[str, str]], list[tuple[str, int]]] = {}
    for key in {frozenset(gold.items()) for one in unique for gold in one.gold if gold}:
        found = await index.chunks(place, None, {**filters, **dict(key)})
        by_gold[key] = [(chunk_id, row) for chunk_id, _, row in found]
    made = []
    for one in unique:
        right = [found for gold in one.gold if gold for found in by_gold[frozenset(gold.items())]]
        if one.chunk:
            there = by_document.get(_document_of(one.chunk), ())
            right += [found for found in there if found[0] == one.chunk]
        elif one.document:
            right += [found for id in names.get(one.document, ()) for found in by_document.get(id, ())]
        if right:
            ids = frozenset(chunk_id for chunk_id, _ in right)
            rows = tuple(sorted({row for _, row in right}))
            made.append(Answered(one.question.strip(), ids, frozenset(map(_document_of, ids)), rows))
    return made


def _document_of(chunk_id: str) -> str:
    return chunk_id.rpartition(".")[0]
