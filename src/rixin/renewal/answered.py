"""The answer that feedback is about: whose it is, which version made it, and what from, word for word."""

from typing import cast

import msgspec
from msgspec import Struct
from sqlalchemy import select
from sqlalchemy.orm import Session

from rixin.assistants import PREFIX, Grounding, unpack_given
from rixin.engines import Message
from rixin.errors import Conflict, NotFound
from rixin.renewal.opinions import Context
from rixin.store import ConversationRow, MessageRow


class Answered(Struct, frozen=True, kw_only=True):
    """An answer; `asked` is what two answers to the same question have in common."""

    id: str
    conversation_id: str | None
    asked: str
    model: str
    version_id: str
    context: Context


def find_answer(session: Session, owner_id: str, answer_id: str) -> Answered:
    """Raises NotFound for what is no answer or somebody else's, Conflict for one that is still being made."""
    row = session.scalars(
        select(MessageRow)
        .join(ConversationRow, ConversationRow.id == MessageRow.conversation_id)
        .where(MessageRow.id == answer_id, ConversationRow.owner_id == owner_id, MessageRow.role == "assistant")
    ).one_or_none()
    if row is None or row.parent_id is None:
        raise NotFound(f"There is no answer {answer_id[:100]!r}.", param="message_id")
    if row.status == "generating":
        raise Conflict("The answer is still being made.", fix="Wait for its end, or stop it.")
    above = _above(session, row)
    grounding = msgspec.convert(row.grounding, Grounding) if row.grounding is not None else None
    given = unpack_given(row.given) if row.given is not None else None
    model = row.model or ""
    if given is not None and given.messages is not None:
        messages: tuple[Message, ...] | None = given.messages
    elif given is None and model.startswith(PREFIX):
        messages = None
    else:
        messages = tuple(Message(role=turn.role, content=turn.content) for turn in above if turn.content)
    return Answered(
        id=row.id,
        conversation_id=row.conversation_id,
        asked=row.parent_id,
        model=model,
        version_id=row.version or "",
        context=Context(
            question=above[-1].content,
            answer=row.content,
            written=given.written if given is not None else None,
            messages=messages,
            opening=given.opening if given is not None else "",
            tools=given.tools if given is not None else (),
            sources=grounding.sources if grounding is not None else (),
            sampling=given.sampling if given is not None else None,
            assistant=grounding.assistant if grounding is not None else None,
        ),
    )


def find_conversation(session: Session, owner_id: str, conversation_id: str) -> None:
    """Raises NotFound for one that is not there or somebody else's."""
    query = select(ConversationRow.id).where(ConversationRow.id == conversation_id)
    if session.scalars(query.where(ConversationRow.owner_id == owner_id)).one_or_none() is None:
        raise NotFound(f"There is no conversation {conversation_id!r}.")


def compared(first: Answered, second: Answered) -> Context:
    """What a choice between two answers is about."""
    return msgspec.structs.replace(
        first.context,
        other_answer=second.context.answer,
        other_written=second.context.written,
        same_prompt=(first.context.messages, first.context.opening)
        == (second.context.messages, second.context.opening),
    )


def _above(session: Session, answer: MessageRow) -> list[MessageRow]:
    """The turns from the root down to the question."""
    rows = session.scalars(select(MessageRow).where(MessageRow.conversation_id == answer.conversation_id))
    by_id = {row.id: row for row in rows}
    path = []
    at = answer.parent_id
    while at is not None:
        path.append(by_id[at])
        at = by_id[at].parent_id
    return path[::-1]


def context_of(document: dict[str, object]) -> Context:
    """The context that a row holds."""
    return msgspec.convert(document, Context, strict=False)


def document_of(context: Context) -> dict[str, object]:
    """The context for a row."""
    return cast("dict[str, object]", msgspec.to_builtins(context, str_keys=True))
