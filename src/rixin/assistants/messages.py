"""What a conversation is made of, as the API gives it out."""

import base64
from datetime import datetime
from typing import Literal, cast

import msgspec
from msgspec import Struct

from rixin.assistants.citations import Annotation
from rixin.assistants.grounded import Grounding
from rixin.errors import InvalidRequest
from rixin.store import ConversationRow, FeedbackRow, MessageRow

Role = Literal["system", "user", "assistant"]
Status = Literal["complete", "generating", "stopped", "failed", "interrupted"]


class MessageError(Struct, frozen=True, kw_only=True):
    """Why an answer failed."""

    message: str
    code: str | None = None


class Usage(Struct, frozen=True, kw_only=True):
    """What an answer took. `first_token_ms` is from the start to the first token, `tokens_per_second` after it."""

    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    first_token_ms: float | None
    duration_ms: float
    tokens_per_second: float | None


class Message(Struct, frozen=True, kw_only=True):
    """One turn; `parent_id` is the turn before it, and turns with the same parent are branches.

    An assistant's answer has `annotations`, its citations (none where it has none), and `grounding`, what it rests on.
    """

    id: str
    conversation_id: str
    parent_id: str | None
    role: Role
    content: str
    status: Status
    error: MessageError | None
    model: str | None
    version: str | None
    finish_reason: str | None
    usage: Usage | None
    created_at: datetime
    annotations: list[Annotation] | None = None
    grounding: Grounding | None = None


class Conversation(Struct, frozen=True, kw_only=True):
    """A tree of messages. `title` is empty until the first question; `model` is what was chosen for it."""

    id: str
    title: str
    model: str | None
    created_at: datetime
    updated_at: datetime


class ConversationPage(Struct, frozen=True, kw_only=True):
    """Conversations, the latest changed first; `next` is the cursor of the page after this one."""

    data: list[Conversation]
    next: str | None


def message_of(row: MessageRow) -> Message:
    """The message that a row holds."""
    failed = row.error_message is not None or row.error_code is not None
    return Message(
        id=row.id,
        conversation_id=row.conversation_id,
        parent_id=row.parent_id,
        role=cast(Role, row.role),
        content=row.content,
        status=cast(Status, row.status),
        error=MessageError(message=row.error_message or "", code=row.error_code) if failed else None,
        model=row.model,
        version=row.version,
        finish_reason=row.finish_reason,
        usage=msgspec.convert(row.usage, Usage) if row.usage is not None else None,
        created_at=row.created_at,
        annotations=msgspec.convert(row.annotations, list[Annotation]) if row.annotations is not None else None,
        grounding=msgspec.convert(row.grounding, Grounding) if row.grounding is not None else None,
    )


def conversation_of(row: ConversationRow) -> Conversation:
    """The conversation that a row holds."""
    return Conversation(
        id=row.id, title=row.title, model=row.model, created_at=row.created_at, updated_at=row.updated_at
    )


def cursor_after(row: ConversationRow | FeedbackRow) -> str:
    """Opaque text that names the place after `row`, in a list by `updated_at` and `id`."""
    return base64.urlsafe_b64encode(f"{row.updated_at.isoformat()} {row.id}".encode()).decode().rstrip("=")


def read_cursor(cursor: str) -> tuple[datetime, str]:
    """The moment and id in a cursor. Raises InvalidRequest for text that `cursor_after` did not make."""
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
        moment, _, identifier = text.partition(" ")
        when = datetime.fromisoformat(moment)
        if when.tzinfo is None or not identifier:
            raise ValueError
        return when, identifier
    except ValueError:
        raise InvalidRequest("The cursor is not one that this server gave out.", param="cursor") from None
