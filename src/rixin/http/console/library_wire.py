"""Bodies and answers of `/api/libraries`."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from rixin.knowledge.documents import BlockKind

Name = Annotated[str, Meta(max_length=64)]
UserId = Annotated[str, Meta(max_length=64)]
Title = Annotated[str, Meta(max_length=200)]
DocumentState = Literal["waiting", "reading", "read", "failed"]


class LibraryTuning(Struct, frozen=True, kw_only=True):
    """How its search was tuned: learned from so many questions, and measured by `held_out` others.

    MRR@10 of those, and the share of them that has a right place among the first five, before and after.
    """

    learned_from: int
    held_out: int
    mrr_before: float
    mrr_after: float
    hit5_before: float
    hit5_after: float


class LibraryInfo(Struct, frozen=True, kw_only=True):
    """A Library that one may read. `chunks` are the pieces that a search finds; `readers` are user ids.

    `waiting` uploads are still to be read, `failed` ones could not be; `problem` says why nothing is read at present.
    `may_change` is whether this person may; those who may not are not told who else reads it. `tuning` is null where
    its search was not tuned, `reranker` where no model puts the first hits in order.
    """

    name: str
    title: str
    documents: int
    chunks: int
    waiting: int
    failed: int
    problem: str | None
    everyone: bool
    readers: list[str]
    may_change: bool
    tuning: LibraryTuning | None
    reranker: str | None
    created_at: datetime
    read_at: datetime | None


class LibraryList(Struct, frozen=True, kw_only=True):
    data: list[LibraryInfo]


class NewLibraryBody(Struct, frozen=True, kw_only=True):
    """`readers` are user ids; they matter where not `everyone` may read."""

    name: Name
    title: Title = ""
    everyone: bool = True
    readers: Annotated[list[UserId], Meta(max_length=1000)] = []


class LibraryChanges(Struct, frozen=True, kw_only=True):
    """What is given is changed."""

    title: Title | None = None
    everyone: bool | None = None
    readers: Annotated[list[UserId], Meta(max_length=1000)] | None = None


class DocumentInfo(Struct, frozen=True, kw_only=True):
    """A document, or an upload on its way to be one. `reason` says why it could not be read, and what to do.

    `file_name` is empty for what came from no file. `removable` are uploads; what comes from a folder of the machine is
    removed there.
    """

    id: str
    title: str
    file_name: str
    media_type: str
    bytes: int
    state: DocumentState
    reason: str | None
    chunks: int
    removable: bool
    changed_at: datetime


class DocumentPage(Struct, frozen=True, kw_only=True):
    """`next` is the `offset` of what follows."""

    data: list[DocumentInfo]
    total: int
    next: int | None


class DocumentBlock(Struct, frozen=True, kw_only=True):
    """A block of the document's text. It begins at the code point `start` of the whole; `level` is a heading's."""

    kind: BlockKind
    text: str
    start: int
    level: int
    page: int | None


class DocumentPart(Struct, frozen=True, kw_only=True):
    """The blocks of a document that hold its code points from `start` to `stop`, of `length` in all."""

    id: str
    library: str
    title: str
    media_type: str
    language: str | None
    start: int
    stop: int
    length: int
    blocks: list[DocumentBlock]


class SearchHit(Struct, frozen=True, kw_only=True):
    """A place that was found. The ranks say how: by its words, by its meaning, or both; counted from 1."""

    document_id: str
    title: str
    heading_path: list[str]
    text: str
    start: int
    stop: int
    page: int | None
    score: float
    lexical_rank: int | None
    vector_rank: int | None


class SearchResult(Struct, frozen=True, kw_only=True):
    """`confidence` is how likely it is that the documents answer the question, from 0 to 1."""

    hits: list[SearchHit]
    confidence: float
