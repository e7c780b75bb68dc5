"""Lists in pages, as OpenAI's clients walk through them."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from rixin.errors import InvalidRequest


class Named(Protocol):
    """Something with an id."""

    @property
    def id(self) -> str: ...


T = TypeVar("T", bound=Named)


def page_of(items: Sequence[T], *, after: str | None, limit: int) -> tuple[Sequence[T], bool]:
    """What follows the item with the id `after`, at most `limit`, and whether there is more. Raises InvalidRequest."""
    start = 0
    if after is not None:
        start = next((at + 1 for at, item in enumerate(items) if item.id == after), -1)
        if start < 0:
            raise InvalidRequest(f"There is no {after[:100]!r} in this list.", param="after")
    return items[start : start + limit], start + limit < len(items)
