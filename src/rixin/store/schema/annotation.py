"""Work for annotators: models first, people where those are not sure."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from rixin.store.schema.base import Base
from rixin.store.types import Identifier, JsonDocument, now


class AnnotationTaskRow(Base):
    """What is to be annotated, and how. `definition` is its file, `dataset_id` the version whose rows are annotated.

    `plan` is how far the work is: what was learned last, and the audit that is under way.
    """

    __tablename__ = "annotation_tasks"
    __table_args__ = (CheckConstraint("status IN ('open', 'closed')", name="status"),)

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    name: Mapped[str] = mapped_column(Identifier, unique=True)
    owner_id: Mapped[str | None] = mapped_column(Identifier, ForeignKey("users.id", ondelete="SET NULL"))
    definition: Mapped[dict[str, object]] = mapped_column(JsonDocument)
    dataset_id: Mapped[str] = mapped_column(Identifier)
    status: Mapped[str] = mapped_column(default="open")
    plan: Mapped[dict[str, object] | None] = mapped_column(JsonDocument)
    created_at: Mapped[datetime] = mapped_column(default=now)


class AnnotationItemRow(Base):
    """One row to annotate. `value` and `confidence` are what is held for right so far, `gold` the known answer.

    `waiting` has not been looked at, `passed` is what models were sure of, `queued` waits for people (the highest
    `priority` first), `done` is what people said, `disputed` what they differ about.
    """

    __tablename__ = "annotation_items"
    __table_args__ = (
        CheckConstraint("state IN ('waiting', 'passed', 'queued', 'done', 'disputed')", name="state"),
        Index(None, "task_id", "state", "priority"),
    )

    task_id: Mapped[str] = mapped_column(
        Identifier, ForeignKey("annotation_tasks.id", ondelete="CASCADE"), primary_key=True
    )
    line: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    example_id: Mapped[str] = mapped_column(Identifier)
    content: Mapped[str]
    state: Mapped[str] = mapped_column(default="waiting")
    value: Mapped[dict[str, object] | None] = mapped_column(JsonDocument)
    confidence: Mapped[float | None]
    priority: Mapped[float] = mapped_column(default=0.0)
    gold: Mapped[dict[str, object] | None] = mapped_column(JsonDocument)
    safety: Mapped[bool] = mapped_column(default=False)
    claimed_by: Mapped[str | None] = mapped_column(Identifier)
    claimed_until: Mapped[datetime | None]


class AnnotationLabelRow(Base):
    """What one annotator said of one row; `annotator` is a model Version's id or a user's.

    `value` is None where a person had nothing to say of it.
    """

    __tablename__ = "annotation_labels"
    __table_args__ = (UniqueConstraint("task_id", "line", "annotator"),)

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    task_id: Mapped[str] = mapped_column(Identifier, ForeignKey("annotation_tasks.id", ondelete="CASCADE"))
    line: Mapped[int]
    annotator: Mapped[str] = mapped_column(Identifier, index=True)
    person: Mapped[bool]
    value: Mapped[dict[str, object] | None] = mapped_column(JsonDocument)
    confidence: Mapped[float | None]
    seconds: Mapped[float | None]
    at: Mapped[datetime] = mapped_column(default=now)
