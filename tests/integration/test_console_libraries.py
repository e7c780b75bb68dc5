"""Libraries over the page's API: who may do what, uploads that are read in the background, and places that open."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from rixin.assistants import Assistant
from rixin.assistants.assistant import Title
from rixin.engines import EngineKind
from rixin.engines.fake import FakeEngine
from rixin.http.console.uploads import Uploads
from rixin.knowledge import MACHINE
from rixin.models import Version
from rixin.settings import Settings
from rixin.workspace import Workspace
from served import FAKE_VERSION, PASSWORD, Served, first_key, serve_fake, serve_workspace

HANDBOOK = """# Rules of the house

## Leave

Who has been here for a year has 25 days of paid leave. Leave is asked for two weeks before it begins.

## Travel

| Journey | Class |
|---|---|
| under four hours | second |
| longer | first |
"""
NOTICE = "# 辞职\n\n第三十七条 劳动者提前三十日以书面形式通知用人单位，可以解除劳动合同。\n"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve_fake(tmp_path_factory.mktemp("libraries")) as served:
        # What is tried here is the way of documents and rights; vectors that mean something take seconds to load.
        served.workspace.models.set_alias("embed", FAKE_VERSION)
        accounts = served.workspace.accounts
        for name in ("bob", "eve"):
            accounts.create_user(name, PASSWORD, "member")
        yield served


@pytest.fixture(scope="module")
def admin(house: Served) -> Iterator[httpx2.Client]:
    with house.browser() as client:
        yield client


@pytest.fixture(scope="module")
def bob(house: Served) -> Iterator[httpx2.Client]:
    with house.browser("bob") as client:
        yield client


@pytest.fixture(scope="module")
def eve(house: Served) -> Iterator[httpx2.Client]:
    with house.browser("eve") as client:
        yield client


def user_id(house: Served, name: str) -> str:
    return next(user.id for user in house.workspace.accounts.users() if user.name == name)


def upload(client: httpx2.Client, library: str, name: str, content: bytes | str) -> httpx2.Response:
    data = content.encode() if isinstance(content, str) else content
    return client.post(f"/api/libraries/{library}/documents", files={"file": (name, data)})


def settled(client: httpx2.Client, library: str) -> list[dict]:  # type: ignore[type-arg]
    """The documents, once nothing waits any more."""
    for _ in range(300):
        documents: list[dict] = client.get(f"/api/libraries/{library}/documents").json()["data"]  # type: ignore[type-arg]
        if all(one["state"] in ("read", "failed") for one in documents):
            return documents
        time.sleep(0.1)
    raise AssertionError(f"not read in 30 s: {documents}")


@pytest.fixture(scope="module")
def rules(house: Served, admin: httpx2.Client) -> str:
    """A Library that only bob may read, with a document in English and one in Chinese."""
    body = {"name": "rules", "title": "Rules", "everyone": False, "readers": [user_id(house, "bob")]}
    assert admin.post("/api/libraries", json=body).status_code == 201
    assert upload(admin, "rules", "handbook.md", HANDBOOK).status_code == 201
    assert upload(admin, "rules", "辞职.md", NOTICE).status_code == 201
    assert [one["state"] for one in settled(admin, "rules")] == ["read", "read"]
    return "rules"


def test_what_is_uploaded_is_read_found_and_opened_at_the_place(rules: str, bob: httpx2.Client) -> None:
    library = bob.get(f"/api/libraries/{rules}").json()
    assert (library["documents"], library["waiting"], library["failed"]) == (2, 0, 0)
    assert library["read_at"] is not None
    found = bob.get(f"/api/libraries/{rules}/search", params={"question": "How many days of paid leave?"}).json()
    hit = next(one for one in found["hits"] if "25 days" in one["text"])
    assert hit["heading_path"][-1] == "Leave"
    assert hit["lexical_rank"] == 1
    part = bob.get(f"/api/libraries/{rules}/documents/{hit['document_id']}", params={"at": hit["start"]}).json()
    text = "\n\n".join(block["text"] for block in part["blocks"])
    assert text[hit["start"] - part["start"] : hit["stop"] - part["start"]] == hit["text"]
    assert "table" in [block["kind"] for block in part["blocks"]]
    found = bob.get(f"/api/libraries/{rules}/search", params={"question": "解除勞動合同要提前多久"}).json()
    assert "第三十七条" in next(one["text"] for one in found["hits"] if one["lexical_rank"] == 1)


def test_who_may_not_read_a_library_is_told_what_is_told_of_one_that_is_not_there(
    rules: str, eve: httpx2.Client, house: Served
) -> None:
    [document, *_] = house.workspace.libraries.documents(rules, MACHINE)
    assert rules not in [one["name"] for one in eve.get("/api/libraries").json()["data"]]
    for method, path in (
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("GET", "/documents"),
        ("POST", "/documents"),
        ("GET", f"/documents/{document.id}"),
        ("DELETE", f"/documents/{document.id}"),
        ("GET", "/search?question=leave"),
    ):
        answers = []
        for name in (rules, "nowhere"):
            body: dict[str, object] = {"files": {"file": ("a.md", b"x")}} if method == "POST" else {}
            if method == "PATCH":
                body = {"json": {"title": "Mine"}}
            answer = eve.request(method, f"/api/libraries/{name}{path}", **body)  # type: ignore[arg-type]
            assert answer.status_code == 404, f"{method} {path}: {answer.text}"
            answers.append(answer.text.replace(name, "…"))
        assert answers[0] == answers[1]


def test_a_reader_reads_and_changes_nothing(rules: str, bob: httpx2.Client, house: Served) -> None:
    shown = bob.get(f"/api/libraries/{rules}").json()
    assert (shown["may_change"], shown["readers"]) == (False, [])
    assert (shown["tuning"], shown["reranker"]) == (None, None)
    document = bob.get(f"/api/libraries/{rules}/documents").json()["data"][0]["id"]
    assert upload(bob, rules, "mine.md", "# Mine").status_code == 403
    for method, path in (("PATCH", ""), ("DELETE", ""), ("DELETE", f"/documents/{document}")):
        body = {"json": {"everyone": True}} if method == "PATCH" else {}
        assert bob.request(method, f"/api/libraries/{rules}{path}", **body).status_code == 403  # type: ignore[arg-type]
    assert bob.post("/api/libraries", json={"name": "bobs", "title": "Mine"}).status_code == 403
    assert house.workspace.libraries.get(rules, MACHINE).visibility == "named"


def test_rights_are_given_and_taken_back(house: Served, admin: httpx2.Client, eve: httpx2.Client) -> None:
    admin.post("/api/libraries", json={"name": "rights", "title": "Rights"})
    assert eve.get("/api/libraries/rights").status_code == 200, "everyone, unless said otherwise"
    admin.patch("/api/libraries/rights", json={"everyone": False})
    assert eve.get("/api/libraries/rights").status_code == 404
    changed = admin.patch("/api/libraries/rights", json={"readers": [user_id(house, "eve")], "title": "Other"}).json()
    assert (changed["title"], changed["readers"]) == ("Other", [user_id(house, "eve")])
    assert eve.get("/api/libraries/rights").status_code == 200
    admin.patch("/api/libraries/rights", json={"readers": []})
    assert eve.get("/api/libraries/rights").status_code == 404
    assert admin.patch("/api/libraries/rights", json={"readers": ["usr_nobody"]}).status_code == 404
    assert admin.delete("/api/libraries/rights").status_code == 204
    assert admin.get("/api/libraries/rights").status_code == 404


def test_names_are_checked_and_taken_once(admin: httpx2.Client) -> None:
    for name in ("", "../x", "a b", "-x", "x" * 65, "a/b"):
        refused = admin.post("/api/libraries", json={"name": name, "title": "t"})
        assert refused.status_code == 400, name
        assert refused.json()["error"]["param"] == "name"
    assert admin.post("/api/libraries", json={"name": "家规", "title": "家规"}).status_code == 201
    assert admin.post("/api/libraries", json={"name": "家规", "title": "家规"}).status_code == 409
    assert admin.get("/api/libraries/家规").json()["title"] == "家规"
    assert admin.delete("/api/libraries/家规").status_code == 204


def test_a_file_that_cannot_be_read_says_why_and_the_rest_goes_on(admin: httpx2.Client) -> None:
    admin.post("/api/libraries", json={"name": "odd", "title": "Odd"})
    assert upload(admin, "odd", "broken.pdf", b"%PDF-1.7\nnothing more").status_code == 201
    assert upload(admin, "odd", "good.md", "# Good\n\nAll is well here.").status_code == 201
    failed, good = settled(admin, "odd")
    assert (failed["file_name"], failed["state"]) == ("broken.pdf", "failed")
    assert failed["reason"]
    assert (good["title"], good["state"]) == ("Good", "read")
    library = admin.get("/api/libraries/odd").json()
    assert (library["documents"], library["failed"]) == (1, 1)
    assert admin.delete(f"/api/libraries/odd/documents/{failed['id']}").status_code == 204
    assert [one["file_name"] for one in settled(admin, "odd")] == ["good.md"]


def test_a_document_that_is_removed_or_replaced_is_found_no_more(admin: httpx2.Client) -> None:
    def found(question: str) -> list[str]:
        answer = admin.get("/api/libraries/moving/search", params={"question": question}).json()
        return [hit["text"] for hit in answer["hits"]]

    def until(condition: object) -> None:
        for _ in range(200):
            if condition():  # type: ignore[operator]
                return
            time.sleep(0.05)
        raise AssertionError("not within 10 s")

    admin.post("/api/libraries", json={"name": "moving", "title": "Moving"})
    upload(admin, "moving", "a.md", "# Canteen\n\nThe canteen opens at noon.")
    settled(admin, "moving")
    assert "noon" in found("canteen")[0]
    upload(admin, "moving", "a.md", "# Canteen\n\nThe canteen opens at eleven.")
    until(lambda: found("canteen") and "eleven" in found("canteen")[0])
    assert len(settled(admin, "moving")) == 1, "the same name takes the place of the earlier upload"
    [document] = settled(admin, "moving")
    assert admin.delete(f"/api/libraries/moving/documents/{document['id']}").status_code == 204
    assert admin.get("/api/libraries/moving/documents").json()["data"] == []
    until(lambda: not found("canteen"))


def test_an_upload_is_bounded_and_its_name_is_only_a_name(admin: httpx2.Client, house: Served) -> None:
    admin.post("/api/libraries", json={"name": "bounds", "title": "Bounds"})
    assert upload(admin, "bounds", "empty.md", b"").status_code == 400
    no_form = admin.post("/api/libraries/bounds/documents", json={"file": "x"})
    assert no_form.status_code == 415
    for name in ("../../../../etc/passwd", "..\\..\\x.md", ".hidden.md", "a\x00b.md", "長" * 300 + ".md", "/"):
        kept = upload(admin, "bounds", name, "# Text\n\nOf a file with an odd name.")
        assert kept.status_code == 201, kept.text
        shown = kept.json()["file_name"]
        assert not {"/", "\\", "\x00"} & set(shown)
        assert not shown.startswith(".")
        assert len(shown.encode()) <= 160
    folder = house.workspace.settings.home.resolve() / "uploads"
    library = house.workspace.libraries.get("bounds", MACHINE)
    files = [path for path in folder.rglob("*") if path.is_file() and library.id in str(path)]
    assert all(path.parent.parent == folder / library.id for path in files)
    settled(admin, "bounds")
    assert admin.delete("/api/libraries/bounds").status_code == 204
    assert not (folder / library.id).exists()


def test_what_was_uploaded_before_the_server_went_down_is_read_when_it_is_back(tmp_path: Path) -> None:
    settings = Settings.model_validate({"home": tmp_path})
    kinds = {"embedder": EngineKind[Version](lambda _: FakeEngine(), counted=False)}
    with Workspace(settings, kinds=kinds) as workspace:
        first_key(workspace)
        # As a server leaves it that is killed after an upload and before it is read.
        uploads = Uploads(tmp_path, most_bytes=1 << 20)
        library = workspace.libraries.create("later")
        workspace.libraries.add("later", [uploads.prepared(library.id)])
        upload = uploads.begin()
        upload.write(b"# Note\n\nWritten before the fall.")
        uploads.keep(upload, library.id, "note.md")
    with (
        Workspace(settings, kinds=kinds) as workspace,
        serve_workspace(workspace, "", FakeEngine()) as again,
        again.browser() as admin,
    ):
        assert [one["title"] for one in settled(admin, "later")] == ["Note"]


def test_many_uploads_at_once_are_all_read(admin: httpx2.Client) -> None:
    admin.post("/api/libraries", json={"name": "many", "title": "Many"})
    answers: list[int] = []

    def send(number: int) -> None:
        text = f"# Note {number}\n\nThe number of this note is {number}."
        answers.append(upload(admin, "many", f"{number}.md", text).status_code)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [201] * 6
    assert sorted(one["title"] for one in settled(admin, "many")) == [f"Note {number}" for number in range(6)]
    page = admin.get("/api/libraries/many/documents", params={"limit": 4}).json()
    rest = admin.get("/api/libraries/many/documents", params={"limit": 4, "offset": page["next"]}).json()
    assert (len(page["data"]), len(rest["data"]), rest["next"], page["total"]) == (4, 2, None, 6)


def test_packs_are_the_administrators_business(admin: httpx2.Client, bob: httpx2.Client) -> None:
    assert bob.get("/api/packs").status_code == 403
    assert bob.post("/api/packs/law/install", json={}).status_code == 403
    [law] = admin.get("/api/packs").json()["data"]
    assert (law["name"], law["state"], law["assistant"]) == ("law", "available", "assistant:law")
    assert admin.post("/api/packs/nothing/install", json={}).status_code == 404


def test_assistants_are_listed_for_those_who_may_talk_to_them(house: Served, bob: httpx2.Client) -> None:
    house.workspace.assistants.save(
        Assistant(name="clerk", title=Title(zh="文员", en="Clerk"), libraries=("rules",)),
        reader=MACHINE,
    )
    listed = bob.get("/api/assistants").json()["data"]
    assert [(one["id"], one["title"]["zh"], one["libraries"]) for one in listed] == [
        ("assistant:clerk", "文员", ["rules"])
    ]


def test_what_is_attached_to_a_conversation_is_its_owners_alone_and_goes_with_it(
    house: Served, admin: httpx2.Client, bob: httpx2.Client
) -> None:
    conversation = bob.post("/api/conversations", json={}).json()["id"]
    address = f"/api/conversations/{conversation}/attachments"
    assert bob.get(address).json()["data"] == []
    assert bob.post(address, files={"file": ("handbook.md", HANDBOOK.encode())}).status_code == 201
    for _ in range(300):
        [attached] = bob.get(address).json()["data"]
        if attached["state"] == "read":
            break
        time.sleep(0.1)
    question = {"parent_id": None, "content": "How many days of paid leave are there after a year?"}
    house.engine.reply = "Who has been here for a year has 25 days of paid leave [1]."
    asked = bob.post(f"/api/conversations/{conversation}/messages", json=question).json()
    bob.get(f"/api/conversations/{conversation}/messages/{asked['answer']['id']}/stream")
    answer = bob.get(f"/api/conversations/{conversation}").json()["messages"][-1]
    [citation] = answer["annotations"]
    assert "25 days" in citation["quote"]
    library = f"conversation-{conversation}"
    opened = f"/api/libraries/{library}/documents/{citation['document_id']}"
    assert bob.get(opened).status_code == 200
    # Conversations are nobody else's, administrators included.
    assert admin.get(address).status_code == 404
    for path in (opened, f"/api/libraries/{library}", f"/api/libraries/{library}/search?question=leave"):
        assert admin.get(path).status_code == 404, path
    assert admin.delete(f"/api/libraries/{library}").status_code == 404
    assert library not in [one["name"] for one in admin.get("/api/libraries").json()["data"]]
    assert admin.post("/api/libraries", json={"name": "conversation-x"}).status_code == 400
    assert bob.delete(f"/api/conversations/{conversation}").status_code == 204
    assert library not in [one.name for one in house.workspace.libraries.list(MACHINE)]
    assert bob.get(opened).status_code == 404
