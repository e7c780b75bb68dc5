"""`rixin eval judge` and `rixin arena` as a person uses them: verdicts, votes, and how far both agree."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from test_evaluation import Adder, evaluate, open_home, write_suite

from rixin.cli import main
from rixin.cli.talk import Talk
from rixin.engines import EngineKind
from rixin.settings import Settings
from rixin.workspace import Workspace

Command = Callable[..., tuple[str, str]]
SHOWN = re.compile(r"━━\n(\d+) \+ (\d+) =\n\n── 1 ──\nIt is (\d+)\.\n\n── 2 ──\nIt is (\d+)\.")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With a report of each of two models, and a third that judges."""
    engines = {"weak-adder": Adder(knows=12), "strong-adder": Adder(), "judge-umpire": Adder()}
    write_suite(tmp_path / "suites" / "small")
    with open_home(tmp_path, engines) as workspace, Talk(workspace) as talk:
        evaluate(workspace, talk, "weak-adder")
        evaluate(workspace, talk, "strong-adder")
    kinds = {name: EngineKind(lambda _, engine=engine: engine) for name, engine in engines.items()}
    settings = Settings.model_validate({"home": tmp_path})
    monkeypatch.setattr("rixin.cli.judging.open_workspace", lambda: Workspace(settings, kinds=kinds))
    monkeypatch.setenv("RIXIN_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def command(home: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    def run(*words: str, status: int = 0) -> tuple[str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(words)
        said = capsys.readouterr()
        assert (ended.value.code or 0) == status, said.err
        return said.out, said.err

    return run


def test_a_judge_is_asked_and_people_say_how_far_to_trust_it(
    command: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    judging = ("eval", "judge", "weak-adder", "strong-adder", "--suite", "small", "--judge", "judge-umpire")
    out, _ = command(*judging, "--samples", "1")
    assert "Judge  judge-umpire" in out
    assert "No person has voted" in out
    assert "A first: " in out

    def right_one(_prompt: str) -> str:
        """Whose the answers are is not shown: this person looks for the sum that is right."""
        shown = capsys.readouterr().out
        asked, one, first, second = map(int, SHOWN.findall(shown)[0])
        assert "adder" not in shown
        return "1" if first == asked + one else "2" if second == asked + one else "t"

    voting = ("arena", "vote", "weak-adder", "strong-adder", "--suite", "small", "--voter", "ada")
    monkeypatch.setattr("builtins.input", right_one)
    assert "5 votes of ada kept" in command(*voting, "--items", "5")[0]
    keys = iter(("what?", "s", "q"))
    monkeypatch.setattr("builtins.input", lambda _prompt: next(keys))
    assert "0 votes of ada kept" in command(*voting)[0]
    monkeypatch.setattr("builtins.input", right_one)
    assert "7 votes of ada kept" in command(*voting)[0]
    assert "no pair left" in command(*voting)[1]

    judged = json.loads(command(*judging, "--json")[0])
    assert judged["outcome"]["win"]["value"] == 0.75
    assert (judged["people"]["items"], judged["people"]["share"]) == (12, 1.0)
    assert "on 12 pairs" in command(*judging)[0]
    ranked = json.loads(command("arena", "standings", "--suite", "small", "--json")[0])
    assert [one["model"] for one in ranked] == ["strong-adder", "weak-adder"]
    assert "12 votes of people, 24 verdicts" in command("arena", "standings", "--with-judge")[0]
