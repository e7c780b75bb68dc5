"""The first tables: people, keys, conversations, models."""

import sqlalchemy as sa
from alembic import op

from rixin.store.types import Identifier, JsonDocument, PlainText, UtcDateTime

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "models",
        sa.Column("name", Identifier(), nullable=False),
        sa.Column("title", PlainText(), nullable=False),
        sa.Column("description", PlainText(), nullable=False),
        sa.Column("languages", JsonDocument(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_models")),
    )
    op.create_table(
        "setup_tokens",
        sa.Column("token_hash", Identifier(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_setup_tokens")),
    )
    op.create_table(
        "users",
        sa.Column("id", Identifier(), nullable=False),
        sa.Column("name", PlainText(), nullable=False),
        sa.Column("name_key", Identifier(), nullable=False),
        sa.Column("password_hash", PlainText(), nullable=False),
        sa.Column("role", PlainText(), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("last_login_at", UtcDateTime(), nullable=True),
        sa.CheckConstraint("role IN ('admin', 'member')", name=op.f("ck_users_role")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("name_key", name=op.f("uq_users_name_key")),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", Identifier(), nullable=False),
        sa.Column("owner_id", Identifier(), nullable=False),
        sa.Column("name", PlainText(), nullable=False),
        sa.Column("prefix", PlainText(), nullable=False),
        sa.Column("secret_hash", Identifier(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=True),
        sa.Column("last_used_at", UtcDateTime(), nullable=True),
        sa.Column("revoked_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_api_keys_owner_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_api_keys_secret_hash")),
    )
    op.create_index(op.f("ix_api_keys_owner_id"), "api_keys", ["owner_id"], unique=False)
    op.create_table(
        "conversations",
        sa.Column("id", Identifier(), nullable=False),
        sa.Column("owner_id", Identifier(), nullable=False),
        sa.Column("title", PlainText(), nullable=False),
        sa.Column("model", PlainText(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_conversations_owner_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_conversations")),
    )
    op.create_index(
        op.f("ix_conversations_owner_id_updated_at_id"), "conversations", ["owner_id", "updated_at", "id"], unique=False
    )
    op.create_table(
        "login_sessions",
        sa.Column("token_hash", Identifier(), nullable=False),
        sa.Column("user_id", Identifier(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_login_sessions_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_login_sessions")),
    )
    op.create_index(op.f("ix_login_sessions_expires_at"), "login_sessions", ["expires_at"], unique=False)
    op.create_index(op.f("ix_login_sessions_user_id"), "login_sessions", ["user_id"], unique=False)
    op.create_table(
        "versions",
        sa.Column("id", Identifier(), nullable=False),
        sa.Column("model_name", Identifier(), nullable=False),
        sa.Column("source", PlainText(), nullable=False),
        sa.Column("sha256", Identifier(), nullable=True),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("engine", PlainText(), nullable=False),
        sa.Column("format", PlainText(), nullable=False),
        sa.Column("licence", PlainText(), nullable=False),
        sa.Column("parameters", sa.BigInteger(), nullable=True),
        sa.Column("context_length", sa.BigInteger(), nullable=False),
        sa.Column("template_hash", PlainText(), nullable=True),
        sa.Column("parents", JsonDocument(), nullable=False),
        sa.Column("card", JsonDocument(), nullable=False),
        sa.Column("folder", PlainText(), nullable=True),
        sa.Column("config", JsonDocument(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("bytes >= 0", name=op.f("ck_versions_bytes")),
        sa.ForeignKeyConstraint(["model_name"], ["models.name"], name=op.f("fk_versions_model_name")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_versions")),
    )
    op.create_index(op.f("ix_versions_model_name"), "versions", ["model_name"], unique=False)
    op.create_index(op.f("ix_versions_sha256"), "versions", ["sha256"], unique=False)
    op.create_table(
        "aliases",
        sa.Column("name", Identifier(), nullable=False),
        sa.Column("version_id", Identifier(), nullable=False),
        sa.Column("canary_version_id", Identifier(), nullable=True),
        sa.Column("canary_share", sa.Double(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("canary_share = 0 OR canary_version_id IS NOT NULL", name=op.f("ck_aliases_canary")),
        sa.CheckConstraint("canary_share >= 0 AND canary_share <= 1", name=op.f("ck_aliases_canary_share")),
        sa.ForeignKeyConstraint(["canary_version_id"], ["versions.id"], name=op.f("fk_aliases_canary_version_id")),
        sa.ForeignKeyConstraint(["version_id"], ["versions.id"], name=op.f("fk_aliases_version_id")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_aliases")),
    )
    op.create_index(op.f("ix_aliases_canary_version_id"), "aliases", ["canary_version_id"], unique=False)
    op.create_index(op.f("ix_aliases_version_id"), "aliases", ["version_id"], unique=False)
    op.create_table(
        "messages",
        sa.Column("id", Identifier(), nullable=False),
        sa.Column("conversation_id", Identifier(), nullable=False),
        sa.Column("parent_id", Identifier(), nullable=True),
        sa.Column("role", PlainText(), nullable=False),
        sa.Column("content", PlainText(), nullable=False),
        sa.Column("status", PlainText(), nullable=False),
        sa.Column("error_message", PlainText(), nullable=True),
        sa.Column("error_code", PlainText(), nullable=True),
        sa.Column("model", PlainText(), nullable=True),
        sa.Column("version", PlainText(), nullable=True),
        sa.Column("finish_reason", PlainText(), nullable=True),
        sa.Column("usage", JsonDocument(), nullable=True),
        sa.Column("generator", Identifier(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("saved_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("role IN ('system', 'user', 'assistant')", name=op.f("ck_messages_role")),
        sa.CheckConstraint("status <> 'generating' OR generator IS NOT NULL", name=op.f("ck_messages_generator")),
        sa.CheckConstraint(
            "status IN ('complete', 'generating', 'stopped', 'failed', 'interrupted')", name=op.f("ck_messages_status")
        ),
        sa.CheckConstraint("parent_id <> id", name=op.f("ck_messages_parent")),
        sa.ForeignKeyConstraint(
            ["conversation_id", "parent_id"],
            ["messages.conversation_id", "messages.id"],
            name=op.f("fk_messages_conversation_id_parent_id"),
        ),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversations.id"], name=op.f("fk_messages_conversation_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_messages")),
        sa.UniqueConstraint("conversation_id", "id", name=op.f("uq_messages_conversation_id_id")),
    )
    op.create_index(
        op.f("ix_messages_conversation_id_parent_id"), "messages", ["conversation_id", "parent_id"], unique=False
    )
    op.create_index(op.f("ix_messages_status_saved_at"), "messages", ["status", "saved_at"], unique=False)
