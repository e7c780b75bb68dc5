"""From feedback to a better model by itself, or the reason why not: held to plan, budget and people's consent."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from rixin.data import PreferenceExample
from rixin.errors import Conflict, InvalidRequest, ModelNotFound, NotFound
from rixin.evaluation import read_samples
from rixin.models import NewModel, NewVersion, datasets_named
from rixin.renewal import STEPS, Cycle
from rixin.renewal.held_out import held_clusters, held_items
from rixin.settings import Settings
from rixin.store import CycleRow
from rixin.workspace import Workspace
from tiny_cycles import OPEN, correct, like, pointed, prefer, renewing, tiny_plan, until_cycle, until_step
from tiny_runs import copy_home, wait_until


@pytest.fixture
def workspace(cycle_home: Path, tmp_path: Path) -> Iterator[Workspace]:
    with Workspace(Settings.model_validate({"home": copy_home(cycle_home, tmp_path / "home")})) as opened:
        yield opened


@pytest.fixture
def after(renewed_home: Path, tmp_path: Path) -> Iterator[Workspace]:
    with Workspace(Settings.model_validate({"home": copy_home(renewed_home, tmp_path / "home")})) as opened:
        yield opened


def renewed(workspace: Workspace, cycle: Cycle) -> Cycle:
    with renewing(workspace, cycle.id) as here:
        assert here
        return until_cycle(workspace, cycle, "finished", "failed", "cancelled", "paused")


def test_corrections_become_a_better_model_that_is_served(after: Workspace) -> None:
    [cycle] = after.cycles.listed()
    made = cycle.made
    assert [step.name for step in cycle.steps] == list(STEPS)
    assert all(step.finished_at and step.said.en and step.said.zh for step in cycle.steps)
    assert cycle.reason is not None
    assert cycle.reason.en.startswith("Promote: chat-feedback: text/right +")
    assert cycle.reason.zh.startswith("可以上线：chat-feedback：text/right +")
    assert pointed(after.models) == made.version
    assert after.models.moves("chat")[-1].why == cycle.id
    [run] = after.runs.listed()
    assert run.version_id == made.version
    assert run.id == made.runs["sft"]
    reports = {one.version: one for one in after.evaluations.reports()}
    before, now = reports[made.base or ""], reports[made.version or ""]
    registered = after.evaluations.gate_registered_at(made.gates["chat-feedback"])
    assert registered is not None
    assert registered.isoformat() < min(before.created_at, now.created_at)


def test_what_is_held_out_is_asked_and_never_learned(after: Workspace) -> None:
    [cycle] = after.cycles.listed()
    dataset = after.datasets.get(cycle.made.datasets["sft"])
    learned = {one.origin for one in after.datasets.origins(dataset)}
    report = next(one for one in after.evaluations.reports() if one.version == cycle.made.version)
    asked = {f"feedback:{sample.item}" for sample in read_samples(after.evaluations.folder(report.id))}
    assert len(asked) >= 10
    assert len(learned | asked) == len(learned) + len(asked) == 60


def test_held_out_feedback_that_is_withdrawn_is_asked_no_longer(after: Workspace) -> None:
    held = held_items(after.settings.home)["chat"]
    after.feedback.withdraw_all("u_ann")  # every second question
    left = held_items(after.settings.home)["chat"]
    assert left == {name for name in held if int(name.removeprefix("f_")) % 2}
    for report in after.evaluations.reports():
        assert {sample.item for sample in read_samples(after.evaluations.folder(report.id))} == left


def test_held_out_feedback_stays_held_out_when_more_comes(after: Workspace) -> None:
    before = held_clusters(after.settings.home, "chat")
    learned = {one.origin for one in after.datasets.origins(after.datasets.resolve("chat-sft"))}
    correct(after, 30, first=100)
    cycle = renewed(after, after.cycles.create(tiny_plan(minutes=0.02)))
    assert cycle.outcome == "kept"
    assert held_clusters(after.settings.home, "chat") >= before
    again = {one.origin for one in after.datasets.origins(after.datasets.get(cycle.made.datasets["sft"]))}
    assert again - learned
    assert len(again & learned) <= len(again - learned)  # earlier ones, no more than new ones


def test_without_news_there_is_nothing_to_do(after: Workspace) -> None:
    cycle = renewed(after, after.cycles.create(tiny_plan()))
    assert (cycle.status, cycle.outcome) == ("finished", "nothing")
    assert cycle.reason is not None
    assert cycle.reason.en.startswith("0 new items of feedback may be learned from since")
    assert len(after.runs.listed()) == 1


def test_what_makes_it_worse_is_kept_back_and_goes_when_newer_ones_were(after: Workspace) -> None:
    served = pointed(after.models)
    like(after, 40, answer="zq zq zq", first=200)
    cycle = renewed(after, after.cycles.create(tiny_plan(previous=0)))
    assert (cycle.status, cycle.outcome) == ("finished", "kept"), cycle.error
    assert cycle.reason is not None
    assert cycle.reason.en.startswith("Keep: chat-feedback: text/right -")
    assert cycle.reason.zh.startswith("保留原版本：chat-feedback：text/right -")
    assert pointed(after.models) == served
    assert cycle.made.version is not None
    assert after.models.get(cycle.made.version).folder is not None, "one can ask it why"
    made = cycle.made.version
    assert renewed(after, after.cycles.create(tiny_plan(candidates=0))).outcome == "nothing"
    with pytest.raises(ModelNotFound):
        after.models.get(made)
    assert not (after.settings.home / "models" / made).exists()
    assert pointed(after.models) == served
    assert [version.current for version in after.stories.tell(cycle).versions] == [True, False]
    with pytest.raises(Conflict, match=f"Its candidate {made} was deleted"):
        after.cycles.repeat(cycle.id, "evaluate")


def test_preferences_are_learned_after_corrections(workspace: Workspace) -> None:
    """By DPO, from what SFT made: that version goes, and what it learned from is told of the one that stays."""
    correct(workspace, 40)
    prefer(workspace, 40, better="We open at ten.", worse="no no no", first=100)
    cycle = renewed(workspace, workspace.cycles.create(tiny_plan()))
    assert cycle.outcome == "promoted", (cycle.reason, cycle.error)
    assert list(cycle.made.runs) == ["sft", "dpo"]
    first, second = (workspace.runs.get(run) for run in cycle.made.runs.values())
    assert (second.version_id, pointed(workspace.models)) == (cycle.made.version, cycle.made.version)
    assert first.version_id is not None
    with pytest.raises(ModelNotFound):
        workspace.models.get(first.version_id)
    assert not (workspace.settings.home / "models" / first.version_id).exists()
    learned = datasets_named(workspace.models.get(cycle.made.version or "").card)
    assert {cycle.made.datasets["sft"], cycle.made.datasets["dpo"]} <= {*learned}
    pairs = {
        (pair.chosen[0].content, pair.rejected[0].content)
        for pair in workspace.datasets.open(workspace.datasets.get(cycle.made.datasets["dpo"]))
        if isinstance(pair, PreferenceExample)
    }
    assert pairs == {("We open at ten.", "no no no"), (OPEN, "no")}


def test_of_the_versions_that_were_promoted_the_newest_stay(after: Workspace) -> None:
    [cycle] = after.cycles.listed()
    made, base = cycle.made.version, cycle.made.base
    assert made is not None
    assert base is not None
    other = NewVersion(id="v_other", source="file:x", engine="openvino", format="none", licence="MIT", context_length=8)
    after.models.register(NewModel("other", "Other"), other)
    left: list[bool] = []
    for target, earlier in (("v_other", 0), (base, 1), (base, 0)):
        after.models.set_alias("chat", target)
        assert renewed(after, after.cycles.create(tiny_plan(earlier=earlier))).outcome == "nothing"
        left.append(made in {version.id for version in after.models.versions()})
    assert left == [True, True, False]  # the way back of the alias at first; then the one that may stay


def test_a_step_is_repeated_without_what_came_before_it(after: Workspace) -> None:
    [cycle] = after.cycles.listed()
    assert cycle.made.base is not None
    after.models.set_alias("chat", cycle.made.base)
    after.cycles.repeat(cycle.id, "evaluate")
    done = renewed(after, cycle)
    assert done.outcome == "promoted"
    assert len(after.runs.listed()) == 1
    assert len(after.evaluations.reports()) == 2  # found again
    with pytest.raises(InvalidRequest, match="There is no step 'dance'"):
        after.cycles.repeat(cycle.id, "dance")


def test_a_canary_that_goes_back_ends_the_cycle(after: Workspace) -> None:
    [cycle] = after.cycles.listed()
    assert cycle.made.base is not None
    after.models.set_alias("chat", cycle.made.base)
    with after.database.write() as session:
        row = session.get(CycleRow, cycle.id)
        assert row is not None
        row.plan = {**row.plan, "canary": {"share": 0.2}}
    after.cycles.repeat(cycle.id, "canary")
    with renewing(after, cycle.id):
        canary = wait_until(lambda: after.canaries.of("chat"))
        assert canary.cycle_id == cycle.id
        assert canary.version_id == cycle.made.version
        after.canaries.roll_back(canary.id, "people like it less")
        done = until_cycle(after, cycle, "finished", "failed")
    assert done.outcome == "rolled_back", done.error
    assert done.reason is not None
    assert done.reason.en == "people like it less"
    assert pointed(after.models) == cycle.made.base


def test_too_little_feedback_begins_nothing(workspace: Workspace) -> None:
    correct(workspace, 7)
    cycle = renewed(workspace, workspace.cycles.create(tiny_plan()))
    assert cycle.outcome == "nothing"
    assert cycle.reason is not None
    assert cycle.reason.en == "7 new items of feedback may be learned from; a cycle needs 20."
    assert cycle.reason.zh == "可供学习的新反馈有 7 条，一轮需要 20 条。"


def test_two_cycles_of_one_alias_never_collide(workspace: Workspace) -> None:
    made: list[Cycle | Conflict] = []

    def create() -> None:
        try:
            made.append(workspace.cycles.create(tiny_plan()))
        except Conflict as error:
            made.append(error)

    threads = [threading.Thread(target=create) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [cycle] = [one for one in made if isinstance(one, Cycle)]
    assert len(made) == 4
    with pytest.raises(Conflict, match=f"The cycle {cycle.id} of chat has not ended"):
        workspace.cycles.create(tiny_plan())
    workspace.cycles.cancel(cycle.id)
    other = workspace.cycles.create(tiny_plan())
    workspace.cycles.pause(other.id)
    with pytest.raises(Conflict, match="has not ended"):
        workspace.cycles.repeat(cycle.id, "collect")


def test_a_cycle_is_paused_with_its_run_and_cancelled_with_it(workspace: Workspace) -> None:
    served = pointed(workspace.models)
    correct(workspace, 40)
    cycle = workspace.cycles.create(tiny_plan(training={"epochs": 100}))
    with renewing(workspace, cycle.id):
        until_step(workspace, cycle, "train")
        run = wait_until(lambda: next(iter(workspace.runs.listed(statuses=["running"])), None))
        workspace.cycles.pause(cycle.id)
        assert until_cycle(workspace, cycle, "paused").step == "train"
        wait_until(lambda: workspace.runs.get(run.id).status == "paused" or None)
        workspace.cycles.resume(cycle.id)
        wait_until(lambda: workspace.runs.get(run.id).status == "running" or None)
        workspace.cycles.cancel(cycle.id)
        until_cycle(workspace, cycle, "cancelled")
        wait_until(lambda: workspace.runs.get(run.id).status == "cancelled" or None)
    assert len(workspace.runs.listed()) == 1
    assert pointed(workspace.models) == served
    with pytest.raises(Conflict, match="cancelled"):
        workspace.cycles.resume(cycle.id)


def test_a_process_that_stops_leaves_the_cycle_to_the_next_one(workspace: Workspace) -> None:
    correct(workspace, 40)
    cycle = workspace.cycles.create(tiny_plan(training={"epochs": 100}))
    with renewing(workspace, cycle.id):
        run = wait_until(lambda: next(iter(workspace.runs.listed(statuses=["running"])), None))
    assert workspace.cycles.get(cycle.id).status == "queued"
    assert workspace.runs.get(run.id).status == "queued"
    assert workspace.cycles.cancel(cycle.id).status == "cancelled"  # nobody executes: it is done at once
    assert workspace.runs.get(run.id).status == "cancelled"


def test_an_alias_that_was_moved_meanwhile_is_left_alone(after: Workspace) -> None:
    [cycle] = after.cycles.listed()
    after.models.set_alias("chat", cycle.made.base or "")
    after.cycles.repeat(cycle.id, "canary")
    with after.database.write() as session:
        row = session.get(CycleRow, cycle.id)
        assert row is not None
        row.made = {**row.made, "base": "v_000000000000"}
    done = renewed(after, cycle)
    assert done.outcome == "kept", done.error
    assert done.reason is not None
    assert done.reason.en.startswith(f"Keep: chat was pointed at {cycle.made.base} meanwhile")
    assert pointed(after.models) == cycle.made.base


def test_a_budget_that_is_used_up_ends_the_cycle_with_the_reason(workspace: Workspace) -> None:
    served = pointed(workspace.models)
    correct(workspace, 40)
    begun = workspace.cycles.create(tiny_plan(minutes=0.1))
    with renewing(workspace, begun.id):
        cycle = until_cycle(workspace, begun, "finished", "failed")
        wait_until(lambda: all(run.ended for run in workspace.runs.listed()))  # its worker is told, and stops
    assert (cycle.status, cycle.outcome) == ("finished", "kept"), cycle.error
    assert cycle.reason is not None
    assert cycle.reason.en == "Keep: the 0.1 minutes of this cycle were used up in the step train."
    assert cycle.reason.zh == "保留原版本：本轮的 0.1 分钟在 train 这一步用完了。"
    assert pointed(workspace.models) == served


def test_who_refused_and_has_agreed_again_is_learned_from(workspace: Workspace) -> None:
    correct(workspace, 40)
    for given in (False, True):
        workspace.feedback.set_consent("u_ann", given=given)
    cycle = renewed(workspace, workspace.cycles.create(tiny_plan(minutes=0.1)))
    learned = workspace.datasets.origins(workspace.datasets.get(cycle.made.datasets["sft"]))
    assert "u_ann" in {one.person for one in learned}


def test_withdrawal_in_mid_cycle_makes_it_begin_again_without_those_rows(workspace: Workspace) -> None:
    correct(workspace, 60)
    correct(workspace, 60, first=60, people=("cho",))
    cycle = workspace.cycles.create(tiny_plan())
    with renewing(workspace, cycle.id):
        until_step(workspace, cycle, "train")
        first = wait_until(lambda: next(iter(workspace.runs.listed(statuses=["running"])), None))
        workspace.feedback.withdraw_all("u_cho")
        done = until_cycle(workspace, cycle, "finished", "failed")
    assert done.outcome == "promoted", (done.reason, done.error)
    assert done.made.again == 1
    assert "Begun again, since feedback was withdrawn (1)." in done.steps[0].said.en
    assert workspace.runs.get(first.id).version_id is None
    learned = workspace.datasets.origins(workspace.datasets.get(done.made.datasets["sft"]))
    assert {one.person for one in learned} == {"u_ann", "u_ben"}
    version = workspace.models.get(pointed(workspace.models))
    assert done.made.datasets["sft"] in str(version.card["data"])
    asked = held_items(workspace.settings.home)["chat"]
    assert len(asked) >= 10
    assert asked.isdisjoint(f"f_{number:06}" for number in range(60, 120))


def test_the_command_tells_what_came_of_it(workspace: Workspace) -> None:
    environment = {**os.environ, "RIXIN_HOME": str(workspace.settings.home)}

    def rixin(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "rixin", *words], env=environment, capture_output=True, text=True, timeout=240
        )

    begun = rixin("renew", "--json")
    assert begun.returncode == 0, begun.stderr
    facts = json.loads(begun.stdout)
    assert (facts["status"], facts["outcome"]) == ("finished", "nothing")
    assert "0 new items of feedback may be learned from" in begun.stderr
    assert facts["id"] in rixin("renew", "list").stdout
    queued = rixin("renew", "--queue")
    assert "It begins with the next `rixin up`." in queued.stderr
    assert "has not ended" in rixin("renew").stderr


def test_a_plan_that_cannot_be_done_is_refused_before_anything_is_queued(workspace: Workspace) -> None:
    with pytest.raises(NotFound, match="There is no suite 'contracts'"):
        workspace.cycles.create(tiny_plan(suites=["contracts"]))
    with pytest.raises(NotFound, match="There is no alias 'desk'"):
        workspace.cycles.create(tiny_plan(alias="desk"))
    with pytest.raises(NotFound, match="There is no dataset 'general'"):
        workspace.cycles.create(tiny_plan(replay={"dataset": "general"}))
    (workspace.settings.home / "gate.toml").write_text("minimum_items = 5\n")
    with pytest.raises(InvalidRequest, match="A Gate needs a primary"):
        workspace.cycles.create(tiny_plan(suites=["law-zh"], gate="gate.toml"))
    assert workspace.cycles.listed() == []
