"""Scores by the weights as they are: those of transformers, with contexts that several continuations share."""

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from test_evaluation import write_suite
from transformers import AutoModelForCausalLM

from rixin.cli import main
from rixin.engines import Score, ScoreRequest
from rixin.errors import InvalidRequest, NotFound
from rixin.settings import Settings
from rixin.training import exact
from rixin.workspace import Workspace
from tiny_runs import make_tiny_home


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    make_tiny_home(tmp_path / "home", tmp_path / "model")
    return Workspace(Settings.model_validate({"home": tmp_path / "home"}))


def status(arguments: list[str]) -> object:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return ended.value.code


def scored(workspace: Workspace, requests: list[ScoreRequest]) -> list[Score]:
    async def ask() -> list[Score]:
        engine = workspace.exact(workspace.models.resolve("tiny"))
        await engine.start()
        assert engine.capabilities().shares_contexts
        scores = await engine.score(requests)
        await engine.close()
        return scores

    return asyncio.run(ask())


def test_scores_are_those_of_transformers_whatever_is_asked_together(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exact, "choose_precision", lambda: SimpleNamespace(dtype=torch.float32))
    contexts = [(5, 9, 13), (7,), tuple(range(3, 60))]
    continuations = [(11, 12), (14,), (20, 21, 22, 23), tuple(range(30, 50))]
    requests = [ScoreRequest(context=one, continuation=other) for other in continuations for one in contexts]
    requests.append(ScoreRequest(context=(40, 41), continuation=(42, 43)))
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "model" / "tiny", dtype=torch.float32)
    for request, score in zip(requests, scored(workspace, requests), strict=True):
        tokens = torch.tensor([[*request.context, *request.continuation]])
        with torch.no_grad():
            logprobs = model(tokens).logits[0].log_softmax(-1)[len(request.context) - 1 : -1]
        expected = logprobs.gather(1, tokens[0, len(request.context) :, None])[:, 0]
        assert score.logprobs == pytest.approx(expected.tolist(), abs=1e-4)
        assert score.greedy == tuple((expected >= logprobs.max(1).values).tolist())
    workspace.close()


def test_a_suite_is_scored_and_what_is_served_is_still_what_is_decided_about(
    workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RIXIN_HOME", str(tmp_path / "home"))
    folder = tmp_path / "suite"
    write_suite(folder)
    asked = ["eval", "run", str(folder), "--model", "tiny", "--exact"]
    assert status(asked) != 0
    assert "--tasks" in capsys.readouterr().err
    assert status([*asked, "--tasks", "choice", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["settings"]["weights"] == "exact"
    assert report["command"].endswith("--exact")
    assert report["cost"]["memory_bytes"] > 1 << 20
    with pytest.raises(NotFound):
        workspace.evaluations.find("tiny", suite="small")
    assert workspace.evaluations.find(report["id"]).version == report["version"]
    workspace.close()


def test_without_the_libraries_it_says_what_installs_them(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(InvalidRequest) as refused:
        workspace.exact(workspace.models.resolve("tiny"))
    assert "make train" in str(refused.value.fix)
    workspace.close()
