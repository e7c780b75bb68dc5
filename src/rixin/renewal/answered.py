"""The answer that feedback is about: whose it is, which version made it, and what from, word for word."""

import hashlib

import msgspec
from msgspec import Struct
from sqlalchemy import select
from sqlalchemy.orm import Session

from rixin.assistants import PREFIX, Given, Grounding, unpack_given
from rixin.engines import Message
from rixin.errors import Conflict, NotFound
from rixin.renewal.completions import completion_of
from rixin.renewal.opinions import Context
from rixin.store import ConversationRow, MessageRow, StoredCompletionRow


class Answered(Struct, frozen=True, kw_only=True):
    """An answer. `asked` is what two answers to one question have in common."""

    id: str
    conversation_id: str | None
    asked: str
    model: str
    version_id: str


def find_answer(session: Session, owner_id: str, answer_id: str) -> Answered:
    """Of a conversation or of the API. Raises NotFound for what is no answer, or somebody else's."""
    stored = session.get(StoredCompletionRow, answer_id)
    if stored is not None and stored.owner_id == owner_id:
        messages = completion_of(stored).request.messages
        return Answered(
            id=stored.id,
            conversation_id=None,
            asked=hashlib.sha256(msgspec.json.encode(messages)).hexdigest(),
            model=stored.model,
            version_id=stored.version_id,
        )
    row = session.scalars(
        select(MessageRow)
        .join(ConversationRow, ConversationRow.id == MessageRow.conversation_id)
        .where(MessageRow.id == answer_id, ConversationRow.owner_id == owner_id, MessageRow.role == "assistant")
    ).one_or_none()
    if row is None or row.parent_id is None:
        raise NotFound(f"There is no answer {answer_id[:100]!r}.", param="message_id")
    return Answered(
        id=row.id,
        conversation_id=row.conversation_id,
        asked=row.parent_id,
        model=row.model or "",
        version_id=row.version or "",
    )


def find_conversation(session: Session, owner_id: str, conversation_id: str) -> None:
    """Raises NotFound for one that is not there, or somebody else's."""
    query = select(ConversationRow.id).where(ConversationRow.id == conversation_id)
    if session.scalars(query.where(ConversationRow.owner_id == owner_id)).one_or_none() is None:
        raise NotFound(f"There is no conversation {conversation_id!r}.")


def made_from(session: Session, answer: Answered) -> Context:
    """What an answer was made from. Raises Conflict for one that is still being made."""
    if answer.conversation_id is None:
        return _of_completion(session.get_one(StoredCompletionRow, answer.id))
    row = session.get_one(MessageRow, answer.id)
    if row.status == "generating":
        raise Conflict("The answer is still being made.", fix="Wait for its end, or stop it.")
    above = _above(session, row)
    grounding = msgspec.convert(row.grounding, Grounding) if row.grounding is not None else None
    given = unpack_given(row.given) if row.given is not None else None
    return Context(
        question=above[-1].content,
        answer=row.content,
        written=given.written if given is not None else None,
        messages=_messages(given, answer.model, above),
        opening=given.opening if given is not None else "",
        tools=given.tools if given is not None else (),
        sources=grounding.sources if grounding is not None else (),
        sampling=given.sampling if given is not None else None,
        assistant=grounding.assistant if grounding is not None else None,
    )


def compared(first: Context, second: Context) -> Context:
    """What a choice between two answers is about."""
    return msgspec.structs.replace(
        first,
        other_answer=second.answer,
        other_written=second.written,
        same_prompt=(first.messages, first.opening, first.tools) == (second.messages, second.opening, second.tools),
    )


def context_of(document: dict[str, object]) -> Context:
    """The context that a row holds."""
    return msgspec.convert(document, Context, strict=False)


def document_of(context: Context) -> dict[str, object]:
    """The context for a row."""
    document: dict[str, object] = msgspec.to_builtins(context, str_keys=True)
    return document


def _of_completion(row: StoredCompletionRow) -> Context:
    request = completion_of(row).request
    asked = [turn.content for turn in request.messages if turn.role == "user"]
    return Context(
        question=asked[-1] if asked else "",
        answer=row.answer,
        written=request.given.written,
        messages=request.given.messages,
        opening=request.given.opening,
        tools=request.given.tools,
        sources=request.sources,
        sampling=request.given.sampling,
        assistant=request.assistant,
    )


def _messages(given: Given | None, model: str, above: list[MessageRow]) -> tuple[Message, ...] | None:
    """What the model was given: as it was kept, or of a plain conversation the turns themselves."""
    if given is not None and given.messages is not None:
        return given.messages
    if given is None and model.startswith(PREFIX):
        return None
    return tuple(Message(role=turn.role, content=turn.content) for turn in above if turn.content)


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
