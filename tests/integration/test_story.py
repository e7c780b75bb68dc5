"""A Story is told from what a real Cycle left: its steps, Reports, feedback and versions."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast, get_args

import msgspec
import pytest

from rixin.renewal import Cycle, StepName, Story, render_story
from rixin.renewal.story_words import Language
from rixin.settings import Settings
from rixin.workspace import Workspace
from tiny_runs import copy_home


@pytest.fixture(scope="module")
def workspace(renewed_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """After one Cycle that was promoted."""
    home = copy_home(renewed_home, tmp_path_factory.mktemp("story") / "home")
    with Workspace(Settings.model_validate({"home": home, "core_hour_price": 0.5, "threads": 2})) as opened:
        yield opened


@pytest.fixture
def cycle(workspace: Workspace) -> Cycle:
    [found] = workspace.cycles.listed()
    return found


@pytest.fixture
def story(workspace: Workspace, cycle: Cycle) -> Story:
    return workspace.stories.tell(cycle)


def test_the_story_of_a_promoted_cycle_is_whole(workspace: Workspace, cycle: Cycle, story: Story) -> None:
    assert [step.state for step in story.steps].count("done") == len(story.steps) - 1
    assert next(step for step in story.steps if step.name == "canary").state == "skipped", "the plan wants none"
    assert "has become better" in story.headline.said
    assert story.complaints is not None
    assert story.complaints.items == 60
    assert 0 < len(story.complaints.examples) <= 5
    assert all(example.correction for example in story.complaints.examples)
    assert story.learned is not None
    assert story.learned.corrections == story.complaints.corrections
    assert sum(one.rows for one in story.learned.datasets) > 0
    assert story.learned.held_out > 0
    before, after = story.versions
    assert (before.id, after.id) == (cycle.made.base, cycle.made.version)
    assert (before.current, after.current) == (False, True)
    assert workspace.models.resolve(cycle.alias).id == after.id


def test_scores_come_with_their_interval_and_agree_with_the_gate(story: Story) -> None:
    best = next(one for one in story.scores if one.role == "primary")
    assert best.difference == pytest.approx(best.after - best.before, abs=1e-9)
    assert best.low is not None
    assert best.high is not None
    assert best.low <= best.difference <= best.high
    assert best.p_better is not None
    assert best.p_better < 0.05
    assert story.gate is not None
    assert story.gate.promote
    assert any(one.name == f"{best.task}/{best.metric}" and one.passed for one in story.gate.checks)


def test_the_cost_has_core_hours_energy_and_a_price(cycle: Cycle, story: Story) -> None:
    cost = story.cost
    assert cost.seconds == pytest.approx(sum(step.seconds for step in cycle.steps))
    assert cost.core_hours > 0
    assert cost.kilowatt_hours == pytest.approx(cost.core_hours * 0.01)
    assert cost.price == pytest.approx(cost.core_hours * 0.5)


def test_the_story_goes_back_with_the_alias_and_does_without_what_is_gone(workspace: Workspace, cycle: Cycle) -> None:
    workspace.models.rollback(cycle.alias)
    before, after = workspace.stories.tell(cycle).versions
    assert (before.current, after.current) == (True, False)
    without = replace(cycle, made=msgspec.structs.replace(cycle.made, version="v_000000000000"))
    assert not workspace.stories.tell(without).versions[1].there
    workspace.models.set_alias(cycle.alias, cycle.made.version or "")


def test_a_cycle_is_told_at_every_step_of_its_way(workspace: Workspace, cycle: Cycle) -> None:
    for count in range(len(cycle.steps) + 1):
        part = replace(
            cycle,
            status="running",
            outcome=None,
            reason=None,
            steps=cycle.steps[:count],
            step=cast(StepName, cycle.steps[count - 1].name) if count else None,
        )
        told = workspace.stories.tell(part)
        assert "under way" in told.headline.said
        for language in get_args(Language):
            assert told.id in render_story(told, language)
