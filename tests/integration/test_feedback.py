"""Feedback: who may say what of which answer, and what is kept of it, on SQLite and on PostgreSQL."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rixin.assistants import Conversations, Message
from rixin.assistants.drafts import Drafts, Ending
from rixin.data import Datasets
from rixin.errors import Conflict, InvalidRequest, NotFound
from rixin.gateway import Principal
from rixin.renewal import Agreement, FeedbackService, Said, Withdrawing
from rixin.settings import Settings
from rixin.store import Database, UserRow

ME = Principal(user_id="usr_me", role="member")
OTHER = Principal(user_id="usr_other", role="member")
ADMIN = Principal(user_id="usr_admin", role="admin")
PROGRAM = Principal(user_id="usr_me", role="member", key_id="key_1")

Ask = Callable[..., Message]


@pytest.fixture
def people(database: Database) -> None:
    with database.write() as session:
        for who in (ME, OTHER, ADMIN):
            name = who.user_id.removeprefix("usr_")
            session.add(UserRow(id=who.user_id, name=name, name_key=name, password_hash="-", role=who.role))


@pytest.fixture
def conversations(database: Database, people: None) -> Conversations:
    return Conversations(database)


@pytest.fixture
def feedback(database: Database, people: None, tmp_path: Path) -> FeedbackService:
    return service(database, tmp_path)


def service(database: Database, home: Path, **rules: object) -> FeedbackService:
    settings = Settings.model_validate({"home": home, **rules})
    withdrawing = Withdrawing(database, Datasets(database, home))
    return FeedbackService(database, Agreement(database, settings), withdrawing)


@pytest.fixture
def ask(conversations: Conversations, database: Database) -> Ask:
    """Ask in a conversation of one's own, and let the answer end at once."""
    mine = conversations.create(ME.user_id, model="chat")

    def ask(content: str, parent: Message | None = None, *, answer: str = "", again: Message | None = None) -> Message:
        if again is not None:
            made = conversations.regenerate(ME.user_id, mine.id, again.id, model="chat", version="v_2")
        else:
            _, made = conversations.ask(
                ME.user_id, mine.id, parent_id=parent and parent.id, content=content, model="chat", version="v_1"
            )
        ending = Ending(status="complete", content=answer or f"re: {content}", finish_reason="stop")
        Drafts(database).save({}, {made.id: ending})
        return conversations.message(ME.user_id, mine.id, made.id)

    return ask


def test_an_answer_is_rated_corrected_and_commented_in_one_row(feedback: FeedbackService, ask: Ask) -> None:
    answer = ask("What is due?")
    first = feedback.give(ME, answer.id, Said(rating=-1, reasons=("wrong", "wrong")))
    assert first is not None
    assert (first.rating, first.reasons, first.question, first.answer) == (
        -1,
        ("wrong",),
        "What is due?",
        "re: What is due?",
    )
    second = feedback.give(ME, answer.id, Said(correction="The rent.", comment=" see §3 "))
    assert second is not None
    assert second.id == first.id
    assert (second.rating, second.correction, second.comment) == (-1, "The rent.", "see §3")
    assert (second.version_id, second.model, second.conversation_id) == ("v_1", "chat", answer.conversation_id)
    assert second.person is not None
    assert second.person.name == "me"
    assert feedback.of_conversation(ME, answer.conversation_id) == [second]


def test_what_is_cleared_vanishes_and_a_turned_thumb_drops_its_reasons(feedback: FeedbackService, ask: Ask) -> None:
    answer = ask("q")
    feedback.give(ME, answer.id, Said(rating=-1, reasons=("wrong",)))
    up = feedback.give(ME, answer.id, Said(rating=1))
    assert up is not None
    assert up.reasons == ()
    assert feedback.give(ME, answer.id, Said(rating=0)) is None
    assert feedback.page(ME).data == []
    assert feedback.give(ME, answer.id, Said()) is None, "nothing was said, and nothing is kept"


def test_reasons_alone_say_which_way_the_thumb_points(feedback: FeedbackService, ask: Ask) -> None:
    said = feedback.give(ME, ask("q").id, Said(reasons=("too_long",)))
    assert said is not None
    assert said.rating == -1
    with pytest.raises(InvalidRequest, match="don't fit the rating"):
        feedback.give(ME, ask("r").id, Said(rating=1, reasons=("wrong",)))


def test_an_answer_of_somebody_else_is_not_there(feedback: FeedbackService, ask: Ask) -> None:
    answer = ask("q")
    words = []
    for who, message_id in ((OTHER, answer.id), (ADMIN, answer.id), (ME, "msg_none"), (ME, str(answer.parent_id))):
        with pytest.raises(NotFound) as told:
            feedback.give(who, message_id, Said(rating=1))
        words.append(str(told.value).replace(message_id, "…"))
    assert len(set(words)) == 1
    with pytest.raises(NotFound):
        feedback.of_conversation(OTHER, answer.conversation_id)


def test_an_answer_in_the_making_has_no_feedback_yet(feedback: FeedbackService, conversations: Conversations) -> None:
    mine = conversations.create(ME.user_id)
    _, answer = conversations.ask(ME.user_id, mine.id, parent_id=None, content="q", model="chat", version="v_1")
    with pytest.raises(Conflict, match="still being made"):
        feedback.give(ME, answer.id, Said(rating=1))


def test_of_two_answers_one_is_preferred_whichever_stands_first(feedback: FeedbackService, ask: Ask) -> None:
    one = ask("q", answer="short")
    two = ask("q", answer="long", again=one)
    said = feedback.prefer(ME, one.id, two.id, "first")
    assert (said.kind, said.preferred, said.answer, said.other_answer) == ("preference", "first", "short", "long")
    turned = feedback.prefer(ME, two.id, one.id, "first", comment="I changed my mind")
    assert (turned.id, turned.preferred, turned.answer) == (said.id, "first", "long")
    assert {one.version_id: one.preferred for one in feedback.summary()} == {"v_2": 1, "v_1": 0}
    with pytest.raises(InvalidRequest, match="two answers to one question"):
        feedback.prefer(ME, one.id, ask("another").id, "both")
    with pytest.raises(InvalidRequest):
        feedback.prefer(ME, one.id, one.id, "both")


def test_signals_are_counted_and_are_no_opinion(feedback: FeedbackService, ask: Ask) -> None:
    answer = ask("q")
    for signal in ("copied", "copied", "regenerated"):
        feedback.signal(ME, answer.id, signal)
    assert feedback.page(ME).data == []
    [version] = feedback.summary()
    assert version.signals == {"copied": 2, "regenerated": 1}
    feedback.give(ME, answer.id, Said(rating=1))
    assert feedback.give(ME, answer.id, Said(rating=0)) is None
    assert feedback.summary()[0].signals == version.signals


def test_members_see_their_own_feedback_and_administrators_all(feedback: FeedbackService, ask: Ask) -> None:
    ids = [str(feedback.give(ME, ask(f"q{at}").id, Said(rating=1 if at % 2 else -1)).id) for at in range(5)]  # type: ignore[union-attr]
    first = feedback.page(ADMIN, limit=3)
    rest = feedback.page(ADMIN, limit=3, cursor=first.next)
    assert [one.id for one in first.data + rest.data] == ids[::-1]
    assert rest.next is None
    assert feedback.page(OTHER).data == []
    assert feedback.page(ADMIN, mine=True).data == []
    assert [one.rating for one in feedback.page(ME, rating=1).data] == [1, 1]
    up, down = feedback.summary()[0].up, feedback.summary()[0].down
    assert (up, down) == (2, 3)
