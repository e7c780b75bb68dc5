"""Feedback: what people say about answers, kept with what the answer was made from."""

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from msgspec import Struct
from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from rixin.assistants import cursor_after, read_cursor
from rixin.errors import InvalidRequest, RixinError
from rixin.gateway import Principal
from rixin.renewal.agreement import Agreement, TrainingConsent
from rixin.renewal.answered import Answered, compared, document_of, find_answer, find_conversation, made_from
from rixin.renewal.learning import learnable
from rixin.renewal.opinions import (
    PRAISE,
    Choice,
    Feedback,
    FeedbackItem,
    FeedbackPage,
    Kind,
    Rating,
    Reason,
    Signal,
    VersionFeedback,
)
from rixin.renewal.shown import SPOKEN, feedback_of, no_feedback
from rixin.renewal.summary import summary_of
from rixin.renewal.withdrawing import Withdrawing, Withdrawn
from rixin.store import Database, FeedbackRow, UserRow, new_id, now

MAX_PAGE = 100

log = logging.getLogger(__name__)


class Said(Struct, frozen=True, kw_only=True):
    """What a person says of an answer, or changes: None leaves a thing as it is, 0, "" and () clear it.

    Where the rating changes and no reasons are given, those of the old rating go.
    """

    rating: Rating | Literal[0] | None = None
    reasons: tuple[Reason, ...] | None = None
    correction: str | None = None
    comment: str | None = None


class FeedbackService:
    """One row for each person and answer, or pair of answers. Only who asked a question may speak of its answers."""

    def __init__(self, database: Database, agreement: Agreement, withdrawing: Withdrawing) -> None:
        self._database = database
        self._agreement = agreement
        self._withdrawing = withdrawing

    def give(self, who: Principal, message_id: str, said: Said) -> Feedback | None:
        """Keep what is said; None where nothing of it is left.

        Raises NotFound, Conflict for an answer that is still being made, InvalidRequest for reasons that don't fit.
        """
        with self._database.write() as session:
            self._alone(session, who)
            answer = find_answer(session, who.user_id, message_id)
            row = self._row(session, who, answer) or self._new(session, who, "answer", answer)
            _say(row, said)
            row.context = row.context or document_of(made_from(session, answer))
            return self._kept(session, row)

    def prefer(
        self, who: Principal, first_id: str, second_id: str, preferred: Choice, *, comment: str | None = None
    ) -> Feedback:
        """Keep which of two answers to one question is the better one.

        Raises NotFound, Conflict, and InvalidRequest for answers to different questions.
        """
        with self._database.write() as session:
            self._alone(session, who)
            first, second = find_answer(session, who.user_id, first_id), find_answer(session, who.user_id, second_id)
            if first.id == second.id or first.asked != second.asked:
                raise InvalidRequest("These are not two answers to one question.", param="other_message_id")
            row = self._row(session, who, first, second)
            if row is None:  # they may have been compared the other way round
                row = self._row(session, who, second, first) or self._new(session, who, "preference", first)
            row.message_id, row.version_id, row.model = first.id, first.version_id, first.model
            row.other_message_id, row.other_version_id = second.id, second.version_id
            row.preferred = preferred
            row.comment = row.comment if comment is None else comment.strip() or None
            row.context = document_of(compared(made_from(session, first), made_from(session, second)))
            kept = self._kept(session, row)
            assert kept is not None, "a choice is something said"
            return kept

    def signal(self, who: Principal, message_id: str, signal: Signal) -> None:
        """Count something that was done with an answer. Raises NotFound."""
        with self._database.write() as session:
            self._alone(session, who)
            answer = find_answer(session, who.user_id, message_id)
            row = self._row(session, who, answer) or self._new(session, who, "answer", answer)
            row.signals = {**row.signals, signal: row.signals.get(signal, 0) + 1}

    def notice(self, who: Principal, message_id: str, signal: Signal) -> None:
        """As `signal`, of what the server saw itself: an answer must not fail for a count that can't be kept."""
        try:
            self.signal(who, message_id, signal)
        except RixinError as error:
            log.warning("That an answer was %s could not be counted: %s", signal, error)

    def page(
        self,
        who: Principal,
        *,
        cursor: str | None = None,
        limit: int = 30,
        rating: Rating | None = None,
        mine: bool = False,
    ) -> FeedbackPage:
        """The latest changed first: an administrator sees everybody's unless `mine`, others their own.

        Raises InvalidRequest for a cursor or limit that can't be used.
        """
        if not 1 <= limit <= MAX_PAGE:
            raise InvalidRequest(f"`limit` must be from 1 to {MAX_PAGE}.", param="limit")
        order = tuple_(FeedbackRow.updated_at, FeedbackRow.id)
        query = select(FeedbackRow).where(SPOKEN)
        if mine or who.role != "admin":
            query = query.where(FeedbackRow.owner_id == who.user_id)
        if rating is not None:
            query = query.where(FeedbackRow.rating == rating)
        if cursor is not None:
            query = query.where(order < tuple_(*read_cursor(cursor)))
        with self._database.read() as session:
            newest_first = query.order_by(FeedbackRow.updated_at.desc(), FeedbackRow.id.desc())
            rows = session.scalars(newest_first.limit(limit + 1)).all()
            data = _shown(session, rows[:limit])
        return FeedbackPage(data=data, next=cursor_after(rows[limit - 1]) if len(rows) > limit else None)

    def of_conversation(self, who: Principal, conversation_id: str) -> list[Feedback]:
        """One's own feedback on the answers of a conversation of one's own. Raises NotFound."""
        with self._database.read() as session:
            find_conversation(session, who.user_id, conversation_id)
            query = select(FeedbackRow).where(
                FeedbackRow.conversation_id == conversation_id, FeedbackRow.owner_id == who.user_id, SPOKEN
            )
            return _shown(session, session.scalars(query.order_by(FeedbackRow.id)).all())

    def get(self, feedback_id: str) -> Feedback:
        """One row, whoever's. Raises NotFound."""
        with self._database.read() as session:
            row = session.scalars(select(FeedbackRow).where(FeedbackRow.id == feedback_id, SPOKEN)).one_or_none()
            if row is None:
                raise no_feedback(feedback_id)
            return _shown(session, [row])[0]

    def summary(self) -> list[VersionFeedback]:
        """What was said about each version, the latest judged first."""
        with self._database.read() as session:
            return summary_of(session)

    def learnable(self, *, after: datetime | None = None) -> list[FeedbackItem]:
        """What may be learned from at this moment, personal data masked, the oldest change first.

        Only where the rule and the person's own word allow it, where something was said, and where it is known what
        the model was given. `after`: what was said, or became allowed, later than that.
        """
        with self._database.read() as session:
            return learnable(session, self._agreement.allowances(session), after)

    def withdraw(self, who: Principal, feedback_id: str) -> Withdrawn:
        """Take one back: one's own, or as an administrator anybody's. Raises NotFound."""
        return self._withdrawing.one(feedback_id, owner_id=None if who.role == "admin" else who.user_id)

    def withdraw_conversation(self, who: Principal, conversation_id: str) -> Withdrawn:
        """Take back all that was said in a conversation of one's own. Raises NotFound."""
        with self._database.read() as session:
            find_conversation(session, who.user_id, conversation_id)
        return self._withdrawing.conversation(conversation_id)

    def withdraw_all(self, user_id: str) -> Withdrawn:
        """Take back all that a person ever said, from every Dataset too."""
        return self._withdrawing.person(user_id)

    def consent(self, user_id: str) -> TrainingConsent:
        """Whether a person lets their feedback be learned from."""
        return self._agreement.of(user_id)

    def set_consent(self, user_id: str, *, given: bool) -> TrainingConsent:
        """Agree, or refuse; who refuses has what they gave removed from every Dataset, their feedback stays."""
        consent = self._agreement.say(user_id, given=given)
        if not given:
            self._withdrawing.refused(user_id)
        return consent

    def _alone(self, session: Session, who: Principal) -> None:
        self._database.exclusively(session, f"feedback {who.user_id}")

    def _row(
        self, session: Session, who: Principal, answer: Answered, other: Answered | None = None
    ) -> FeedbackRow | None:
        return session.scalars(
            select(FeedbackRow).where(
                FeedbackRow.owner_id == who.user_id,
                FeedbackRow.message_id == answer.id,
                FeedbackRow.other_message_id == (other.id if other is not None else ""),
            )
        ).one_or_none()

    def _new(self, session: Session, who: Principal, kind: Kind, answer: Answered) -> FeedbackRow:
        row = FeedbackRow(
            id=new_id("f"),
            kind=kind,
            owner_id=who.user_id,
            source="page" if who.key_id is None else "api",
            message_id=answer.id,
            other_message_id="",
            conversation_id=answer.conversation_id,
            model=answer.model,
            version_id=answer.version_id,
            reasons=[],
            signals={},
            context={},
        )
        session.add(row)
        return row

    def _kept(self, session: Session, row: FeedbackRow) -> Feedback | None:
        row.updated_at = now()
        if row.rating is None and row.correction is None and row.comment is None and row.preferred is None:
            row.context = {}
            if row.signals:
                session.flush()
            elif row in session.new:
                session.expunge(row)
            else:
                session.delete(row)
            return None
        session.flush()
        return _shown(session, [row])[0]


def _say(row: FeedbackRow, said: Said) -> None:
    if said.rating is not None and (said.rating or None) != row.rating:
        row.rating = said.rating or None
        row.reasons = []
    if said.reasons is not None:
        row.reasons = list(dict.fromkeys(said.reasons))
        if row.reasons and row.rating is None:
            row.rating = 1 if row.reasons[0] in PRAISE else -1
        if any((reason in PRAISE) is (row.rating == -1) for reason in row.reasons):
            raise InvalidRequest("These reasons don't fit the rating.", param="reasons")
    if said.correction is not None:
        row.correction = said.correction if said.correction.strip() else None
    if said.comment is not None:
        row.comment = said.comment.strip() or None


def _shown(session: Session, rows: Sequence[FeedbackRow]) -> list[Feedback]:
    people = {row.owner_id for row in rows}
    users = session.execute(select(UserRow.id, UserRow.name).where(UserRow.id.in_(people)))
    names = {user.id: user.name for user in users}
    return [feedback_of(row, names) for row in rows]
