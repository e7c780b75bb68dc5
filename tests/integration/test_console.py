"""What the page relies on: sessions, accounts, keys, conversations and answers that go on without a listener."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from rixin.errors import EngineDied
from served import NAME, PASSWORD, Served, serve_fake


@pytest.fixture
def browser(server: Served) -> Iterator[httpx2.Client]:
    with server.browser() as client:
        yield client


@pytest.fixture
def other(server: Served) -> Iterator[httpx2.Client]:
    """A member, logged in."""
    accounts = server.workspace.accounts
    if "bob" not in [user.name for user in accounts.users()]:
        accounts.create_user("bob", "bob's password", "member")
    with server.browser("bob", "bob's password") as client:
        yield client


def new_conversation(browser: httpx2.Client) -> str:
    return str(browser.post("/api/conversations", json={}).json()["id"])


def ask(browser: httpx2.Client, conversation: str, content: str, parent: str | None = None, **more: object) -> dict:  # type: ignore[type-arg]
    answer = browser.post(
        f"/api/conversations/{conversation}/messages", json={"parent_id": parent, "content": content, **more}
    )
    assert answer.status_code == 201, answer.text
    return answer.json()  # type: ignore[no-any-return]


def events(browser: httpx2.Client, conversation: str, message: str) -> list[tuple[str, dict]]:  # type: ignore[type-arg]
    text = browser.get(f"/api/conversations/{conversation}/messages/{message}/stream").text
    blocks = [block.splitlines() for block in text.split("\n\n") if block and not block.startswith(":")]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in blocks]


def until_over(browser: httpx2.Client, conversation: str, message: str) -> dict:  # type: ignore[type-arg]
    return events(browser, conversation, message)[-1][1]["message"]  # type: ignore[no-any-return]


def test_the_setup_link_makes_one_administrator_and_logs_them_in(tmp_path: Path) -> None:
    with serve_fake(tmp_path, set_up=False) as served, httpx2.Client(base_url=served.url) as client:
        assert client.get("/api/session").json()["setup_needed"] is True
        body = {"token": "guessed", "name": "ada", "password": "long enough"}
        assert client.post("/api/setup", json=body).status_code == 403
        body["token"] = served.workspace.accounts.create_setup_token()
        done = client.post("/api/setup", json=body)
        assert done.status_code == 201
        cookie = done.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert "Secure" not in cookie
        state = client.get("/api/session").json()
        assert (state["user"]["name"], state["user"]["role"]) == ("ada", "admin")
        assert state["csrf"] == done.json()["csrf"]
        assert state["setup_needed"] is False
        assert client.post("/api/setup", json={**body, "name": "eve"}).status_code == 403


def test_the_cookie_is_secure_where_people_come_by_https(tmp_path: Path) -> None:
    with serve_fake(tmp_path, public_url="https://rixin.example") as served:
        answer = httpx2.post(
            f"{served.url}/api/session",
            json={"name": NAME, "password": PASSWORD},
            headers={"host": "rixin.example", "origin": "https://rixin.example"},
        )
        assert answer.status_code == 200
        assert "Secure" in answer.headers["set-cookie"]


def test_a_wrong_password_and_a_logout_close_the_door(server: Served) -> None:
    wrong = httpx2.post(f"{server.url}/api/session", json={"name": NAME, "password": "wrong"})
    assert wrong.status_code == 401
    assert wrong.json()["error"]["code"] == "login_failed"
    with server.browser() as browser:
        cookies = dict(browser.cookies)
        assert browser.delete("/api/session").status_code == 204
        assert httpx2.get(f"{server.url}/api/keys", cookies=cookies).status_code == 401


def test_passwords_are_changed_by_their_owners(server: Served, other: httpx2.Client) -> None:
    assert other.post("/api/password", json={"old": "wrong", "new": "another one"}).status_code == 401
    short = other.post("/api/password", json={"old": "bob's password", "new": "x"})
    assert short.status_code == 400
    changed = other.post("/api/password", json={"old": "bob's password", "new": "bob's new password"})
    assert changed.status_code == 204
    assert other.get("/api/keys").status_code == 200, "this session goes on"
    with server.browser("bob", "bob's new password") as again:
        assert (
            again.post("/api/password", json={"old": "bob's new password", "new": "bob's password"}).status_code == 204
        )


def test_accounts_are_the_administrators_business(browser: httpx2.Client, other: httpx2.Client) -> None:
    for method, path in (("GET", "/api/users"), ("POST", "/api/users"), ("DELETE", "/api/users/x")):
        assert other.request(method, path, json={}).status_code == 403
    made = browser.post("/api/users", json={"name": "cy", "password": "cy's password"})
    assert made.status_code == 201
    user = made.json()
    assert user["role"] == "member"
    assert "password" not in made.text.replace("cy's password", "")
    assert browser.post("/api/users", json={"name": "CY", "password": "cy's password"}).status_code == 409
    changed = browser.patch(f"/api/users/{user['id']}", json={"role": "admin", "disabled": True}).json()
    assert (changed["role"], changed["disabled"]) == ("admin", True)
    assert user["id"] in [one["id"] for one in browser.get("/api/users").json()["data"]]
    assert browser.delete(f"/api/users/{user['id']}").status_code == 204
    assert browser.delete(f"/api/users/{user['id']}").status_code == 404


def test_a_field_that_does_not_exist_is_refused(browser: httpx2.Client) -> None:
    answer = browser.post("/api/users", json={"name": "x", "password": "long enough", "admin": True})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "admin"


def test_a_key_is_shown_once_works_and_ends_when_it_is_revoked(
    server: Served, browser: httpx2.Client, other: httpx2.Client
) -> None:
    made = browser.post("/api/keys", json={"name": "script", "expires_in_days": 1}).json()
    assert made["key"].startswith("rx-")
    assert made["expires_at"]
    listed = browser.get("/api/keys")
    assert made["id"] in [key["id"] for key in listed.json()["data"]]
    assert made["key"] not in listed.text
    headers = {"authorization": f"Bearer {made['key']}"}
    assert httpx2.get(f"{server.url}/v1/models", headers=headers).status_code == 200
    assert other.delete(f"/api/keys/{made['id']}").status_code == 404, "it is someone else's"
    assert browser.delete(f"/api/keys/{made['id']}").status_code == 204
    assert httpx2.get(f"{server.url}/v1/models", headers=headers).status_code == 401


def test_models_say_what_they_are(browser: httpx2.Client) -> None:
    first = browser.get("/api/models").json()["data"][0]
    assert first["id"] == "fake"
    assert first["default"] is True
    assert first["languages"] == ["en"]
    assert first["state"] in ("idle", "ready")


def test_a_question_is_answered_in_the_background_and_kept(browser: httpx2.Client) -> None:
    conversation = new_conversation(browser)
    asked = ask(browser, conversation, "Who are you?")
    assert asked["answer"]["status"] == "generating"
    told = events(browser, conversation, asked["answer"]["id"])
    assert (told[0][0], told[-1][0]) == ("snapshot", "done")
    text = told[0][1]["content"] + "".join(data["text"] for name, data in told if name == "delta")
    kept = browser.get(f"/api/conversations/{conversation}").json()
    assert [message["role"] for message in kept["messages"]] == ["user", "assistant"]
    assert kept["messages"][1]["content"] == text
    assert kept["messages"][1]["status"] == "complete"
    assert kept["messages"][1]["usage"]["completion_tokens"] > 0
    assert kept["title"] == "Who are you?"


def test_a_reload_in_mid_answer_gets_the_whole_answer(server: Served, browser: httpx2.Client) -> None:
    server.engine.token_s = 0.05
    conversation = new_conversation(browser)
    message = ask(browser, conversation, "Tell me.")["answer"]["id"]
    with browser.stream("GET", f"/api/conversations/{conversation}/messages/{message}/stream") as answer:
        for line in answer.iter_lines():
            if line == "event: delta":
                break
    told = events(browser, conversation, message)
    text = told[0][1]["content"] + "".join(data["text"] for name, data in told if name == "delta")
    assert text == server.engine.reply
    assert told[-1][1]["message"]["content"] == text


def test_a_stopped_answer_keeps_what_it_had_and_frees_its_slot(server: Served, browser: httpx2.Client) -> None:
    server.engine.token_s = 0.05
    server.engine.reply = "word " * 500
    conversation = new_conversation(browser)
    message = ask(browser, conversation, "Go on.")["answer"]["id"]
    time.sleep(0.3)
    stopped = browser.post(f"/api/conversations/{conversation}/messages/{message}/stop").json()["answer"]
    assert stopped["status"] == "stopped"
    assert stopped["content"].startswith("word")
    assert not server.engine.active


def test_an_answer_that_fails_says_why(server: Served, browser: httpx2.Client) -> None:
    server.engine.generate_failure = EngineDied("The worker died.")
    server.engine.fail_after = 2
    conversation = new_conversation(browser)
    failed = until_over(browser, conversation, ask(browser, conversation, "Go on.")["answer"]["id"])
    assert failed["status"] == "failed"
    assert failed["error"] == {"message": "The worker died.", "code": "engine_died"}
    assert failed["content"] == "The river"


def test_branches_are_what_the_prompt_follows(server: Served, browser: httpx2.Client) -> None:
    conversation = new_conversation(browser)
    first = ask(browser, conversation, "One")
    until_over(browser, conversation, first["answer"]["id"])
    second = ask(browser, conversation, "Two", parent=first["answer"]["id"], temperature=0, max_tokens=3)
    assert until_over(browser, conversation, second["answer"]["id"])["finish_reason"] == "length"
    edited = ask(browser, conversation, "Zwei", parent=first["answer"]["id"])
    until_over(browser, conversation, edited["answer"]["id"])
    again = browser.post(
        f"/api/conversations/{conversation}/messages/{edited['answer']['id']}/regenerate",
        json={"temperature": 0.5, "max_tokens": 2},
    )
    assert again.status_code == 201
    assert until_over(browser, conversation, again.json()["answer"]["id"])["finish_reason"] == "length"
    assert server.engine.requests[-1].sampling.temperature == 0.5
    prompt = server.engine.requests[-1].prompt.messages
    assert [(turn.role, turn.content) for turn in prompt] == [
        ("user", "One"),
        ("assistant", server.engine.reply),
        ("user", "Zwei"),
    ]
    assert server.engine.requests[1].sampling.temperature == 0
    assert len(browser.get(f"/api/conversations/{conversation}").json()["messages"]) == 7


def test_a_conversation_belongs_to_its_owner_alone(browser: httpx2.Client, other: httpx2.Client) -> None:
    conversation = new_conversation(other)
    asked = ask(other, conversation, "A secret")
    until_over(other, conversation, asked["answer"]["id"])
    path = f"/api/conversations/{conversation}"
    message = f"{path}/messages/{asked['answer']['id']}"
    for method, at, body in (
        ("GET", path, None),
        ("PATCH", path, {"title": "mine"}),
        ("POST", f"{path}/messages", {"parent_id": None, "content": "x"}),
        ("POST", f"{message}/regenerate", {}),
        ("POST", f"{message}/stop", None),
        ("GET", f"{message}/stream", None),
        ("DELETE", path, None),
    ):
        answer = browser.request(method, at, json=body)
        assert answer.status_code == 404, (method, at)
    assert conversation not in [one["id"] for one in browser.get("/api/conversations?limit=100").json()["data"]]
    assert other.get(path).status_code == 200


def test_conversations_are_renamed_listed_in_pages_and_deleted(browser: httpx2.Client) -> None:
    made = [new_conversation(browser) for _ in range(3)]
    renamed = browser.patch(f"/api/conversations/{made[0]}", json={"title": "日新", "model": "fake"}).json()
    assert (renamed["title"], renamed["model"]) == ("日新", "fake")
    seen: list[str] = []
    cursor = None
    while True:
        page = browser.get("/api/conversations", params={"limit": 2, **({"cursor": cursor} if cursor else {})}).json()
        seen += [one["id"] for one in page["data"]]
        if (cursor := page["next"]) is None:
            break
    assert len(seen) == len(set(seen))
    assert set(made) <= set(seen)
    assert browser.delete(f"/api/conversations/{made[0]}").status_code == 204
    assert browser.get(f"/api/conversations/{made[0]}").status_code == 404
    assert browser.get("/api/conversations?limit=0").json()["error"]["param"] == "limit"
    assert browser.get("/api/conversations?cursor=x").json()["error"]["param"] == "cursor"


def test_a_model_that_is_not_there_is_refused_before_anything_is_written(browser: httpx2.Client) -> None:
    conversation = new_conversation(browser)
    answer = browser.post(
        f"/api/conversations/{conversation}/messages", json={"parent_id": None, "content": "x", "model": "nope"}
    )
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "model_not_found"
    assert browser.get(f"/api/conversations/{conversation}").json()["messages"] == []
    assert browser.post("/api/conversations", json={"model": "nope"}).status_code == 404
