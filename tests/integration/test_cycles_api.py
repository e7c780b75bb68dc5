"""`/api/cycles`: a server that executes what was begun, for administrators only."""

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from rixin.engines.fake import FakeEngine
from rixin.settings import Settings
from rixin.workspace import Workspace
from served import Served, first_key, serve_workspace
from tiny_cycles import correct, make_cycle_home
from tiny_runs import wait_until


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("cycles_api") / "home"
    make_cycle_home(home, tmp_path_factory.mktemp("cycles_api_model"))
    (home / "renewal.toml").write_text("guards = []\n")
    with Workspace(Settings.model_validate({"home": home})) as workspace:
        key = first_key(workspace)
        workspace.accounts.create_user("bob", "bob's password", "member")
        with serve_workspace(workspace, key, FakeEngine()) as served:
            yield served


@pytest.fixture
def admin(house: Served) -> Iterator[httpx2.Client]:
    with house.browser() as client:
        yield client


def ended(client: httpx2.Client, cycle: str, *statuses: str) -> dict[str, object]:
    def look() -> dict[str, object] | None:
        listed = client.get("/api/cycles").json()["data"]
        return next((one for one in listed if one["id"] == cycle and one["status"] in statuses), None)

    return wait_until(look)


def test_a_cycle_that_is_begun_is_executed_by_the_server_and_told_as_a_story(admin: httpx2.Client) -> None:
    begun = admin.post("/api/cycles", json={})
    assert begun.status_code == 201, begun.text
    assert begun.json()["why"].startswith("asked for by ")
    assert begun.json()["why_zh"] == f"由 {begun.json()['why'].removeprefix('asked for by ')} 发起"
    cycle = str(begun.json()["id"])
    done = ended(admin, cycle, "finished")
    assert done["outcome"] == "nothing"
    assert done["reason"] == "0 new items of feedback may be learned from; a cycle needs 20."
    assert done["reason_zh"] == "可供学习的新反馈有 0 条，一轮需要 20 条。"
    story = admin.get(f"/api/cycles/{cycle}")
    assert story.status_code == 200, story.text
    assert story.json()["outcome"] == "nothing"
    page = admin.get(f"/api/cycles/{cycle}/story", params={"language": "en"})
    assert page.headers["content-disposition"] == f'attachment; filename="{cycle}-en.html"'
    assert page.text.startswith("<!doctype html>")
    assert admin.get(f"/api/cycles/{cycle}/story", params={"language": "fr"}).status_code == 400
    again = admin.post(f"/api/cycles/{cycle}/repeat")
    assert again.status_code == 200, again.text
    ended(admin, cycle, "finished")
    assert admin.post(f"/api/cycles/{cycle}/pause").status_code == 409
    assert admin.post(f"/api/cycles/{cycle}/repeat", params={"step": "dance"}).status_code == 400


def test_a_cycle_is_paused_resumed_and_cancelled_while_it_goes_on(house: Served, admin: httpx2.Client) -> None:
    correct(house.workspace, 40)
    cycle = str(admin.post("/api/cycles", json={"alias": "chat"}).json()["id"])
    assert admin.post("/api/cycles", json={}).status_code == 409
    assert admin.post(f"/api/cycles/{cycle}/pause").status_code == 200
    ended(admin, cycle, "paused")
    assert admin.post(f"/api/cycles/{cycle}/resume").json()["status"] in ("queued", "running")
    assert admin.post(f"/api/cycles/{cycle}/cancel").status_code == 200
    ended(admin, cycle, "cancelled")


def test_cycles_are_for_administrators(house: Served) -> None:
    with house.browser("bob", "bob's password") as bob:
        assert bob.get("/api/cycles").status_code == 403
        assert bob.post("/api/cycles", json={}).status_code == 403
        assert bob.get("/api/cycles/cyc_1/story").status_code == 403


def test_what_is_not_there_is_told_so(admin: httpx2.Client) -> None:
    assert admin.get("/api/cycles/cyc_none").status_code == 404
    assert admin.post("/api/cycles", json={"alias": "desk"}).status_code == 404
    assert admin.post("/api/cycles", json={"alias": 1}).status_code == 400
    assert admin.post("/api/cycles", json={"speed": "fast"}).json()["error"]["param"] == "speed"


def test_a_plan_that_is_due_begins_by_itself(house: Served, admin: httpx2.Client) -> None:
    before = {one["id"] for one in admin.get("/api/cycles").json()["data"]}
    home: Path = house.workspace.settings.home
    (home / "renewal.toml").write_text('guards = []\nneeds = 90000\nevery = "30 items"\n')
    correct(house.workspace, 30, first=500)

    def begun() -> dict[str, object] | None:
        return next((one for one in admin.get("/api/cycles").json()["data"] if one["id"] not in before), None)

    cycle = wait_until(begun)
    assert (cycle["why"], cycle["why_zh"]) == ("every 30 items", "每 30 条新反馈一次")
    assert ended(admin, str(cycle["id"]), "finished")["outcome"] == "nothing"
    (home / "renewal.toml").write_text("guards = []\n")
