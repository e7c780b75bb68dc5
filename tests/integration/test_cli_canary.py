"""`rixin canary` and `rixin rollback` at the command line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from rixin.cli import main
from rixin.models import NewModel, NewVersion
from rixin.settings import Settings
from rixin.workspace import Workspace

A, B = "v_00000000000a", "v_00000000000b"

Run = Callable[..., tuple[str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """A command in a Workspace whose `chat` is A and where B is; what it prints, and what it says beside."""
    monkeypatch.setenv("RIXIN_HOME", str(tmp_path))
    with Workspace(Settings.model_validate({"home": tmp_path})) as workspace:
        for version_id in (A, B):
            workspace.models.register(
                NewModel(name="one", title="One"),
                NewVersion(
                    id=version_id, source="file:one", engine="remote", format="none", licence="MIT", context_length=8
                ),
            )
        workspace.models.set_alias("chat", A)

    def run(*arguments: str, fails: bool = False) -> tuple[str, str]:
        with pytest.raises(SystemExit) as end:
            main(arguments)
        assert bool(end.value.code) is fails
        said = capsys.readouterr()
        return said.out, said.err

    return run


def test_a_canary_is_begun_shown_and_stopped(run: Run) -> None:
    assert "has never had a canary" in run("canary", "show", fails=True)[1]
    assert f"{B} answers 20% of the conversations with chat." in run("canary", "start", "chat", B, "--share", "0.2")[1]
    assert run("models", "alias")[0] == f"chat\t{A}\tone\tcanary {B} 20%\n"
    rows, said = run("canary", "show")
    assert [line.split("\t")[:4] for line in rows.splitlines()] == [
        ["now", A, "0", "0 in 0"],
        ["canary", B, "0", "0 in 0"],
    ]
    assert "Nothing is proven yet" in said
    shown = json.loads(run("canary", "show", "chat", "--json")[0])
    assert (shown["canary"]["share"], shown["standing"]["decision"]) == (0.2, "wait")
    assert f"goes to {A} again" in run("canary", "stop")[1]
    assert "rolled_back: stopped by hand" in run("canary", "show")[1]
    assert "has no canary" in run("canary", "stop", fails=True)[1]


def test_rules_that_can_not_be_are_refused_before_anything_begins(run: Run) -> None:
    for wrong in (("--alpha", "0.6"), ("--least", "0"), ("--longest-hours", "0"), ("--margin", "2"), ("--share", "2")):
        assert "can't be" in run("canary", "start", "chat", B, *wrong, fails=True)[1]
    assert "has no canary" in run("canary", "stop", fails=True)[1]


def test_an_alias_goes_back_at_once(run: Run) -> None:
    assert "nothing to go back to" in run("rollback", fails=True)[1]
    run("models", "alias", "chat", B)
    assert f"chat now means one ({A})" in run("rollback")[1]
    assert "There is no alias 'nope'" in run("rollback", "nope", fails=True)[1]
