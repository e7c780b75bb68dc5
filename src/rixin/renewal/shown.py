"""Feedback as it is shown: to the person who gave it, and to administrators."""

from collections.abc import Mapping
from typing import cast

from sqlalchemy import or_

from rixin.errors import NotFound
from rixin.renewal.answered import context_of
from rixin.renewal.opinions import Choice, Feedback, Kind, Person, Rating, Reason
from rixin.store import FeedbackRow

SPOKEN = or_(
    FeedbackRow.rating.is_not(None),
    FeedbackRow.correction.is_not(None),
    FeedbackRow.comment.is_not(None),
    FeedbackRow.preferred.is_not(None),
)
"""Rows in which somebody said something; others only count signals, or were withdrawn."""


def no_feedback(feedback_id: str) -> NotFound:
    """The same words for what is not there and for what is somebody else's."""
    return NotFound(f"There is no feedback {feedback_id[:100]!r}.")


def feedback_of(row: FeedbackRow, names: Mapping[str, str]) -> Feedback:
    """The feedback that a row holds; `names` are people's, by their ids."""
    context = context_of(row.context)
    return Feedback(
        id=row.id,
        kind=cast(Kind, row.kind),
        message_id=row.message_id,
        other_message_id=row.other_message_id or None,
        conversation_id=row.conversation_id,
        model=row.model,
        version_id=row.version_id,
        rating=cast("Rating | None", row.rating),
        reasons=cast("tuple[Reason, ...]", tuple(row.reasons)),
        correction=row.correction,
        comment=row.comment,
        preferred=cast("Choice | None", row.preferred),
        question=context.question,
        answer=context.answer,
        other_answer=context.other_answer,
        person=Person(id=row.owner_id, name=names.get(row.owner_id, "")) if row.owner_id is not None else None,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
