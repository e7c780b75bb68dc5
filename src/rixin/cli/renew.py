"""`rixin renew`: one turn of the loop, from feedback to a better model."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from anyio.from_thread import start_blocking_portal
from cyclopts import App, Parameter
from rich.console import Console

from rixin.cli.follow import duration
from rixin.cli.tables import print_json, print_table
from rixin.renewal import STEPS, Cycle, RenewalPlan, StepName, occasion, write_story
from rixin.workspace import Workspace, open_workspace

POLL_S = 0.5
AsJson = Annotated[bool, Parameter("--json")]
Flag = Annotated[bool, Parameter(negative=())]
app = App(name="renew", help="Learn from feedback: once, now; or see, pause and repeat what was begun.")


@app.default
def renew(*, alias: str | None = None, queue: Flag = False, dry_run: Flag = False, as_json: AsJson = False) -> None:
    """Begin a cycle, and follow it to its end: from feedback to a model that is better, or to why it is not.

    Parameters
    ----------
    alias
        What is to get better; without it the one that renewal.toml names, or `chat`.
    queue
        Leave it to the server, and don't wait for it.
    dry_run
        Show the plan, and do nothing.
    as_json
        Print what came of it as JSON.
    """
    with open_workspace() as workspace:
        plan = workspace.cycles.plan(alias)
        if dry_run:
            workspace.cycles.check(plan)
            _show_plan(workspace, plan, as_json=as_json)
            return
        cycle = workspace.cycles.create(plan)
        if queue:
            elsewhere = workspace.cycles.executed_elsewhere()
            when = "The server does it." if elsewhere else "It begins with the next `rixin up`."
            print(f"Queued as {cycle.id}. {when} `rixin renew show {cycle.id}` shows it.", file=sys.stderr)
        else:
            cycle = attend(workspace, cycle)
        if as_json:
            print_json(facts_of(cycle))
        elif not queue:
            _tell(cycle)


@app.command(name="list")
def show_all(*, alias: str | None = None, as_json: AsJson = False) -> None:
    """List the cycles, the newest first.

    Parameters
    ----------
    alias
        Only those of this alias.
    as_json
        As JSON, for programs.
    """
    with open_workspace() as workspace:
        cycles = workspace.cycles.listed(alias=alias)
    if as_json:
        print_json([facts_of(cycle) for cycle in cycles])
        return
    rows = [
        (
            cycle.id,
            cycle.alias,
            cycle.outcome or cycle.status,
            cycle.step or "",
            f"{cycle.created_at.astimezone():%Y-%m-%d %H:%M}",
            cycle.reason.en if cycle.reason else "",
        )
        for cycle in cycles
    ]
    print_table(("CYCLE", "ALIAS", "STATUS", "STEP", "BEGAN", ""), rows)
    if not rows:
        print("There are no cycles. `rixin renew` begins one.", file=sys.stderr)


@app.command
def show(cycle: str, *, as_json: AsJson = False) -> None:
    """Show a cycle: each step, what it found, and how it ended.

    Parameters
    ----------
    cycle
        Its id.
    as_json
        As JSON, for programs.
    """
    with open_workspace() as workspace:
        found = workspace.cycles.get(cycle)
    if as_json:
        print_json(facts_of(found))
        return
    print(f"{found.id}  {found.alias}, {found.why}: {found.outcome or found.status}")
    for step in found.steps:
        mark = "✓" if step.finished_at else "…"
        print(f"{mark} {step.name:<9} {duration(step.seconds):>8}  {step.said.en}")
    _tell(found)


@app.command
def story(cycle: str, *, language: Literal["zh", "en"] = "zh", to: Path | None = None) -> None:
    """Write the story of a cycle as one HTML file: what people complained of, what was learned, what got better.

    Parameters
    ----------
    cycle
        Its id.
    language
        zh or en.
    to
        The file; CYCLE.html here if left out.
    """
    path = to or Path(f"{cycle}.html")
    with open_workspace() as workspace:
        write_story(workspace.stories.tell(workspace.cycles.get(cycle)), path, language)
    print(path)


@app.command
def pause(cycle: str) -> None:
    """Have a cycle wait, with its training and its canary.

    Parameters
    ----------
    cycle
        Its id.
    """
    with open_workspace() as workspace:
        found = workspace.cycles.pause(cycle)
    said = "is paused" if found.status == "paused" else "saves, and is paused then"
    print(f"{cycle} {said}. `rixin renew resume {cycle}` goes on.", file=sys.stderr)


@app.command
def resume(cycle: str, *, queue: Flag = False) -> None:
    """Go on with a paused, interrupted or failed cycle, in the step in which it was.

    Parameters
    ----------
    cycle
        Its id.
    queue
        Leave it to the server, and don't wait for it.
    """
    with open_workspace() as workspace:
        found = workspace.cycles.get(cycle)
        if found.status not in ("queued", "running") or found.wanted:
            found = workspace.cycles.resume(cycle)
        if not queue:
            _tell(attend(workspace, found))


@app.command
def cancel(cycle: str) -> None:
    """End a cycle for good. What it made stays; nothing is served that was not.

    Parameters
    ----------
    cycle
        Its id.
    """
    with open_workspace() as workspace:
        found = workspace.cycles.cancel(cycle)
    print(f"{cycle} {'is cancelled' if found.ended else 'is being cancelled'}.", file=sys.stderr)


@app.command
def repeat(cycle: str, step: StepName, *, queue: Flag = False) -> None:
    """Do a cycle that has ended or is paused again, from one of its steps on.

    Parameters
    ----------
    cycle
        Its id.
    step
        The first step to do again.
    queue
        Leave it to the server, and don't wait for it.
    """
    with open_workspace() as workspace:
        found = workspace.cycles.repeat(cycle, step)
        if not queue:
            _tell(attend(workspace, found))


def attend(workspace: Workspace, cycle: Cycle) -> Cycle:
    """Follow the cycle; execute it here where no other process does. Raises the error of one that failed."""
    with executing(workspace, cycle.id) as here:
        if not here:
            print("Rixin's server is running: it does the work, this command only follows.", file=sys.stderr)
        try:
            ended = _follow(workspace, cycle.id)
        except KeyboardInterrupt:
            print(file=sys.stderr)
            if not here:
                print(f"The cycle goes on. `rixin renew pause {cycle.id}` stops it for a while.", file=sys.stderr)
            else:
                print(f"`rixin renew resume {cycle.id}` goes on from where it was. Saving …", file=sys.stderr)
            raise
    if ended.status == "failed":
        raise workspace.cycles.failure(ended)
    return ended


@contextmanager
def executing(workspace: Workspace, *only: str) -> Iterator[bool]:
    """These cycles are executed within, in this process, unless another one does that; yields which of both."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(workspace.running()),
        portal.wrap_async_context_manager(workspace.working(only)) as here,
    ):
        yield here


def _follow(workspace: Workspace, cycle_id: str) -> Cycle:
    """Tell of each step as it ends, until the cycle has ended or waits for a person."""
    console = Console(stderr=True, highlight=False)
    told: set[str] = set()
    with console.status("") as status:
        while True:
            cycle = workspace.cycles.get(cycle_id)
            told &= {step.name for step in cycle.steps}
            for step in cycle.steps:
                if step.finished_at is not None and step.name not in told:
                    told.add(step.name)
                    console.print(f"{step.name:<9} {duration(step.seconds):>8}  {step.said.en}", markup=False)
            if cycle.ended or cycle.status == "paused":
                return cycle
            status.update(f"{cycle.step or 'waiting'} …")
            time.sleep(POLL_S)


def _tell(cycle: Cycle) -> None:
    if cycle.reason is not None:
        print(cycle.reason.en)
    elif cycle.error is not None:
        print(f"Failed: {cycle.error.get('message')} `rixin renew resume {cycle.id}` tries again.")
    elif cycle.ended or cycle.status == "paused":
        print(f"{cycle.id} is {cycle.status}.")


def facts_of(cycle: Cycle) -> dict[str, object]:
    """All that is known of it, for programs."""
    why = occasion(cycle.why)
    return {
        "id": cycle.id,
        "alias": cycle.alias,
        "why": why.en,
        "why_zh": why.zh,
        "status": cycle.status,
        "step": cycle.step,
        "outcome": cycle.outcome,
        "reason": cycle.reason.en if cycle.reason else None,
        "reason_zh": cycle.reason.zh if cycle.reason else None,
        "error": dict(cycle.error) if cycle.error else None,
        "made": msgspec.to_builtins(cycle.made),
        "seconds": cycle.seconds,
        "created": cycle.created_at.isoformat(timespec="seconds"),
        "finished": cycle.finished_at.isoformat(timespec="seconds") if cycle.finished_at else None,
        "steps": [
            {
                "name": step.name,
                "said": step.said.en,
                "said_zh": step.said.zh,
                "seconds": step.seconds,
                "attempts": step.attempts,
                "finished": step.finished_at is not None,
                "values": dict(step.values),
            }
            for step in cycle.steps
        ],
        "plan": msgspec.to_builtins(cycle.plan),
    }


def _show_plan(workspace: Workspace, plan: RenewalPlan, *, as_json: bool) -> None:
    new, since = workspace.cycles.news(plan.alias)
    if as_json:
        print_json({"plan": msgspec.to_builtins(plan), "new_items": new, "since": since and since.isoformat()})
        return
    for name, value in msgspec.to_builtins(plan).items():
        if value not in (None, "", ()):
            print(f"{name.replace('_', ' '):<13} {_plain(value)}")
    when = f" since {since:%Y-%m-%d %H:%M}" if since else ""
    print(f"{new} new items of feedback{when}; {plan.needs} are needed. Steps: {', '.join(STEPS)}.")


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name}={one}" for name, one in value.items() if one is not None)
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
