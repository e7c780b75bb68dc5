"""Completions that programs store, by the official client: kept, listed, labelled, judged, deleted."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx2
import openai
import pytest
from openai import OpenAI
from sqlalchemy import update

from rixin.engines.fake import REPLY, FakeEngine
from rixin.errors import EngineDied
from rixin.gateway import Principal
from rixin.store import StoredCompletionRow, now
from served import FAKE_VERSION, NAME, Served, serve_fake

HAIKU = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "A haiku?"}]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve_fake(tmp_path_factory.mktemp("stored")) as running:
        yield running


@pytest.fixture
def server(served: Served) -> Served:
    FakeEngine.__init__(served.engine)
    with served.workspace.database.write() as session:
        session.query(StoredCompletionRow).delete()
    return served


@pytest.fixture
def client(server: Served) -> OpenAI:
    return server.client()


def ada(server: Served) -> Principal:
    [user] = [user for user in server.workspace.accounts.users() if user.name == NAME]
    return Principal(user_id=user.id, role=user.role)


def store(client: OpenAI, **more: object) -> openai.types.chat.ChatCompletion:
    return client.chat.completions.create(  # type: ignore[call-overload, no-any-return]
        **{"model": "chat", "messages": HAIKU, "store": True, **more}
    )


def test_a_stored_completion_comes_back_as_it_was_answered(client: OpenAI) -> None:
    made = store(client, metadata={"topic": "poems"}, temperature=0.5)
    again = client.chat.completions.retrieve(made.id)
    assert again.model_dump(exclude={"metadata"}) == made.model_dump(exclude={"metadata"})
    assert again.choices[0].message.content == REPLY
    assert again.metadata == {"topic": "poems"}
    messages = client.chat.completions.messages.list(made.id)
    assert [(one.id, one.role, one.content) for one in messages] == [
        (f"{made.id}-0", "system", "Be brief."),
        (f"{made.id}-1", "user", "A haiku?"),
    ]


def test_what_was_not_to_be_stored_is_not(client: OpenAI) -> None:
    made = store(client, store=False)
    with pytest.raises(openai.NotFoundError, match="no stored completion"):
        client.chat.completions.retrieve(made.id)
    assert list(client.chat.completions.list()) == []


def test_a_list_is_walked_in_pages_by_model_and_by_metadata(client: OpenAI) -> None:
    ids = [store(client, metadata={"at": str(at % 2)}).id for at in range(5)]
    assert [one.id for one in client.chat.completions.list(limit=2)] == ids
    assert [one.id for one in client.chat.completions.list(limit=2, order="desc")] == ids[::-1]
    assert [one.id for one in client.chat.completions.list(metadata={"at": "1"})] == ids[1::2]
    assert [one.id for one in client.chat.completions.list(model="other")] == []
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.list(after="chatcmpl-none")


def test_a_stream_is_stored_at_its_end(client: OpenAI) -> None:
    stream = client.chat.completions.create(
        model="chat", messages=[{"role": "user", "content": "q"}], store=True, stream=True
    )
    [first, *_] = list(stream)
    again = client.chat.completions.retrieve(first.id)
    assert again.choices[0].message.content == REPLY
    assert again.usage is not None
    assert again.usage.completion_tokens > 0


def test_of_an_answer_that_nobody_waited_for_nothing_is_stored(server: Served, client: OpenAI) -> None:
    server.engine.token_s = 0.05
    with store(client, stream=True) as stream:  # type: ignore[attr-defined]
        next(iter(stream))
    server.engine.token_s = 0.0
    store(client)
    assert len(list(client.chat.completions.list())) == 1


def test_of_an_answer_that_failed_nothing_is_stored(server: Served, client: OpenAI) -> None:
    server.engine.generate_failure, server.engine.fail_after = EngineDied("It died."), 3
    with pytest.raises(openai.APIError):
        list(store(client, stream=True))
    with pytest.raises(openai.APIError):
        store(client)
    assert list(client.chat.completions.list()) == []


def test_metadata_rates_and_corrects_an_answer(server: Served, client: OpenAI) -> None:
    feedback, who = server.workspace.feedback, ada(server)
    made = store(client, metadata={"rating": "down", "reason": "wrong, too_long", "run": "7"})
    [said] = [one for one in feedback.page(who).data if one.message_id == made.id]
    assert (said.rating, said.reasons, said.question, said.answer) == (-1, ("wrong", "too_long"), "A haiku?", REPLY)
    assert (said.version_id, said.model, said.conversation_id) == (FAKE_VERSION, "chat", None)
    updated = client.chat.completions.update(made.id, metadata={"correction": "An old pond", "run": "7"})
    assert updated.metadata == {"correction": "An old pond", "run": "7"}
    [said] = [one for one in feedback.page(who).data if one.message_id == made.id]
    assert (said.rating, said.reasons, said.correction) == (None, (), "An old pond"), "the newest metadata holds"
    client.chat.completions.update(made.id, metadata={"run": "7"})
    assert made.id not in [one.message_id for one in feedback.page(who).data]


@pytest.mark.parametrize(
    ("metadata", "param"),
    [
        ({"rating": "five stars"}, "metadata.rating"),
        ({"rating": "up", "reason": "boring"}, "metadata.reason"),
        ({str(at): "x" for at in range(17)}, "metadata"),
        ({"k" * 65: "x"}, "metadata"),
        ({"topic": "x" * 513}, "metadata.topic"),
        ({"topic": "\0"}, "metadata"),
    ],
)
def test_metadata_that_can_t_be_kept_is_refused_before_anything_is_made(
    server: Served, client: OpenAI, metadata: dict[str, str], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as told:
        store(client, metadata=metadata)
    assert told.value.param == param
    assert server.engine.requests == []
    made = store(client)
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.update(made.id, metadata=metadata)


def test_a_program_rates_a_stored_completion_by_its_id(server: Served, client: OpenAI) -> None:
    made = store(client)
    with server.program() as program:
        given = program.post("/api/feedback", json={"message_id": made.id, "rating": 1, "reasons": ["clear"]})
    assert given.status_code == 200, given.text
    assert (given.json()["rating"], given.json()["person"]["name"]) == (1, NAME)


def test_what_is_learned_is_what_the_model_was_given(server: Served, client: OpenAI) -> None:
    feedback, who = server.workspace.feedback, ada(server)
    feedback.set_consent(who.user_id, given=True)
    made = store(client, temperature=0.25, metadata={"rating": "up"})
    [asked] = server.engine.requests
    [said] = [one for one in feedback.page(who).data if one.message_id == made.id]
    [item] = [one for one in feedback.learnable() if one.id == said.id]
    assert item.messages == asked.prompt.messages  # type: ignore[union-attr]


def test_feedback_outlives_the_completion_that_it_is_about(server: Served, client: OpenAI) -> None:
    made = store(client, metadata={"rating": "down"})
    deleted = client.chat.completions.delete(made.id)
    assert (deleted.id, deleted.deleted, deleted.object) == (made.id, True, "chat.completion.deleted")
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.delete(made.id)
    [said] = [one for one in server.workspace.feedback.page(ada(server)).data if one.message_id == made.id]
    assert said.answer == REPLY


def test_nobody_else_s_completion_is_there(server: Served, client: OpenAI) -> None:
    made = store(client)
    accounts = server.workspace.accounts
    bob = accounts.create_user("bob", "bob's password", "member")
    key = server.workspace.keys.create(bob.id, "tests").secret
    with httpx2.Client(base_url=server.url, headers={"authorization": f"Bearer {key}"}) as other:
        words = set()
        for identifier in (made.id, "chatcmpl-none"):
            for method, path in (("GET", ""), ("GET", "/messages"), ("DELETE", "")):
                answer = other.request(method, f"/v1/chat/completions/{identifier}{path}")
                assert answer.status_code == 404
                words.add(answer.json()["error"]["message"].replace(identifier, "…"))
            answer = other.post("/api/feedback", json={"message_id": identifier, "rating": 1})
            assert answer.status_code == 404
        assert len(words) == 1
        assert other.get("/v1/chat/completions").json()["data"] == []


def test_completions_are_gone_after_their_days(server: Served, client: OpenAI) -> None:
    old, young = store(client), store(client)
    with server.workspace.database.write() as session:
        session.execute(
            update(StoredCompletionRow)
            .where(StoredCompletionRow.id == old.id)
            .values(created_at=now() - timedelta(days=31))
        )
    assert [one.id for one in client.chat.completions.list()] == [young.id]
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.retrieve(old.id)
    server.workspace.completions.sweep()
    with server.workspace.database.read() as session:
        assert [row.id for row in session.query(StoredCompletionRow)] == [young.id]


def test_text_that_no_database_holds_is_kept_as_well_as_it_can_be(server: Served, client: OpenAI) -> None:
    server.engine.reply = "a\0b"
    made = store(client)
    assert client.chat.completions.retrieve(made.id).choices[0].message.content == "a\ufffdb"


def test_several_choices_and_calls_of_tools_are_kept(client: OpenAI) -> None:
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
    made = store(client, n=2)
    assert len(client.chat.completions.retrieve(made.id).choices) == 2
    called = store(client, tools=[tool], tool_choice="required")
    calls = client.chat.completions.retrieve(called.id).choices[0].message.tool_calls
    assert calls is not None
    assert calls == called.choices[0].message.tool_calls


def test_the_days_are_a_setting(tmp_path: Path) -> None:
    with serve_fake(tmp_path, stored_completion_days=1e-9) as short:
        made = store(short.client())
        with pytest.raises(openai.NotFoundError):
            short.client().chat.completions.retrieve(made.id)
