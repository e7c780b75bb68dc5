"""A Workspace with a model so small that whole trainings take seconds, and data for it."""

import json
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from rixin.models import install
from rixin.settings import Settings
from rixin.training import Run
from rixin.workspace import Workspace

T = TypeVar("T")


def make_tiny_home(home: Path, scratch: Path, **settings: object) -> None:
    """A RIXIN_HOME with the model `tiny` (two layers, hidden 64, random weights)."""
    from tiny_trained import write_trained  # transformers: seconds, which a process that only runs Cycles is spared

    write_trained(scratch / "tiny")
    with Workspace(Settings.model_validate({"home": home, **settings})) as workspace:
        install(workspace.models, f"file:{scratch / 'tiny'}", name="tiny")


def copy_home(home: Path, target: Path) -> Path:
    """The same again, for a test of its own."""
    shutil.copytree(home, target)
    return target


def write_chats(path: Path, rows: int = 60) -> Path:
    """Sums, as conversations."""
    draw = random.Random(0)
    with path.open("w") as file:
        for _ in range(rows):
            a, b = draw.randint(1, 99), draw.randint(1, 99)
            said = [{"role": "user", "content": f"{a} + {b}?"}, {"role": "assistant", "content": f"{a + b}"}]
            file.write(json.dumps({"messages": said}) + "\n")
    return path


def wait_until(look: Callable[[], T | None], *, timeout_s: float = 120.0) -> T:
    """What `look` gives, once it gives something."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


def until_step(workspace: Workspace, run: Run, step: int) -> None:
    """Wait until the run has made this step."""

    def reached() -> bool:
        return any(event.kind == "step" and event.step >= step for event in workspace.runs.events(run))

    wait_until(reached)


def until_status(workspace: Workspace, run: Run, *statuses: str) -> Run:
    """Wait until the run has one of these statuses."""

    def look() -> Run | None:
        found = workspace.runs.get(run.id)
        return found if found.status in statuses else None

    return wait_until(look)
