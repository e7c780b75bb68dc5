"""A model is pulled, prepared, registered, named, checked and removed; what can't be one leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from rixin.errors import (
    Conflict,
    HashMismatch,
    InvalidRequest,
    MalformedModel,
    ModelNotFound,
    SourceUnreachable,
    TemplateError,
    UnsupportedModel,
)
from rixin.models import (
    NewModel,
    NewVersion,
    Progress,
    Registry,
    Version,
    add_remote,
    ensure_default,
    finish_removals,
    install,
    removal,
    remove,
    restore,
    verify,
)
from rixin.settings import Settings
from rixin.store import Database
from rixin.text.probe import Template, probe_template
from served import serve_fake
from tiny_gguf import TEMPLATE, write_tiny_gguf


def open_registry(database: Database, home: Path, **settings: object) -> Registry:
    home.mkdir(exist_ok=True)
    return Registry(database, Settings.model_validate({"home": home, **settings}))


@pytest.fixture
def registry(database: Database, tmp_path: Path) -> Registry:
    return open_registry(database, tmp_path / "home")


@pytest.fixture
def sqlite_registry(tmp_path: Path) -> Registry:
    return open_registry(Database.open(tmp_path / "rixin.db"), tmp_path / "home")


def enter(registry: Registry, name: str, number: int, *, sha256: str | None = None, form: str = "none") -> str:
    version = NewVersion(
        id=f"v_{number:012}",
        source="file:x",
        engine="fake",
        format=form,
        licence="MIT",
        context_length=8,
        sha256=sha256,
    )
    return registry.register(NewModel(name, name.title(), languages=("zh", "en")), version).id


def test_smollm2_is_pulled_prepared_and_registered(smollm2_home: Path) -> None:
    with Database.open(smollm2_home / "rixin.db") as database:
        registry = open_registry(database, smollm2_home)
        version = registry.resolve("chat")
        assert version == registry.resolve("smollm2-135m-instruct") == registry.resolve("v_b179c9523d0e")
        assert (version.engine, version.licence, version.context_length) == ("openvino", "Apache-2.0", 8192)
        assert version.sha256 == "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
        assert version.template_hash is not None
        assert version.folder is not None
        names = {path.name for path in version.folder.iterdir()}
        assert {"openvino_model.xml", "openvino_model.bin", "tokenizer.json", "config.json"} <= names
        config = json.loads((version.folder / "config.json").read_bytes())
        assert (config["hidden_size"], config["num_hidden_layers"], config["eos_token_id"]) == (576, 30, [2, 0])
        assert verify(registry, "chat") == version


def test_a_tiny_model_goes_all_the_way_and_to_another_machine(sqlite_registry: Registry, tmp_path: Path) -> None:
    path = write_tiny_gguf(tmp_path / "Tiny Model.gguf")
    seen: list[Progress] = []
    version = install(sqlite_registry, f"file:{path}", seen.append)
    assert (version.model_name, version.title, version.licence) == ("tiny-model", "Tiny", "apache-2.0")
    assert version.card["architecture"] == "llama"
    assert {progress.stage for progress in seen} >= {"checking", "preparing"}
    assert version.folder is not None
    tokenizer = Tokenizer.from_file(str(version.folder / "tokenizer.json"))
    assert tokenizer.decode(tokenizer.encode("hello 世界").ids) == "hello 世界"
    config = json.loads((version.folder / "tokenizer_config.json").read_bytes())
    assert (config["chat_template"], config["eos_token"]) == (TEMPLATE, "<|im_end|>")
    seen.clear()
    assert install(sqlite_registry, f"file:{path}", seen.append, name="other") == version
    assert "preparing" not in {progress.stage for progress in seen}
    carry_to_another_machine(version, tmp_path)


def carry_to_another_machine(version: Version, place: Path) -> None:
    """Its folder alone is enough there."""
    assert version.folder is not None
    with Database.open(place / "other.db") as database:
        other = open_registry(database, place / "other")
        carried = install(other, f"file:{version.folder}", name="carried")
        assert (carried.format, carried.template_hash) == ("openvino", version.template_hash)
        assert verify(other, "carried").id == carried.id
        (version.folder / "tokenizer.json").unlink()
        with pytest.raises(MalformedModel, match=r"no tokenizer\.json"):
            install(other, f"file:{version.folder}", name="cut")
        remove(other, "carried")
        assert list((place / "other" / "models").iterdir()) == []


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"architecture": "mamba"}, UnsupportedModel, "'mamba'.*llama"),
        ({"tokenizer": "bert"}, UnsupportedModel, "'bert'"),
        ({"template": "{% for %}"}, TemplateError, "chat template"),
        ({"template": "{{ ''.__class__.__mro__[1] }}"}, TemplateError, "unsafe"),
        ({"template": "{{ raise_exception('never') }}"}, TemplateError, "never"),
    ],
)
def test_what_can_not_be_run_leaves_nothing_behind(
    sqlite_registry: Registry, tmp_path: Path, change: dict[str, object], error: type[Exception], message: str
) -> None:
    path = write_tiny_gguf(tmp_path / "tiny.gguf", **change)  # type: ignore[arg-type]
    with pytest.raises(error, match=message):
        install(sqlite_registry, f"file:{path}")
    assert sqlite_registry.versions() == []
    assert list((sqlite_registry.home / "models").iterdir()) == []


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{ ''.__class__.__mro__[1] }}", "unsafe"),
        ("{% for i in range(99999) %}" * 2 + "{% endfor %}" * 2, "steps"),
        ("{{ raise_exception('never') }}", "never"),
        ("{{ messages[3].content.x.y }}", "has no element 3"),
    ],
)
def test_a_template_that_renders_nothing_is_refused(source: str, message: str) -> None:
    with pytest.raises(TemplateError, match=message):
        probe_template(Template(source), "here")


def test_a_template_may_refuse_a_system_message() -> None:
    refusing = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}" + TEMPLATE
    probe_template(Template(refusing), "here")


def test_a_template_that_escapes_the_meter_is_stopped_by_the_process_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rixin.text.probe.WALL_SECONDS", 0.05)
    with pytest.raises(TemplateError, match="did not end within"):
        probe_template(Template(TEMPLATE), "here")


def test_a_base_model_has_no_template_and_its_removal_frees_the_disk(sqlite_registry: Registry, tmp_path: Path) -> None:
    version = install(sqlite_registry, f"file:{write_tiny_gguf(tmp_path / 'a.gguf', template=None)}")
    assert version.template_hash is None
    assert version.folder is not None
    remove(sqlite_registry, "a")
    assert version.sha256 is not None
    assert not sqlite_registry.blobs.has(version.sha256)
    assert not version.folder.exists()


def test_a_file_that_is_no_model_is_refused(sqlite_registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_bytes(b"PK\x03\x04 something else")
    with pytest.raises(MalformedModel, match="byte 0"):
        install(sqlite_registry, f"file:{tmp_path / 'a.gguf'}")
    with pytest.raises(MalformedModel, match="no such file"):
        install(sqlite_registry, f"file:{tmp_path / 'b.gguf'}")


def test_a_kill_while_preparing_leaves_no_half_model(sqlite_registry: Registry, tmp_path: Path) -> None:
    path = write_tiny_gguf(tmp_path / "tiny.gguf")
    models = sqlite_registry.home / "models"
    code = (
        "import sys; from pathlib import Path; from rixin.models.importer import prepare; "
        "prepare(Path(sys.argv[1]), Path(sys.argv[2]) / 'v_1')"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(path), str(models)], start_new_session=True)
    deadline = time.monotonic() + 30
    while not list(models.glob(".v_1.*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (models / "v_1").exists()
    from rixin.models.importer import prepare

    prepare(path, models / "v_1")
    assert [entry.name for entry in models.iterdir()] == ["v_1"]


def test_a_changed_byte_is_found_and_a_lost_folder_is_made_again(sqlite_registry: Registry, tmp_path: Path) -> None:
    version = install(sqlite_registry, f"file:{write_tiny_gguf(tmp_path / 'tiny.gguf')}")
    assert version.folder is not None
    weights = version.folder / "openvino_model.bin"
    content = bytearray(weights.read_bytes())
    content[5] ^= 1
    weights.write_bytes(bytes(content))
    with pytest.raises(HashMismatch, match=r"openvino_model\.bin.*should have"):
        verify(sqlite_registry, "tiny")
    for file in version.folder.iterdir():
        file.unlink()
    with pytest.raises(HashMismatch, match="gone"):
        verify(sqlite_registry, "tiny")
    restore(sqlite_registry, version)
    verify(sqlite_registry, "tiny")
    assert version.sha256 is not None
    blob = sqlite_registry.blobs.path(version.sha256)
    blob.chmod(0o644)
    blob.write_bytes(b"x")
    with pytest.raises(HashMismatch, match=version.sha256):
        verify(sqlite_registry, "tiny")


def test_a_name_means_an_alias_then_a_version_then_a_model(registry: Registry) -> None:
    first, second = enter(registry, "one", 1), enter(registry, "one", 2)
    other = enter(registry, "two", 3)
    assert registry.resolve("one").id == second
    assert registry.resolve(first).id == first
    registry.set_alias("chat", "two")
    assert registry.resolve("chat").id == other
    registry.set_alias("chat", first)
    assert registry.resolve("chat").id == first
    assert set(registry.names()) == {"chat", "one", "two"}
    assert [version.id for version in registry.versions()] == [second, first, other]
    assert registry.resolve("two").languages == ("zh", "en")
    registry.remove_alias("chat")
    assert registry.aliases() == []


def test_an_unknown_name_is_answered_with_the_known_ones(registry: Registry) -> None:
    with pytest.raises(ModelNotFound, match="none yet"):
        registry.resolve("chat")
    enter(registry, "one", 1)
    registry.set_alias("chat", "one")
    for attempt in (registry.resolve, registry.get, registry.remove_alias, lambda name: registry.set_alias("a", name)):
        with pytest.raises(ModelNotFound):
            attempt("nope")
    with pytest.raises(ModelNotFound, match="There are: chat, one"):
        registry.resolve("nope")


def test_names_do_not_collide(registry: Registry) -> None:
    enter(registry, "one", 1)
    registry.set_alias("chat", "one")
    with pytest.raises(Conflict, match="is a model"):
        registry.set_alias("one", "one")
    with pytest.raises(Conflict, match="is an alias"):
        enter(registry, "chat", 2)
    for name in ("", "V", "a b", "v_1", "../x", "a" * 97):
        with pytest.raises(InvalidRequest, match="can't be a name"):
            registry.set_alias(name, "one")


def test_registering_twice_changes_nothing(registry: Registry) -> None:
    first = registry.get(enter(registry, "one", 1))
    assert registry.get(enter(registry, "renamed", 1)) == first
    assert list(registry.names()) == ["one"]


def test_a_version_that_an_alias_means_is_not_removed_by_accident(registry: Registry) -> None:
    first, second = enter(registry, "one", 1), enter(registry, "one", 2)
    registry.set_alias("chat", second)
    with pytest.raises(Conflict, match="is needed by chat"):
        remove(registry, second)
    with pytest.raises(InvalidRequest, match="is an alias"):
        remove(registry, "chat")
    remove(registry, second, force=True)
    assert (registry.aliases(), [version.id for version in registry.versions()]) == ([], [first])
    remove(registry, first)
    assert registry.names() == {}


@pytest.mark.parametrize("last", ["_delete", "rmtree"])
def test_a_removal_that_was_cut_off_is_finished(
    sqlite_registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: str
) -> None:
    """Its process died once the version was forgotten, with all of its files there or with the folder's last ones."""
    gone = install(sqlite_registry, f"file:{write_tiny_gguf(tmp_path / 'gone.gguf')}")
    kept = install(sqlite_registry, f"file:{write_tiny_gguf(tmp_path / 'kept.gguf', seed=2)}")
    assert gone.folder is not None
    assert kept.folder is not None

    def dies(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(removal.shutil if last == "rmtree" else removal, last, dies)
        with pytest.raises(KeyboardInterrupt):
            remove(sqlite_registry, "gone")
    assert gone.folder.is_dir()
    assert list(sqlite_registry.names()) == ["kept"]
    with sqlite_registry.blobs.lock(gone.id):
        finish_removals(sqlite_registry)  # somebody is at work on it
    assert gone.folder.is_dir()
    finish_removals(sqlite_registry)
    assert not gone.folder.exists()
    assert not sqlite_registry.blobs.has(gone.sha256)
    assert verify(sqlite_registry, "kept") == kept


def test_a_server_finishes_removals_that_were_cut_off(tmp_path: Path) -> None:
    left = tmp_path / "home" / "models" / "v_000000000001"
    left.mkdir(parents=True)
    (left / removal.REMOVED).write_text("")
    (left / "openvino_model.bin").write_bytes(b"x")
    unmarked = left.with_name("v_000000000002")
    unmarked.mkdir()
    with serve_fake(tmp_path / "home"):
        deadline = time.monotonic() + 30
        while left.exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert unmarked.is_dir()  # whatever that is: nobody wrote that it is to go


def test_a_removal_that_was_refused_or_cut_off_before_leaves_the_version_as_it_was(
    sqlite_registry: Registry, tmp_path: Path
) -> None:
    version = install(sqlite_registry, f"file:{write_tiny_gguf(tmp_path / 'one.gguf')}")
    assert version.folder is not None
    sqlite_registry.set_alias("chat", "one")
    with pytest.raises(Conflict):
        remove(sqlite_registry, "one")
    assert not (version.folder / removal.REMOVED).exists()
    (version.folder / removal.REMOVED).write_text(version.sha256)
    finish_removals(sqlite_registry)
    assert verify(sqlite_registry, "one") == version
    assert not (version.folder / removal.REMOVED).exists()


def test_a_blob_stays_while_another_version_came_from_it(registry: Registry) -> None:
    """Two forms of one file are two versions."""
    sha256 = "a" * 64
    for number, name in enumerate(("one", "two"), start=1):
        enter(registry, name, number, sha256=sha256, form="gguf")
    blob = registry.blobs.path(sha256)
    blob.parent.mkdir(parents=True)
    blob.write_bytes(b"x")
    remove(registry, "one")
    assert blob.is_file()
    remove(registry, "two")
    assert not blob.exists()


def test_a_remote_model_keeps_the_name_of_its_key_and_never_the_key(registry: Registry) -> None:
    version = add_remote(
        registry, "cloud", "https://api.example/v1/", "big-1", key_variable="CLOUD_KEY", context_length=9
    )
    assert (version.engine, version.context_length, version.folder) == ("remote", 9, None)
    assert version.config == {
        "base_url": "https://api.example/v1",
        "model": "big-1",
        "key_variable": "CLOUD_KEY",
        "context_length": 9,
    }
    for address in ("ftp://x/v1", "https://user:secret@x/v1", "nonsense"):
        with pytest.raises(InvalidRequest, match="no address of a server"):
            add_remote(registry, "bad", address, "m")


def test_the_default_is_taken_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_tiny_gguf(tmp_path / "tiny.gguf")
    asked: list[str] = []

    def pretend(registry: Registry, reference: str, *args: object, **options: object) -> object:
        asked.append(reference)
        if reference.startswith("qwen"):
            raise SourceUnreachable("No source could be reached.")
        return install(registry, f"file:{path}", name=reference.removeprefix("file:").rpartition("/")[2])

    monkeypatch.setattr("rixin.models.default.install", pretend)
    with Database.open(tmp_path / "rixin.db") as database:
        registry = open_registry(database, tmp_path / "home")
        choice = ensure_default(registry)
        assert choice.reason == "fallback"
        assert choice.sentence == (
            "The model is smollm2-135m-instruct, since the default can't be had: No source could be reached."
        )
        assert asked == ["qwen2.5-coder-0.5b-instruct", "smollm2-135m-instruct"]
        assert registry.resolve("chat") == choice.version
        assert ensure_default(registry).reason == "kept"
        assert len(asked) == 2
        elsewhere = open_registry(database, tmp_path / "home", model=f"file:{path}")
        assert ensure_default(elsewhere).reason == "asked"
        assert asked[2:] == [f"file:{path}"]
