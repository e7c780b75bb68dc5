"""Datasets: what a model is trained on, by version."""

import sqlalchemy as sa
from alembic import op

from rixin.store.types import Identifier, JsonDocument, PlainText, UtcDateTime

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "dataset_versions",
        sa.Column("id", Identifier(), nullable=False),
        sa.Column("name", Identifier(), nullable=False),
        sa.Column("kind", PlainText(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("sha256", Identifier(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("licence", PlainText(), nullable=True),
        sa.Column("source", PlainText(), nullable=False),
        sa.Column("consent", PlainText(), nullable=True),
        sa.Column("parents", JsonDocument(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("bytes > 0", name=op.f("ck_dataset_versions_bytes")),
        sa.CheckConstraint(
            "kind IN ('chat', 'preference', 'labelled', 'text', 'task')", name=op.f("ck_dataset_versions_kind")
        ),
        sa.CheckConstraint("rows > 0", name=op.f("ck_dataset_versions_rows")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dataset_versions")),
        sa.UniqueConstraint("name", "sha256", name=op.f("uq_dataset_versions_name_sha256")),
    )
    op.create_index(op.f("ix_dataset_versions_sha256"), "dataset_versions", ["sha256"], unique=False)
