"""A plan, to be read before it is agreed to: what is trained on what, what was derived, and what it takes."""

from rixin.cli.diagnosis import size
from rixin.cli.follow import duration
from rixin.training import Plan

_VERBS = {
    "sft": "Teach {base} from {data}",
    "dpo": "Teach {base} what is preferred, from {data}",
    "kto": "Teach {base} what is good and bad, from {data}",
    "reward": "Make {base} a judge of answers, from {data}",
    "grpo": "Let {base} try, and strengthen what is right, on {data}",
    "distill": "Teach {base} to answer as {teacher}, on {data}",
    "continue": "Go on training {base} on {data}",
    "pretrain": "Train a new model on {data}",
}


def plan_text(plan: Plan) -> str:
    """Sentences and a table; `*` marks what the dial derived."""
    assignment, values, measured = plan.assignment, plan.values, plan.measured
    names = {role: f"{base.name} ({base.version})" for role, base in assignment.bases.items()}
    data = assignment.sources["data"]
    shown = f"{data.name} ({data.rows:,} rows, {data.id})"
    what = _VERBS[assignment.kind].format(
        base=names.get("model", ""),
        teacher=names.get("teacher", ""),
        data=shown,
    )
    learnt = f"{values.epochs:.1f} times" if values.epochs >= 1 else f"{100 * values.epochs:.0f}% of"
    mark = {name: "*" if name in plan.derived else "" for name in values.__struct_fields__}
    rows = [
        ("learns", f"{values.tokens:,} tokens{mark['tokens']}: {learnt} the data's {measured.tokens:,}"),
        ("", f"in {values.steps:,} steps{mark['steps']} of {values.batch_tokens:,} tokens{mark['batch_tokens']}"),
        (
            "rate",
            f"{values.learning_rate:.2g}{mark['learning_rate']}, rising for {values.warmup_share:.0%}"
            f"{mark['warmup_share']} of the steps",
        ),
    ]
    if measured.trainable < measured.parameters:
        rank = f"rank {values.lora_rank}{mark['lora_rank']}: " if assignment.recipe.get("method") == "lora" else ""
        rows.append(
            ("adapter", f"{rank}{_count(measured.trainable)} beside the model's {_count(measured.parameters)} weights")
        )
    else:
        rows.append(("weights", f"all {_count(measured.parameters)}"))
    held = f"{measured.held_out:,} rows held out, every {values.validate_every} steps{mark['validate_every']}"
    rows.append(("validates", held if measured.held_out else "never: nothing is held out"))
    if measured.left_out:
        rows.append(("left out", f"{measured.left_out:,} rows longer than {measured.context:,} tokens (--context)"))
    cores = f"{measured.cores} core{'s' * (measured.cores != 1)}"
    known = "measured here before" if measured.cached else "measured here just now"
    rows += [
        ("speed", f"{measured.tokens_per_second:,.0f} tokens/s in {measured.precision} on {cores}, {known}"),
        ("time", f"about {duration(plan.seconds)}, with loading and export"),
        ("memory", f"about {size(plan.memory_bytes)}"),
        ("disk", f"about {size(plan.disk_bytes)}"),
        ("cost", _cost(plan)),
    ]
    table = "\n".join(f"  {name:<10} {text}".rstrip() for name, text in rows)
    return f"{what}; the model will be called {plan.name}.\n\n{table}\n\n  * derived; a value you give wins."


def _count(number: int) -> str:
    return f"{number:,}" if number < 100_000 else f"{number / 1e6:.1f} million"


def _cost(plan: Plan) -> str:
    cost = plan.cost
    core_hours = f"{cost.core_seconds / 3600:.2g} core-hours"
    energy = (
        f"about {cost.kilowatt_hours * 1000:.2g} Wh" if cost.kilowatt_hours < 1 else f"{cost.kilowatt_hours:.2g} kWh"
    )
    if cost.price is not None:
        return f"{cost.price:.2f} for {core_hours} at {cost.basis}; {energy}"
    return f"{core_hours}, {energy} at {cost.basis}"
