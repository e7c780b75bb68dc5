"""Cycles, canaries, and where aliases pointed before."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from rixin.store.schema.base import Base
from rixin.store.types import Identifier, JsonDocument, now


class CycleRow(Base):
    """One turn of the loop. `plan` is what it was asked to do, `made` what came of it so far: ids, by step.

    `wanted` is what somebody asked of one that is under way, `attempt` counts the times it was started, `error` are the
    fields of the typed error.
    """

    __tablename__ = "cycles"
    __table_args__ = (
        CheckConstraint(
            "status IN ('queued', 'running', 'paused', 'finished', 'failed', 'cancelled')",
            name="status",
        ),
        CheckConstraint("wanted IN ('pause', 'cancel')", name="wanted"),
        CheckConstraint("outcome IN ('promoted', 'kept', 'nothing', 'rolled_back')", name="outcome"),
        Index(None, "alias", "created_at"),
    )

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    alias: Mapped[str] = mapped_column(Identifier)
    why: Mapped[str]
    plan: Mapped[dict[str, object]] = mapped_column(JsonDocument)
    status: Mapped[str] = mapped_column(index=True, default="queued")
    step: Mapped[str | None]
    wanted: Mapped[str | None]
    attempt: Mapped[int] = mapped_column(default=0)
    made: Mapped[dict[str, object]] = mapped_column(JsonDocument, default=dict)
    outcome: Mapped[str | None]
    reason: Mapped[str | None]
    reason_zh: Mapped[str | None]
    error: Mapped[dict[str, object] | None] = mapped_column(JsonDocument)
    created_at: Mapped[datetime] = mapped_column(default=now)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class CycleStepRow(Base):
    """A step of a Cycle that was begun: when, how long it took over all attempts, and what it said."""

    __tablename__ = "cycle_steps"

    cycle_id: Mapped[str] = mapped_column(Identifier, ForeignKey("cycles.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(Identifier, primary_key=True)
    position: Mapped[int]
    attempts: Mapped[int] = mapped_column(default=0)
    seconds: Mapped[float] = mapped_column(default=0.0)
    said: Mapped[str] = mapped_column(default="")
    said_zh: Mapped[str] = mapped_column(default="")
    values: Mapped[dict[str, object]] = mapped_column(JsonDocument, default=dict)
    started_at: Mapped[datetime] = mapped_column(default=now)
    finished_at: Mapped[datetime | None]


class CanaryRow(Base):
    """A version that answers a share of an alias's conversations beside `baseline_id`, until that is decided."""

    __tablename__ = "canaries"
    __table_args__ = (
        CheckConstraint("outcome IN ('promoted', 'rolled_back', 'ended')", name="outcome"),
        CheckConstraint("share > 0 AND share <= 1", name="share"),
    )

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    alias: Mapped[str] = mapped_column(Identifier, index=True)
    version_id: Mapped[str] = mapped_column(Identifier)
    baseline_id: Mapped[str] = mapped_column(Identifier)
    cycle_id: Mapped[str | None] = mapped_column(Identifier, index=True)
    share: Mapped[float]
    rules: Mapped[dict[str, object]] = mapped_column(JsonDocument)
    signals: Mapped[dict[str, object]] = mapped_column(JsonDocument, default=dict)
    outcome: Mapped[str | None]
    reason: Mapped[str | None]
    started_at: Mapped[datetime] = mapped_column(default=now)
    ended_at: Mapped[datetime | None]


class AliasMoveRow(Base):
    """An alias was pointed elsewhere: so that it can go back. `before` is None for a new alias."""

    __tablename__ = "alias_moves"
    __table_args__ = (Index(None, "alias", "at"),)

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    alias: Mapped[str] = mapped_column(Identifier)
    before: Mapped[str | None] = mapped_column(Identifier)
    after: Mapped[str] = mapped_column(Identifier)
    why: Mapped[str]
    at: Mapped[datetime] = mapped_column(default=now)
