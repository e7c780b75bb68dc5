"""What an assistant asks of the house's Libraries, as the one method that it needs."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct


class Reader(Struct, frozen=True, kw_only=True):
    """Who asks; without a user it is the machine itself."""

    user_id: str | None
    admin: bool = False


class Hit(Struct, frozen=True, kw_only=True):
    """A place in a document that was found. `text` is the document's own text from `start` to `stop`."""

    chunk_id: str
    document_id: str
    library: str
    title: str
    heading_path: tuple[str, ...]
    text: str
    start: int
    stop: int
    page: int | None
    score: float
    confidence: float
    lexical_rank: int | None
    vector_rank: int | None
    metadata: dict[str, str]


class Found(Struct, frozen=True, kw_only=True):
    """Hits, the best first; `confidence` is how likely they answer the question, from 0 to 1."""

    hits: tuple[Hit, ...]
    version: int
    confidence: float


class Searcher(Protocol):
    """`knowledge.Libraries`, as far as answers need it."""

    async def search(
        self,
        names: Sequence[str],
        question: str,
        *,
        reader: Reader,
        limit: int = 10,
        as_of: int | None = None,
        filters: Mapping[str, str] = ...,
    ) -> Found:
        """Raises NotFound for a Library that isn't there or that the reader may not read."""
        ...
