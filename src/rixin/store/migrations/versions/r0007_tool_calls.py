"""Every call of a tool that an assistant made."""

import sqlalchemy as sa
from alembic import op

from rixin.store.types import Identifier, PlainText, UtcDateTime

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "tool_calls",
        sa.Column("id", Identifier(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("user_id", Identifier(), nullable=True),
        sa.Column("assistant", PlainText(), nullable=True),
        sa.Column("conversation_id", Identifier(), nullable=True),
        sa.Column("tool", PlainText(), nullable=False),
        sa.Column("arguments", PlainText(), nullable=False),
        sa.Column("outcome", PlainText(), nullable=False),
        sa.Column("milliseconds", sa.BigInteger(), nullable=False),
        sa.Column("consent", PlainText(), nullable=False),
        sa.CheckConstraint("consent IN ('not_needed', 'given', 'refused')", name=op.f("ck_tool_calls_consent")),
        sa.CheckConstraint("milliseconds >= 0", name=op.f("ck_tool_calls_milliseconds")),
        sa.CheckConstraint(
            "outcome IN ('started', 'ok', 'error', 'timeout', 'invalid', 'refused', 'repeated', 'copied', "
            "'over_limit', 'stopped')",
            name=op.f("ck_tool_calls_outcome"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tool_calls")),
    )
    op.create_index(op.f("ix_tool_calls_conversation_id"), "tool_calls", ["conversation_id"], unique=False)
    op.create_index(op.f("ix_tool_calls_user_id"), "tool_calls", ["user_id"], unique=False)
