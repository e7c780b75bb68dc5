"""Every call that an assistant makes, written down before it runs and again when it has ended."""

from datetime import datetime

import msgspec
from msgspec import Struct
from sqlalchemy import select, update

from rixin.assistants.tools.running import Consent, Outcome
from rixin.assistants.tools.tool import ToolContext
from rixin.store import Database, ToolCallRow, new_id

MAX_ARGUMENTS = 8192


class ToolCallRecord(Struct, frozen=True, kw_only=True):
    """One call as it was. `outcome` `started` is one under way, or one whose process was killed in the midst of it."""

    id: str
    at: datetime
    user_id: str | None
    assistant: str | None
    conversation_id: str | None
    tool: str
    arguments: str
    outcome: str
    milliseconds: int
    consent: str


class ToolAudit:
    """Synchronous; safe between threads. What can't be written down is not done: it raises StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(
        self, tool: str, arguments: str, context: ToolContext, *, consent: Consent, outcome: Outcome = "started"
    ) -> str:
        """Write a call down, before it runs (or instead of it, with another `outcome`), and give its id."""
        row = ToolCallRow(
            id=new_id("tc"),
            user_id=context.user_id,
            assistant=context.assistant,
            conversation_id=context.conversation_id,
            tool=_storable(tool)[:200],
            arguments=_storable(arguments),
            outcome=outcome,
            milliseconds=0,
            consent=consent,
        )
        with self._database.write() as session:
            session.add(row)
            return row.id

    def end(self, call_id: str, outcome: Outcome, milliseconds: int) -> None:
        """Write down how it ended."""
        with self._database.write() as session:
            session.execute(
                update(ToolCallRow)
                .where(ToolCallRow.id == call_id, ToolCallRow.outcome == "started")
                .values(outcome=outcome, milliseconds=milliseconds)
            )

    def list(
        self, *, user_id: str | None = None, conversation_id: str | None = None, limit: int = 100
    ) -> list[ToolCallRecord]:
        """The newest first; of one person or one conversation where that is given."""
        query = select(ToolCallRow).order_by(ToolCallRow.id.desc()).limit(limit)
        if user_id is not None:
            query = query.where(ToolCallRow.user_id == user_id)
        if conversation_id is not None:
            query = query.where(ToolCallRow.conversation_id == conversation_id)
        with self._database.read() as session:
            return [_record(row) for row in session.scalars(query)]


def _record(row: ToolCallRow) -> ToolCallRecord:
    return msgspec.convert(row, ToolCallRecord, from_attributes=True)


def _storable(text: str) -> str:
    """What a model wrote may hold what no database does (U+0000, half a surrogate pair), and be of any length."""
    plain = text.replace("\0", "\\u0000").encode("utf-8", "backslashreplace").decode()
    return plain if len(plain) <= MAX_ARGUMENTS else f"{plain[:MAX_ARGUMENTS]}… ({len(plain)} characters)"
