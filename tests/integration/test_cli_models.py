"""`rixin models` in a pipe: what a person reads goes to standard error, what a program reads to standard output."""

import json
from pathlib import Path

import pytest

from rixin.cli import main
from tiny_gguf import write_tiny_gguf


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIXIN_HOME", str(tmp_path / "home"))


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    try:
        main(["models", *arguments])
        status = 0
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else 0
    out, err = capsys.readouterr()
    return status, out, err


def test_a_model_is_pulled_named_shown_and_removed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = write_tiny_gguf(tmp_path / "tiny.gguf")
    assert run(capsys, "list")[1] == ""
    status, out, err = run(capsys, "pull", f"file:{path}", "--alias", "chat")
    assert (status, out) == (0, "")
    assert "is ready" in err
    status, out, _ = run(capsys, "list")
    assert out.split("\t")[0] == "tiny"
    [listed] = json.loads(run(capsys, "list", "--json")[1])
    assert (listed["model_name"], listed["aliases"], listed["licence"]) == ("tiny", ["chat"], "apache-2.0")
    assert json.loads(run(capsys, "show", "chat", "--json")[1]) == {**listed, "lineage": [], "marks": []}
    assert "context length  128" in run(capsys, "show", "tiny")[1]
    assert run(capsys, "verify", "tiny")[0] == 0
    assert run(capsys, "alias")[1].split("\t")[0] == "chat"
    status, _, err = run(capsys, "remove", "tiny")
    assert (status, "--force" in err) == (1, True)
    assert run(capsys, "alias", "chat", "--remove")[0] == 0
    assert run(capsys, "remove", "tiny")[0] == 0
    assert run(capsys, "list")[1] == ""


def test_a_remote_model_is_registered(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "remote", "cloud", "https://api.example/v1", "big", "--key-variable", "KEY")[0] == 0
    assert json.loads(run(capsys, "show", "cloud", "--json")[1])["config"]["key_variable"] == "KEY"


def test_the_catalogue_can_be_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert "smollm2-135m-instruct" in run(capsys, "list", "--available")[1]
    entries = json.loads(run(capsys, "list", "--available", "--json")[1])
    assert entries[0]["description"]["zh"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["pull", "nope"], "no model 'nope'"),
        (["show", "nope"], "There is no model 'nope'"),
        (["alias", "x"], "needs a model"),
        (["alias", "x", "nope"], "There is no model 'nope'"),
        (["remote", "x", "ftp://y", "m"], "no address of a server"),
    ],
)
def test_what_can_not_be_done_is_one_line_and_status_1(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (1, "")
    assert said in err
    assert len(err.strip().splitlines()) == 1
