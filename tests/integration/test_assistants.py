"""Assistants: kept by version, open to whom they are for, asked through the API, the page's routes and the terminal."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx2
import pytest

from libraries import LetterEmbedder
from rixin.assistants import Assistant, Assistants, assistant_toml, parse_assistant
from rixin.assistants.assistant import AnswerPolicy, Title
from rixin.cli import main
from rixin.engines import EngineKind
from rixin.engines.fake import FakeEngine
from rixin.errors import Conflict, NotFound, PermissionDenied
from rixin.knowledge import MACHINE, Block, Document, Libraries, Reader
from rixin.models import NewModel, NewVersion, Registry, Version
from rixin.settings import Settings
from rixin.store import AliasRow, Database, ModelRow, UserRow, VersionRow
from rixin.workspace import Workspace, open_workspace
from served import FAKE_VERSION, Served, first_key, serve_workspace

ADA, BOB = Reader(user_id="usr_ada"), Reader(user_id="usr_bob")
WAGES = "第五十条　工资应当以货币形式按月支付给劳动者本人。不得克扣或者无故拖欠劳动者的工资。"
REPLY = "老板不可以不发工资。工资应当以货币形式按月支付给劳动者本人[1]，还要管饭[8]。"


def law(**changes: object) -> Assistant:
    fields: dict[str, object] = {
        "name": "law",
        "title": Title(zh="法律", en="Law"),
        "libraries": ("law",),
        "policy": AnswerPolicy(refuse_when_unsure=False, refuse_below=0.0),
    }
    return Assistant(**{**fields, **changes})  # type: ignore[arg-type]


def rixin(*arguments: str, status: int = 0) -> None:
    """The command line, in this process."""
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    assert (ended.value.code or 0) == status


@pytest.fixture
def assistants(database: Database) -> Assistants:
    with database.write() as session:
        for reader in (ADA, BOB):
            name = str(reader.user_id)
            session.add(UserRow(id=name, name=name, name_key=name, password_hash="-", role="member"))
    return Assistants(database)


def test_a_version_is_its_content_and_the_newest_one_answers(assistants: Assistants) -> None:
    first = assistants.save(law(), reader=ADA)
    assert assistants.save(law(), reader=ADA).id == first.id
    second = assistants.save(law(instructions="简短。"), reader=ADA)
    assert assistants.get("law", reader=BOB).id == assistants.get("assistant:law", reader=BOB).id == second.id
    assert assistants.get(first.id, reader=BOB).assistant == law()
    assert [one.id for one in assistants.versions("law", reader=BOB)] == [second.id, first.id]
    assert assistants.save(law(), reader=ADA).id == first.id, "an old content again is the old version again"
    assert assistants.get("law", reader=BOB).id == first.id


def test_the_model_s_version_that_an_assistant_names_is_not_removed_by_accident(
    assistants: Assistants, database: Database, tmp_path: Path
) -> None:
    registry = Registry(database, Settings.model_validate({"home": tmp_path}))
    [first, second] = [
        NewVersion(id=f"v_{number:012}", source="file:x", engine="fake", format="none", licence="MIT", context_length=8)
        for number in (1, 2)
    ]
    for version in (first, second):
        registry.register(NewModel("m", "M"), version)
    assistants.save(law(model=first.id), reader=ADA)
    with pytest.raises(Conflict, match="is needed by the assistant law"):
        registry.forget(first.id)
    assistants.save(law(model=second.id), reader=ADA)
    registry.forget(first.id)
    registry.forget(second.id, force=True)


def test_an_assistant_that_is_not_for_a_reader_is_not_there_for_them(assistants: Assistants) -> None:
    mine = assistants.save(law(), reader=ADA, visibility="owner")
    for name in ("law", mine.id):
        with pytest.raises(NotFound, match="There is no assistant"):
            assistants.get(name, reader=BOB)
    assert assistants.list(reader=BOB) == []
    assert [one.id for one in assistants.list(reader=ADA)] == [mine.id]
    assert [one.id for one in assistants.list(reader=MACHINE)] == [mine.id]
    with pytest.raises(PermissionDenied):
        assistants.save(law(), reader=BOB)
    assistants.save(law(), reader=MACHINE, visibility="admin")
    assert assistants.list(reader=ADA) == []
    with pytest.raises(NotFound):
        assistants.delete("law", reader=ADA)
    assistants.delete("law", reader=MACHINE)
    with pytest.raises(NotFound):
        assistants.get(mine.id, reader=MACHINE)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with a Library of one article, an assistant of it for everyone, and one for administrators only."""
    engine = FakeEngine(reply=REPLY, context_length=8192)
    kinds: Mapping[str, EngineKind[Version]] = {"fake": EngineKind(lambda _: engine)}
    home = tmp_path_factory.mktemp("house")
    with Workspace(Settings.model_validate({"home": home}), kinds=kinds) as workspace:
        fill(workspace, engine)
        workspace.assistants.save(law(name="secret"), reader=MACHINE, visibility="admin")
        key = first_key(workspace)
        workspace.accounts.create_user("bob", "bob's password", "member")
        with serve_workspace(workspace, key, engine) as served:
            yield served


def fill(workspace: Workspace, engine: FakeEngine) -> None:
    """The fake model behind `chat` and `embed`, the Library `law` with an article, and the assistant `law`."""
    with workspace.database.write() as session:
        session.add(ModelRow(name="fake", title="Fake", languages=["zh"]))
        session.flush()
        version = VersionRow(
            id=FAKE_VERSION,
            model_name="fake",
            source="file:fake",
            engine="fake",
            format="none",
            licence="Apache-2.0",
            context_length=engine.context_length,
        )
        session.add(version)
        session.flush()
        session.add_all(AliasRow(name=name, version_id=FAKE_VERSION) for name in ("chat", "embed"))
    article = Block(kind="paragraph", text=WAGES, metadata={"article_no": "第五十条"})
    document = Document(title="劳动法", blocks=(article,), media_type="text/plain", metadata={"law_name": "劳动法"})
    workspace.libraries.create("law", visibility="everyone")
    asyncio.run(workspace.libraries.add_documents("law", "test", [("labour", document)]))
    workspace.assistants.save(law(), reader=MACHINE)


@pytest.fixture
def bob(house: Served) -> Iterator[httpx2.Client]:
    with house.browser("bob", "bob's password") as client:
        yield client


QUESTION = [{"role": "user", "content": "老板可以不发工资吗？"}]
CHECKED = "老板不可以不发工资。工资应当以货币形式按月支付给劳动者本人[1]，还要管饭。"


def test_assistants_are_models_of_the_api_for_those_who_may_use_them(house: Served, bob: httpx2.Client) -> None:
    with house.program() as program:
        ids = [model["id"] for model in program.get("/v1/models").json()["data"]]
    assert {"assistant:law", "assistant:secret", "chat"} <= set(ids)
    assert "assistant:secret" not in [model["id"] for model in bob.get("/v1/models").json()["data"]]
    assert bob.get("/v1/models/assistant:law").status_code == 200
    hidden, none = (bob.get(f"/v1/models/assistant:{name}").json()["error"] for name in ("secret", "nobody"))
    assert hidden["message"].replace("secret", "") == none["message"].replace("nobody", "")
    refused = bob.post("/v1/chat/completions", json={"model": "assistant:secret", "messages": QUESTION})
    assert refused.status_code == 404


def test_an_answer_carries_its_citations_as_openai_has_them(house: Served) -> None:
    made = house.client().chat.completions.create(model="assistant:law", messages=QUESTION)  # type: ignore[arg-type]
    message = made.choices[0].message
    assert message.content == CHECKED
    assert message.annotations is not None
    [one] = message.annotations
    assert one.type == "url_citation"
    assert message.content[one.url_citation.start_index : one.url_citation.end_index] == "[1]"
    assert one.url_citation.url.startswith("/library/law/documents/doc_")
    extra = one.model_dump()
    assert (extra["metadata"]["article_no"], extra["by"]) == ("第五十条", "model")
    grounding = message.model_dump()["grounding"]
    assert grounding["refused"] is False
    assert grounding["budget"]["passages_used"] == 1
    assert [note["kind"] for note in grounding["notes"]] == ["unknown_mark"]


def test_a_stream_ends_with_the_citations(house: Served) -> None:
    chunks = list(
        house.client().chat.completions.create(
            model="assistant:law",
            messages=QUESTION,  # type: ignore[arg-type]
            stream=True,
        )
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == CHECKED
    last = chunks[-1].choices[0]
    assert last.finish_reason == "stop"
    [one] = last.delta.model_dump()["annotations"]
    assert CHECKED[one["url_citation"]["start_index"] : one["url_citation"]["end_index"]] == "[1]"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("n", 2),
        ("logprobs", True),
        ("response_format", {"type": "json_object"}),
        ("tools", [{"type": "function", "function": {"name": "f"}}]),
    ],
)
def test_what_only_a_model_can_do_is_refused_by_name(house: Served, field: str, value: object) -> None:
    with house.program() as program:
        body = {"model": "assistant:law", "messages": QUESTION, field: value}
        answer = program.post("/v1/chat/completions", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, field)


def test_a_conversation_keeps_an_answer_with_what_it_rests_on(house: Served, bob: httpx2.Client) -> None:
    refused = bob.post("/api/conversations", json={"model": "assistant:secret"})
    assert refused.status_code == 404
    conversation = bob.post("/api/conversations", json={"model": "assistant:law"}).json()["id"]
    asked = bob.post(
        f"/api/conversations/{conversation}/messages", json={"parent_id": None, "content": QUESTION[0]["content"]}
    ).json()["answer"]
    text = bob.get(f"/api/conversations/{conversation}/messages/{asked['id']}/stream").text
    done = json.loads(text.rpartition("event: done\ndata: ")[2])["message"]
    assert done["content"] == CHECKED
    [kept] = [one for one in bob.get(f"/api/conversations/{conversation}").json()["messages"] if one["annotations"]]
    assert kept["annotations"] == done["annotations"]
    assert kept["annotations"][0]["chunk_id"] == kept["grounding"]["sources"][0]["chunk_id"]
    assert kept["grounding"]["assistant"] == law().version
    assert kept["model"] == "assistant:law"


def test_the_assistant_s_libraries_are_read_with_the_asker_s_rights(house: Served, bob: httpx2.Client) -> None:
    house.workspace.libraries.set_visibility("law", "named")
    try:
        answer = bob.post("/v1/chat/completions", json={"model": "assistant:law", "messages": QUESTION})
    finally:
        house.workspace.libraries.set_visibility("law", "everyone")
    assert answer.status_code == 404
    assert "工资" not in answer.text


def test_files_come_in_and_go_out_by_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RIXIN_HOME", str(tmp_path / "home"))
    (tmp_path / "assistant.toml").write_text(assistant_toml(law(instructions="第一行\n第二行")), "utf-8")
    rixin("assistants", "import", str(tmp_path), "--visibility", "admin")
    rixin("assistants", "export", "law", str(tmp_path / "out.toml"))
    assert parse_assistant((tmp_path / "out.toml").read_text("utf-8")) == law(instructions="第一行\n第二行")
    capsys.readouterr()
    rixin("assistants", "list", "--json")
    [listed] = json.loads(capsys.readouterr().out)
    assert (listed["name"], listed["visibility"]) == ("law", "admin")
    rixin("assistants", "export", "law", str(tmp_path / "out.toml"), status=1)
    assert "There is a file already" in capsys.readouterr().err
    rixin("assistants", "remove", "law")
    rixin("assistants", "show", "law", status=1)


def test_a_real_model_answers_from_a_real_library(
    smollm2_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "Employees are entitled to twenty days of paid annual leave. Unused leave expires on 31 March."
    document = Document(title="Handbook", blocks=(Block(kind="paragraph", text=text),), media_type="text/plain")
    handbook = Assistant(
        name="handbook",
        title=Title(zh="手册", en="Handbook"),
        libraries=("handbook",),
        policy=AnswerPolicy(refuse_when_unsure=False, refuse_below=0.0),
    )

    def opened() -> Workspace:
        workspace = open_workspace(smollm2_home)
        workspace.libraries = Libraries(workspace.database, smollm2_home, LetterEmbedder())
        return workspace

    with opened() as workspace:
        workspace.libraries.create("handbook")
        asyncio.run(workspace.libraries.add_documents("handbook", "test", [("handbook", document)]))
        workspace.assistants.save(handbook, reader=MACHINE)
    monkeypatch.setattr("rixin.cli.ask.open_workspace", opened)
    asked = "How many days of paid annual leave do employees have?"
    rixin("ask", asked, "--assistant", "handbook", "--max-tokens", "40", "--json")
    answer = json.loads(capsys.readouterr().out)
    assert "twenty" in answer["content"]
    assert answer["refused"] is False
    assert [one["title"] for one in answer["citations"]] == ["Handbook"]
    assert answer["citations"][0]["quote"] in text
    assert 0 < answer["usage"]["prompt_tokens"] < answer["budget"]["context"]
