"""What is kept of a run with the model that came of it: enough to make it again."""

import importlib.metadata
from collections.abc import Sequence
from pathlib import Path

import msgspec

from rixin.training.events import Event, in_force
from rixin.training.plan import Plan
from rixin.training.run import Run


def card_of(run: Run, plan: Plan, events: Sequence[Event]) -> dict[str, object]:
    """Base and data with their versions, recipe, seed, settled values, figures, software."""
    validations = [event for event in in_force(events) if event.kind == "validation"]
    return {
        "run": run.id,
        "kind": run.kind,
        "recipe": {name: value for name, value in run.recipe.items() if value is not None},
        "seed": run.recipe.get("seed"),
        "settled": msgspec.to_builtins(plan.values),
        "precision": plan.measured.precision,
        "data": {role: msgspec.to_builtins(source) for role, source in plan.assignment.sources.items()},
        "metrics": dict(validations[-1].values) if validations else {},
        "metrics_before": dict(validations[0].values) if validations else {},
        "software": {
            "rixin": importlib.metadata.version("rixin"),
            "commit": _commit(),
            "torch": importlib.metadata.version("torch"),
        },
    }


def _commit() -> str | None:
    """The commit of the checkout that this runs from, if it is one."""
    git = Path(__file__).resolve().parents[3] / ".git"
    try:
        head = (git / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return head
        reference = head.removeprefix("ref: ")
        if (git / reference).is_file():
            return (git / reference).read_text().strip()
        packed = (git / "packed-refs").read_text().splitlines()
    except OSError:
        return None
    return next((line.split()[0] for line in packed if line.endswith(f" {reference}")), None)
