"""Libraries: who may read them, where their documents come from, what was read, and the versions of their indexes."""

import sqlalchemy as sa
from alembic import op

from rixin.store.types import Identifier, PlainText, UtcDateTime

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "libraries",
        sa.Column("id", Identifier(), nullable=False),
        sa.Column("name", Identifier(), nullable=False),
        sa.Column("description", PlainText(), nullable=False),
        sa.Column("owner_id", Identifier(), nullable=True),
        sa.Column("visibility", PlainText(), nullable=False),
        sa.Column("embedder", Identifier(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("visibility IN ('everyone', 'named')", name=op.f("ck_libraries_visibility")),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_libraries_owner_id"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_libraries")),
        sa.UniqueConstraint("name", name=op.f("uq_libraries_name")),
    )
    op.create_index(op.f("ix_libraries_owner_id"), "libraries", ["owner_id"], unique=False)
    op.create_table(
        "library_readers",
        sa.Column("library_id", Identifier(), nullable=False),
        sa.Column("user_id", Identifier(), nullable=False),
        sa.ForeignKeyConstraint(
            ["library_id"], ["libraries.id"], name=op.f("fk_library_readers_library_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_library_readers_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("library_id", "user_id", name=op.f("pk_library_readers")),
    )
    op.create_index(op.f("ix_library_readers_user_id"), "library_readers", ["user_id"], unique=False)
    op.create_table(
        "library_sources",
        sa.Column("id", Identifier(), nullable=False),
        sa.Column("library_id", Identifier(), nullable=False),
        sa.Column("kind", PlainText(), nullable=False),
        sa.Column("location", PlainText(), nullable=False),
        sa.Column("watched", sa.Boolean(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("kind IN ('path', 'given', 'url')", name=op.f("ck_library_sources_kind")),
        sa.ForeignKeyConstraint(
            ["library_id"], ["libraries.id"], name=op.f("fk_library_sources_library_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_library_sources")),
        sa.UniqueConstraint("library_id", "kind", "location", name=op.f("uq_library_sources_library_id_kind_location")),
    )
    op.create_table(
        "library_documents",
        sa.Column("id", Identifier(), nullable=False),
        sa.Column("library_id", Identifier(), nullable=False),
        sa.Column("source_id", Identifier(), nullable=True),
        sa.Column("location", PlainText(), nullable=False),
        sa.Column("sha256", Identifier(), nullable=False),
        sa.Column("title", PlainText(), nullable=False),
        sa.Column("media_type", PlainText(), nullable=False),
        sa.Column("chunks", sa.BigInteger(), nullable=False),
        sa.Column("error", PlainText(), nullable=True),
        sa.Column("added_in", sa.BigInteger(), nullable=False),
        sa.Column("removed_in", sa.BigInteger(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("chunks >= 0", name=op.f("ck_library_documents_chunks")),
        sa.ForeignKeyConstraint(
            ["library_id"], ["libraries.id"], name=op.f("fk_library_documents_library_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["source_id"], ["library_sources.id"], name=op.f("fk_library_documents_source_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_library_documents")),
    )
    op.create_index(
        op.f("ix_library_documents_library_id_removed_in"),
        "library_documents",
        ["library_id", "removed_in"],
        unique=False,
    )
    op.create_index(op.f("ix_library_documents_source_id"), "library_documents", ["source_id"], unique=False)
    op.create_table(
        "library_versions",
        sa.Column("library_id", Identifier(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("table_name", PlainText(), nullable=False),
        sa.Column("table_version", sa.BigInteger(), nullable=False),
        sa.Column("embedder", Identifier(), nullable=False),
        sa.Column("method", sa.BigInteger(), nullable=False),
        sa.Column("documents", sa.BigInteger(), nullable=False),
        sa.Column("chunks", sa.BigInteger(), nullable=False),
        sa.Column("centre", sa.LargeBinary(), nullable=True),
        sa.Column("question_centre", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["library_id"], ["libraries.id"], name=op.f("fk_library_versions_library_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("library_id", "number", name=op.f("pk_library_versions")),
    )
