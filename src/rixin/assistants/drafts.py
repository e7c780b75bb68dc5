"""Answers in the database while they are made: saved, finished, or found abandoned."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta

import msgspec
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from rixin.assistants.given import Given, pack_given
from rixin.assistants.grounded import Grounded
from rixin.assistants.messages import Message, MessageError, Status, Usage, message_of
from rixin.assistants.presence import identity, is_gone
from rixin.errors import NotFound
from rixin.store import Database, MessageRow, now

HEARTBEAT_S = 5.0
LEASE_S = 30.0


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How an answer ended; `version` made it, where that is not the one that was asked."""

    status: Status
    content: str
    version: str | None = None
    error: MessageError | None = None
    finish_reason: str | None = None
    usage: Usage | None = None
    grounded: Grounded | None = None
    given: Given | None = None


class Drafts:
    """Only the process that began an answer writes it; another may end it, or find that its writer is gone."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, partial: Mapping[str, str], ended: Mapping[str, Ending]) -> set[str]:
        """Write the text so far of some answers and the end of others, all in one transaction.

        Gives back the ids whose answers nobody wants any more: stopped elsewhere, or deleted.
        """
        unwanted = set()
        with self._database.write() as session:
            for message_id, content in partial.items():
                if not _write(session, message_id, status="generating", content=content):
                    unwanted.add(message_id)
            for message_id, ending in ended.items():
                _finish(session, message_id, ending)
        return unwanted

    def get(self, message_id: str) -> Message:
        """Raises NotFound."""
        with self._database.read() as session:
            row = session.get(MessageRow, message_id)
            if row is None:
                raise NotFound(f"There is no message {message_id!r}.")
            return message_of(row)

    def stop(self, message_id: str) -> None:
        """Mark an answer that another process makes; that process sees it when it next saves."""
        with self._database.write() as session:
            session.execute(
                update(MessageRow)
                .where(MessageRow.id == message_id, MessageRow.status == "generating")
                .values(status="stopped")
            )

    def interrupt_abandoned(self, ours: Collection[str] = ()) -> list[str]:
        """Mark as `interrupted` what no living process makes; `ours` are the answers this one is making.

        A writer counts as dead when its process is gone, or when it gave no sign of life for `LEASE_S`.
        """
        silent_since = now() - timedelta(seconds=LEASE_S)
        generating = select(MessageRow.id, MessageRow.generator, MessageRow.saved_at).where(
            MessageRow.status == "generating", MessageRow.id.not_in(ours)
        )
        with self._database.read() as session:
            rows = session.execute(generating).all()
        abandoned = [row.id for row in rows if row.saved_at < silent_since or is_gone(row.generator)]
        if abandoned:
            with self._database.write() as session:
                session.execute(
                    update(MessageRow)
                    .where(MessageRow.id.in_(abandoned), MessageRow.status == "generating")
                    .values(status="interrupted")
                )
        return abandoned


def _write(session: Session, message_id: str, **values: object) -> bool:
    """False if the answer is deleted or was stopped by someone else. One that was wrongly given up goes on."""
    result = session.execute(
        update(MessageRow)
        .where(MessageRow.id == message_id, MessageRow.generator == identity(), MessageRow.status != "stopped")
        .values(saved_at=now(), **values)
        .returning(MessageRow.id)
    )
    return result.first() is not None


def _finish(session: Session, message_id: str, ending: Ending) -> None:
    session.execute(
        update(MessageRow)
        .where(MessageRow.id == message_id, MessageRow.generator == identity())
        .values(
            saved_at=now(),
            status=ending.status,
            content=ending.content,
            version=MessageRow.version if ending.version is None else ending.version,
            error_message=ending.error.message if ending.error else None,
            error_code=ending.error.code if ending.error else None,
            finish_reason=ending.finish_reason,
            usage=msgspec.to_builtins(ending.usage) if ending.usage else None,
            annotations=msgspec.to_builtins(ending.grounded.annotations) if ending.grounded else None,
            grounding=msgspec.to_builtins(ending.grounded.grounding) if ending.grounded else None,
            given=pack_given(ending.given) if ending.given else None,
        )
    )
