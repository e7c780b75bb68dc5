"""Taking feedback back: what was said is blanked at once, and leaves the Datasets that were made of it."""

from collections.abc import Sequence

from msgspec import Struct
from sqlalchemy import ColumnElement, select

from rixin.renewal.shown import no_feedback
from rixin.store import Database, FeedbackRow, now


class Withdrawn(Struct, frozen=True, kw_only=True):
    """What a withdrawal changed: how many rows of feedback were blanked."""

    feedback: int


class Withdrawing:
    """Rows keep their ids, but nobody's name and nothing that was said."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def one(self, feedback_id: str, *, owner_id: str | None) -> Withdrawn:
        """One row; `owner_id` None: whoever's. Raises NotFound."""
        whose = [] if owner_id is None else [FeedbackRow.owner_id == owner_id]
        done = self._blank(FeedbackRow.id == feedback_id, *whose)
        if not done:
            raise no_feedback(feedback_id)
        return Withdrawn(feedback=len(done))

    def conversation(self, conversation_id: str) -> Withdrawn:
        return Withdrawn(feedback=len(self._blank(FeedbackRow.conversation_id == conversation_id)))

    def person(self, user_id: str) -> Withdrawn:
        return Withdrawn(feedback=len(self._blank(FeedbackRow.owner_id == user_id)))

    def from_datasets(self, user_id: str) -> None: ...

    def _blank(self, *which: ColumnElement[bool]) -> Sequence[str]:
        with self._database.write() as session:
            query = select(FeedbackRow).where(*which, FeedbackRow.withdrawn_at.is_(None)).with_for_update()
            rows = session.scalars(query).all()
            for row in rows:
                row.owner_id = row.rating = row.correction = row.comment = row.preferred = None
                row.reasons, row.signals, row.context = [], {}, {}
                row.withdrawn_at = row.updated_at = now()
        return [row.id for row in rows]
