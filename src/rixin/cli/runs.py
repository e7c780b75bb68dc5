"""`rixin runs`: trainings that wait, are under way or have ended."""

import json
import sys
from typing import Annotated, Literal

from cyclopts import App, Parameter

from rixin.cli.follow import duration
from rixin.cli.follow import follow as watch
from rixin.cli.tables import print_table
from rixin.cli.train import attend, report
from rixin.training import Run
from rixin.workspace import Workspace, open_workspace

app = App(name="runs", help="List, follow, pause, resume and cancel trainings.")


@app.command(name="list")
def show_all(*, as_json: Annotated[bool, Parameter("--json")] = False) -> None:
    """List the runs, the newest first.

    Parameters
    ----------
    as_json
        As JSON, for programs.
    """
    with open_workspace() as workspace:
        runs = workspace.runs.listed()
        if as_json:
            print(json.dumps([_facts(workspace, run) for run in runs], ensure_ascii=False, indent=2))
            return
        rows = [
            (run.id, run.kind, run.name, run.status, f"{run.created_at.astimezone():%Y-%m-%d %H:%M}", run.note or "")
            for run in runs
        ]
    print_table(("RUN", "KIND", "MODEL", "STATUS", "BEGAN", ""), rows)
    if not rows:
        print("There are no runs. `rixin train sft FILE --model MODEL --minutes 10` makes one.", file=sys.stderr)


@app.command
def show(run: str, *, as_json: Annotated[bool, Parameter("--json")] = False) -> None:
    """Show all that is known of a run: what it does, how far it is, why it failed.

    Parameters
    ----------
    run
        Its id, or the name of its model.
    as_json
        As JSON, for programs.
    """
    with open_workspace() as workspace:
        found = workspace.runs.get(run)
        facts = _facts(workspace, found)
    if as_json:
        print(json.dumps(facts, ensure_ascii=False, indent=2))
        return
    recipe = facts.pop("recipe")
    facts["recipe"] = " ".join(f"{name}={value}" for name, value in recipe.items()) if isinstance(recipe, dict) else ""
    width = max(map(len, facts))
    for name, value in facts.items():
        if value not in (None, "", {}, []):
            print(f"{name.replace('_', ' '):<{width}}  {_plain(value)}")


@app.command
def follow(run: str) -> None:
    """Watch a run until it has ended.

    Parameters
    ----------
    run
        Its id, or the name of its model.
    """
    with open_workspace() as workspace:
        found = workspace.runs.get(run)
        if not found.ended and not workspace.runs.executed_elsewhere():
            print(
                f"Nothing executes it now. `rixin up` does, and so does `rixin runs resume {found.id}`.",
                file=sys.stderr,
            )
        report(workspace, watch(workspace, found.id))


@app.command
def pause(run: str) -> None:
    """Have a run save and wait.

    Parameters
    ----------
    run
        Its id, or the name of its model.
    """
    with open_workspace() as workspace:
        found = workspace.runs.pause(workspace.runs.get(run))
    said = "is paused" if found.status == "paused" else "saves, and is paused then"
    print(f"{found.id} {said}. `rixin runs resume {found.id}` goes on.", file=sys.stderr)


@app.command
def resume(run: str, *, queue: Annotated[bool, Parameter(negative=())] = False) -> None:
    """Go on with a paused, interrupted or failed run, from its last checkpoint.

    Parameters
    ----------
    run
        Its id, or the name of its model.
    queue
        Leave it to the server, and don't wait for it.
    """
    with open_workspace() as workspace:
        found = workspace.runs.resume(workspace.runs.get(run))
        if not queue:
            attend(workspace, [found])


@app.command
def cancel(run: str) -> None:
    """End a run for good.

    Parameters
    ----------
    run
        Its id, or the name of its model.
    """
    with open_workspace() as workspace:
        found = workspace.runs.cancel(workspace.runs.get(run))
    print(f"{found.id} {'is cancelled' if found.ended else 'is being cancelled'}.", file=sys.stderr)


@app.command
def priority(run: str, level: Literal["high", "normal", "low"]) -> None:
    """Change when a waiting run's turn comes.

    Parameters
    ----------
    run
        Its id, or the name of its model.
    level
        high, normal or low.
    """
    with open_workspace() as workspace:
        workspace.runs.prioritise(workspace.runs.get(run), level)


def _facts(workspace: Workspace, run: Run) -> dict[str, object]:
    used = workspace.runs.used_core_seconds(run)
    return {
        "id": run.id,
        "kind": run.kind,
        "model": run.name,
        "status": run.status,
        "note": run.note,
        "error": dict(run.error) if run.error else None,
        "version": run.version_id,
        "created": run.created_at.isoformat(timespec="seconds"),
        "started": run.started_at.isoformat(timespec="seconds") if run.started_at else None,
        "finished": run.finished_at.isoformat(timespec="seconds") if run.finished_at else None,
        "compute": f"{used / 3600:.2g} core-hours ({duration(used)} of one core)" if used else None,
        "attempts": run.attempt,
        "folder": str(run.folder),
        "recipe": {name: value for name, value in run.recipe.items() if value not in (None, [])},
    }


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return " ".join(str(value[name]) for name in ("where", "message", "fix") if value.get(name))
    return str(value)
