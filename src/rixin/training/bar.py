"""A Run in one line of a terminal."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from rixin.training.events import Event, Value


class RunBar:
    """Shows events as they come: a bar with the time left, and lines for what a person should know.

    For a Recorder's `listeners`, or for events that were read; use it as a context manager. Where the console is no
    terminal only the lines are printed.
    """

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("step {task.completed:.0f}/{task.total:.0f}"),
            BarColumn(bar_width=None),
            TaskProgressColumn(),
            TextColumn("{task.description}", markup=False),
            console=console,
            disable=not console.is_terminal,
        )
        self._console = console
        self._task = self._progress.add_task("", total=1)
        self._validation: Value = None

    def __call__(self, event: Event) -> None:
        """Take in one event; those of a resumed or rolled back run set the bar back."""
        values = event.values
        self._progress.update(self._task, completed=event.step)
        if isinstance(steps := values.get("steps"), int):
            self._progress.update(self._task, total=steps)
        if event.kind == "validation":
            self._validation = values.get("loss")
        if event.kind == "step":
            self._progress.update(self._task, description=_figures(event, self._validation))
        if line := _line(event):
            self._console.print(line, markup=False, highlight=False)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()


def _line(event: Event) -> str | None:
    values = event.values
    match event.kind:
        case "validation":
            figures = ", ".join(f"{name} {_short(value)}" for name, value in values.items())
            return f"Step {event.step}: validation {figures}"
        case "resumed":
            return f"Resumed at step {event.step}."
        case "skipped":
            return f"Step {event.step}: the batch was skipped. {values['reason']}"
        case "rolled_back":
            factor = _short(values["rate_factor"])
            return f"Back to step {event.step}; the rate is {factor} of the planned one from there. {values['reason']}"
        case "note" | "paused" | "continued":
            return str(values["message"])
        case "stopped" | "failed":
            return f"Step {event.step}: {event.kind}. {values['reason']}"
        case "finished":
            return f"Step {event.step}: finished. {values['reason'] or ''}".rstrip()
        case _:
            return None


def _figures(event: Event, validation: Value) -> str:
    values = event.values
    pieces = [f"loss {_short(values['loss'])}"]
    if validation is not None:
        pieces.append(f"validation {_short(validation)}")
    pieces.append(f"{_number(values['tokens_per_second']):,.0f} tok/s")
    if values["bound_share"] is not None:
        pieces.append(f"{_number(values['bound_share']):.0%} of the bound")
    pieces.append(f"{_number(values['memory']) / 1e9:.1f} GB")
    minutes, seconds = divmod(round(_number(values["seconds_left"])), 60)
    pieces.append(f"{minutes}:{seconds:02} left")
    return ", ".join(pieces)


def _short(value: Value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _number(value: Value) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
