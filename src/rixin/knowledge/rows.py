"""The rows of an index: chunks and documents as its tables have them."""

import hashlib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from rixin.knowledge.centring import centred, vector_column
from rixin.knowledge.documents import Chunk, Document

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Entry:
    """A chunk on its way into the index; `terms` are of all of it, `texts` are embedded: it or its parts."""

    chunk_id: str
    document_id: str
    title: str
    chunk: Chunk
    texts: tuple[str, ...]
    terms: str


def packed(document: Document) -> bytes:
    """As it is kept."""
    return zlib.compress(msgspec.json.encode(document), 6)


def unpacked(body: bytes) -> Document:
    """What `packed` made."""
    return msgspec.json.decode(zlib.decompress(body), type=Document)


def fact(key: str, value: str) -> str:
    """One field of metadata as it is filtered by: a hash of it, in which there is nothing to be quoted."""
    return hashlib.sha256(msgspec.json.encode([key, value])).hexdigest()[:32]


def condition(filters: Mapping[str, str]) -> str | None:
    return " AND ".join(f"array_has(facts, '{fact(*one)}')" for one in filters.items()) or None


def chunk_schema(dimensions: int) -> "pa.Schema":
    import pyarrow as pa

    texts = pa.list_(pa.string())
    return pa.schema(
        [
            pa.field("chunk_id", pa.string()),
            pa.field("document_id", pa.string()),
            pa.field("title", pa.string()),
            pa.field("heading_path", texts),
            pa.field("text", pa.string()),
            pa.field("terms", pa.string()),
            pa.field("facts", texts),
            pa.field("metadata", pa.string()),
            pa.field("page", pa.int64()),
            pa.field("start", pa.int64()),
            pa.field("stop", pa.int64()),
            pa.field("first", pa.bool_()),
            pa.field("length", pa.float32()),
            pa.field("vector", pa.list_(pa.float32(), dimensions)),
        ]
    )


def document_schema() -> "pa.Schema":
    import pyarrow as pa

    return pa.schema([pa.field("id", pa.string()), pa.field("body", pa.binary())])


def table_of(entries: Sequence[Entry], vectors: bytes, centre: bytes | None) -> "pa.Table":
    """A row for each text of each chunk, the first with the terms of all of it."""
    import pyarrow as pa

    rows = [(entry, not at) for entry in entries for at in range(len(entry.texts))]
    made, lengths = centred(vectors, centre, len(rows))
    chunks = [entry.chunk for entry, _ in rows]
    return pa.table(
        [
            [entry.chunk_id for entry, _ in rows],
            [entry.document_id for entry, _ in rows],
            [entry.title for entry, _ in rows],
            [list(chunk.heading_path) for chunk in chunks],
            [chunk.text for chunk in chunks],
            [entry.terms if first else None for entry, first in rows],
            [[fact(key, value) for key, value in chunk.metadata.items()] for chunk in chunks],
            [msgspec.json.encode(chunk.metadata).decode() for chunk in chunks],
            [chunk.page for chunk in chunks],
            [chunk.start for chunk in chunks],
            [chunk.stop for chunk in chunks],
            [first for _, first in rows],
            pa.array(lengths),
            vector_column(made),
        ],
        schema=chunk_schema(made.shape[1]),
    )
