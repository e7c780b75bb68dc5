"""`/api/feedback` as the page and programs use it, and the prompts that feedback is about, as the engine got them."""

from collections.abc import Iterator, Mapping

import httpx2
import pytest
from sqlalchemy import select
from test_assistants import CHECKED, REPLY, fill, law
from test_console import ask, new_conversation, until_over

from rixin.assistants.assistant import AnswerPolicy
from rixin.engines import ChatPrompt, EngineKind, GenerateRequest
from rixin.engines.fake import FakeEngine
from rixin.knowledge import MACHINE
from rixin.models import Version
from rixin.renewal import FeedbackItem
from rixin.settings import Settings
from rixin.store import FeedbackRow
from rixin.workspace import Workspace
from served import Served, first_key, serve_workspace

QUESTION = "老板可以不发工资吗？"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A model, and an assistant of it with a Library of one article; bob is a member."""
    engine = FakeEngine(reply=REPLY, context_length=8192)
    kinds: Mapping[str, EngineKind[Version]] = {"fake": EngineKind(lambda _: engine)}
    home = tmp_path_factory.mktemp("house")
    with Workspace(Settings.model_validate({"home": home}), kinds=kinds) as workspace:
        fill(workspace, engine)
        sure = AnswerPolicy(refuse_below=0.0, unsure_below=0.0)
        workspace.assistants.save(law(name="judging", instructions="你是律师。", policy=sure), reader=MACHINE)
        workspace.assistants.save(law(name="refusing", policy=AnswerPolicy(refuse_below=1.0)), reader=MACHINE)
        key = first_key(workspace)
        workspace.accounts.create_user("bob", "bob's password", "member")
        with serve_workspace(workspace, key, engine) as served:
            yield served


@pytest.fixture
def browser(house: Served) -> Iterator[httpx2.Client]:
    FakeEngine.__init__(house.engine, reply=REPLY, context_length=8192)
    with house.browser() as client:
        yield client


@pytest.fixture
def bob(house: Served) -> Iterator[httpx2.Client]:
    with house.browser("bob", "bob's password") as client:
        yield client


def answered(browser: httpx2.Client, content: str = "q", conversation: str | None = None, **more: object) -> dict:  # type: ignore[type-arg]
    conversation = conversation or new_conversation(browser)
    return until_over(browser, conversation, ask(browser, conversation, content, **more)["answer"]["id"])  # type: ignore[arg-type]


def give(browser: httpx2.Client, message: str, **said: object) -> httpx2.Response:
    return browser.post("/api/feedback", json={"message_id": message, **said})


def learned(house: Served, browser: httpx2.Client, message: str, **said: object) -> FeedbackItem:
    browser.put("/api/feedback/consent", json={"given": True})
    given = give(browser, message, **said).json()
    [item] = [one for one in house.workspace.feedback.learnable() if one.id == given["id"]]
    return item


def prompt_of(request: GenerateRequest) -> ChatPrompt:
    assert isinstance(request.prompt, ChatPrompt)
    return request.prompt


def test_feedback_is_given_seen_changed_and_taken_back(browser: httpx2.Client) -> None:
    answer = answered(browser)
    first = give(browser, answer["id"], rating=-1, reasons=["wrong"], correction="right")
    assert first.status_code == 200, first.text
    body = first.json()
    assert (body["rating"], body["reasons"], body["correction"]) == (-1, ["wrong"], "right")
    assert (body["question"], body["answer"], body["person"]["name"]) == ("q", REPLY, "ada")
    listed = browser.get(f"/api/conversations/{answer['conversation_id']}/feedback").json()
    assert listed == {"data": [body]}
    assert browser.get("/api/feedback", params={"rating": -1, "limit": 1}).json()["data"] == [body]
    assert give(browser, answer["id"], rating=0, correction="").status_code == 204
    again = give(browser, answer["id"], rating=1).json()
    assert browser.delete(f"/api/feedback/{again['id']}").status_code == 204
    assert browser.delete(f"/api/feedback/{again['id']}").status_code == 404


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"rating": 2}, "rating"),
        ({"rating": True}, "rating"),
        ({"reasons": ["because"]}, "reasons[0]"),
        ({"rating": 1, "reasons": ["wrong"]}, "reasons"),
        ({"correction": "x" * 100_001}, "correction"),
        ({"correction": "a\0b"}, None),
        ({"stars": 5}, "stars"),
    ],
)
def test_what_can_t_be_kept_is_refused_by_name(browser: httpx2.Client, body: dict[str, object], param: str) -> None:
    refused = give(browser, answered(browser)["id"], **body)
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == param


def test_nobody_else_judges_an_answer_or_sees_what_was_said(browser: httpx2.Client, bob: httpx2.Client) -> None:
    answer = answered(browser)
    said = give(browser, answer["id"], rating=1).json()
    words = {give(bob, one, rating=1).json()["error"]["message"].replace(one, "…") for one in (answer["id"], "msg_x")}
    assert len(words) == 1
    assert bob.get(f"/api/conversations/{answer['conversation_id']}/feedback").status_code == 404
    assert bob.get("/api/feedback").json()["data"] == []
    assert bob.get("/api/feedback/summary").status_code == 403
    assert bob.delete(f"/api/feedback/{said['id']}").status_code == 404
    assert browser.get("/api/feedback/summary").json()["versions"][0]["up"] >= 1


def test_a_page_without_the_token_says_nothing(house: Served, browser: httpx2.Client) -> None:
    answer = answered(browser)
    with httpx2.Client(base_url=house.url, cookies=dict(browser.cookies)) as forged:
        assert give(forged, answer["id"], rating=1).status_code == 403
        assert forged.put("/api/feedback/consent", json={"given": True}).status_code == 403
    with house.program() as program:
        assert program.put("/api/feedback/consent", json={"given": True}).status_code == 401, "a person's own word"


def test_one_agrees_refuses_and_withdraws(browser: httpx2.Client, bob: httpx2.Client) -> None:
    assert bob.get("/api/feedback/consent").json() == {"given": None, "rule": "each"}
    assert bob.put("/api/feedback/consent", json={"given": True}).json() == {"given": True, "rule": "each"}
    assert bob.put("/api/feedback/consent", json={"given": False}).json() == {"given": False, "rule": "each"}
    give(browser, answered(browser)["id"], rating=1)
    done = browser.post("/api/feedback/withdraw")
    assert done.status_code == 200
    assert done.json()["feedback"] >= 1
    assert browser.get("/api/feedback", params={"mine": True}).json()["data"] == []


def test_two_answers_are_compared(browser: httpx2.Client) -> None:
    first = answered(browser)
    place = f"/api/conversations/{first['conversation_id']}/messages/{first['id']}/regenerate"
    second = until_over(browser, first["conversation_id"], browser.post(place, json={}).json()["answer"]["id"])
    body = {"message_id": first["id"], "other_message_id": second["id"], "preferred": "second"}
    said = browser.post("/api/feedback/preference", json=body)
    assert said.status_code == 200, said.text
    assert (said.json()["kind"], said.json()["preferred"]) == ("preference", "second")
    other = answered(browser, "another question")
    refused = browser.post("/api/feedback/preference", json={**body, "other_message_id": other["id"]})
    assert refused.status_code == 400


def signals(house: Served, message: str) -> dict[str, int]:
    with house.workspace.database.read() as session:
        return session.scalars(select(FeedbackRow.signals).where(FeedbackRow.message_id == message)).one_or_none() or {}


def test_the_server_counts_what_it_sees(house: Served, browser: httpx2.Client) -> None:
    first = answered(browser)
    conversation = first["conversation_id"]
    again = browser.post(f"/api/conversations/{conversation}/messages/{first['id']}/regenerate", json={}).json()
    until_over(browser, conversation, again["answer"]["id"])
    answered(browser, "q, but better", conversation)
    house.engine.token_s = 0.2
    slow = ask(browser, conversation, "slow")["answer"]["id"]
    for _ in range(2):
        browser.post(f"/api/conversations/{conversation}/messages/{slow}/stop")
    body = {"message_id": first["id"], "signal": "copied"}
    assert browser.post("/api/feedback/signal", json=body).status_code == 204
    assert signals(house, first["id"]) == {"regenerated": 1, "copied": 1}
    assert signals(house, again["answer"]["id"]) == {"edited": 1}
    assert signals(house, slow) == {"abandoned": 1}


def test_a_deleted_conversation_takes_its_feedback_along(house: Served, browser: httpx2.Client) -> None:
    answer = answered(browser)
    item = learned(house, browser, answer["id"], rating=1)
    assert browser.delete(f"/api/conversations/{answer['conversation_id']}").status_code == 204
    assert item.id not in [one.id for one in house.workspace.feedback.learnable()]


def test_a_plain_conversation_s_prompt_is_known_word_for_word(house: Served, browser: httpx2.Client) -> None:
    first = answered(browser, "first")
    second = answered(browser, "second", first["conversation_id"], parent=first["id"], temperature=0.3)
    item = learned(house, browser, second["id"], rating=1)
    asked = house.engine.requests[-1]
    assert item.messages == prompt_of(asked).messages
    assert [turn.role for turn in item.messages] == ["user", "assistant", "user"]
    assert (item.answer, item.opening, item.tools) == (REPLY, "", ())


def test_an_assistant_s_prompt_is_known_with_its_passages(house: Served, browser: httpx2.Client) -> None:
    first = answered(browser, QUESTION, model="assistant:law")
    assert first["content"] == CHECKED
    item = learned(house, browser, first["id"], rating=1)
    assert item.messages == prompt_of(house.engine.requests[-1]).messages
    assert "第五十条" in item.messages[-1].content
    assert item.answer == REPLY, "what the model wrote, not what is left of it after its citations were checked"
    second = answered(browser, "那加班呢？", first["conversation_id"], parent=first["id"], model="assistant:law")
    item = learned(house, browser, second["id"], rating=1)
    assert item.messages == prompt_of(house.engine.requests[-1]).messages


def test_an_answer_that_was_begun_for_the_model_is_known_with_its_beginning(
    house: Served, browser: httpx2.Client
) -> None:
    answer = answered(browser, QUESTION, model="assistant:judging")
    item = learned(house, browser, answer["id"], rating=-1, correction="不可以[1]。")
    asked = prompt_of(house.engine.requests[-1])
    assert asked.continue_final
    assert (*item.messages, item.opening) == (*asked.messages[:-1], asked.messages[-1].content)
    assert "你是律师。" in item.messages[0].content


def test_a_refusal_without_the_model_is_known_as_what_it_would_have_been_asked(
    house: Served, browser: httpx2.Client
) -> None:
    answer = answered(browser, QUESTION, model="assistant:refusing")
    assert answer["grounding"]["refused"]
    item = learned(house, browser, answer["id"], rating=-1, reasons=["refused"], correction="不可以[1]。")
    assert "第五十条" in item.messages[-1].content
    assert item.opening
    given = give(browser, answer["id"], correction="", reasons=["refused"]).json()
    assert given["id"] not in [one.id for one in house.workspace.feedback.learnable()], "no model said that"


def test_a_stopped_answer_s_prompt_is_known_too(house: Served, browser: httpx2.Client) -> None:
    house.engine.token_s = 0.05
    conversation = new_conversation(browser)
    begun = ask(browser, conversation, QUESTION, model="assistant:law")["answer"]["id"]
    with browser.stream("GET", f"/api/conversations/{conversation}/messages/{begun}/stream") as stream:
        for line in stream.iter_lines():
            if "delta" in line:
                break
    browser.post(f"/api/conversations/{conversation}/messages/{begun}/stop")
    item = learned(house, browser, begun, rating=-1, correction="不可以。")
    assert item.messages == prompt_of(house.engine.requests[-1]).messages


def test_an_assistant_s_stored_completion_is_known_with_its_passages(house: Served, browser: httpx2.Client) -> None:
    client = house.client()
    made = client.chat.completions.create(
        model="assistant:law", messages=[{"role": "user", "content": QUESTION}], store=True
    )
    item = learned(house, browser, made.id, rating=1)
    assert item.messages == prompt_of(house.engine.requests[-1]).messages
    assert (item.answer, made.choices[0].message.content) == (REPLY, CHECKED)
    assert client.chat.completions.retrieve(made.id).choices == made.choices


def test_an_account_that_is_removed_leaves_nothing_to_learn_from(house: Served, browser: httpx2.Client) -> None:
    user = browser.post("/api/users", json={"name": "cy", "password": "cy's password"}).json()
    with house.browser("cy", "cy's password") as cy:
        item = learned(house, cy, answered(cy)["id"], rating=1)
    assert browser.delete(f"/api/users/{user['id']}").status_code == 204
    assert item.id not in [one.id for one in house.workspace.feedback.learnable()]
    with house.workspace.database.read() as session:
        assert session.get_one(FeedbackRow, item.id).context == {}
