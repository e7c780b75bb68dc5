"""Conversations: trees of messages that belong to one person, on SQLite and on PostgreSQL."""

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from rixin.assistants import Conversation, Conversations, Message
from rixin.assistants.conversations import title_of
from rixin.assistants.drafts import Drafts, Ending
from rixin.assistants.messages import Usage, read_cursor
from rixin.errors import Conflict, InvalidRequest, NotFound
from rixin.store import ConversationRow, Database, MessageRow, UserRow, new_id

ME, OTHER = "usr_me", "usr_other"
USAGE = Usage(
    prompt_tokens=5, cached_tokens=2, completion_tokens=3, first_token_ms=1.5, duration_ms=20.0, tokens_per_second=None
)


@pytest.fixture
def conversations(database: Database) -> Conversations:
    with database.write() as session:
        for name in (ME, OTHER):
            session.add(UserRow(id=name, name=name, name_key=name, password_hash="-", role="admin"))
    return Conversations(database)


@pytest.fixture
def mine(conversations: Conversations) -> Conversation:
    return conversations.create(ME, model="chat")


@pytest.fixture
def ask(conversations: Conversations, mine: Conversation, database: Database) -> Callable[..., tuple[Message, Message]]:
    """Ask in `mine`, and let the answer end at once."""

    def ask(content: str, parent: Message | None = None) -> tuple[Message, Message]:
        question, answer = conversations.ask(
            ME, mine.id, parent_id=parent and parent.id, content=content, model="chat", version="v_1"
        )
        ending = Ending(status="complete", content=f"re: {content}", finish_reason="stop", usage=USAGE)
        Drafts(database).save({}, {answer.id: ending})
        return question, conversations.message(ME, mine.id, answer.id)

    return ask


def test_a_question_and_its_answer_come_back_whole(
    conversations: Conversations, mine: Conversation, ask: Callable[..., tuple[Message, Message]]
) -> None:
    question, answer = conversations.ask(ME, mine.id, parent_id=None, content="你好 ", model="chat", version="v_1")
    assert (question.role, question.content, question.status, question.parent_id) == ("user", "你好 ", "complete", None)
    assert (answer.role, answer.content, answer.status, answer.parent_id) == (
        "assistant",
        "",
        "generating",
        question.id,
    )
    assert (answer.model, answer.version, answer.usage, answer.error) == ("chat", "v_1", None, None)
    assert conversations.messages(ME, mine.id) == [question, answer]
    _, ended = ask("again")
    assert (ended.status, ended.content, ended.usage) == ("complete", "re: again", USAGE)
    assert msgspec.json.decode(msgspec.json.encode(ended), type=Message) == ended


def test_the_tree_has_branches_and_a_path_for_each(
    conversations: Conversations, mine: Conversation, ask: Callable[..., tuple[Message, Message]]
) -> None:
    first, answer = ask("one")
    second, second_answer = ask("two", answer)
    edited, _ = ask("two, better", answer)
    assert edited.parent_id == second.parent_id == answer.id
    again = conversations.regenerate(ME, mine.id, second_answer.id, model="other", version="v_2")
    assert (again.parent_id, again.model, again.status) == (second.id, "other", "generating")
    assert [message.content for message in conversations.path(ME, mine.id, again.id)] == ["one", "re: one", "two", ""]
    assert [message.id for message in conversations.path(ME, mine.id, edited.id)] == [first.id, answer.id, edited.id]
    assert len(conversations.messages(ME, mine.id)) == 7
    assert conversations.get(ME, mine.id).model == "other"


def test_what_belongs_to_someone_else_is_not_found(
    conversations: Conversations, mine: Conversation, ask: Callable[..., tuple[Message, Message]]
) -> None:
    question, answer = ask("secret")
    theirs = conversations.create(OTHER)
    for intrusion in (
        lambda: conversations.get(OTHER, mine.id),
        lambda: conversations.messages(OTHER, mine.id),
        lambda: conversations.message(OTHER, mine.id, answer.id),
        lambda: conversations.message(OTHER, theirs.id, answer.id),
        lambda: conversations.path(OTHER, theirs.id, answer.id),
        lambda: conversations.update(OTHER, mine.id, title="stolen"),
        lambda: conversations.delete(OTHER, mine.id),
        lambda: conversations.ask(OTHER, mine.id, parent_id=None, content="?", model="chat"),
        lambda: conversations.ask(OTHER, theirs.id, parent_id=answer.id, content="?", model="chat"),
        lambda: conversations.regenerate(OTHER, mine.id, answer.id, model="chat"),
        lambda: conversations.regenerate(OTHER, theirs.id, answer.id, model="chat"),
        lambda: conversations.get(ME, "cnv_missing"),
        lambda: conversations.message(ME, mine.id, "msg_missing"),
    ):
        with pytest.raises(NotFound):
            intrusion()
    assert [known.id for known in conversations.page(OTHER).data] == [theirs.id]
    assert conversations.messages(ME, mine.id) == [question, answer]


def test_what_can_not_be_asked_is_refused(
    conversations: Conversations, mine: Conversation, ask: Callable[..., tuple[Message, Message]]
) -> None:
    question, answer = ask("one")
    for wrong in (
        lambda: conversations.ask(ME, mine.id, parent_id=question.id, content="?", model="chat"),
        lambda: conversations.ask(ME, mine.id, parent_id=answer.id, content=" \n", model="chat"),
        lambda: conversations.ask(ME, mine.id, parent_id=answer.id, content="a\0b", model="chat"),
        lambda: conversations.regenerate(ME, mine.id, question.id, model="chat"),
        lambda: conversations.update(ME, mine.id, title="  "),
        lambda: conversations.update(ME, mine.id, title="x" * 201),
        lambda: conversations.page(ME, limit=0),
        lambda: conversations.page(ME, limit=101),
    ):
        with pytest.raises(InvalidRequest):
            wrong()
    _, generating = conversations.ask(ME, mine.id, parent_id=answer.id, content="two", model="chat")
    with pytest.raises(Conflict, match="still being made"):
        conversations.ask(ME, mine.id, parent_id=generating.id, content="three", model="chat")


def test_the_title_comes_from_the_first_question_unless_it_was_given(
    conversations: Conversations, mine: Conversation, ask: Callable[..., tuple[Message, Message]]
) -> None:
    ask("  What is\tthe law?\nIn detail.")
    ask("Another question")
    assert conversations.get(ME, mine.id).title == "What is the law?"
    assert conversations.update(ME, mine.id, title=" Law ").title == "Law"
    ask("Third")
    assert conversations.get(ME, mine.id).title == "Law"


@given(st.text())
def test_a_title_is_one_short_line(question: str) -> None:
    title = title_of(question)
    assert len(title) <= 60
    assert title == " ".join(title.split())
    assert bool(title) == bool(question.strip())


def test_long_titles_are_cut_between_words_or_characters() -> None:
    assert title_of("word " * 30) == "word " * 11 + "word…"
    assert title_of("字" * 100) == "字" * 59 + "…"


def test_pages_show_every_conversation_once_the_latest_first(conversations: Conversations, database: Database) -> None:
    made = [conversations.create(ME).id for _ in range(25)]
    conversations.create(OTHER)
    with database.write() as session:  # many at the same moment: the id decides
        session.execute(update(ConversationRow).values(updated_at=conversations.get(ME, made[0]).updated_at))
    seen: list[str] = []
    cursor = None
    while True:
        page = conversations.page(ME, cursor=cursor, limit=10)
        seen += [known.id for known in page.data]
        if (cursor := page.next) is None:
            break
    assert seen == made[::-1]
    conversations.ask(ME, made[3], parent_id=None, content="?", model="chat")
    assert conversations.page(ME, limit=1).data[0].id == made[3]
    assert conversations.page(ME, limit=25).next is None


@given(st.text(max_size=60))
def test_a_made_up_cursor_is_refused_or_understood(cursor: str) -> None:
    try:
        moment, identifier = read_cursor(cursor)
    except InvalidRequest:
        return
    assert moment.tzinfo is not None
    assert identifier


def test_a_long_conversation_can_be_read_and_deleted(
    conversations: Conversations, mine: Conversation, database: Database
) -> None:
    """SQLite follows cascades only 1,000 levels deep, so none may run along the tree."""
    ids = [new_id("msg") for _ in range(3000)]
    with database.write() as session:
        for number, (parent, message) in enumerate(zip([None, *ids], ids, strict=False)):
            role = "assistant" if number % 2 else "user"
            session.add(MessageRow(id=message, conversation_id=mine.id, parent_id=parent, role=role, content="x"))
            session.flush()
    assert len(conversations.path(ME, mine.id, ids[-1])) == 3000
    conversations.delete(ME, mine.id)
    with pytest.raises(NotFound):
        conversations.get(ME, mine.id)
    with database.read() as session:
        assert session.get(MessageRow, ids[0]) is None


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=st.text(max_size=200))
def test_a_question_is_kept_exactly_or_refused(conversations: Conversations, mine: Conversation, content: str) -> None:
    try:
        question, _ = conversations.ask(ME, mine.id, parent_id=None, content=content, model="chat")
    except InvalidRequest:
        return
    assert conversations.message(ME, mine.id, question.id).content == content
