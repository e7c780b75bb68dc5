"""Conversations, and the turns they are made of."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from rixin.store.schema.base import Base
from rixin.store.types import Identifier, JsonDocument, now


class ConversationRow(Base):
    """A tree of messages that belongs to one person. `model` is the alias or version chosen for it."""

    __tablename__ = "conversations"
    __table_args__ = (Index(None, "owner_id", "updated_at", "id"),)

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    owner_id: Mapped[str] = mapped_column(Identifier, ForeignKey("users.id", ondelete="CASCADE"))
    title: Mapped[str] = mapped_column(default="")
    model: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now)


class MessageRow(Base):
    """One turn. Of an answer, `generator` is the process that writes it and `saved_at` its last sign of life.

    `annotations` are an assistant's citations, `grounding` what it was shown, and which version of it answered.
    `given` is what the model was given for it, packed (see `assistants.given`).
    """

    __tablename__ = "messages"
    __table_args__ = (
        UniqueConstraint("conversation_id", "id"),
        # No cascade along the tree: SQLite follows it a level a message, and stops at 1,000 levels.
        ForeignKeyConstraint(["conversation_id", "parent_id"], ["messages.conversation_id", "messages.id"]),
        CheckConstraint("role IN ('system', 'user', 'assistant')", name="role"),
        CheckConstraint("status IN ('complete', 'generating', 'stopped', 'failed', 'interrupted')", name="status"),
        CheckConstraint("status <> 'generating' OR generator IS NOT NULL", name="generator"),
        CheckConstraint("parent_id <> id", name="parent"),
        Index(None, "conversation_id", "parent_id"),
        Index(None, "status", "saved_at"),
    )

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    conversation_id: Mapped[str] = mapped_column(Identifier, ForeignKey("conversations.id", ondelete="CASCADE"))
    parent_id: Mapped[str | None] = mapped_column(Identifier)
    role: Mapped[str]
    content: Mapped[str]
    status: Mapped[str] = mapped_column(default="complete")
    error_message: Mapped[str | None]
    error_code: Mapped[str | None]
    model: Mapped[str | None]
    version: Mapped[str | None]
    finish_reason: Mapped[str | None]
    usage: Mapped[dict[str, object] | None] = mapped_column(JsonDocument)
    generator: Mapped[str | None] = mapped_column(Identifier)
    created_at: Mapped[datetime] = mapped_column(default=now)
    saved_at: Mapped[datetime] = mapped_column(default=now)
    annotations: Mapped[list[dict[str, object]] | None] = mapped_column(JsonDocument)
    grounding: Mapped[dict[str, object] | None] = mapped_column(JsonDocument)
    given: Mapped[bytes | None] = mapped_column(deferred=True)
