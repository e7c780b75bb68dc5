"""`rixin library` from a terminal: made, filled, asked, shared, changed and removed, and what it says when it can't."""

import json
from pathlib import Path

import pytest

from libraries import LetterEmbedder
from rixin.cli import main
from rixin.workspace import open_workspace

CATS = "# Cats\n\nCats sleep sixteen hours a day.\n\n## Food\n\nCats eat fish.\n"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIXIN_HOME", str(tmp_path / "home"))
    # Vectors that mean something take seconds to load in each command.
    monkeypatch.setattr("rixin.workspace.AliasEmbedder", lambda models, engines: LetterEmbedder())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "cats.md").write_text(CATS)
    return folder


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> "Run":
    return Run(capsys)


class Run:
    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str | Path, status: int = 0) -> str:
        """What the command says: its output, or where it is to fail, its error."""
        try:
            main(["library", *map(str, arguments)])
            ended = 0
        except SystemExit as stop:
            ended = stop.code if isinstance(stop.code, int) else 0
        out, err = self._capsys.readouterr()
        assert ended == status, err
        return err if status else out


def test_a_library_is_made_filled_and_asked(run: Run, folder: Path) -> None:
    assert run("list") == ""
    run("create", "pets", folder, "--description", "What pets do")
    assert run("list").splitlines() == ["pets\t0\t0\t0\tnamed\tWhat pets do"]
    assert run("versions", "pets") == ""
    run("ingest", "pets")
    assert run("list").splitlines() == ["pets\t1\t1\t2\tnamed\tWhat pets do"]
    first = run("search", "pets", "What do cats eat?", "--limit", "1")
    assert first.splitlines() == ["1. Cats › Food", "   Cats eat fish."]
    told = run("search", "pets", "What do cats eat?", "--explain")
    assert "   by words: rank 1; by meaning: rank " in told
    assert "; confidence 0." in told or "; confidence 1." in told
    lines = run("search", "pets", "What do cats eat?", "--json").splitlines()
    hit = json.loads(lines[0])
    assert (len(lines), hit["text"], hit["heading_path"]) == (2, "Cats eat fish.", ["Cats", "Food"])
    assert CATS.replace("#", "").count(hit["text"]) == 1
    assert run("search", "pets", "cats", "--filter", "kind=dog") == ""


def test_what_could_not_be_read_is_said_and_ends_with_1(run: Run, folder: Path) -> None:
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7 nothing")
    run("create", "pets", folder)
    said = run("ingest", "pets", status=1).splitlines()
    assert said[0] == "pets is at version 1: 1 new or changed, 0 gone, 0 as before, 1 unreadable."
    assert said[1].startswith(f"{folder}/broken.pdf: ")
    shown = run("show", "pets").splitlines()
    assert shown[:3] == ["pets, version 1: 1 documents, 2 chunks.", "Read by: named", f"Source: {folder}"]
    facts = json.loads(run("show", "pets", "--json"))
    assert [bool(one["error"]) for one in facts["documents"]] == [True, False]


def test_sources_come_go_and_are_watched(run: Run, folder: Path) -> None:
    run("create", "pets")
    run("add", "pets", folder, "--watch")
    run("add", "pets", "https://example.org/dogs.html#top")
    assert run("show", "pets").splitlines()[2:4] == [
        f"Source: {folder} (watched)",
        "Source: https://example.org/dogs.html",
    ]
    run("add", "pets", folder, "--no-watch")
    assert "watched" not in run("show", "pets")
    run("remove", "pets", "https://example.org/dogs.html")
    assert json.loads(run("show", "pets", "--json"))["library"]["sources"] == [str(folder)]
    run("ingest", "pets")
    run("remove", "pets", folder)
    assert folder.joinpath("cats.md").is_file()
    run("ingest", "pets")
    assert run("search", "pets", "cats") == ""
    assert [line.split("\t")[0] for line in run("versions", "pets").splitlines()] == ["2", "1"]
    assert "Cats eat fish." in run("search", "pets", "cats", "--as-of", "1")
    assert [one["documents"] for one in json.loads(run("versions", "pets", "--json"))] == [0, 1]
    run("remove", "pets")
    assert run("list") == ""


def test_who_may_read_it_is_granted_and_revoked(run: Run) -> None:
    with open_workspace() as workspace:
        workspace.accounts.create_user("bob", "correct horse battery", "member")
    run("create", "pets", "--visibility", "everyone")
    run("revoke", "pets", "everyone")
    run("grant", "pets", "bob")
    assert "Read by: named, " in run("show", "pets")
    run("revoke", "pets", "bob")
    run("grant", "pets", "everyone")
    assert "Read by: everyone\n" in run("show", "pets")
    run("change", "pets", "--visibility", "named", "--description", "Pets")
    assert run("list") == "pets\t0\t0\t0\tnamed\tPets\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("show", "nil"), "There is no Library 'nil'. `rixin library list` shows those there are."),
        (("create", "pets"), "The name 'pets' is taken. Choose another."),
        (("create", "../up"), "'../up' can't be a Library's name. Use letters"),
        (("add", "pets", "/nowhere/at/all"), "/nowhere/at/all: There is no such file or folder."),
        (("add", "pets", "https://me:word@example.org/"), "An address must not hold a user or password."),
        (("add", "pets", "https://example.org/", "--watch"), "Only files and folders are watched. A page is fetched"),
        (
            ("search", "pets", "cats", "--as-of", "3"),
            "has no version 3; the newest is 0. `rixin library versions pets`",
        ),
        (("search", "pets", "cats", "--filter", "kind"), "'kind' is no filter. Write it as key=value."),
        (("search", "pets", "cats", "--limit", "0"), "The limit is from 1 to 200."),
        (("remove", "pets", "/tmp"), "The Library has no source '/tmp'."),
        (("grant", "pets", "nobody"), "There is no user 'nobody'."),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(run: Run, arguments: tuple[str, ...], said: str) -> None:
    run("create", "pets")
    line = run(*arguments, status=1)
    assert said in line
    assert line.count("\n") == 1
