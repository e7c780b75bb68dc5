"""A run in a terminal, and in a file."""

import io

from rich.console import Console

from rixin.training.bar import RunBar
from rixin.training.events import Event, Kind, Value

FIGURES: dict[str, Value] = {
    "loss": 1.23456,
    "tokens_per_second": 1234.5,
    "bound_share": 0.456,
    "memory": 3_600_000_000,
    "seconds_left": 125.4,
}
STORY: list[tuple[Kind, int, dict[str, Value]]] = [
    ("started", 0, {"steps": 20}),
    ("validation", 0, {"loss": 4.0, "accuracy": 0.5}),
    ("step", 10, FIGURES),
    ("skipped", 11, {"reason": "The loss is nan."}),
    ("rolled_back", 3, {"reason": "The loss is nan.", "rate_factor": 0.5}),
    ("paused", 4, {"message": "The disk is full. [/bold]"}),
    ("checkpoint", 5, {}),
    ("step", 20, {**FIGURES, "bound_share": None}),
    ("finished", 20, {"reason": None}),
]


def shown(terminal: bool) -> str:
    out = io.StringIO()
    with RunBar(Console(file=out, force_terminal=terminal, width=120, color_system=None)) as bar:
        for seq, (kind, step, values) in enumerate(STORY, 1):
            bar(Event(seq, 0.0, kind, step, values))
    return out.getvalue()


def test_a_terminal_shows_a_bar_with_the_figures() -> None:
    text = shown(terminal=True)
    assert "step 20/20" in text
    assert "loss 1.235, validation 4, 1,234 tok/s" in text
    assert "3.6 GB, 2:05 left" in text


def test_a_file_gets_the_lines_only() -> None:
    assert [line for line in shown(terminal=False).splitlines() if line] == [
        "Step 0: validation loss 4, accuracy 0.5",
        "Step 11: the batch was skipped. The loss is nan.",
        "Back to step 3; the rate is 0.5 of the planned one from there. The loss is nan.",
        "The disk is full. [/bold]",
        "Step 20: finished.",
    ]


def test_a_figure_that_is_missing_is_no_crash() -> None:
    with RunBar(Console(file=io.StringIO(), force_terminal=True)) as bar:
        bar(Event(1, 0.0, "step", 1, {**FIGURES, "loss": None}))
