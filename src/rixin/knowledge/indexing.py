"""What makes a table quick to search: indexes of its words, of its facts, and of its vectors where there are many.

Rows that are in no index yet are found too: LanceDB looks through those one by one.
"""

from typing import TYPE_CHECKING

from rixin.knowledge.lance import has_old, tidy

if TYPE_CHECKING:
    from lancedb import AsyncTable
    from lancedb.index import FTS, IvfPq, IvfRq, LabelList

# Rows; below it every vector is compared, from memory (`matrix`).
APPROXIMATE_FROM = 100_000
RABITQ_MULTIPLE = 8  # what dimensions must be
# Of new rows among all: from here on an index is made anew, which is quicker and forgets deleted rows.
REBUILD_SHARE = 0.1
# Of new rows, and of pieces of a table: up to here they are searched as they are. To tidy up after each changed
# document took 12 s and 114 MB in a Library of 8,400 chunks; this takes 0.5 s.
TIDY_SHARE, TIDY_ROWS = 0.02, 2000
TIDY_PIECES = 64


async def index_rows(table: "AsyncTable") -> None:
    """Bring the table's indexes to its rows, as far as that is worth it by now, and tidy up."""
    from lancedb.index import FTS, LabelList

    rows = await table.count_rows()
    if not rows:
        return
    words = FTS(
        base_tokenizer="whitespace",
        lower_case=False,
        stem=False,
        remove_stop_words=False,
        ascii_folding=False,
        max_token_length=None,
    )
    new = await _renewed(table, "terms", words, rows)
    # A filter looked through 42,000 rows for 8 ms, through a million for 75.
    await _renewed(table, "facts", LabelList(), rows)
    if rows >= APPROXIMATE_FROM:
        await _renewed(table, "vector", await _of_vectors(table), rows)
    # It comes as plain dictionaries, whatever its type says.
    pieces = (await table.stats())["fragment_stats"]["num_fragments"]  # type: ignore[index]
    if new > min(rows * TIDY_SHARE, TIDY_ROWS) or pieces > TIDY_PIECES or await has_old(table):
        await tidy(table)


async def _of_vectors(table: "AsyncTable") -> "IvfPq | IvfRq":
    """One bit a dimension: of a million, 0.95 of the ten nearest were found, at most 0.84 by product quantisation.

    Source: Gao and Long, "RaBitQ" (2024).
    """
    from lancedb.index import IvfPq, IvfRq

    dimensions = (await table.schema()).field("vector").type.list_size
    return IvfRq(distance_type="dot") if dimensions % RABITQ_MULTIPLE == 0 else IvfPq(distance_type="dot")


async def _renewed(table: "AsyncTable", column: str, config: "FTS | IvfPq | IvfRq | LabelList", rows: int) -> int:
    """Make the column's index anew if there is none or too many rows are not in it; gives how many were not."""
    names = {index.columns[0]: index.name for index in await table.list_indices()}
    stats = await table.index_stats(names[column]) if column in names else None
    new = rows if stats is None else stats.num_unindexed_rows
    if new > rows * REBUILD_SHARE:
        await table.create_index(column, config=config, replace=True)
    return new
