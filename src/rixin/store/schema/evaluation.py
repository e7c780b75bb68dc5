"""Reports, gates, and votes."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from rixin.store.schema.base import Base
from rixin.store.types import Identifier, JsonDocument, now


class ReportRow(Base):
    """A finished Report; all of it lies in `RIXIN_HOME/reports/<id>`. `results` are its scores, as they are there."""

    __tablename__ = "reports"
    __table_args__ = (Index(None, "suite", "version_id"),)

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    suite: Mapped[str] = mapped_column(Identifier)
    suite_hash: Mapped[str] = mapped_column(Identifier)
    version_id: Mapped[str] = mapped_column(Identifier)
    model: Mapped[str] = mapped_column(Identifier)
    results: Mapped[list[dict[str, object]]] = mapped_column(JsonDocument)
    created_at: Mapped[datetime] = mapped_column(default=now)


class GateRow(Base):
    """A `gate.toml` as it was registered, before the answers that it judges were known."""

    __tablename__ = "gates"

    sha256: Mapped[str] = mapped_column(Identifier, primary_key=True)
    content: Mapped[str]
    registered_at: Mapped[datetime] = mapped_column(default=now)


class GateDecisionRow(Base):
    """What a gate decided on two reports; `checks` are its lines, as `evaluation.gate` has them."""

    __tablename__ = "gate_decisions"

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    gate_sha256: Mapped[str] = mapped_column(Identifier, ForeignKey("gates.sha256"), index=True)
    report_a: Mapped[str] = mapped_column(Identifier)
    report_b: Mapped[str] = mapped_column(Identifier)
    promote: Mapped[bool]
    reason: Mapped[str]
    checks: Mapped[list[dict[str, object]]] = mapped_column(JsonDocument)
    created_at: Mapped[datetime] = mapped_column(default=now)


class VoteRow(Base):
    """A person's choice between the answers of two versions to one item: 1 for `first`, 0 for `second`, 0.5 a tie."""

    __tablename__ = "votes"
    __table_args__ = (
        UniqueConstraint("suite", "item", "first", "second", "voter"),
        CheckConstraint("score >= 0 AND score <= 1", name="score"),
        CheckConstraint("first <> second", name="contestants"),
    )

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    suite: Mapped[str] = mapped_column(Identifier)
    item: Mapped[str]
    first: Mapped[str] = mapped_column(Identifier)
    second: Mapped[str] = mapped_column(Identifier)
    score: Mapped[float]
    voter: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=now)
