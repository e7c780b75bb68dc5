"""Tables of LanceDB: which there are, the values in them, how rows and old states are taken out; full disks."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from rixin.models import full_disk_named

if TYPE_CHECKING:
    from lancedb import AsyncConnection, AsyncTable

IDS_AT_ONCE = 500
LONGEST_TIDY = timedelta(hours=1)
OLD = timedelta(days=1)
NEVER = timedelta(days=36_500)
_SYSTEM_ERROR = re.compile(r"\(os error (\d{1,3})\)")


async def names(connection: "AsyncConnection") -> list[str]:
    """Every table there is."""
    found: list[str] = []
    token: str | None = None
    while True:
        page = await connection.list_tables(page_token=token)
        found += page.tables
        token = page.page_token
        if not token:
            return found


async def values(table: "AsyncTable", column: str) -> set[str]:
    """Those of a column, each once."""
    found: set[str] = set()
    async for batch in await table.query().select([column]).to_batches():
        found.update(batch.column(0).unique().to_pylist())
    return found


async def delete(table: "AsyncTable", column: str, ids: Sequence[str]) -> None:
    """Take out the rows that have one of these ids in the column."""
    for at in range(0, len(ids), IDS_AT_ONCE):
        await table.delete(one_of(column, ids[at : at + IDS_AT_ONCE]))


async def keep_tags(table: "AsyncTable", kept: set[str]) -> None:
    """Take every other tag away: the states that had them may be cleaned away by the next `tidy`."""
    for tag in (await table.tags.list()).keys() - kept:
        await table.tags.delete(tag)


async def has_old(table: "AsyncTable") -> bool:
    """Whether the oldest state is of more than a day ago, without a tag and not the latest: nobody can ask for it."""
    versions = await table.list_versions()  # type: ignore[no-untyped-call]
    needed = {tag["version"] for tag in (await table.tags.list()).values()} | {versions[-1]["version"]}
    first = versions[0]
    return first["version"] not in needed and datetime.now(UTC) - _aware(first["timestamp"]) > OLD


async def tidy(table: "AsyncTable") -> None:
    """Merge small pieces, bring what is new into the indexes, and take away states older than those with tags."""
    tags = await table.tags.list()
    needed = {tag["version"] for tag in tags.values()}
    versions = await table.list_versions()  # type: ignore[no-untyped-call]
    times = [_aware(one["timestamp"]) for one in versions if one["version"] in needed]
    # An age, not a moment: Lance counts it back from when merging is done.
    age = max(datetime.now(UTC) - min(times), timedelta(0)) + LONGEST_TIDY if times else timedelta(milliseconds=1)
    try:
        await table.optimize(cleanup_older_than=age)
    except RuntimeError:
        # Merging took longer, or the clock was set: then Lance cleans nothing, since it would be a state with a tag.
        # Anything else fails here too.
        await table.optimize(cleanup_older_than=NEVER)


def _aware(moment: datetime) -> datetime:
    return moment.astimezone(UTC)  # one without a zone is local


def one_of(column: str, ids: Sequence[str]) -> str:
    """Only for ids that Rixin made: they hold nothing to be quoted."""
    assert all(one.replace("_", "").isalnum() for one in ids)
    return f"{column} IN ({', '.join(repr(one) for one in ids)})"


@contextmanager
def full_disk_told(folder: Path) -> Iterator[None]:
    """Turns what Lance says of a full disk, a RuntimeError with the system's number in it, into NotEnoughDisk."""
    with full_disk_named(folder):
        try:
            yield
        except RuntimeError as error:
            if (found := _SYSTEM_ERROR.search(str(error))) is None:
                raise
            number = int(found[1])
            raise OSError(number, os.strerror(number)) from error
