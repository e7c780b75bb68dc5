"""Homes that several files begin from, made once a run: a Cycle of the tiny model takes twenty seconds."""

from pathlib import Path

import pytest

from rixin.settings import Settings
from rixin.workspace import Workspace
from tiny_cycles import correct, make_cycle_home, renewing, tiny_plan, until_cycle
from tiny_runs import copy_home


@pytest.fixture(scope="session")
def cycle_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """People agreed to be learned from; to be copied, not changed."""
    home = tmp_path_factory.mktemp("cycles") / "home"
    make_cycle_home(home, tmp_path_factory.mktemp("cycles_model"))
    return home


@pytest.fixture(scope="session")
def renewed_home(cycle_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """After one Cycle that was promoted; to be copied, not changed."""
    home = copy_home(cycle_home, tmp_path_factory.mktemp("renewed") / "home")
    with Workspace(Settings.model_validate({"home": home})) as workspace:
        correct(workspace, 60)
        cycle = workspace.cycles.create(tiny_plan())
        with renewing(workspace, cycle.id):
            done = until_cycle(workspace, cycle, "finished", "failed")
        assert done.outcome == "promoted", (done.reason, done.error)
    return home
