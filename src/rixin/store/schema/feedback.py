"""What people said about answers, and whether it may be learned from."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from rixin.store.schema.base import Base
from rixin.store.types import Identifier, JsonDocument, now


class FeedbackRow(Base):
    """What one person said about one answer (`answer`), or about two beside each other (`preference`).

    `message_id` is a message's or a stored completion's id; `other_message_id` is empty where there is only one, and
    `other_version_id` made that. `context` is what was asked and answered, as it was then: messages, answers, sources,
    settings. Once withdrawn, only the ids stay.
    """

    __tablename__ = "feedback"
    __table_args__ = (
        UniqueConstraint("owner_id", "message_id", "other_message_id"),
        CheckConstraint("kind IN ('answer', 'preference')", name="kind"),
        CheckConstraint("source IN ('page', 'api')", name="source"),
        CheckConstraint("rating IN (-1, 1)", name="rating"),
        CheckConstraint("preferred IN ('first', 'second', 'both', 'neither')", name="preferred"),
        Index(None, "version_id", "updated_at"),
    )

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    kind: Mapped[str]
    owner_id: Mapped[str | None] = mapped_column(Identifier, ForeignKey("users.id", ondelete="SET NULL"))
    source: Mapped[str]
    message_id: Mapped[str] = mapped_column(Identifier, index=True)
    other_message_id: Mapped[str] = mapped_column(Identifier, default="")
    conversation_id: Mapped[str | None] = mapped_column(Identifier, index=True)
    model: Mapped[str]
    version_id: Mapped[str] = mapped_column(Identifier)
    other_version_id: Mapped[str | None] = mapped_column(Identifier)
    rating: Mapped[int | None]
    reasons: Mapped[list[str]] = mapped_column(JsonDocument, default=list)
    correction: Mapped[str | None]
    comment: Mapped[str | None]
    preferred: Mapped[str | None]
    signals: Mapped[dict[str, int]] = mapped_column(JsonDocument, default=dict)
    context: Mapped[dict[str, object]] = mapped_column(JsonDocument)
    withdrawn_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now, index=True)


class TrainingConsentRow(Base):
    """What a person said about being learned from; the newest row holds."""

    __tablename__ = "training_consents"

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    user_id: Mapped[str] = mapped_column(Identifier, ForeignKey("users.id", ondelete="CASCADE"), index=True)
    given: Mapped[bool]
    at: Mapped[datetime] = mapped_column(default=now)


class StoredCompletionRow(Base):
    """A completion of the API whose request said `store`, so that feedback can name it.

    `request` has its messages and what the model was given, `response` is what the API answered, `answer` the text of
    its first choice; `labels` is the API's `metadata`.
    """

    __tablename__ = "stored_completions"
    __table_args__ = (Index(None, "owner_id", "created_at", "id"),)

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    owner_id: Mapped[str] = mapped_column(Identifier, ForeignKey("users.id", ondelete="CASCADE"))
    model: Mapped[str]
    version_id: Mapped[str] = mapped_column(Identifier)
    request: Mapped[dict[str, object]] = mapped_column(JsonDocument)
    response: Mapped[dict[str, object]] = mapped_column(JsonDocument)
    answer: Mapped[str]
    labels: Mapped[dict[str, str]] = mapped_column(JsonDocument, default=dict)
    created_at: Mapped[datetime] = mapped_column(default=now, index=True)
