"""Tables of LanceDB: which there are, the values in them, and how rows and old states are taken out."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lancedb import AsyncConnection, AsyncTable

IDS_AT_ONCE = 500


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


async def prune(table: "AsyncTable", kept: set[str]) -> None:
    """Take away every state before the oldest that has one of the `kept` tags, and the other tags."""
    tags = await table.tags.list()
    for tag in tags.keys() - kept:
        await table.tags.delete(tag)
    needed = {tags[tag]["version"] for tag in tags.keys() & kept}
    versions = await table.list_versions()  # type: ignore[no-untyped-call]
    times = [_aware(one["timestamp"]) for one in versions if one["version"] in needed]
    # Lance refuses to clean a state that has a tag, and takes an age, not a moment.
    if times and (age := datetime.now(UTC) - min(times)) > timedelta(0):
        await table.optimize(cleanup_older_than=age + timedelta(milliseconds=1))


def _aware(moment: datetime) -> datetime:
    return moment.astimezone(UTC)  # one without a zone is local


def one_of(column: str, ids: Sequence[str]) -> str:
    """Only for ids that Rixin made: they hold nothing to be quoted."""
    assert all(one.replace("_", "").isalnum() for one in ids)
    return f"{column} IN ({', '.join(repr(one) for one in ids)})"
