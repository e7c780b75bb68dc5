"""Which feedback may be learned from, and what of it: never more than its people and the rules allow, masked."""

from collections.abc import Mapping
from datetime import datetime
from typing import cast

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from rixin.renewal.agreement import Allowance
from rixin.renewal.answered import context_of
from rixin.renewal.masking import masked
from rixin.renewal.opinions import Choice, Context, FeedbackItem, Kind, Rating, Reason
from rixin.store import FeedbackRow

_LESSON = or_(FeedbackRow.rating.is_not(None), FeedbackRow.correction.is_not(None), FeedbackRow.preferred.is_not(None))


def learnable(session: Session, allowances: Mapping[str, Allowance], after: datetime | None) -> list[FeedbackItem]:
    """See `FeedbackService.learnable`."""
    allowed = [user_id for user_id, allowance in allowances.items() if allowance.allowed]
    query = select(FeedbackRow).where(_LESSON, FeedbackRow.owner_id.in_(allowed), FeedbackRow.withdrawn_at.is_(None))
    if after is not None:
        late = [user_id for user_id in allowed if (since := allowances[user_id].since) is not None and since > after]
        query = query.where(or_(FeedbackRow.updated_at > after, FeedbackRow.owner_id.in_(late)))
    items = []
    for row in session.scalars(query.execution_options(yield_per=500)):
        context = context_of(row.context)
        if _teaches(row, context):
            since = allowances[row.owner_id or ""].since
            items.append(masked(_item(row, context, max(row.updated_at, since or row.updated_at))))
    return sorted(items, key=lambda item: (item.updated_at, item.id))


def _teaches(row: FeedbackRow, context: Context) -> bool:
    """Words that no model wrote (a refusal of the house's) are not to be learned, nor pairs of unlike prompts."""
    if context.messages is None:
        return False
    if row.kind == "preference":
        return context.same_prompt and context.written != "" and context.other_written != ""
    return row.correction is not None or "" not in (context.written, context.answer)


def _item(row: FeedbackRow, context: Context, updated_at: datetime) -> FeedbackItem:
    return FeedbackItem(
        id=row.id,
        kind=cast(Kind, row.kind),
        person=row.owner_id,
        model=row.model,
        version_id=row.version_id,
        messages=context.messages or (),
        opening=context.opening,
        tools=context.tools,
        answer=context.written or context.answer,
        other_answer=context.other_written or context.other_answer,
        other_version_id=row.other_version_id,
        preferred=cast("Choice | None", row.preferred),
        rating=cast("Rating | None", row.rating),
        reasons=cast("tuple[Reason, ...]", tuple(row.reasons)),
        correction=row.correction,
        comment=row.comment,
        signals=row.signals,
        conversation_id=row.conversation_id,
        updated_at=updated_at,
    )
