"""Conversations and their messages, each open to its owner alone."""

from collections.abc import Iterable

from sqlalchemy import delete, select, tuple_
from sqlalchemy.orm import Session

from rixin.assistants.messages import (
    Conversation,
    ConversationPage,
    Message,
    conversation_of,
    cursor_after,
    message_of,
    read_cursor,
)
from rixin.assistants.presence import identity
from rixin.errors import Conflict, InvalidRequest, NotFound
from rixin.store import ConversationRow, Database, MessageRow, new_id, now

MAX_PAGE = 100
MAX_TITLE = 200
TITLE_FROM_QUESTION = 60


class Conversations:
    """Every method takes the owner; what belongs to someone else is NotFound, to administrators too."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, owner_id: str, *, model: str | None = None) -> Conversation:
        """An empty conversation."""
        row = ConversationRow(id=new_id("cnv"), owner_id=owner_id, model=model)
        with self._database.write() as session:
            session.add(row)
        return conversation_of(row)

    def page(self, owner_id: str, *, cursor: str | None = None, limit: int = 30) -> ConversationPage:
        """The latest changed first. Raises InvalidRequest for a cursor or limit that can't be used."""
        if not 1 <= limit <= MAX_PAGE:
            raise InvalidRequest(f"`limit` must be from 1 to {MAX_PAGE}.", param="limit")
        order = tuple_(ConversationRow.updated_at, ConversationRow.id)
        query = select(ConversationRow).where(ConversationRow.owner_id == owner_id)
        if cursor is not None:
            query = query.where(order < tuple_(*read_cursor(cursor)))
        with self._database.read() as session:
            newest_first = query.order_by(ConversationRow.updated_at.desc(), ConversationRow.id.desc())
            rows = session.scalars(newest_first.limit(limit + 1)).all()
        more = len(rows) > limit
        return ConversationPage(
            data=[conversation_of(row) for row in rows[:limit]], next=cursor_after(rows[limit - 1]) if more else None
        )

    def get(self, owner_id: str, conversation_id: str) -> Conversation:
        """Raises NotFound."""
        with self._database.read() as session:
            return conversation_of(_owned(session, owner_id, conversation_id))

    def existing(self, ids: Iterable[str]) -> set[str]:
        """Those of the ids that are conversations, whoever's."""
        with self._database.read() as session:
            return set(session.scalars(select(ConversationRow.id).where(ConversationRow.id.in_(list(ids)))))

    def messages(self, owner_id: str, conversation_id: str) -> list[Message]:
        """The whole tree, in the order in which it was made."""
        with self._database.read() as session:
            _owned(session, owner_id, conversation_id)
            query = select(MessageRow).where(MessageRow.conversation_id == conversation_id).order_by(MessageRow.id)
            return [message_of(row) for row in session.scalars(query)]

    def message(self, owner_id: str, conversation_id: str, message_id: str) -> Message:
        """Raises NotFound."""
        with self._database.read() as session:
            _owned(session, owner_id, conversation_id)
            return message_of(_message(session, conversation_id, message_id))

    def path(self, owner_id: str, conversation_id: str, message_id: str) -> list[Message]:
        """The messages from the root of the tree down to this one: what a prompt is made of."""
        by_id = {message.id: message for message in self.messages(owner_id, conversation_id)}
        path: list[Message] = []
        at: str | None = message_id
        while at is not None:
            if at not in by_id:
                raise _no_message(message_id)
            path.append(by_id[at])
            at = by_id[at].parent_id
        return path[::-1]

    def before_edit(self, owner_id: str, question: Message) -> str | None:
        """The last answer to the question that this one is an edit of; None for one that has no siblings."""
        with self._database.read() as session:
            _owned(session, owner_id, question.conversation_id)
            there = MessageRow.conversation_id == question.conversation_id
            siblings = select(MessageRow.id).where(
                there,
                MessageRow.role == "user",
                MessageRow.parent_id.is_not_distinct_from(question.parent_id),
                MessageRow.id < question.id,
            )
            edited = session.scalar(siblings.order_by(MessageRow.id.desc()).limit(1))
            if edited is None:
                return None
            answers = select(MessageRow.id).where(there, MessageRow.parent_id == edited)
            return session.scalar(answers.order_by(MessageRow.id.desc()).limit(1))

    def update(
        self, owner_id: str, conversation_id: str, *, title: str | None = None, model: str | None = None
    ) -> Conversation:
        """Change what is given. Raises NotFound, InvalidRequest."""
        if title is not None and not 0 < len(title.strip()) <= MAX_TITLE:
            raise InvalidRequest(f"A title has from 1 to {MAX_TITLE} characters.", param="title")
        with self._database.write() as session:
            row = _owned(session, owner_id, conversation_id, change=True)
            row.title = row.title if title is None else title.strip()
            row.model = row.model if model is None else model
        return conversation_of(row)

    def delete(self, owner_id: str, conversation_id: str) -> None:
        """Remove it with all its messages; an answer being made in it is stopped. Raises NotFound."""
        with self._database.write() as session:
            _owned(session, owner_id, conversation_id, change=True)
            session.execute(delete(ConversationRow).where(ConversationRow.id == conversation_id))

    def ask(
        self,
        owner_id: str,
        conversation_id: str,
        *,
        parent_id: str | None,
        content: str,
        model: str,
        version: str | None = None,
    ) -> tuple[Message, Message]:
        """Add a question under `parent_id` (an answer, or None for the root) and an empty answer, `generating`.

        The answer must then be handed to `Answers.begin`. A question with siblings is an edit of them. Raises
        NotFound, InvalidRequest, and Conflict while the parent is still being made.
        """
        if not content.strip():
            raise InvalidRequest("The message is empty.", param="content")
        with self._database.write() as session:
            conversation = _owned(session, owner_id, conversation_id, change=True)
            if parent_id is not None:
                parent = _message(session, conversation_id, parent_id, param="parent_id")
                if parent.role == "user":
                    raise InvalidRequest("A question must follow an answer.", param="parent_id")
                if parent.status == "generating":
                    raise Conflict("The answer before this question is still being made.", fix="Stop it first.")
            question = MessageRow(
                id=new_id("msg"), conversation_id=conversation_id, parent_id=parent_id, role="user", content=content
            )
            session.add(question)
            session.flush()
            conversation.title = conversation.title or title_of(content)
            answer = _new_answer(session, conversation, question.id, model, version)
            return message_of(question), message_of(answer)

    def regenerate(
        self, owner_id: str, conversation_id: str, message_id: str, *, model: str, version: str | None = None
    ) -> Message:
        """Add a sibling to an answer, `generating`, for `Answers.begin`. Raises NotFound, InvalidRequest."""
        with self._database.write() as session:
            conversation = _owned(session, owner_id, conversation_id, change=True)
            old = _message(session, conversation_id, message_id)
            if old.role != "assistant" or old.parent_id is None:
                raise InvalidRequest("Only an answer to a question can be made again.", param="message_id")
            return message_of(_new_answer(session, conversation, old.parent_id, model, version))


def title_of(question: str) -> str:
    """The beginning of the question's first line, cut between words where it has them."""
    line = " ".join(question.strip().partition("\n")[0].split())
    if len(line) <= TITLE_FROM_QUESTION:
        return line
    cut = line[: TITLE_FROM_QUESTION - 1]
    before_word = cut if line[len(cut)] == " " else cut.rpartition(" ")[0]
    return (before_word if len(before_word) > TITLE_FROM_QUESTION // 2 else cut).rstrip() + "…"


def _owned(session: Session, owner_id: str, conversation_id: str, *, change: bool = False) -> ConversationRow:
    query = select(ConversationRow).where(ConversationRow.id == conversation_id, ConversationRow.owner_id == owner_id)
    row = session.scalars(query.with_for_update() if change else query).one_or_none()
    if row is None:
        raise NotFound(f"There is no conversation {conversation_id!r}.")
    return row


def _message(session: Session, conversation_id: str, message_id: str, param: str | None = None) -> MessageRow:
    query = select(MessageRow).where(MessageRow.id == message_id, MessageRow.conversation_id == conversation_id)
    row = session.scalars(query).one_or_none()
    if row is None:
        raise _no_message(message_id, param)
    return row


def _no_message(message_id: str, param: str | None = None) -> NotFound:
    return NotFound(f"There is no message {message_id!r} in this conversation.", param=param)


def _new_answer(
    session: Session, conversation: ConversationRow, question_id: str, model: str, version: str | None
) -> MessageRow:
    conversation.updated_at = now()
    conversation.model = model
    answer = MessageRow(
        id=new_id("msg"),
        conversation_id=conversation.id,
        parent_id=question_id,
        role="assistant",
        content="",
        status="generating",
        model=model,
        version=version,
        generator=identity(),
    )
    session.add(answer)
    session.flush()
    return answer
