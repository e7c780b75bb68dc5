"""The small Jinja templates of a suite, over one row each; they come from strangers and run in the sandbox."""

from collections.abc import Mapping
from functools import lru_cache

from rixin.errors import InvalidRequest, TemplateError
from rixin.text import RowTemplate


@lru_cache(maxsize=256)
def _compiled(source: str) -> RowTemplate:
    return RowTemplate(source)


def fill(source: str, row: Mapping[str, object], where: str) -> str:
    """The text that `source` makes of `row`. Raises InvalidRequest naming the task or item, and what is missing."""
    try:
        return _compiled(source).render(row)
    except TemplateError as error:
        raise InvalidRequest(error.message, where=where, fix="The fields of the row are: " + ", ".join(row)) from None


def field(name: str, row: Mapping[str, object], where: str) -> object:
    """What the row has under `name`, where a template would make a text of it. Raises InvalidRequest."""
    if name not in row:
        raise InvalidRequest(f"The row has no field {name!r}.", where=where, fix="It has: " + ", ".join(row))
    return row[name]
