"""What a run copied of rows that somebody took back: found, and deleted."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from rixin.data import Datasets
from rixin.errors import NotFound, Withdrawn
from rixin.models import HELD_FILE, forget_held
from rixin.training.run import Run

# What a teacher wrote of the rows, figures and tries by row, and the sequences that exports are compared on.
COPIES = ("answers.jsonl", "held-out-answers.jsonl", "cache", "rollouts", f"out/{HELD_FILE}")


def sources_of(run: Run) -> set[str]:
    """The ids of the datasets' versions that a run reads; none before it is planned."""
    assignment = run.plan.get("assignment")
    sources = assignment.get("sources") if isinstance(assignment, Mapping) else None
    if not isinstance(sources, Mapping):
        return set()
    return {str(source["id"]) for source in sources.values()}


def withdrawn_under(run: Run, datasets: Datasets) -> Withdrawn | None:
    """Why the run can't go on, if somebody took back rows that it learns from."""
    for name in sorted(sources_of(run)):
        try:
            datasets.resolve(name)
        except Withdrawn as error:
            return error
        except NotFound:
            continue
    return None


def forget_copies(run: Run, home: Path) -> None:
    """Delete what the run, and the Version that came of it, keep of the rows. The weights stay."""
    for name in COPIES:
        path = run.folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    if run.version_id is not None:
        forget_held(home / "models" / run.version_id)
