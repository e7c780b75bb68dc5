"""A whole Cycle on PostgreSQL: the same tables, locks and jobs as on SQLite, and a better model at its end."""

from pathlib import Path

import pytest

from rixin.errors import Conflict
from rixin.renewal import STEPS
from rixin.settings import Settings
from rixin.workspace import Workspace
from tiny_cycles import correct, make_cycle_home, pointed, renewing, tiny_plan, until_cycle


def test_a_whole_cycle_on_postgresql(postgresql_url: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    make_cycle_home(home, tmp_path, database_url=postgresql_url)
    settings = Settings.model_validate({"home": home, "database_url": postgresql_url})
    with Workspace(settings) as workspace, Workspace(settings) as another:
        correct(workspace, 60)
        cycle = workspace.cycles.create(tiny_plan())
        with pytest.raises(Conflict, match=cycle.id):
            another.cycles.create(tiny_plan())
        with renewing(workspace) as here, renewing(another) as there:
            assert (here, there) == (True, False)
            done = until_cycle(another, cycle, "finished", "failed")
        assert done.outcome == "promoted", (done.reason, done.error)
        assert [step.name for step in done.steps] == list(STEPS)
        assert all(step.attempts == 1 for step in done.steps)
        assert pointed(another.models) == done.made.version
        [run] = another.runs.listed()
        assert run.version_id == done.made.version
        taken = another.feedback.withdraw_all("u_ann")
        assert taken.feedback == 30
        assert taken.versions_marked == [done.made.version]
        [replaced] = taken.replaced
        assert replaced.old == done.made.datasets["sft"]
        left = another.datasets.origins(another.datasets.resolve("chat-sft"))
        assert {one.person for one in left} == {"u_ben"}
    assert not list(home.glob("*.db"))  # neither the Workspace's nor the jobs'
