"""A run's figures as a table, for spreadsheets and for clients of the fine-tuning API."""

import csv
import io
from collections.abc import Sequence

from rixin.training.events import Event, in_force

FIRST = ("step", "train_loss", "valid_loss")


def metrics_csv(events: Sequence[Event]) -> bytes:
    """One row a step: `train_loss`, `valid_loss` where it was validated, and every other figure."""
    rows: dict[int, dict[str, object]] = {}
    for event in in_force(events):
        if event.kind not in ("step", "validation"):
            continue
        row = rows.setdefault(event.step, {"step": event.step})
        for name, value in event.values.items():
            row[_name(event.kind, name)] = value
    others = sorted({name for row in rows.values() for name in row} - set(FIRST))
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, [*FIRST, *others], restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows[step] for step in sorted(rows))
    return out.getvalue().encode()


def _name(kind: str, name: str) -> str:
    if kind == "step":
        return "train_loss" if name == "loss" else name
    return "valid_loss" if name == "loss" else f"valid_{name}"
