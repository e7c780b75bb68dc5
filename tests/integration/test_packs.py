"""The law pack, from its real package: every article in its place, repealed laws aside, installed once and again."""

import asyncio
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec
import pytest

import rixin.assistants.packs.installing as installing
import rixin.assistants.packs.manifest as manifest
from models_cache import CACHE
from rixin.assistants.packs import InstalledPack, Pack, PackProgress, read_pack, shipped_packs
from rixin.assistants.packs.rows import count_documents, documents_in
from rixin.engines import EngineKind
from rixin.engines.fake import FakeEngine
from rixin.errors import Conflict, EngineDied, HashMismatch, InvalidRequest, MalformedData, NotFound
from rixin.knowledge import MACHINE, Document, Hit, Reader
from rixin.models import BlobStore, Version, pull_member
from rixin.settings import Settings
from rixin.store import AliasRow, ModelRow, VersionRow
from rixin.workspace import Workspace
from served import FAKE_VERSION

LAW = next(pack for pack in shipped_packs() if pack.name == "law")
# Two of each: enough to see what is searched and what is not.
SOME = "law_name IN ('中华人民共和国仲裁法', '中华人民共和国国防动员法')"


@pytest.fixture(scope="session")
def laws() -> Path:
    """The database inside the package, by its hash; fetched once and kept between test runs."""
    CACHE.mkdir(parents=True, exist_ok=True)
    source = LAW.manifest.library.source
    return pull_member(source.as_package(), source.sha256, BlobStore(CACHE)).path


@pytest.fixture(scope="session")
def documents(laws: Path) -> list[Document]:
    return [document for _, document in documents_in(laws, LAW.manifest.library.sqlite)]


def test_every_article_is_read_with_its_law_and_number(documents: list[Document]) -> None:
    assert len(documents) == 378
    articles = [block for document in documents for block in document.blocks if block.kind == "paragraph"]
    assert len(articles) == 26_196
    assert all(block.text.startswith(block.metadata["article_no"]) for block in articles)
    assert {document.metadata["in_force"] for document in documents} == {"yes", "no"}
    assert sum(document.metadata["in_force"] == "no" for document in documents) == 25
    [code] = [document for document in documents if document.title == "中华人民共和国民法典"]
    at = next(at for at, block in enumerate(code.blocks) if block.metadata.get("article_no") == "第五百七十七条")
    above = [block.text for block in code.blocks[:at] if block.kind == "heading" and block.level == 1]
    assert above[-1].startswith("第八章")
    assert code.metadata["status"] == "现行有效"


def test_the_number_of_documents_is_known_before_they_are_read(laws: Path) -> None:
    assert count_documents(laws, LAW.manifest.library.sqlite) == 378


@pytest.fixture
def some(monkeypatch: pytest.MonkeyPatch) -> Pack:
    """The law pack with four of its documents, found by the house's own embedder."""
    mapping = LAW.manifest.library.sqlite
    query = mapping.query.replace("ORDER BY", f"WHERE {SOME} ORDER BY")
    sqlite = msgspec.structs.replace(mapping, query=query)
    library = msgspec.structs.replace(LAW.manifest.library, sqlite=sqlite, embedder=None)
    return offer(monkeypatch, msgspec.structs.replace(LAW.manifest, library=library))


def offer(monkeypatch: pytest.MonkeyPatch, changed: manifest.Manifest) -> Pack:
    """Make this the one pack that there is."""
    pack = msgspec.structs.replace(LAW, manifest=changed)
    monkeypatch.setattr(installing, "shipped_packs", lambda: (pack,))
    monkeypatch.setattr(manifest, "shipped_packs", lambda: (pack,))
    return pack


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine(context_length=8192)


@pytest.fixture
def house(tmp_path: Path, engine: FakeEngine, laws: Path) -> Iterator[Workspace]:
    """A Workspace whose embedder is a fake, with the package's file fetched already."""
    kinds: Mapping[str, EngineKind[Version]] = {"fake": EngineKind(lambda _: engine)}
    with Workspace(Settings.model_validate({"home": tmp_path}), kinds=kinds) as workspace:
        with workspace.database.write() as session:
            session.add(ModelRow(name="fake", title="Fake", languages=["zh"]))
            session.flush()
            session.add(
                VersionRow(id=FAKE_VERSION, model_name="fake", source="f", engine="fake", format="none", licence="-")
            )
            session.flush()
            session.add_all(AliasRow(name=name, version_id=FAKE_VERSION) for name in ("chat", "embed"))
        blob = workspace.models.blobs.path(LAW.manifest.library.source.sha256)
        blob.parent.mkdir(parents=True)
        os.link(laws, blob)
        yield workspace


def install(house: Workspace, report: Callable[[PackProgress], None] = lambda _: None) -> InstalledPack:
    return asyncio.run(house.packs.install("law", report))


def search(house: Workspace, question: str, **filters: str) -> list[Hit]:
    reader = Reader(user_id="usr_anyone")
    found = asyncio.run(house.libraries.search(["law"], question, reader=reader, limit=50, filters=filters))
    return list(found.hits)


def test_a_pack_is_a_library_that_everyone_reads_and_an_assistant(house: Workspace, some: Pack) -> None:
    told: list[PackProgress] = []
    assert house.packs.get("law").state == "available"
    done = install(house, told.append)
    assert done.state == "installed"
    assert done.library is not None
    assert done.library.documents == 4
    assert (told[-1].step, told[-1].total) == ("ready", 4)
    assert {one.total for one in told if one.step == "reading"} == {4}
    assert house.assistants.get("law", reader=Reader(user_id="usr_anyone")).id == LAW.assistant.version
    hits = search(house, "申请仲裁的期限")
    assert hits
    assert {"law_name", "article_no", "status", "level", "in_force"} <= set(hits[0].metadata)


def test_repealed_versions_are_kept_but_only_searched_when_asked_for(house: Workspace, some: Pack) -> None:
    install(house)
    assert {hit.metadata["in_force"] for hit in search(house, "仲裁协议")} == {"yes"}
    assert {hit.metadata["in_force"] for hit in search(house, "仲裁协议", in_force="no")} == {"no"}
    assert {hit.metadata["in_force"] for hit in search(house, "仲裁协议", in_force="*")} == {"yes", "no"}


def test_installing_again_changes_nothing_and_keeps_what_was_changed_here(house: Workspace, some: Pack) -> None:
    first = install(house)
    again = install(house)
    assert first.library is not None
    assert again.library is not None
    assert again.library.version == first.library.version
    changed = msgspec.structs.replace(LAW.assistant, instructions="只说是或否。")
    house.assistants.save(changed, reader=MACHINE)
    kept = install(house)
    assert (kept.kept, kept.assistant) == (True, changed.version)


def test_an_installation_that_was_cut_off_goes_on(house: Workspace, some: Pack, engine: FakeEngine) -> None:
    engine.generate_failure = EngineDied("The embedder died.")
    with pytest.raises(EngineDied):
        install(house)
    assert house.packs.get("law").state == "begun"
    engine.generate_failure = None
    assert install(house).state == "installed"


def test_removing_leaves_nothing(house: Workspace, some: Pack) -> None:
    install(house)
    house.packs.remove("law")
    assert house.packs.get("law").state == "available"
    assert house.libraries.list(MACHINE) == []
    assert house.assistants.list(reader=MACHINE) == []
    assert not house.models.blobs.has(LAW.manifest.library.source.sha256)
    with pytest.raises(NotFound, match="not installed"):
        house.packs.remove("law")


def test_a_library_of_that_name_that_is_somebody_s_is_left_alone(house: Workspace, some: Pack, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    house.libraries.create("law")
    house.libraries.add("law", [tmp_path / "mine"])
    with pytest.raises(Conflict, match="not of this pack"):
        install(house)


def test_wrong_bytes_install_nothing(house: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    source = msgspec.structs.replace(LAW.manifest.library.source, sha256="0" * 64)
    library = msgspec.structs.replace(LAW.manifest.library, source=source)
    offer(monkeypatch, msgspec.structs.replace(LAW.manifest, library=library))
    with pytest.raises(HashMismatch):
        install(house)
    assert house.packs.get("law").state == "available"


def test_a_wrong_manifest_is_named_with_its_line(tmp_path: Path) -> None:
    text = (manifest.SHIPPED / "law" / "pack.toml").read_text("utf-8")
    (tmp_path / "pack.toml").write_text(text.replace('key = "law_id"', "key = 7"), "utf-8")
    with pytest.raises(InvalidRequest, match=r"pack\.toml:\d+: `library\.sqlite\.key`"):
        read_pack(tmp_path)
    with pytest.raises(InvalidRequest, match="can't be read"):
        read_pack(tmp_path / "none")


def test_a_database_that_is_none_or_lacks_a_column_is_told(tmp_path: Path) -> None:
    mapping = LAW.manifest.library.sqlite
    (tmp_path / "none.db").write_bytes(b"not a database at all, whatever its name says")
    with pytest.raises(MalformedData, match="can't be read"):
        list(documents_in(tmp_path / "none.db", mapping))
    with sqlite3.connect(tmp_path / "small.db") as connection:
        connection.execute("CREATE TABLE rows (law_id, law_name)")
    connection.close()
    with pytest.raises(MalformedData, match="no column article_no"):
        list(documents_in(tmp_path / "small.db", msgspec.structs.replace(mapping, query="SELECT * FROM rows")))
