"""What an assistant asks of the house's Libraries, as the one method that it needs."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from rixin.knowledge import Found, Reader


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
