"""Where aliases point, where they pointed before, and the canary beside them.

All of it works within the caller's transaction: an alias, its move and the end of its canary change together or not at
all, so that a kill leaves either what was or what is.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from rixin.errors import Conflict, InvalidRequest, ModelNotFound
from rixin.store import AliasMoveRow, AliasRow, AssistantRow, AssistantVersionRow, CanaryRow, RunRow, new_id, now

CanaryOutcome = Literal["promoted", "rolled_back", "ended"]


@dataclass(frozen=True)
class Alias:
    """A movable name; `canary_share` of its conversations go to the canary version."""

    name: str
    version_id: str
    canary_version_id: str | None
    canary_share: float
    updated_at: datetime


@dataclass(frozen=True)
class AliasMove:
    """One change of what an alias means; `before` is None where it was new."""

    before: str | None
    after: str
    why: str
    at: datetime


def alias_of(row: AliasRow) -> Alias:
    """The alias that a row holds."""
    return Alias(row.name, row.version_id, row.canary_version_id, row.canary_share, row.updated_at)


def found_alias(session: Session, name: str) -> AliasRow:
    """The alias, to be changed. Raises ModelNotFound."""
    row = session.get(AliasRow, name, with_for_update=True)
    if row is None:
        raise ModelNotFound(f"There is no alias {name!r}.", param="model")
    return row


def goes_to_canary(canary_id: str, share: float, conversation: str) -> bool:
    """Whether the canary answers this conversation: the same for all its questions, on every server, by a hash."""
    digest = hashlib.sha256(f"{canary_id}\0{conversation}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8]) < share * 2.0**64


def live_canary(session: Session, alias: str) -> CanaryRow | None:
    """The alias's canary that is not decided yet."""
    return session.scalar(select(CanaryRow).where(CanaryRow.alias == alias, CanaryRow.outcome.is_(None)))


def point(session: Session, row: AliasRow, version_id: str, why: str) -> None:
    """Let the alias mean this version, and remember what it meant; its canary has ended before."""
    before = row.version_id
    row.version_id, row.updated_at = version_id, now()
    session.add(row)
    if before != version_id:
        session.add(AliasMoveRow(id=new_id("mv"), alias=row.name, before=before, after=version_id, why=why))
    session.flush()


def begin_canary(
    session: Session,
    row: AliasRow,
    version_id: str,
    *,
    share: float,
    rules: Mapping[str, object],
    cycle_id: str | None,
) -> str:
    """A second version beside the alias's own. Raises Conflict while there is one, InvalidRequest; gives its id."""
    if row.canary_version_id is not None:
        raise Conflict(
            f"{row.name!r} has a canary already: {row.canary_version_id}.",
            fix=f"`rixin canary stop {row.name}` ends it.",
        )
    if version_id == row.version_id:
        raise InvalidRequest(f"{row.name!r} means {version_id} already.", fix="Name another version.", param="version")
    if not 0 < share <= 1:
        raise InvalidRequest(f"A share of {share:g} can't be: it lies above 0 and is 1 at most.", param="share")
    started = now()
    canary = CanaryRow(
        id=new_id("can"),
        alias=row.name,
        version_id=version_id,
        baseline_id=row.version_id,
        cycle_id=cycle_id,
        share=share,
        rules=dict(rules),
        started_at=started,
    )
    row.canary_version_id, row.canary_share, row.updated_at = version_id, share, started
    session.add(canary)
    session.flush()
    return canary.id


def hold_canary(session: Session, alias: str, share: float) -> None:
    """Let the alias's canary answer this share for now: 0 is no conversation at all. Raises ModelNotFound."""
    row = found_alias(session, alias)
    row.canary_share, row.updated_at = share, now()
    session.flush()


def end_canary(session: Session, row: AliasRow, outcome: CanaryOutcome, reason: str) -> None:
    """Every conversation is the alias's own version's again; nothing happens where there is no canary."""
    canary = live_canary(session, row.name)
    if canary is not None:
        canary.outcome, canary.reason, canary.ended_at = outcome, reason, now()
    if row.canary_version_id is not None:
        row.canary_version_id, row.canary_share, row.updated_at = None, 0.0, now()
    session.flush()


def moves_of(session: Session, alias: str) -> list[AliasMove]:
    """Every move of the alias, the oldest first."""
    rows = session.scalars(select(AliasMoveRow).where(AliasMoveRow.alias == alias).order_by(AliasMoveRow.id))
    return [AliasMove(row.before, row.after, row.why, row.at) for row in rows]


def version_before(moves: list[AliasMove]) -> str | None:
    """What going back means: the version before the last move that has not been taken back itself.

    A move to where the alias was just before is a way back, so that going back twice goes back two moves and never
    to the version that was left for its faults.
    """
    behind: list[str] = []
    for move in moves:
        if move.before is None:
            behind = []  # the alias was removed since, and made anew
        elif behind and move.after == behind[-1]:
            behind.pop()
        else:
            behind.append(move.before)
    return behind[-1] if behind else None


def needed_by(session: Session, version_id: str) -> list[str]:
    """Who would miss this version.

    `chat`, `the canary of chat`, `the way back of chat`, `the assistant clerk`, or `run_1`, which is yet to begin from
    it or to go on.
    """
    needs = []
    for row in session.scalars(select(AliasRow).order_by(AliasRow.name)):
        if row.version_id == version_id:
            needs.append(row.name)
        if row.canary_version_id == version_id:
            needs.append(f"the canary of {row.name}")
        if version_before(moves_of(session, row.name)) == version_id:
            needs.append(f"the way back of {row.name}")
    current = select(AssistantRow.name, AssistantVersionRow.content).join(
        AssistantVersionRow, AssistantVersionRow.id == AssistantRow.version_id
    )
    for name, content in session.execute(current.order_by(AssistantRow.name)):
        if content.get("model") == version_id:
            needs.append(f"the assistant {name}")
    under_way = select(RunRow.id, RunRow.plan).where(RunRow.status.in_(("queued", "running", "paused")))
    for run_id, plan in session.execute(under_way.order_by(RunRow.id)):
        if version_id in _bases(plan):
            needs.append(run_id)
    return needs


def _bases(plan: Mapping[str, Any]) -> set[str]:
    """The versions that a Run's plan begins from; none before it is planned."""
    return {base["version"] for base in plan.get("assignment", {}).get("bases", {}).values()}
