"""What a cleaning did: how many rows it kept, and of each that it dropped, why."""

from collections.abc import Mapping
from typing import Literal

import msgspec
from msgspec import Struct

from rixin.data.cleaning.rules import CleaningRules
from rixin.data.lineage import Sourced

Reason = Literal[
    "nothing_to_learn",
    "unreadable",
    "language",
    "not_text",
    "repetitive",
    "duplicate",
    "near_duplicate",
    "contaminated",
]

KEPT = 20_000


class Dropped(Struct, frozen=True, kw_only=True):
    """A row that was left out: where it came from, why, and what was measured against which limit."""

    origin: str
    reason: Reason
    detail: str


class CleaningReport(Struct, frozen=True, kw_only=True):
    """What was done.

    `rows` is how many came in, `repaired` how many of the kept ones have a text that was changed; `reasons` counts
    what was dropped, and `dropped` has each. `notes` say what could not be looked at.
    """

    rules: CleaningRules
    rows: int
    kept: int
    repaired: int
    reasons: Mapping[str, int]
    dropped: tuple[Dropped, ...]
    notes: tuple[str, ...] = ()

    def shortened(self) -> "CleaningReport":
        """As it is kept with the version that came of it: with the first `KEPT` rows that were dropped."""
        return msgspec.structs.replace(self, dropped=self.dropped[:KEPT])


class Cleaned(Struct, frozen=True, kw_only=True):
    """The rows that are left, in their order, and the report."""

    kept: list[Sourced]
    report: CleaningReport
