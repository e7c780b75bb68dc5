"""Canaries: a new Version answers a share of an alias's conversations until use has shown whether it may answer all."""

import logging
import threading
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import cast

import msgspec
from msgspec import Struct
from sqlalchemy import select
from sqlalchemy.orm import Session

from rixin.errors import InvalidRequest, NotFound
from rixin.models import CanaryOutcome, Registry, hold_canary
from rixin.renewal.live import live_signals
from rixin.renewal.standing import PAUSED, PAUSED_ZH, CanaryRules, Pause, Signals, Standing, read_rules
from rixin.store import CanaryRow, Database, now

SHARE = 0.1
# So many questions one after the other that its engine can't answer: nobody needs statistics for that.
FAILURES_IN_A_ROW = 3
KEPT_FAILURES = 1000
REPEATED = "its cycle is done again"

log = logging.getLogger(__name__)


class Canary(Struct, frozen=True, kw_only=True):
    """A second Version beside an alias's own (`baseline_id`). `outcome` is None while it goes on.

    `standing` is that of the last look; None before the first. `paused`: it answers nobody for now.
    """

    id: str
    alias: str
    version_id: str
    baseline_id: str
    cycle_id: str | None
    share: float
    rules: CanaryRules
    outcome: CanaryOutcome | None
    reason: str | None
    reason_zh: str | None
    standing: Standing | None
    paused: bool
    started_at: datetime
    ended_at: datetime | None


class Canaries:
    """Synchronous; safe between threads and processes: whoever decides first decides, the others find it decided."""

    def __init__(self, database: Database, registry: Registry) -> None:
        self._database = database
        self._registry = registry
        self._failures: Counter[str] = Counter()  # by canary, since its last answer in this process
        self._lock = threading.Lock()

    def start(
        self,
        alias: str,
        version: str,
        *,
        share: float = SHARE,
        rules: CanaryRules | None = None,
        cycle_id: str | None = None,
    ) -> Canary:
        """Let `version` (an id, a model or an alias) answer a share of the alias's conversations.

        Raises ModelNotFound, InvalidRequest, and Conflict where the alias has a canary.
        """
        found = (self._registry.resolve(alias), self._registry.resolve(version))
        if any(one.engine in ("embedder", "reranker") for one in found):
            raise InvalidRequest(
                "What searches can't be tried on a share of the questions: two versions' vectors do not mix.",
                param="version",
            )
        if all(one.folder is not None for one in found):
            self.require_room()
        document = cast("dict[str, object]", msgspec.to_builtins(rules or CanaryRules()))
        made = self._registry.set_canary(alias, found[1].id, share=share, rules=document, cycle_id=cycle_id)
        return self.get(made)

    def require_room(self) -> None:
        """Raises InvalidRequest where this machine is set to keep one model loaded."""
        if self._registry.settings.max_engines < 2:
            raise InvalidRequest(
                "A canary needs two models loaded at once, and this machine is set to keep one.",
                fix="Set RIXIN_MAX_ENGINES to 2 if the memory allows it, or do without a canary.",
                param="canary",
            )

    def get(self, canary_id: str) -> Canary:
        """Raises NotFound."""
        with self._database.read() as session:
            row = session.get(CanaryRow, canary_id)
            if row is None:
                raise NotFound(f"There is no canary {canary_id[:100]!r}.")
            return _canary(row)

    def of(self, alias: str) -> Canary | None:
        """The alias's canary that goes on."""
        return next((one for one in self.history(alias) if one.outcome is None), None)

    def history(self, alias: str) -> list[Canary]:
        """Every canary of the alias, the newest first."""
        with self._database.read() as session:
            rows = session.scalars(select(CanaryRow).where(CanaryRow.alias == alias).order_by(CanaryRow.id.desc()))
            return [_canary(row) for row in rows]

    def look(self, canary_id: str, *, at: datetime | None = None) -> Standing:
        """How it stands now, nothing is changed; of one that has ended the last look. Raises NotFound."""
        from rixin.renewal.verdict import judge

        with self._database.read() as session:
            row = session.get(CanaryRow, canary_id)
            if row is None:
                raise NotFound(f"There is no canary {canary_id[:100]!r}.")
            kept = _signals(row.signals)
            if row.outcome is not None and kept.standing is not None:
                return kept.standing
            a, b = live_signals(session, row, kept)
        at = at or now()
        standing = judge(
            a,
            b,
            read_rules(row.rules),
            share=row.share,
            stepped_in=len(kept.stepped_in),
            started_at=row.started_at + kept.paused_for(at),
            at=at,
        )
        if kept.paused:
            return msgspec.structs.replace(standing, decision="wait", said=PAUSED, said_zh=PAUSED_ZH)
        return standing

    def decide(self, canary_id: str, *, at: datetime | None = None) -> Standing:
        """Look, keep what was seen, and do what follows from it. Killed in between, the next look finds the same."""
        standing = self.look(canary_id, at=at)
        self._keep(canary_id, standing=standing, reason_zh="" if standing.decision == "wait" else standing.said_zh)
        if standing.decision == "promote":
            self.promote(canary_id, standing.said)
        elif standing.decision == "roll_back":
            self.roll_back(canary_id, standing.said)
        elif standing.decision == "keep":
            self._registry.end_canary(canary_id, "ended", standing.said)
        return standing

    def decide_all(self) -> list[Standing]:
        """`decide` every canary that goes on."""
        with self._database.read() as session:
            live = session.scalars(select(CanaryRow.id).where(CanaryRow.outcome.is_(None))).all()
        return [self.decide(canary_id) for canary_id in live]

    def promote(self, canary_id: str, reason: str = "promoted by hand") -> bool:
        """End it and move the alias to its version, in one transaction; False where it had ended before."""
        return self._registry.end_canary(canary_id, "promoted", reason)

    def roll_back(self, canary_id: str, reason: str = "rolled back by hand") -> bool:
        """End it: every conversation is the old version's again; False where it had ended before."""
        return self._registry.end_canary(canary_id, "rolled_back", reason)

    def pause(self, canary_id: str) -> None:
        """Until `resume` every conversation is the old version's, nothing is decided, and no time passes for it.

        Nothing happens where it has ended.
        """
        with self._database.write() as session:
            row, kept = self._going_on(session, canary_id)
            if row is not None and not kept.paused:
                hold_canary(session, row.alias, 0.0)
                pauses = (*kept.pauses, Pause(now()))
                row.signals = msgspec.to_builtins(msgspec.structs.replace(kept, pauses=pauses))

    def resume(self, canary_id: str) -> None:
        """Each conversation is again the version's that it was drawn for. Nothing happens where it was not paused."""
        with self._database.write() as session:
            row, kept = self._going_on(session, canary_id)
            if row is not None and kept.paused:
                hold_canary(session, row.alias, row.share)
                pauses = (*kept.pauses[:-1], msgspec.structs.replace(kept.pauses[-1], until=now()))
                row.signals = msgspec.to_builtins(msgspec.structs.replace(kept, pauses=pauses))

    def _going_on(self, session: Session, canary_id: str) -> tuple[CanaryRow | None, Signals]:
        """The row, to be changed with its alias; None where it has ended."""
        self._database.exclusively(session, "models")
        row = session.get(CanaryRow, canary_id, with_for_update=True)
        if row is None or row.outcome is not None:
            return None, Signals()
        return row, _signals(row.signals)

    def answered(self, canary_id: str) -> None:
        """Its engine has begun an answer."""
        with self._lock:
            self._failures.pop(canary_id, None)

    def stepped_in(self, canary_id: str, failure: str) -> None:
        """Its engine could not answer, and the other version did. After three in a row it is rolled back at once."""
        with self._lock:
            self._failures[canary_id] += 1
            in_a_row = self._failures[canary_id]
        self._keep(canary_id, stepped_in=True)
        if in_a_row >= FAILURES_IN_A_ROW:
            self._keep(canary_id, reason_zh=f"新版本连续 {in_a_row} 次无法回答：{failure}")
            if self.roll_back(canary_id, f"The new version could not answer {in_a_row} times in a row: {failure}"):
                log.warning("The canary %s was rolled back: %s", canary_id, failure)

    def _keep(
        self, canary_id: str, *, standing: Standing | None = None, stepped_in: bool = False, reason_zh: str = ""
    ) -> None:
        with self._database.write() as session:
            row = session.get(CanaryRow, canary_id, with_for_update=True)
            if row is None or row.outcome is not None:
                return
            kept = _signals(row.signals)
            if stepped_in:
                kept = msgspec.structs.replace(kept, stepped_in=(*kept.stepped_in, now())[-KEPT_FAILURES:])
            kept = msgspec.structs.replace(
                kept, standing=standing or kept.standing, reason_zh=reason_zh or kept.reason_zh
            )
            row.signals = msgspec.to_builtins(kept)


def _signals(document: Mapping[str, object]) -> Signals:
    return msgspec.convert(document, Signals)


def _canary(row: CanaryRow) -> Canary:
    kept = _signals(row.signals)
    ended = row.outcome is not None
    return Canary(
        id=row.id,
        alias=row.alias,
        version_id=row.version_id,
        baseline_id=row.baseline_id,
        cycle_id=row.cycle_id,
        share=row.share,
        rules=read_rules(row.rules),
        outcome=cast("CanaryOutcome | None", row.outcome),
        reason=row.reason,
        reason_zh=kept.reason_zh or row.reason if ended else None,
        standing=kept.standing,
        paused=kept.paused and not ended,
        started_at=row.started_at,
        ended_at=row.ended_at,
    )
