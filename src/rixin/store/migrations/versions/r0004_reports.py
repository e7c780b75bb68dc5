"""Reports of evaluations, registered gates with what they decided, and people's votes between two answers."""

import sqlalchemy as sa
from alembic import op

from rixin.store.types import Identifier, JsonDocument, PlainText, UtcDateTime

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "reports",
        sa.Column("id", Identifier(), nullable=False),
        sa.Column("suite", Identifier(), nullable=False),
        sa.Column("suite_hash", Identifier(), nullable=False),
        sa.Column("version_id", Identifier(), nullable=False),
        sa.Column("model", Identifier(), nullable=False),
        sa.Column("results", JsonDocument(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reports")),
    )
    op.create_index(op.f("ix_reports_suite_version_id"), "reports", ["suite", "version_id"], unique=False)
    op.create_table(
        "gates",
        sa.Column("sha256", Identifier(), nullable=False),
        sa.Column("content", PlainText(), nullable=False),
        sa.Column("registered_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_gates")),
    )
    op.create_table(
        "gate_decisions",
        sa.Column("id", Identifier(), nullable=False),
        sa.Column("gate_sha256", Identifier(), nullable=False),
        sa.Column("report_a", Identifier(), nullable=False),
        sa.Column("report_b", Identifier(), nullable=False),
        sa.Column("promote", sa.Boolean(), nullable=False),
        sa.Column("reason", PlainText(), nullable=False),
        sa.Column("checks", JsonDocument(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["gate_sha256"], ["gates.sha256"], name=op.f("fk_gate_decisions_gate_sha256")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gate_decisions")),
    )
    op.create_index(op.f("ix_gate_decisions_gate_sha256"), "gate_decisions", ["gate_sha256"], unique=False)
    op.create_table(
        "votes",
        sa.Column("id", Identifier(), nullable=False),
        sa.Column("suite", Identifier(), nullable=False),
        sa.Column("item", PlainText(), nullable=False),
        sa.Column("first", Identifier(), nullable=False),
        sa.Column("second", Identifier(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("voter", PlainText(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("score >= 0 AND score <= 1", name=op.f("ck_votes_score")),
        sa.CheckConstraint("first <> second", name=op.f("ck_votes_contestants")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_votes")),
        sa.UniqueConstraint(
            "suite", "item", "first", "second", "voter", name=op.f("uq_votes_suite_item_first_second_voter")
        ),
    )
