"""Datasets, and what learns from them."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from rixin.store.schema.base import Base
from rixin.store.types import Identifier, JsonDocument, now


class DatasetVersionRow(Base):
    """One immutable state of a dataset. `id` is `d_` and 12 hex digits of a hash of the name and the content's hash.

    `sha256` names the blob with its rows (canonical JSONL), `bytes` is that blob's size. `source` says where the rows
    came from, `consent` on what ground they may be used, `parents` are the versions they were made of. Where somebody
    withdrew rows, the blob is gone: `withdrawn_at` says when, `replaced_by` is the version with the rows that are left.
    `cleaning` is what was dropped on the way here, and why.
    """

    __tablename__ = "dataset_versions"
    __table_args__ = (
        UniqueConstraint("name", "sha256"),
        CheckConstraint("kind IN ('chat', 'preference', 'labelled', 'text', 'task')", name="kind"),
        CheckConstraint("rows > 0", name="rows"),
        CheckConstraint("bytes > 0", name="bytes"),
    )

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    name: Mapped[str] = mapped_column(Identifier)
    kind: Mapped[str]
    rows: Mapped[int]
    sha256: Mapped[str] = mapped_column(Identifier, index=True)
    bytes: Mapped[int]
    licence: Mapped[str | None]
    source: Mapped[str]
    consent: Mapped[str | None]
    parents: Mapped[list[str]] = mapped_column(JsonDocument, default=list)
    created_at: Mapped[datetime] = mapped_column(default=now)
    withdrawn_at: Mapped[datetime | None]
    replaced_by: Mapped[str | None] = mapped_column(Identifier)
    cleaning: Mapped[dict[str, object] | None] = mapped_column(JsonDocument)


class RunRow(Base):
    """One execution of a recipe. `name` is the model's that it makes, `version_id` what came of it.

    `wanted` is what somebody asked of a run that is under way, `note` why it waits, `error` why it failed (the fields
    of the typed error). `attempt` counts the times it was started, `crashes` those that ended without a word.
    `request` is what a client of the fine-tuning API sent. Without an owner it is the machine's.
    """

    __tablename__ = "runs"
    __table_args__ = (
        CheckConstraint(
            "status IN ('queued', 'running', 'paused', 'finished', 'failed', 'cancelled')",
            name="status",
        ),
        CheckConstraint("wanted IN ('pause', 'cancel')", name="wanted"),
        CheckConstraint("attempt >= 0", name="attempt"),
    )

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    owner_id: Mapped[str | None] = mapped_column(Identifier, ForeignKey("users.id", ondelete="SET NULL"), index=True)
    kind: Mapped[str]
    name: Mapped[str] = mapped_column(Identifier)
    recipe: Mapped[dict[str, object]] = mapped_column(JsonDocument)
    request: Mapped[dict[str, object] | None] = mapped_column(JsonDocument)
    plan: Mapped[dict[str, object]] = mapped_column(JsonDocument, default=dict)
    status: Mapped[str] = mapped_column(index=True, default="queued")
    wanted: Mapped[str | None]
    note: Mapped[str | None]
    error: Mapped[dict[str, object] | None] = mapped_column(JsonDocument)
    priority: Mapped[int] = mapped_column(default=0)
    attempt: Mapped[int] = mapped_column(default=0)
    crashes: Mapped[int] = mapped_column(default=0)
    not_before: Mapped[datetime | None]
    version_id: Mapped[str | None] = mapped_column(Identifier)
    created_at: Mapped[datetime] = mapped_column(default=now)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class RunEventRow(Base):
    """What a run reported, as its `events.jsonl` has it; `seq` counts from 1 within the run."""

    __tablename__ = "run_events"

    run_id: Mapped[str] = mapped_column(Identifier, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str]
    step: Mapped[int | None]
    at: Mapped[datetime]
    values: Mapped[dict[str, object]] = mapped_column(JsonDocument)


class ComputeUseRow(Base):
    """A stretch of time in which an attempt of a run held `cores`; `seen_at` is its end, or its last sign of life.

    While `reserved_until` is set the attempt goes on, and is expected to hold them until then.
    """

    __tablename__ = "compute_uses"
    __table_args__ = (CheckConstraint("cores > 0", name="cores"),)

    run_id: Mapped[str] = mapped_column(Identifier, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    owner_id: Mapped[str | None] = mapped_column(Identifier)
    kind: Mapped[str]
    cores: Mapped[int]
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime] = mapped_column(index=True)
    reserved_until: Mapped[datetime | None]


class FileRow(Base):
    """A file that came by the API, or that a run left for it; its bytes lie in `RIXIN_HOME/files/<id>`."""

    __tablename__ = "files"
    __table_args__ = (CheckConstraint("bytes >= 0", name="bytes"),)

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    owner_id: Mapped[str | None] = mapped_column(Identifier, ForeignKey("users.id", ondelete="SET NULL"), index=True)
    name: Mapped[str]
    purpose: Mapped[str]
    bytes: Mapped[int]
    sha256: Mapped[str] = mapped_column(Identifier)
    created_at: Mapped[datetime] = mapped_column(default=now)
