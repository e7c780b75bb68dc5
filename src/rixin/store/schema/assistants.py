"""Assistants, and what their tools did."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from rixin.store.schema.base import Base
from rixin.store.types import Identifier, JsonDocument, now


class AssistantRow(Base):
    """An assistant's name, and which of its versions answers. Without an owner it is the machine's."""

    __tablename__ = "assistants"
    __table_args__ = (CheckConstraint("visibility IN ('everyone', 'owner', 'admin')", name="visibility"),)

    name: Mapped[str] = mapped_column(Identifier, primary_key=True)
    version_id: Mapped[str] = mapped_column(Identifier)
    owner_id: Mapped[str | None] = mapped_column(Identifier, ForeignKey("users.id", ondelete="SET NULL"), index=True)
    visibility: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now)


class AssistantVersionRow(Base):
    """One immutable state of an assistant: `content` is its file. `id` is `a_` and 12 hex digits of its hash."""

    __tablename__ = "assistant_versions"

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    name: Mapped[str] = mapped_column(Identifier, ForeignKey("assistants.name", ondelete="CASCADE"), index=True)
    content: Mapped[dict[str, object]] = mapped_column(JsonDocument)
    created_at: Mapped[datetime] = mapped_column(default=now)


class ToolCallRow(Base):
    """A call of a tool, written before it runs; `outcome` `started` is one under way, or cut off by a kill.

    Who called what stays when the person or the conversation is deleted: no key leads to them.
    """

    __tablename__ = "tool_calls"
    __table_args__ = (
        CheckConstraint(
            "outcome IN ('started', 'ok', 'error', 'timeout', 'invalid', 'refused', 'repeated', 'copied', "
            "'over_limit', 'stopped')",
            name="outcome",
        ),
        CheckConstraint("consent IN ('not_needed', 'given', 'refused')", name="consent"),
        CheckConstraint("milliseconds >= 0", name="milliseconds"),
    )

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    at: Mapped[datetime] = mapped_column(default=now)
    user_id: Mapped[str | None] = mapped_column(Identifier, index=True)
    assistant: Mapped[str | None]
    conversation_id: Mapped[str | None] = mapped_column(Identifier, index=True)
    tool: Mapped[str]
    arguments: Mapped[str]
    outcome: Mapped[str]
    milliseconds: Mapped[int]
    consent: Mapped[str]
