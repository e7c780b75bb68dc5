"""Taking feedback back: what was said is blanked at once, and leaves the Datasets that were made of it."""

from msgspec import Struct
from sqlalchemy import ColumnElement, or_, select

from rixin.data import Datasets, Withdrawal
from rixin.renewal.opinions import origin_of
from rixin.renewal.shown import no_feedback
from rixin.store import Database, FeedbackRow, WithdrawalRow, now


class Replaced(Struct, frozen=True, kw_only=True):
    """A Dataset's version that is gone, and the one in its place; None where no row was left."""

    old: str
    new: str | None


class Withdrawn(Struct, frozen=True, kw_only=True):
    """What a withdrawal changed: how many rows of feedback were blanked, and what became of the Datasets.

    `versions_marked` are the models' Versions that learned from one of those that were replaced.
    """

    feedback: int
    replaced: list[Replaced]
    versions_marked: list[str]


class Withdrawing:
    """Rows keep their ids, but nobody's name and nothing that was said.

    That and the note that the Datasets must follow are one transaction: a withdrawal that is killed before they have is
    finished by the next one.
    """

    def __init__(self, database: Database, datasets: Datasets) -> None:
        self._database = database
        self._datasets = datasets

    def one(self, feedback_id: str, *, owner_id: str | None) -> Withdrawn:
        """One row; `owner_id` None: whoever's. Raises NotFound."""
        whose = [] if owner_id is None else [FeedbackRow.owner_id == owner_id]
        ids = self._blank(FeedbackRow.id == feedback_id, *whose)
        if not ids:
            raise no_feedback(feedback_id)
        return self._from_datasets(ids)

    def conversation(self, conversation_id: str) -> Withdrawn:
        """All that was said in it."""
        return self._from_datasets(self._blank(FeedbackRow.conversation_id == conversation_id))

    def person(self, user_id: str) -> Withdrawn:
        """All that a person said, and whatever somebody said whose account is gone by now."""
        whose = or_(FeedbackRow.owner_id == user_id, FeedbackRow.owner_id.is_(None))
        return self._from_datasets(self._blank(whose), user_id)

    def refused(self, user_id: str) -> Withdrawn:
        """What a person gave leaves the Datasets; what they said stays."""
        return self._from_datasets([], user_id)

    def _from_datasets(self, ids: list[str], person: str | None = None) -> Withdrawn:
        done = Withdrawal()
        if ids or person is not None:
            done = self._datasets.withdraw(person=person, origins=[origin_of(one) for one in ids])
        replaced = [Replaced(old=old, new=new) for old, new in done.replaced]
        return Withdrawn(feedback=len(ids), replaced=replaced, versions_marked=list(done.versions_marked))

    def _blank(self, *which: ColumnElement[bool]) -> list[str]:
        with self._database.write() as session:
            self._database.exclusively(session, "datasets")
            query = select(FeedbackRow).where(*which, FeedbackRow.withdrawn_at.is_(None)).with_for_update()
            rows = session.scalars(query).all()
            for row in rows:
                row.owner_id = row.rating = row.correction = row.comment = row.preferred = None
                row.reasons, row.signals, row.context = [], {}, {}
                row.withdrawn_at = row.updated_at = now()
                session.merge(WithdrawalRow(what=f"origin:{origin_of(row.id)}", at=row.withdrawn_at))
        return [row.id for row in rows]
