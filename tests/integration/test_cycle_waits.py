"""A Cycle that people pause, that waits for people, or that can't be: nothing is asked twice, and no wish is lost."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from rixin.data import ChatExample
from rixin.data.annotation import Worker
from rixin.errors import InvalidRequest
from rixin.evaluation.journal import Given, Journal
from rixin.renewal import Cycle, work
from rixin.renewal.cycle import Made
from rixin.renewal.halting import hold
from rixin.renewal.held_out import held_items, suite_name
from rixin.renewal.steps import turn as turns
from rixin.renewal.steps.turn import CROSSFIT, House, Turn
from rixin.settings import Settings
from rixin.store import CycleRow
from rixin.workspace import Workspace
from tiny_cycles import OPEN, correct, dislike, pointed, renewing, tiny_plan, until_cycle, until_step
from tiny_runs import copy_home, wait_until

ADMIN = Worker("u_admin", "root", True)


@pytest.fixture
def workspace(cycle_home: Path, tmp_path: Path) -> Iterator[Workspace]:
    with Workspace(Settings.model_validate({"home": copy_home(cycle_home, tmp_path / "home")})) as opened:
        yield opened


@pytest.fixture
def after(renewed_home: Path, tmp_path: Path) -> Iterator[Workspace]:
    """After one Cycle that was promoted, and whose alias was put back."""
    with Workspace(Settings.model_validate({"home": copy_home(renewed_home, tmp_path / "home")})) as opened:
        [cycle] = opened.cycles.listed()
        opened.models.set_alias("chat", cycle.made.base or "")
        yield opened


def test_paused_in_the_middle_of_a_report_it_asks_only_what_was_not_answered(
    after: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    [cycle] = after.cycles.listed()
    for report in after.evaluations.reports():
        shutil.rmtree(after.evaluations.folder(report.id))
    monkeypatch.setattr(turns, "LOOK_S", 0.0)
    kept: list[str] = []
    add = Journal.add

    def counting(journal: Journal, given: Given) -> None:
        add(journal, given)
        kept.append(given.key)
        if len(kept) == 3:
            after.cycles.pause(cycle.id)

    monkeypatch.setattr(Journal, "add", counting)
    after.cycles.repeat(cycle.id, "evaluate")
    with renewing(after, cycle.id):
        assert until_cycle(after, cycle, "paused", "finished", "failed").step == "evaluate"
        paused_at = len(kept)
        after.cycles.resume(cycle.id)
        done = until_cycle(after, cycle, "finished", "failed")
    items = len(held_items(after.settings.home)["chat"])
    assert 3 <= paused_at < 2 * items
    assert done.outcome == "promoted", (done.reason, done.error)
    assert len(kept) == 2 * items  # by two versions, which have keys of their own journals


def test_answers_that_nobody_liked_are_rewritten_by_people_and_learned_by_the_next_cycle(workspace: Workspace) -> None:
    dislike(workspace, 24)
    first = workspace.cycles.create(tiny_plan())
    with renewing(workspace, first.id):
        ended = until_cycle(workspace, first, "finished", "failed")
    assert ended.outcome == "nothing", ended.error
    assert ended.reason is not None
    assert "24 answers that were disliked wait for people to rewrite them." in ended.reason.en
    assert "24 条不受欢迎的回答等待人工改写。" in ended.reason.zh
    [task] = workspace.annotations.list()
    while (item := workspace.annotations.next(task.id, ADMIN)) is not None:
        workspace.annotations.queue.submit(task.id, item.line, ADMIN, {"text": OPEN})
    second = workspace.cycles.create(tiny_plan(training={"epochs": 100}))
    with renewing(workspace, second.id):
        until_step(workspace, second, "train")
        workspace.cycles.cancel(second.id)
        found = until_cycle(workspace, second, "cancelled")
    collected, annotated = (found.done(name) for name in ("collect", "annotate"))
    assert collected is not None
    assert annotated is not None
    assert (collected.values["corrections"], collected.values["disliked"]) == (24, 0)
    assert (annotated.values["answered"], annotated.values["queued"]) == (
        24 - int(str(collected.values["held_out"])),
        0,
    )
    dataset = workspace.datasets.get(found.made.datasets["sft"])
    rows = list(workspace.datasets.open(dataset))
    assert {row.messages[-1].content for row in rows if isinstance(row, ChatExample)} == {OPEN}
    learned = {one.origin for one in workspace.datasets.origins(dataset)}
    asked = {f"feedback:{name}" for name in held_items(workspace.settings.home)["chat"]}
    assert learned.isdisjoint(asked)
    assert len(workspace.annotations.list()) == 1


def test_who_agreed_again_has_disliked_answers_rewritten_too(workspace: Workspace) -> None:
    dislike(workspace, 24, people=("ann",))
    for given in (False, True):
        workspace.feedback.set_consent("u_ann", given=given)
    cycle = workspace.cycles.create(tiny_plan())
    with renewing(workspace, cycle.id):
        until_cycle(workspace, cycle, "finished", "failed")
    [task] = workspace.annotations.list()
    assert sum(task.counts.values()) == 24


def test_an_end_that_is_wanted_while_it_pauses_is_an_end(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    correct(workspace, 40)
    cycle = workspace.cycles.create(tiny_plan())
    lessons = Turn.lessons

    def pausing(turn: Turn, **named: object) -> object:
        workspace.cycles.pause(cycle.id)
        return lessons(turn, **named)  # type: ignore[arg-type]

    def cancelled_meanwhile(house: House, made: Made) -> None:
        hold(house, made)
        workspace.cycles.cancel(cycle.id)

    monkeypatch.setattr(Turn, "lessons", pausing)
    monkeypatch.setattr(work, "hold", cancelled_meanwhile)
    with renewing(workspace, cycle.id):
        assert until_cycle(workspace, cycle, "paused", "cancelled", "finished").status == "cancelled"


@pytest.mark.parametrize(
    ("why", "wanted", "then"),
    [
        ("shutdown", "cancel", "cancel"),
        ("shutdown", "pause", "pause"),
        ("withdrawn", "cancel", "cancel"),
        ("minutes", "pause", "minutes"),
        ("pause", None, "shutdown"),
        ("shutdown", None, "shutdown"),
    ],
)
def test_what_somebody_wants_outlasts_the_reason_of_a_halt(why: turns.Why, wanted: str | None, then: str) -> None:
    assert work._gravest(why, wanted) == then


def with_canary(workspace: Workspace) -> Cycle:
    """The Cycle that was promoted, to be done again from its canary on."""
    [cycle] = workspace.cycles.listed()
    with workspace.database.write() as session:
        row = session.get(CycleRow, cycle.id)
        assert row is not None
        row.plan = {**row.plan, "canary": {"share": 0.5}}
    return workspace.cycles.repeat(cycle.id, "canary")


def answering(workspace: Workspace) -> set[str]:
    return {workspace.models.resolve("chat", conversation=f"c{at}").id for at in range(50)}


def test_a_cycle_that_is_paused_in_its_canary_takes_it_away_from_people(after: Workspace) -> None:
    cycle = with_canary(after)
    assert cycle.made.base is not None
    assert cycle.made.version is not None
    with renewing(after, cycle.id):
        canary = wait_until(lambda: after.canaries.of("chat"))
        assert answering(after) == {cycle.made.base, cycle.made.version}
        after.cycles.pause(cycle.id)
        until_cycle(after, cycle, "paused")
        assert after.canaries.get(canary.id).paused
        assert answering(after) == {cycle.made.base}
        told = after.stories.tell(after.cycles.get(cycle.id)).canary
        assert told is not None
        assert told.said_zh == "随本轮一起暂停：所有对话由原版本回答，暂不作决定。"
        after.cycles.resume(cycle.id)
        wait_until(lambda: not after.canaries.get(canary.id).paused or None)
        assert answering(after) == {cycle.made.base, cycle.made.version}
        after.cycles.pause(cycle.id)
        until_cycle(after, cycle, "paused")
        after.cycles.repeat(cycle.id, "canary")  # the one that waited is over
        again = wait_until(lambda: one if (one := after.canaries.of("chat")) and one.id != canary.id else None)
        assert after.canaries.get(canary.id).outcome == "rolled_back"
        after.cycles.cancel(cycle.id)
        until_cycle(after, cycle, "cancelled")
    assert after.canaries.get(again.id).outcome == "rolled_back"
    assert pointed(after.models) == cycle.made.base


def test_a_plan_with_a_canary_is_refused_at_once_where_one_model_is_kept_loaded(workspace: Workspace) -> None:
    home = workspace.settings.home
    with Workspace(Settings.model_validate({"home": home, "max_engines": 1})) as small:
        with pytest.raises(InvalidRequest, match="A canary needs two models loaded at once") as refused:
            small.cycles.create(tiny_plan(canary={"share": 0.1}))
        assert refused.value.fix is not None
        assert "RIXIN_MAX_ENGINES" in refused.value.fix
        assert small.cycles.listed() == []


def test_what_is_withdrawn_while_corrections_are_compared_does_not_come_back(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    correct(workspace, 60)
    cycle = workspace.cycles.create(tiny_plan(training={"epochs": 100}))
    examine = "rixin.renewal.steps.annotate.examine"
    from rixin.renewal.trust import examine as real

    def withdrawing(*arguments: object) -> object:
        workspace.feedback.withdraw_all("u_ann")
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(examine, withdrawing)
    with renewing(workspace, cycle.id):
        until_step(workspace, cycle, "dataset")
        workspace.cycles.cancel(cycle.id)
        until_cycle(workspace, cycle, "cancelled", "finished")
    held = held_items(workspace.settings.home)["chat"]
    assert held
    assert all(int(name.removeprefix("f_")) % 2 for name in held)  # ben's


def test_what_is_withdrawn_while_it_is_asked_is_in_no_report(after: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    [cycle] = after.cycles.listed()
    for report in after.evaluations.reports():
        shutil.rmtree(after.evaluations.folder(report.id))
    add = Journal.add
    asked: list[str] = []

    def withdrawing(journal: Journal, given: Given) -> None:
        add(journal, given)
        asked.append(given.key)
        if len(asked) == 3:
            with after.database.write() as session:  # what was learned stays: only what is asked is taken back
                from rixin.store import FeedbackRow

                name = sorted(held_items(after.settings.home)["chat"])[0]
                row = session.get(FeedbackRow, name)
                assert row is not None
                row.rating = row.correction = None
            after.cycles.forget_held_out()

    before = held_items(after.settings.home)["chat"]
    monkeypatch.setattr(Journal, "add", withdrawing)
    after.cycles.repeat(cycle.id, "evaluate")
    with renewing(after, cycle.id):
        done = until_cycle(after, cycle, "finished", "failed")
    assert done.status == "finished", done.error
    left = held_items(after.settings.home)["chat"]
    gone = before - left
    assert len(gone) == 1
    samples = [path.read_text() for path in (after.settings.home / "reports").glob("*/samples.jsonl")]
    assert len(samples) >= 2
    assert not any(name in text for text in samples for name in gone)
    assert suite_name("chat") in str(done.made.gates)


def test_a_withdrawal_deletes_the_copies_of_a_step_that_was_killed(workspace: Workspace) -> None:
    correct(workspace, 4)
    cycle = workspace.cycles.create(tiny_plan())
    copies = cycle.folder / CROSSFIT
    copies.mkdir(parents=True)
    (copies / "job.json").write_bytes(msgspec.json.encode([OPEN]))
    workspace.feedback.withdraw_all("u_ann")
    assert not copies.exists()
