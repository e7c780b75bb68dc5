"""The page's part of annotations: a row, an answer, a skip; each only for those it is for."""

from collections.abc import Iterator
from uuid import uuid4

import httpx2
import msgspec
import pytest

from rixin.data import TextExample
from rixin.data.annotation import Definition
from served import Served


@pytest.fixture
def browser(server: Served) -> Iterator[httpx2.Client]:
    with server.browser() as client:
        yield client


@pytest.fixture
def other(server: Served) -> Iterator[httpx2.Client]:
    """A member, logged in."""
    accounts = server.workspace.accounts
    if "cleo" not in [user.name for user in accounts.users()]:
        accounts.create_user("cleo", "cleo's password", "member")
    with server.browser("cleo", "cleo's password") as client:
        yield client


def begin(server: Served, **fields: object) -> str:
    rows = [TextExample(text=f"第{at}行说的是{'天气' if at % 2 else '股票'}") for at in range(30)]
    dataset = server.workspace.datasets.add_examples("some-rows", rows, source="made")
    plain = {"name": f"t{uuid4().hex}", "kind": "classify", "instructions": "哪一类？", "labels": ["a", "b"], **fields}
    return server.workspace.annotations.create(msgspec.convert(plain, Definition), dataset).id


def test_a_person_gets_a_row_answers_it_and_gets_the_next(server: Served, browser: httpx2.Client) -> None:
    task = begin(server, title="分类")
    [listed] = [one for one in browser.get("/api/annotation/tasks").json()["data"] if one["id"] == task]
    assert (listed["title"], listed["kind"], listed["labels"], listed["schema"]) == (
        "分类",
        "classify",
        ["a", "b"],
        None,
    )
    assert listed["counts"] == {"waiting": 30, "passed": 0, "queued": 0, "done": 0, "disputed": 0}
    item = browser.post(f"/api/annotation/tasks/{task}/next").json()
    assert (item["task_id"], item["proposal"]) == (task, None)
    place = f"/api/annotation/tasks/{task}/items/{item['line']}"
    assert browser.post(place, json={"value": {"label": "a"}, "seconds": 2}).status_code == 204
    assert browser.post(place, json={"value": {"label": "a"}}).status_code == 204
    assert browser.post(place, json={"value": {"label": "b"}}).status_code == 409
    following = browser.post(f"/api/annotation/tasks/{task}/next").json()
    assert following["line"] != item["line"]
    assert browser.post(f"/api/annotation/tasks/{task}/items/{following['line']}/skip").status_code == 204
    [listed] = [one for one in browser.get("/api/annotation/tasks").json()["data"] if one["id"] == task]
    assert listed["counts"]["done"] == 1


def test_what_was_not_asked_for_is_refused(server: Served, browser: httpx2.Client) -> None:
    task = begin(server)
    line = browser.post(f"/api/annotation/tasks/{task}/next").json()["line"]
    place = f"/api/annotation/tasks/{task}/items/{line}"
    for body in ({"value": {"label": "c"}}, {"value": {"rating": 1}}, {"value": {"label": "a\0"}}):
        answer = browser.post(place, json=body)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "value")
    for body in ({"value": "a"}, {}, {"value": {"label": "a"}, "seconds": -1}, {"value": {}, "more": 1}):
        assert browser.post(place, json=body).status_code == 400
    assert browser.post(f"/api/annotation/tasks/{task}/items/9999", json={"value": {"label": "a"}}).status_code == 404
    assert browser.post("/api/annotation/tasks/none/next").status_code == 404


def test_an_annotation_is_seen_by_those_it_is_for(server: Served, browser: httpx2.Client, other: httpx2.Client) -> None:
    task, named = begin(server), begin(server, people=["cleo"])
    seen = [one["id"] for one in other.get("/api/annotation/tasks").json()["data"]]
    assert named in seen
    assert task not in seen
    assert other.post(f"/api/annotation/tasks/{task}/next").status_code == 404
    assert other.post(f"/api/annotation/tasks/{named}/next").status_code == 200
    with httpx2.Client(base_url=server.url) as stranger:
        assert stranger.get("/api/annotation/tasks").status_code == 401
