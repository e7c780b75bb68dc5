"""Feedback: who may say what of which answer, and what is kept of it, on SQLite and on PostgreSQL."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, select, update

from rixin.assistants import Conversations, Given, Message
from rixin.assistants.drafts import Drafts, Ending
from rixin.assistants.given import pack_given
from rixin.data import ChatExample, Datasets, Sourced, Turn
from rixin.engines import Message as PromptMessage
from rixin.errors import Conflict, InvalidRequest, NotFound
from rixin.errors import Withdrawn as Gone
from rixin.gateway import Principal
from rixin.renewal import (
    Agreement,
    Completions,
    Feedback,
    FeedbackService,
    Said,
    StoredCompletion,
    StoredRequest,
    Withdrawing,
)
from rixin.settings import Settings
from rixin.store import Database, FeedbackRow, MessageRow, UserRow, now

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
                ME.user_id,
                mine.id,
                parent_id=parent.id if parent else None,
                content=content,
                model="chat",
                version="v_1",
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


def test_nothing_is_learned_from_who_did_not_agree(
    database: Database, feedback: FeedbackService, ask: Ask, tmp_path: Path
) -> None:
    feedback.give(ME, ask("q").id, Said(rating=1))
    assert feedback.consent(ME.user_id).given is None
    assert feedback.learnable() == []
    assert len(service(database, tmp_path, learn_from="all").learnable()) == 1, "the organisation has their agreement"
    feedback.set_consent(ME.user_id, given=True)
    assert len(feedback.learnable()) == 1
    assert service(database, tmp_path, learn_from="nobody").learnable() == []
    assert service(database, tmp_path, learn_not_from=["ＭＥ"]).learnable() == []
    feedback.set_consent(ME.user_id, given=False)
    assert feedback.learnable() == []
    assert service(database, tmp_path, learn_from="all").learnable() == [], "a person's own no always holds"


def test_what_became_allowed_since_is_new_too(feedback: FeedbackService, ask: Ask) -> None:
    feedback.give(ME, ask("q").id, Said(rating=1))
    since = now()
    assert feedback.learnable(after=since) == []
    feedback.set_consent(ME.user_id, given=True)
    [item] = feedback.learnable(after=since)
    assert feedback.learnable(after=item.updated_at) == [], "and not new twice"


def test_what_is_learned_is_what_the_model_was_given_without_personal_data(feedback: FeedbackService, ask: Ask) -> None:
    feedback.set_consent(ME.user_id, given=True)
    first = ask("我叫王小明，电话13812345678", answer="王小明您好")
    second = ask("我的电话是多少？", first, answer="13812345679")
    feedback.give(ME, second.id, Said(rating=-1, correction="138-1234-5678"))
    [item] = feedback.learnable()
    assert [(turn.role, turn.content) for turn in item.messages] == [
        ("user", "我叫[姓名1]，电话[电话1]"),
        ("assistant", "[姓名1]您好"),
        ("user", "我的电话是多少？"),
    ]
    assert (item.answer, item.correction, item.person) == ("[电话2]", "[电话1]", ME.user_id)
    assert item.origin == f"feedback:{item.id}"


def test_signals_alone_teach_nothing(feedback: FeedbackService, ask: Ask) -> None:
    feedback.set_consent(ME.user_id, given=True)
    feedback.signal(ME, ask("q").id, "copied")
    feedback.give(ME, ask("r").id, Said(comment="nice"))
    assert feedback.learnable() == []


def test_what_the_house_said_in_the_model_s_stead_is_no_lesson_but_its_correction_is(
    database: Database, feedback: FeedbackService, ask: Ask
) -> None:
    feedback.set_consent(ME.user_id, given=True)
    answer = ask("q", answer="The documents do not say.")
    prompt = (PromptMessage(role="system", content="Rules"), PromptMessage(role="user", content="q"))
    given = Given(messages=prompt, opening="Judgement: yes\nAnswer:", written="")
    with database.write() as session:
        session.execute(update(MessageRow).where(MessageRow.id == answer.id).values(given=pack_given(given)))
    feedback.give(ME, answer.id, Said(rating=1))
    assert feedback.learnable() == []
    feedback.give(ME, answer.id, Said(rating=-1, correction="42 [1]"))
    [item] = feedback.learnable()
    assert (item.messages, item.opening, item.correction) == (prompt, given.opening, "42 [1]")


def test_a_pair_is_learned_only_where_both_answered_the_same_prompt(
    database: Database, feedback: FeedbackService, ask: Ask
) -> None:
    feedback.set_consent(ME.user_id, given=True)
    one = ask("q", answer="a")
    two = ask("q", answer="b", again=one)
    feedback.prefer(ME, one.id, two.id, "second")
    [item] = feedback.learnable()
    assert (item.kind, item.preferred, item.answer, item.other_answer) == ("preference", "second", "a", "b")
    other = Given(messages=(PromptMessage(role="user", content="q, with other passages"),))
    with database.write() as session:
        session.execute(update(MessageRow).where(MessageRow.id == two.id).values(given=pack_given(other)))
    feedback.prefer(ME, one.id, two.id, "second")
    assert feedback.learnable() == []


def test_what_is_taken_back_leaves_only_ids(database: Database, feedback: FeedbackService, ask: Ask) -> None:
    feedback.set_consent(ME.user_id, given=True)
    answer = ask("secret question")
    said = feedback.give(ME, answer.id, Said(rating=-1, correction="secret answer", comment="secret"))
    assert said is not None
    with pytest.raises(NotFound) as told:
        feedback.withdraw(OTHER, said.id)
    with pytest.raises(NotFound) as never:
        feedback.withdraw(OTHER, "f_none")
    assert str(told.value).replace(said.id, "f_none") == str(never.value)
    assert feedback.withdraw(ME, said.id).feedback == 1
    with database.read() as session:
        row = session.get_one(FeedbackRow, said.id)
    assert (row.message_id, row.version_id, row.owner_id) == (answer.id, "v_1", None)
    assert (row.rating, row.correction, row.comment, row.context, row.reasons) == (None, None, None, {}, [])
    assert feedback.page(ADMIN).data == []
    assert feedback.summary() == []
    assert feedback.learnable() == []
    with pytest.raises(NotFound):
        feedback.withdraw(ME, said.id)
    again = feedback.give(ME, answer.id, Said(rating=1))
    assert again is not None
    assert again.id != said.id, "what is said anew is another item, or a dataset would give it up again"


def lesson(said: Feedback | None) -> Sourced:
    assert said is not None
    example = ChatExample(messages=(Turn(role="user", content="q"), Turn(role="assistant", content=said.id)))
    return Sourced(example=example, origin=f"feedback:{said.id}", person=ME.user_id)


def test_a_withdrawal_takes_the_rows_out_of_every_dataset(
    database: Database, feedback: FeedbackService, ask: Ask, tmp_path: Path
) -> None:
    datasets = Datasets(database, tmp_path)
    kept, gone = (feedback.give(ME, ask(name).id, Said(rating=1)) for name in ("kept", "gone"))
    assert gone is not None
    old = datasets.add_sourced("lessons", [lesson(kept), lesson(gone)], source="feedback")
    done = feedback.withdraw(ME, gone.id)
    assert [(one.old, one.new) for one in done.replaced] == [(old.id, datasets.resolve("lessons").id)]
    [left] = datasets.open(datasets.resolve("lessons"))
    assert isinstance(left, ChatExample)
    assert left.messages[-1].content == getattr(kept, "id", None)


def test_a_refusal_takes_a_person_s_rows_out_of_the_datasets_and_leaves_what_they_said(
    database: Database, feedback: FeedbackService, ask: Ask, tmp_path: Path
) -> None:
    feedback.set_consent(ME.user_id, given=True)
    said = feedback.give(ME, ask("q").id, Said(rating=1))
    old = Datasets(database, tmp_path).add_sourced("lessons", [lesson(said)], source="feedback")
    feedback.set_consent(ME.user_id, given=False)
    with pytest.raises(Gone):
        Datasets(database, tmp_path).resolve(old.id)
    assert feedback.page(ME).data == [said]


def test_who_withdraws_all_and_whoever_is_deleted_leave_nothing(
    database: Database, feedback: FeedbackService, ask: Ask
) -> None:
    for at in range(3):
        feedback.give(ME, ask(f"q{at}").id, Said(rating=1))
    assert feedback.withdraw_all(ME.user_id).feedback == 3
    feedback.give(ME, ask("later").id, Said(rating=1))
    with database.write() as session:
        session.execute(delete(UserRow).where(UserRow.id == ME.user_id))
    assert feedback.learnable() == []
    assert feedback.withdraw_all(ME.user_id).feedback == 1
    with database.read() as session:
        assert {row.withdrawn_at is None for row in session.scalars(select(FeedbackRow))} == {False}


def test_a_conversation_s_feedback_goes_with_it(feedback: FeedbackService, ask: Ask) -> None:
    answer = ask("q")
    feedback.give(ME, answer.id, Said(rating=1))
    with pytest.raises(NotFound):
        feedback.withdraw_conversation(OTHER, answer.conversation_id)
    assert feedback.withdraw_conversation(ME, answer.conversation_id).feedback == 1
    assert feedback.page(ME).data == []


def test_two_who_speak_at_once_make_one_row(feedback: FeedbackService, ask: Ask) -> None:
    answer = ask("q")
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda at: feedback.give(ME, answer.id, Said(rating=1, comment=f"c{at}")), range(24)))
        list(pool.map(lambda _: feedback.signal(ME, answer.id, "copied"), range(24)))
    assert len({one.id for one in done if one is not None}) == 1
    assert feedback.summary()[0].signals == {"copied": 24}


def stored(database: Database, at: int, *, content: str = "q", owner: Principal = ME) -> StoredCompletion:
    messages = (PromptMessage(role="system", content="s"), PromptMessage(role="user", content=content))
    completion = StoredCompletion(
        id=f"chatcmpl-{at}",
        owner_id=owner.user_id,
        model="chat",
        version_id="v_1",
        request=StoredRequest(messages=messages, given=Given(messages=messages)),
        response={"id": f"chatcmpl-{at}"},
        answer=f"a{at}",
        labels={"even": str(at % 2 == 0)},
        created_at=now() - timedelta(minutes=10 - at),
    )
    Completions(database, days=30).keep(completion)
    return completion


def test_stored_completions_are_listed_in_order_and_open_to_their_owner_alone(database: Database, people: None) -> None:
    made = [stored(database, at) for at in (3, 1, 2, 0)]
    stored(database, 9, owner=OTHER)
    completions = Completions(database, days=30)
    ids = [f"chatcmpl-{at}" for at in range(4)]
    first, more = completions.page(ME.user_id, limit=3)
    rest, over = completions.page(ME.user_id, after=first[-1].id, limit=3)
    assert ([one.id for one in (*first, *rest)], more, over) == (ids, True, False)
    assert [one.id for one in completions.page(ME.user_id, newest_first=True)[0]] == ids[::-1]
    assert [one.id for one in completions.page(ME.user_id, labels={"even": "True"})[0]] == ids[::2]
    assert completions.get(ME.user_id, "chatcmpl-3") == made[0]
    with pytest.raises(NotFound):
        completions.get(OTHER.user_id, "chatcmpl-3")
    with pytest.raises(InvalidRequest):
        completions.page(ME.user_id, after="chatcmpl-9")
    Completions(database, days=8.5 / 24 / 60).sweep()
    assert [one.id for one in completions.page(ME.user_id)[0]] == ids[2:]


def test_two_stored_completions_of_one_question_are_compared(database: Database, feedback: FeedbackService) -> None:
    feedback.set_consent(ME.user_id, given=True)
    one, two, other = stored(database, 1), stored(database, 2), stored(database, 3, content="another")
    said = feedback.prefer(PROGRAM, one.id, two.id, "second")
    assert (said.answer, said.other_answer, said.conversation_id) == ("a1", "a2", None)
    [item] = feedback.learnable()
    assert (item.messages, item.preferred, item.person) == (one.request.messages, "second", ME.user_id)
    with pytest.raises(InvalidRequest):
        feedback.prefer(PROGRAM, one.id, other.id, "first")
