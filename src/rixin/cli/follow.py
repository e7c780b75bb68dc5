"""A run as it goes on, in the terminal."""

import time

from rich.console import Console

from rixin.training import Run, RunBar
from rixin.workspace import Workspace

POLL_S = 0.5


def follow(workspace: Workspace, run_id: str) -> Run:
    """Show what the run reports until it has ended or waits for a person; the run as it is then."""
    console = Console(stderr=True)
    after, note = 0, None
    with RunBar(console) as bar:
        while True:
            run = workspace.runs.get(run_id)
            for event in workspace.runs.events(run, after=after):
                after = event.seq
                bar(event)
            if run.ended or run.status == "paused":
                return run
            if run.note != note:
                note = run.note
                if note:
                    console.print(note, markup=False, highlight=False)
            time.sleep(POLL_S)


def wait_until_saved(workspace: Workspace, run_id: str) -> Run:
    """Wait until the run is under way no longer."""
    while (run := workspace.runs.get(run_id)).status == "running":
        time.sleep(POLL_S)
    return run


def duration(seconds: float) -> str:
    """For a person: `45 s`, `3 min`, `2 h 05 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02} min"
