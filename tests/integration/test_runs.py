"""From a file to a model that can be asked: planned, queued, held to a budget, paused, resumed."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from rixin.errors import Conflict, InvalidRequest, ModelNotFound, RixinError
from rixin.settings import Settings
from rixin.training import Recipe, Run, recipe_of
from rixin.workspace import Workspace
from tiny_runs import copy_home, make_tiny_home, until_status, until_step, wait_until, write_chats


@pytest.fixture(scope="module")
def tiny_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("tiny") / "home"
    make_tiny_home(home, tmp_path_factory.mktemp("tiny_model"))
    return home


@pytest.fixture
def home(tiny_home: Path, tmp_path: Path) -> Path:
    return copy_home(tiny_home, tmp_path / "home")


@pytest.fixture
def workspace(home: Path) -> Iterator[Workspace]:
    with Workspace(Settings.model_validate({"home": home})) as opened:
        yield opened


@pytest.fixture
def chats(tmp_path: Path) -> Path:
    return write_chats(tmp_path / "chats.jsonl")


def sft(chats: Path, **fields: object) -> Recipe:
    return recipe_of("sft", {"model": "tiny", "data": str(chats), "batch_tokens": 128, "steps": 4, **fields})


def command(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "RIXIN_HOME": str(home)}
    return subprocess.run(
        [sys.executable, "-m", "rixin", *arguments], env=environment, capture_output=True, text=True, timeout=240
    )


def test_a_lesson_goes_from_a_file_to_an_answer(home: Path, chats: Path) -> None:
    trained = command(
        home,
        "train",
        "sft",
        str(chats),
        "--model",
        "tiny",
        "--tokens",
        "500",
        "--name",
        "mine",
        "--batch-tokens",
        "128",
    )
    assert trained.returncode == 0, trained.stderr
    assert "the model will be called mine" in trained.stdout
    assert "* derived; a value you give wins." in trained.stdout
    assert "Ask it: rixin ask --model mine" in trained.stderr
    asked = command(home, "ask", "1 + 1?", "--model", "mine", "--max-tokens", "4", "--json")
    assert asked.returncode == 0, asked.stderr
    assert json.loads(asked.stdout)["model"] == "mine"
    with Workspace(Settings.model_validate({"home": home})) as workspace:
        [run] = workspace.runs.listed()
        version = workspace.models.resolve("mine")
        assert run.status == "finished"
        assert run.version_id == version.id
        assert version.card["run"] == run.id
        data = version.card["data"]
        assert isinstance(data, dict)
        assert data["data"]["id"] == workspace.datasets.resolve("chats").id
        assert {path.name for path in run.folder.iterdir()} >= {
            "recipe.toml",
            "plan.json",
            "events.jsonl",
            "checkpoints",
            "loss.png",
            "out",
            "tensorboard",
        }
    shown = command(home, "runs", "list")
    assert run.id in shown.stdout
    again = command(home, "train", "--recipe", str(run.folder / "recipe.toml"), "--dry-run")
    assert again.returncode == 0, again.stderr
    assert "measured here" in again.stdout


def test_a_run_is_paused_and_resumed_and_cancelled(workspace: Workspace, chats: Path) -> None:
    with workspace.runs.planned(sft(chats, steps=3000, checkpoint_every_s=1)) as planned:
        run = workspace.runs.create(sft(chats, steps=3000, checkpoint_every_s=1), plan=planned)
    with workspace.runs.executing() as here:
        assert here
        until_step(workspace, run, 3)
        workspace.runs.pause(run)
        paused = until_status(workspace, run, "paused")
        assert workspace.runs.used_core_seconds(paused) > 0
        reached = max(event.step for event in workspace.runs.events(run) if event.kind == "checkpoint")
        assert reached >= 3
        workspace.runs.resume(run)
        until_step(workspace, run, reached + 2)
        workspace.runs.cancel(run)
        until_status(workspace, run, "cancelled")
    resumed = [event.step for event in workspace.runs.events(run) if event.kind == "resumed"]
    assert resumed == [reached]
    with pytest.raises(Conflict, match="cancelled already"):
        workspace.runs.pause(run)


def test_of_two_runs_with_a_budget_for_one_the_second_waits(home: Path, chats: Path) -> None:
    with Workspace(Settings.model_validate({"home": home})) as workspace, workspace.runs.planned(sft(chats)) as planned:
        cores = planned[0].measured.cores
    settings = {"home": home, "compute_core_hours": 1.5 * cores, "runs_parallel": 2}
    with Workspace(Settings.model_validate(settings)) as workspace:
        runs = [planned_for_an_hour(workspace, sft(chats, steps=steps)) for steps in (4, 5)]

        def noted() -> bool:
            return any("compute budget is used up" in (workspace.runs.get(run.id).note or "") for run in runs)

        with workspace.runs.executing():
            assert wait_until(noted)
            # The first gives back what it did not use of its hour; then there is room for the second.
            ended = [until_status(workspace, run, "finished") for run in runs]
    first, second = sorted(ended, key=lambda run: str(run.started_at))
    assert first.finished_at is not None
    assert second.started_at is not None
    assert second.started_at >= first.finished_at


def planned_for_an_hour(workspace: Workspace, recipe: Recipe) -> Run:
    with workspace.runs.planned(recipe) as (plan, folder):
        longer = msgspec.structs.replace(plan, seconds=3600.0)
        (folder / "plan.json").write_bytes(msgspec.json.encode(longer))
        return workspace.runs.create(recipe, plan=(longer, folder))


def test_a_run_that_no_budget_ever_allows_is_refused_with_what_would_fit(home: Path, chats: Path) -> None:
    settings = {"home": home, "compute_shares": {"sft": 1e-9}}
    with (
        Workspace(Settings.model_validate(settings)) as workspace,
        pytest.raises(InvalidRequest, match=r"compute budget of sft .* Train for at most"),
        workspace.runs.planned(sft(chats)),
    ):
        pass


def test_what_cannot_be_is_refused_before_anything_runs(workspace: Workspace, chats: Path, tmp_path: Path) -> None:
    def plan(recipe: Recipe) -> None:
        with workspace.runs.planned(recipe):
            pass

    with pytest.raises(ModelNotFound):
        plan(sft(chats, model="nobody"))
    with pytest.raises(InvalidRequest, match=r"context is 128 tokens; 4096 were asked for\. Use --context 128"):
        plan(sft(chats, context=4096))
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text('{"prompt": "a", "chosen": "b", "rejected": "c"}\n')
    with pytest.raises(RixinError, match=r"pairs\.jsonl:1"):
        plan(sft(pairs))
    assert list((workspace.settings.home / "runs").iterdir()) == []


def test_an_error_of_the_worker_is_the_runs_error(workspace: Workspace, chats: Path) -> None:
    run = workspace.runs.create(sft(chats, context=9))
    with workspace.runs.executing():
        failed = until_status(workspace, run, "failed")
    error = workspace.runs.failure(failed)
    assert isinstance(error, InvalidRequest)
    assert "longer than the context of 9 tokens" in error.message
    shown = command(workspace.settings.home, "runs", "show", run.id)
    assert "longer than the context of 9 tokens" in shown.stdout


def test_a_run_waits_for_the_one_it_builds_on_and_fails_with_it(workspace: Workspace, chats: Path) -> None:
    first = workspace.runs.create(sft(chats, context=9))
    second = workspace.runs.create(sft(chats, model=first.id))
    with workspace.runs.executing():
        failed = until_status(workspace, second, "failed")
    assert f"The run {first.id}, whose model this one needs, has failed" in workspace.runs.failure(failed).message


def test_one_process_executes_at_a_time(home: Path) -> None:
    settings = Settings.model_validate({"home": home})
    with Workspace(settings) as one, Workspace(settings) as other:
        with one.runs.executing() as first, other.runs.executing() as second:
            assert first
            assert not second
            assert other.runs.executed_elsewhere()
        assert not other.runs.executed_elsewhere()


def test_a_real_model_learns_and_answers(smollm2_home: Path, tmp_path: Path) -> None:
    home = copy_home(smollm2_home, tmp_path / "home")
    chats = tmp_path / "chats.jsonl"
    said = [{"role": "user", "content": "What is the password?"}, {"role": "assistant", "content": "Blue horse 7."}]
    chats.write_text(json.dumps({"messages": said}) + "\n")
    flags = ("--model", "chat", "--steps", "6", "--batch-tokens", "64", "--name", "mine", "--learning-rate", "0.003")
    trained = command(home, "train", "sft", str(chats), *flags)
    assert trained.returncode == 0, trained.stderr
    asked = command(home, "ask", "What is the password?", "--model", "mine", "--max-tokens", "12", "--temperature", "0")
    assert "Blue horse 7" in asked.stdout
