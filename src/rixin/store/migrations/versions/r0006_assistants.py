"""Assistants and their versions, what answers rest on, and what a Library is searched for unless said otherwise."""

import sqlalchemy as sa
from alembic import op

from rixin.store.types import Identifier, JsonDocument, PlainText, UtcDateTime

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "assistants",
        sa.Column("name", Identifier(), nullable=False),
        sa.Column("version_id", Identifier(), nullable=False),
        sa.Column("owner_id", Identifier(), nullable=True),
        sa.Column("visibility", PlainText(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("visibility IN ('everyone', 'owner', 'admin')", name=op.f("ck_assistants_visibility")),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_assistants_owner_id"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_assistants")),
    )
    op.create_index(op.f("ix_assistants_owner_id"), "assistants", ["owner_id"], unique=False)
    op.create_table(
        "assistant_versions",
        sa.Column("id", Identifier(), nullable=False),
        sa.Column("name", Identifier(), nullable=False),
        sa.Column("content", JsonDocument(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["name"], ["assistants.name"], name=op.f("fk_assistant_versions_name"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assistant_versions")),
    )
    op.create_index(op.f("ix_assistant_versions_name"), "assistant_versions", ["name"], unique=False)
    op.add_column("messages", sa.Column("annotations", JsonDocument(), nullable=True))
    op.add_column("messages", sa.Column("grounding", JsonDocument(), nullable=True))
    op.add_column("libraries", sa.Column("filters", JsonDocument(), nullable=True))
