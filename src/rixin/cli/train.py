"""`rixin train`: one command for each kind of training; the flags are the recipe's fields."""

import dataclasses
import sys
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter
from rich.console import Console

from rixin.cli.follow import follow, wait_until_saved
from rixin.cli.plan import plan_text
from rixin.training import CHAINS, KINDS, Recipe, Rlhf, Run, read_recipe, recipe_of
from rixin.workspace import Workspace, open_workspace

app = App(
    name="train",
    help="Train a model. `--minutes` or `--tokens` is the one dial; everything else follows, unless you say it.",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class How:
    """What is said of the run itself."""

    dry_run: Annotated[bool, Parameter(negative=())] = dataclasses.field(
        default=False, metadata={"help": "Show the plan, and train nothing."}
    )
    queue: Annotated[bool, Parameter(negative=())] = dataclasses.field(
        default=False, metadata={"help": "Queue the run for the server, and don't wait for it."}
    )
    priority: Literal["high", "normal", "low"] = dataclasses.field(
        default="normal", metadata={"help": "Whose turn it is when several wait."}
    )


@app.default
def from_file(*, recipe: Path, how: Annotated[How | None, Parameter(name="*")] = None) -> None:
    """Train what a recipe file says.

    Parameters
    ----------
    recipe
        A TOML file: `kind` and the recipe's fields. Each run's folder has its own, recipe.toml.
    """
    start(read_recipe(recipe), how or How())


def start(recipe: Recipe, how: How) -> None:
    """Plan, show, queue, and follow or execute."""
    with open_workspace() as workspace:
        if isinstance(recipe, Rlhf):
            runs = workspace.runs.create_chain(recipe, priority=how.priority) if not how.dry_run else []
            print(_chain_text(recipe))
        else:
            runs = _planned(workspace, recipe, how)
        if not runs:
            return
        if how.queue:
            elsewhere = workspace.runs.executed_elsewhere()
            when = "The server runs it." if elsewhere else "It starts with the next `rixin up`."
            print(f"Queued as {runs[-1].id}. {when} `rixin runs follow {runs[-1].id}` shows it.", file=sys.stderr)
            return
        attend(workspace, runs)


def _planned(workspace: Workspace, recipe: Recipe, how: How) -> list[Run]:
    status = Console(stderr=True).status("Reading the data and trying a few steps …")
    with status, workspace.runs.planned(recipe) as planned:
        status.stop()
        print(plan_text(planned[0]), flush=True)
        if how.dry_run:
            return []
        return [workspace.runs.create(recipe, plan=planned, priority=how.priority)]


def attend(workspace: Workspace, runs: list[Run]) -> None:
    """Follow the runs, one after the other; execute them here where no other process does."""
    with workspace.runs.executing(only=[run.id for run in runs]) as here:
        if not here:
            print("Rixin's server is running: it does the work, this command only follows.", file=sys.stderr)
        for run in runs:
            print(f"\n{run.id} ({run.kind})", file=sys.stderr)
            _follow(workspace, run, here=here)


def _follow(workspace: Workspace, run: Run, *, here: bool) -> None:
    try:
        ended = follow(workspace, run.id)
    except KeyboardInterrupt:
        print(file=sys.stderr)
        if not here:
            print(f"The run goes on. `rixin runs pause {run.id}` stops it for a while.", file=sys.stderr)
            raise
        print("Saving; once more Ctrl-C to leave at once …", file=sys.stderr)
        if not workspace.runs.get(run.id).ended:
            workspace.runs.pause(run)
            wait_until_saved(workspace, run.id)
        print(f"Paused. `rixin runs resume {run.id}` goes on from where it was.", file=sys.stderr)
        raise
    report(workspace, ended)


def report(workspace: Workspace, run: Run) -> None:
    """Say how it ended. Raises the error of a run that failed."""
    if run.status == "failed":
        raise workspace.runs.failure(run)
    if run.status != "finished" or run.version_id is None:
        print(f"{run.id} is {run.status}. {run.note or ''}".rstrip(), file=sys.stderr)
        return
    card = workspace.models.get(run.version_id).card
    before, after = (_loss(card.get(name)) for name in ("metrics_before", "metrics"))
    change = f" Validation loss {before:.3f} → {after:.3f}." if before is not None and after is not None else ""
    print(f"{run.name} ({run.version_id}) is ready.{change}", file=sys.stderr)
    if run.kind != "reward":
        print(f"Ask it: rixin ask --model {run.name} 'your question'", file=sys.stderr)
    print(f"What happened is in {run.folder} (loss.png, events.jsonl, tensorboard/).", file=sys.stderr)


def _loss(metrics: object) -> float | None:
    value = metrics.get("loss") if isinstance(metrics, dict) else None
    return float(value) if isinstance(value, int | float) else None


def _chain_text(recipe: Rlhf) -> str:
    return (
        f"Three runs, one after the other: {recipe.model} learns from {recipe.data}; a reward model from "
        f"{recipe.preferences}; then the first tries answers and the second says which are good."
    )


def _command(kind: str, recipe: type[Recipe]) -> Callable[..., None]:
    """A command whose flags are the recipe's fields; `data` comes first, without a flag."""

    def train(data: str, /, *, options: Any = None, how: Any = None) -> None:
        given = {} if options is None else dataclasses.asdict(options)
        start(recipe_of(kind, {"data": data, **given}), how or How())

    train.__doc__ = f"{(recipe.__doc__ or '').strip()}\n\nParameters\n----------\ndata\n    {_help(recipe, 'data')}"
    train.__name__ = kind
    train.__annotations__["options"] = Annotated[_options(recipe) | None, Parameter(name="*")]
    train.__annotations__["how"] = Annotated[How | None, Parameter(name="*")]
    return train


def _options(recipe: type[Recipe]) -> type:
    fields: list[tuple[str, Any, Any]] = []
    hints = _hints(recipe)
    for one in dataclasses.fields(recipe):
        if one.name != "data":
            made = dataclasses.field(default=one.default, metadata=one.metadata, kw_only=True)
            fields.append((one.name, Annotated[hints[one.name], Parameter(negative=())], made))
    made = dataclasses.make_dataclass(f"{recipe.__name__}Options", fields, frozen=True, kw_only=True)
    made.__module__ = __name__  # cyclopts takes what is of the module `types` for built in
    return made


def _hints(recipe: type[Recipe]) -> dict[str, Any]:
    return typing.get_type_hints(recipe)


def _help(recipe: type[Recipe], name: str) -> str:
    return str(next(one.metadata["help"] for one in dataclasses.fields(recipe) if one.name == name))


for _kind, _recipe in {**KINDS, **CHAINS}.items():
    app.command(_command(_kind, _recipe), name=_kind)
