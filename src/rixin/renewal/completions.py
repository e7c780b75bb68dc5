"""Completions of the API whose requests said `store`: kept for a while, so that feedback can name them."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec
from msgspec import Struct
from sqlalchemy import delete, select, tuple_
from sqlalchemy.orm import Session

from rixin.assistants import Given, Source, storable_document
from rixin.engines import Message
from rixin.errors import InvalidRequest, NotFound
from rixin.store import Database, StoredCompletionRow, now


class StoredRequest(Struct, frozen=True, kw_only=True):
    """What was asked, as it was sent, and what the model was given for it."""

    messages: tuple[Message, ...]
    given: Given
    sources: tuple[Source, ...] = ()
    assistant: str | None = None


class StoredCompletion(Struct, frozen=True, kw_only=True):
    """A completion; `response` is what the API answered (a ChatCompletion), `answer` the text of its first choice."""

    id: str
    owner_id: str
    model: str
    version_id: str
    request: StoredRequest
    response: dict[str, object]
    answer: str
    labels: dict[str, str]
    created_at: datetime


class Completions:
    """Each open to its owner alone; gone after `days`."""

    def __init__(self, database: Database, *, days: float) -> None:
        self._database = database
        self._kept_for = timedelta(days=days)

    def keep(self, completion: StoredCompletion) -> None:
        """Raises StoreUnavailable, NotEnoughDisk; nothing is kept then."""
        row = StoredCompletionRow(
            id=completion.id,
            owner_id=completion.owner_id,
            model=completion.model,
            version_id=completion.version_id,
            request=storable_document(msgspec.to_builtins(completion.request, str_keys=True)),
            response=storable_document(completion.response),
            answer=storable_document(completion.answer),
            labels=completion.labels,
            created_at=completion.created_at,
        )
        with self._database.write() as session:
            session.add(row)

    def get(self, owner_id: str, completion_id: str) -> StoredCompletion:
        """Raises NotFound."""
        with self._database.read() as session:
            return completion_of(self._row(session, owner_id, completion_id))

    def page(
        self,
        owner_id: str,
        *,
        after: str | None = None,
        limit: int = 20,
        newest_first: bool = False,
        model: str | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> tuple[Sequence[StoredCompletion], bool]:
        """What follows `after`, of a model or with labels if that is asked, and whether there is more.

        Raises InvalidRequest for an `after` that is not there.
        """
        order = tuple_(StoredCompletionRow.created_at, StoredCompletionRow.id)
        with self._database.read() as session:
            query = select(StoredCompletionRow).where(
                StoredCompletionRow.owner_id == owner_id, StoredCompletionRow.created_at > now() - self._kept_for
            )
            if model is not None:
                query = query.where(StoredCompletionRow.model == model)
            if after is not None:
                row = session.get(StoredCompletionRow, after)
                if row is None or row.owner_id != owner_id:
                    raise InvalidRequest(f"There is no {after[:100]!r} in this list.", param="after")
                place = tuple_(row.created_at, row.id)
                query = query.where(order < place if newest_first else order > place)
            columns = (StoredCompletionRow.created_at, StoredCompletionRow.id)
            query = query.order_by(*(one.desc() for one in columns) if newest_first else columns)
            found = []
            with session.scalars(query.execution_options(yield_per=100)) as rows:
                for row in rows:
                    if all(row.labels.get(name) == value for name, value in (labels or {}).items()):
                        found.append(completion_of(row))
                        if len(found) > limit:
                            break
        return found[:limit], len(found) > limit

    def label(self, owner_id: str, completion_id: str, labels: dict[str, str]) -> StoredCompletion:
        """Put these labels in the place of those that it had. Raises NotFound."""
        with self._database.write() as session:
            row = self._row(session, owner_id, completion_id)
            row.labels = labels
            return completion_of(row)

    def delete(self, owner_id: str, completion_id: str) -> None:
        """Feedback that was given on it stays. Raises NotFound."""
        with self._database.write() as session:
            session.delete(self._row(session, owner_id, completion_id))

    def sweep(self) -> None:
        """Delete what was kept long enough."""
        with self._database.write() as session:
            session.execute(delete(StoredCompletionRow).where(StoredCompletionRow.created_at <= now() - self._kept_for))

    def _row(self, session: Session, owner_id: str, completion_id: str) -> StoredCompletionRow:
        row = session.get(StoredCompletionRow, completion_id)
        if row is None or row.owner_id != owner_id or row.created_at <= now() - self._kept_for:
            raise NotFound(f"There is no stored completion {completion_id[:100]!r}.")
        return row


def completion_of(row: StoredCompletionRow) -> StoredCompletion:
    """The completion that a row holds."""
    return StoredCompletion(
        id=row.id,
        owner_id=row.owner_id,
        model=row.model,
        version_id=row.version_id,
        request=msgspec.convert(row.request, StoredRequest, strict=False),
        response=row.response,
        answer=row.answer,
        labels=row.labels,
        created_at=row.created_at,
    )
