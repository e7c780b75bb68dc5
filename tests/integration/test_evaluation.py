"""From questions to a Report, to a Judgement, to votes; and killed at any moment, nothing is asked twice."""

import asyncio
import hashlib
import json
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from rixin.cli import main
from rixin.cli.talk import Talk
from rixin.engines import Capabilities, Delta, EngineKind, Finished, GenerateEvent, GenerateRequest, Started
from rixin.engines.fake import FakeEngine
from rixin.errors import NotFound
from rixin.evaluation import (
    Arena,
    Report,
    compare_reports,
    judge_reports,
    judgements,
    pair_up,
    read_samples,
)
from rixin.models import NewModel, NewVersion, Version
from rixin.settings import Settings
from rixin.workspace import Workspace

SUITE = """
name = "small"
title = "Small"

[[task]]
name = "sums"
kind = "answer"
data = "rows.jsonl"
sha256 = "{sha256}"
id = "id"
prompt = "{{{{question}}}}"
max_tokens = 8
role = "primary"

[[task.check]]
kind = "number"
equals = "{{{{answer}}}}"

[[task]]
name = "choice"
kind = "choice"
data = "rows.jsonl"
sha256 = "{sha256}"
id = "id"
prompt = "{{{{question}}}}"
choices = "choices"
target = "0"
"""
NUMBERS = 24


@dataclass(kw_only=True)
class Adder(FakeEngine):
    """Adds: right up to `knows`, one too many beyond. What it is asked goes to a file, one line each."""

    knows: int = 100
    log: Path | None = None
    asked: list[str] = field(default_factory=list)

    def capabilities(self) -> Capabilities:
        return Capabilities(generate=True, score=True, json_schema=True, context_length=4096, parallel=2)

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[GenerateEvent]:
        text = "".join(self._prompt_tokens(request))
        self.asked.append(text)
        if self.log:
            with self.log.open("a") as file:
                file.write(json.dumps(text) + "\n")
        await asyncio.sleep(self.token_s)
        yield Started(prompt_tokens=3)
        yield Delta(text=self.said(text), tokens=1)
        yield Finished(reason="stop", completion_tokens=1)

    def said(self, text: str) -> str:
        answers = re.findall(r"<answer-\d \w+>\n(.*?)\n<", text)
        if answers:  # it judges: the lower number is right
            one, other = (int(re.findall(r"\d+", answer)[-1]) for answer in answers)
            return json.dumps({"reason": "", "winner": "1" if one < other else "2"})
        first, second = (int(number) for number in re.findall(r"\d+", text)[:2])
        return f"It is {first + second + (first >= self.knows)}."


def write_suite(folder: Path) -> None:
    folder.mkdir(parents=True)
    rows = "".join(
        json.dumps({"id": f"i{n}", "question": f"{n} + 1 =", "answer": n + 1, "choices": [str(n + 1), "no idea"]})
        + "\n"
        for n in range(NUMBERS)
    )
    (folder / "rows.jsonl").write_text(rows)
    (folder / "suite.toml").write_text(SUITE.format(sha256=hashlib.sha256(rows.encode()).hexdigest()))


def open_home(home: Path, engines: dict[str, Adder]) -> Workspace:
    """A Workspace whose models are `engines`, behind engines of their names."""

    def kind(engine: Adder) -> EngineKind[Version]:
        return EngineKind(lambda _: engine)

    workspace = Workspace(
        Settings.model_validate({"home": home}), kinds={name: kind(engine) for name, engine in engines.items()}
    )
    for number, name in enumerate(engines):
        workspace.models.register(
            NewModel(name, name),
            NewVersion(
                id=f"v_{number:012d}",
                source=f"file:{name}",
                engine=name,
                format="none",
                licence="Apache-2.0",
                context_length=4096,
            ),
        )
    return workspace


def evaluate(workspace: Workspace, talk: Talk, model: str) -> Report:
    version = workspace.models.resolve(model)
    return workspace.evaluations.evaluate(
        version, workspace.evaluations.suite("small"), talk.asker(version), report=lambda _: None
    )


@pytest.fixture
def engines() -> dict[str, Adder]:
    return {"weak-adder": Adder(knows=12), "strong-adder": Adder(), "judge-umpire": Adder()}


@pytest.fixture
def workspace(tmp_path: Path, engines: dict[str, Adder]) -> Iterator[Workspace]:
    write_suite(tmp_path / "suites" / "small")
    with open_home(tmp_path, engines) as opened:
        yield opened


def test_two_models_are_evaluated_compared_judged_and_voted_on(workspace: Workspace, engines: dict[str, Adder]) -> None:
    service = workspace.evaluations
    with Talk(workspace) as talk:
        weak, strong = evaluate(workspace, talk, "weak-adder"), evaluate(workspace, talk, "strong-adder")
        assert evaluate(workspace, talk, "weak-adder") == weak, "a finished report is given back"
        assert len(engines["weak-adder"].asked) == NUMBERS
        result = weak.result("sums", "right")
        assert result is not None
        assert (result.score, result.items, result.role) == (0.5, NUMBERS, "primary")
        assert result.low < 0.5 < result.high
        found = compare_reports(service, weak, strong)
        right = next(one for one in found.pairs if (one.task, one.metric) == ("sums", "right"))
        assert (right.difference, right.gained, right.lost) == (0.5, 12, 0)

        umpire = workspace.models.resolve("judge-umpire")
        questions = service.questions(service.suite("small"), lambda _: None)
        assert questions["sums/i3"] == "3 + 1 ="
        judged = judge_reports(service, weak, strong, umpire, talk.asker(umpire), questions)
        again = judge_reports(service, weak, strong, umpire, talk.asker(umpire), questions)
        assert again == judged
        # Equal answers need no judge; each of the twelve others is asked for in both orders.
        assert len(engines["judge-umpire"].asked) == 24
        assert Counter(one.label for one in judged.items) == {"b": 12, "tie": 12}
        assert judged.outcome.win.value == 0.75
        assert judged.notes == []
        assert judgements(service, suite="small") == [judged]

        kin = workspace.models.resolve("strong-adder")
        own = judge_reports(service, weak, strong, kin, talk.asker(kin), questions)
        assert any("THE JUDGE IS CONTESTANT B ITSELF" in note for note in own.notes)

    pairs = pair_up(read_samples(service.folder(weak.id)), read_samples(service.folder(strong.id)), questions)
    arena = Arena(workspace.database)
    for match in arena.matches("small", weak.version, strong.version, pairs, "ada", seed=1):
        arena.vote("small", weak.version, strong.version, match.pair, 1.0, "ada")
    assert set(arena.scores("small", weak.version, strong.version)) == {f"sums/i{n}" for n in range(12, NUMBERS)}
    with pytest.raises(NotFound, match="rixin eval run small --model judge-umpire"):
        service.find("judge-umpire", suite="small")


RUN = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_evaluation import Adder, Talk, evaluate, open_home
home = Path(sys.argv[1])
with open_home(home, {{"adder": Adder(log=home / "asked.log", token_s=0.02)}}) as workspace, Talk(workspace) as talk:
    print(evaluate(workspace, talk, "adder").id, flush=True)
"""


def test_a_killed_evaluation_goes_on_and_asks_no_item_twice(tmp_path: Path) -> None:
    write_suite(tmp_path / "suites" / "small")
    log = tmp_path / "asked.log"
    program = RUN.format(tests=str(Path(__file__).parent))

    def answered() -> set[str]:
        """The questions whose answers are in the journal."""
        journals = list(tmp_path.glob("reports/e_*/answers.jsonl"))
        answers = re.findall(r'"text":"It is (\d+)', journals[0].read_text()) if journals else []
        return {f"{int(answer) - 1} + 1 =" for answer in answers}

    def asked() -> list[str]:
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    for wanted in (3, 12):
        running = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        before, known = len(asked()), answered()
        while len(answered()) < wanted and running.poll() is None:
            time.sleep(0.002)
        running.kill()
        running.communicate()
        assert running.returncode == -signal.SIGKILL
        assert not known & set(asked()[before:]), "what was answered is not asked again"
    before, known = len(asked()), answered()
    assert 12 <= len(known) < NUMBERS
    with open_home(tmp_path, {"adder": Adder(log=log)}) as workspace, Talk(workspace) as talk:
        report = evaluate(workspace, talk, "adder")
    assert sorted(asked()[before:]) == sorted({f"{n} + 1 =" for n in range(NUMBERS)} - known)
    result = report.result("sums", "right")
    assert result is not None
    assert (result.score, result.items) == (1.0, NUMBERS)


def test_a_real_model_is_evaluated_by_the_command(
    smollm2_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_suite(tmp_path / "small")
    monkeypatch.setenv("RIXIN_HOME", str(smollm2_home))
    with pytest.raises(SystemExit) as stop:
        main(["eval", "run", str(tmp_path / "small"), "--model", "chat", "--limit", "2", "--json"])
    assert stop.value.code == 0
    report = json.loads(capsys.readouterr().out)
    assert {(one["task"], one["metric"]) for one in report["results"]} == {
        ("sums", "right"),
        ("choice", "acc"),
        ("choice", "acc_norm"),
    }
    assert report["cost"]["prompt_tokens"] > 0
    samples = list(read_samples(smollm2_home / "reports" / report["id"]))
    assert [one.item for one in samples] == ["i0", "i1", "i0", "i1"]
    assert "1: -" in samples[2].verdict, "each choice has its log-probability"
