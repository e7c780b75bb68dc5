"""Runs, what they report, the compute they used, and the files of the fine-tuning API."""

import sqlalchemy as sa
from alembic import op

from rixin.store.types import Identifier, JsonDocument, PlainText, UtcDateTime

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "runs",
        sa.Column("id", Identifier(), nullable=False),
        sa.Column("owner_id", Identifier(), nullable=True),
        sa.Column("kind", PlainText(), nullable=False),
        sa.Column("name", Identifier(), nullable=False),
        sa.Column("recipe", JsonDocument(), nullable=False),
        sa.Column("request", JsonDocument(), nullable=True),
        sa.Column("plan", JsonDocument(), nullable=False),
        sa.Column("status", PlainText(), nullable=False),
        sa.Column("wanted", PlainText(), nullable=True),
        sa.Column("note", PlainText(), nullable=True),
        sa.Column("error", JsonDocument(), nullable=True),
        sa.Column("priority", sa.BigInteger(), nullable=False),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("crashes", sa.BigInteger(), nullable=False),
        sa.Column("not_before", UtcDateTime(), nullable=True),
        sa.Column("version_id", Identifier(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=True),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.CheckConstraint("attempt >= 0", name=op.f("ck_runs_attempt")),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'paused', 'finished', 'failed', 'cancelled')",
            name=op.f("ck_runs_status"),
        ),
        sa.CheckConstraint("wanted IN ('pause', 'cancel')", name=op.f("ck_runs_wanted")),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_runs_owner_id"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
    )
    op.create_index(op.f("ix_runs_owner_id"), "runs", ["owner_id"], unique=False)
    op.create_index(op.f("ix_runs_status"), "runs", ["status"], unique=False)
    op.create_table(
        "run_events",
        sa.Column("run_id", Identifier(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("kind", PlainText(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=True),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("values", JsonDocument(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_run_events_run_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "seq", name=op.f("pk_run_events")),
    )
    op.create_table(
        "compute_uses",
        sa.Column("run_id", Identifier(), nullable=False),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("owner_id", Identifier(), nullable=True),
        sa.Column("kind", PlainText(), nullable=False),
        sa.Column("cores", sa.BigInteger(), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("seen_at", UtcDateTime(), nullable=False),
        sa.Column("reserved_until", UtcDateTime(), nullable=True),
        sa.CheckConstraint("cores > 0", name=op.f("ck_compute_uses_cores")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_compute_uses_run_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "attempt", name=op.f("pk_compute_uses")),
    )
    op.create_index(op.f("ix_compute_uses_seen_at"), "compute_uses", ["seen_at"], unique=False)
    op.create_table(
        "files",
        sa.Column("id", Identifier(), nullable=False),
        sa.Column("owner_id", Identifier(), nullable=True),
        sa.Column("name", PlainText(), nullable=False),
        sa.Column("purpose", PlainText(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", Identifier(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("bytes >= 0", name=op.f("ck_files_bytes")),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_files_owner_id"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_files")),
    )
    op.create_index(op.f("ix_files_owner_id"), "files", ["owner_id"], unique=False)
