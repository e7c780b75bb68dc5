"""`rixin gap` and `rixin eval report`, with two models that are asked through the OpenAI API."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rixin.cli import main
from rixin.engines.fake import FakeEngine
from rixin.evaluation import import_questions
from rixin.models import add_remote
from rixin.workspace import open_workspace
from served import Served, serve_fake

COUNT = 40


@dataclass
class Two:
    """A Workspace with the models `near` and `far`, the servers behind them, and a suite of which each knows a part."""

    home: Path
    near: Served
    far: Served

    def asked(self) -> int:
        return len(self.near.engine.requests) + len(self.far.engine.requests)

    def reports(self) -> list[Path]:
        return sorted((self.home / "reports").glob("e_*/report.json"))


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Two]:
    home = tmp_path / "home"
    monkeypatch.setenv("RIXIN_HOME", str(home))
    capitals = [f"{number}?,{'Paris' if number % 4 else 'Berlin'}" for number in range(COUNT)]
    (tmp_path / "capitals.csv").write_text("\n".join(["question,answer", *capitals]))
    (tmp_path / "choices.jsonl").write_text('{"question": "?", "answer": "a", "choices": ["a", "b"]}\n')
    for name, file in (("capitals", "capitals.csv"), ("choices", "choices.jsonl")):
        import_questions(tmp_path / file, home / "suites" / name, name=name)
    with (
        serve_fake(tmp_path / "one", FakeEngine(reply="Berlin, I think.")) as near,
        serve_fake(tmp_path / "other", FakeEngine(reply="Paris, I think.")) as far,
    ):
        with open_workspace(home) as workspace:
            for name, served in (("near", near), ("far", far)):
                monkeypatch.setenv(f"KEY_OF_{name.upper()}", served.key)
                add_remote(workspace.models, name, f"{served.url}/v1", "chat", key_variable=f"KEY_OF_{name.upper()}")
        yield Two(home, near, far)


def run(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> str:
    """What the command prints; on standard error if it is to fail."""
    with pytest.raises(SystemExit) as ended:
        main([*arguments])
    out, err = capsys.readouterr()
    assert ended.value.code == status, err
    return err if status else out


def test_a_gap_is_measured_written_and_repeated_without_the_models(
    two: Two, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asks = ("gap", "capitals", "--model", "near", "--against", "far")
    page, text = tmp_path / "gap.html", tmp_path / "gap.md"
    said = run(capsys, *asks, "--to", str(page))
    assert two.asked() == 2 * COUNT
    assert "behind" in said
    assert "near" in said
    assert "<title>near · far – capitals</title>" in page.read_text("utf-8")

    # Neither the network nor the key is there any more; then the report is lost too, and only the answers are left.
    monkeypatch.delenv("KEY_OF_FAR")
    assert run(capsys, *asks, "--to", str(text)).startswith("near (e_")
    assert "| behind | 25.0% | 75.0% | −50.0 |" in text.read_text("utf-8")
    for report in two.reports():
        report.unlink()
    [standing] = json.loads(run(capsys, *asks, "--json"))["standings"]
    assert two.asked() == 2 * COUNT
    assert (standing["verdict"], standing["difference"], standing["items"]) == ("behind", -0.5, COUNT)
    assert len(two.reports()) == 2


def test_a_report_becomes_a_file_alone_and_beside_another(
    two: Two, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name in ("near", "far"):
        run(capsys, "eval", "run", "capitals", "--model", name, "--limit", "24")
    path = Path(run(capsys, "eval", "report", "near").strip())
    assert path.parent.parent == two.home / "reports"
    assert "<title>near – capitals</title>" in path.read_text("utf-8")
    beside = Path(run(capsys, "eval", "report", "far", "--against", "near").strip())
    assert '"decision":null' in beside.read_text("utf-8")
    gate = tmp_path / "gate.toml"
    task = json.loads(run(capsys, "eval", "show", "near", "--json"))["results"][0]["task"]
    gate.write_text(f'[[primary]]\ntask = "{task}"\nmetric = "right"\n')
    run(capsys, "gate", "register", str(gate))
    run(capsys, "eval", "run", "capitals", "--model", "far", "--limit", "24", "--seed", "2")
    assert "Promote" in run(capsys, "gate", "near", "far", "--gate", str(gate))
    to = tmp_path / "beside.md"
    run(capsys, "eval", "report", "far", "--against", "near", "--to", str(to))
    assert "## What the gate decided" in to.read_text("utf-8")


WRONG = (
    ("gap capitals --model near --against near", "beside itself"),
    ("gap capitals --model near --against ,", "needs another model"),
    ("gap choices --model near --against far", "answered in words; choices has none"),
    ("gap capitals --model near --against far --limit 0", "--limit is at least 1"),
    ("eval run capitals --model near --tasks nope", "has the tasks"),
    ("eval report near", "has no report"),
)


def test_what_cannot_be_reported_is_said_before_anything_is_asked(two: Two, capsys: pytest.CaptureFixture[str]) -> None:
    for command, says in WRONG:
        assert says in run(capsys, *command.split(), status=1)
    assert two.asked() == 0
