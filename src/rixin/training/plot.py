"""`loss.png`: a Run at one glance."""

import io
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from rixin.training.events import Event, Value

BLUE, ORANGE, RED, GREY = "#2a6fbb", "#d9730d", "#c0392b", "#8a8f98"
SMOOTH_SHARE = 0.02  # of the steps so far: over how many a point of the smooth line averages
LEAST_SMOOTH = 5


def draw_loss(events: Sequence[Event], path: Path) -> None:
    """Draw the losses, and below them the rate and the gradient's norm, of the events that are in force.

    The file is replaced as a whole. Raises OSError.
    """
    figure = Figure(figsize=(9, 6), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    _draw_losses(upper, events)
    _draw_pace(lower, events)
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    temporary = path.with_name(f".{path.name}.writing")
    temporary.write_bytes(picture.getvalue())
    temporary.replace(path)


def _draw_losses(axes: Axes, events: Sequence[Event]) -> None:
    steps, losses = _series(events, "step", "loss")
    axes.plot(steps, losses, color=BLUE, alpha=0.25, linewidth=0.8)
    axes.plot(steps, _smooth(losses), color=BLUE, linewidth=1.8, label="training loss, smoothed")
    at, validation = _series(events, "validation", "loss")
    if at:
        axes.plot(at, validation, color=ORANGE, marker="o", markersize=4, linewidth=1.4, label="validation loss")
        axes.annotate(
            f"{validation[-1]:.3f}",
            (at[-1], validation[-1]),
            xytext=(0, 7),
            textcoords="offset points",
            ha="right",
            color=ORANGE,
        )
    for kind, style, label in (("skipped", ":", "batch skipped"), ("rolled_back", "--", "rolled back to")):
        for number, event in enumerate(event for event in events if event.kind == kind):
            axes.axvline(event.step, color=RED, linestyle=style, linewidth=1, label="" if number else label)
    axes.set_ylabel("loss")
    axes.grid(alpha=0.25)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False)


def _draw_pace(axes: Axes, events: Sequence[Event]) -> None:
    axes.plot(*_series(events, "step", "learning_rate"), color=GREY, linewidth=1.4)
    axes.set_ylabel("learning rate", color=GREY)
    axes.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    axes.set_xlabel("step")
    axes.grid(alpha=0.25)
    norms = axes.twinx()
    norms.plot(*_series(events, "step", "gradient_norm"), color=BLUE, alpha=0.5, linewidth=0.8)
    norms.set_ylabel("gradient norm", color=BLUE)
    norms.set_ylim(bottom=0)


def _series(events: Sequence[Event], kind: str, name: str) -> tuple[list[int], list[float]]:
    pairs = [(event.step, event.values.get(name)) for event in events if event.kind == kind]
    there = [(step, _number(value)) for step, value in pairs if value is not None]
    return [step for step, _ in there], [value for _, value in there]


def _number(value: Value) -> float:
    assert isinstance(value, int | float)
    return float(value)


def _smooth(values: Sequence[float]) -> list[float]:
    """Exponential average, corrected at its beginning (as Adam's)."""
    keep = 1 - 1 / max(LEAST_SMOOTH, SMOOTH_SHARE * len(values))
    total = weight = 0.0
    smooth = []
    for value in values:
        total = keep * total + (1 - keep) * value
        weight = keep * weight + (1 - keep)
        smooth.append(total / weight)
    return smooth
