"""Train: a Run from conversations, then one from pairs, each queued once and waited for."""

import dataclasses

from rixin.errors import Conflict
from rixin.models import Version
from rixin.renewal.cycle import Words
from rixin.renewal.plan import GENTLE
from rixin.renewal.steps.dataset import STAGES
from rixin.renewal.steps.turn import POLL_S, Done, Halt, Turn
from rixin.renewal.steps.values import Built, Trained, TrainedRun
from rixin.store import new_id
from rixin.training import Recipe, Run, recipe_of

RENEWED = "-renewed"
# Of the time that is left, what training may take: both versions are still to be asked.
SHARE_OF_TIME = 0.6
LEAST_MINUTES = 0.2
# How much the better answers are learned as such beside the margins, which alone broke a small model's language. The
# whole weight taught what is common to the better answers, and less of what made them better (LOG.md).
CHOSEN_TOO = 0.1


def train(turn: Turn) -> Done:
    """What the alias means now learns; the last Run's Version is the candidate."""
    registry = turn.house.models
    if turn.made.base is None:
        turn.make(base=registry.get(turn.house.table.pointed(turn.plan.alias)).id)
    base = registry.get(turn.made.base or "")
    stages = [stage for stage in STAGES if stage in turn.made.datasets]
    model = base
    trained: list[TrainedRun] = []
    for at, stage in enumerate(stages):
        last = at == len(stages) - 1
        run = _finished(turn, _run(turn, stage, model, base, last=last, of=len(stages) - at))
        assert run.version_id is not None
        model = registry.get(run.version_id)
        trained.append(_told(turn, stage, run, model))
    turn.make(version=model.id)
    values = Trained(base=base.id, runs=trained)
    hours = sum(one.core_hours for one in trained)
    minutes = sum(one.seconds for one in trained) / 60
    return Done(
        Words(
            f"{base.model_name} learned for {minutes:.1f} minutes ({hours:.2f} core-hours): "
            f"{model.model_name} ({model.id}).",
            f"{base.model_name} 学习了 {minutes:.1f} 分钟（{hours:.2f} 核时），得到 {model.model_name}（{model.id}）。",
        ),
        values,
    )


def _run(turn: Turn, stage: str, model: Version, base: Version, *, last: bool, of: int) -> Run:
    """The stage's Run: planned within the time that is left, and queued under an id that was kept before."""
    runs = turn.house.runs
    known = turn.made.runs.get(stage)
    if known is None:
        known = new_id("run")
        turn.make_run(stage, known)
    elif runs.there(known):
        return runs.get(known)
    name = base.model_name.removesuffix(RENEWED)[: 96 - len(RENEWED) - 4] + RENEWED
    recipe = _recipe(turn, stage, model, name if last else f"{name}-{stage}")
    minutes = max(SHARE_OF_TIME * turn.seconds_left / 60 / of, LEAST_MINUTES)
    with runs.planned(recipe) as planned:
        turn.look()
        if planned[0].seconds <= 60 * minutes:
            return runs.create(recipe, plan=planned, id=known)
    # More than there is time for: the dial then says how much of the data is gone through.
    return runs.create(dataclasses.replace(recipe, epochs=None, minutes=minutes), id=known)


def _recipe(turn: Turn, stage: str, model: Version, name: str) -> Recipe:
    wanted = turn.plan.training
    usual = GENTLE if stage == "sft" else 1.0
    fields: dict[str, object] = {
        "name": name,
        "model": model.id,
        "data": turn.made.datasets[stage],
        "method": wanted.method,
        "epochs": wanted.epochs,
        "lora_rank": wanted.lora_rank,
        "learning_rate_factor": wanted.learning_rate_factor or usual,
        "seed": wanted.seed,
    }
    if stage == "dpo":
        fields["sft_weight"] = CHOSEN_TOO
    if stage == "sft" and turn.plan.replay is not None:
        fields |= {"replay": turn.plan.replay.dataset, "replay_share": turn.plan.replay.share}
    return recipe_of(stage, fields)


def _finished(turn: Turn, run: Run) -> Run:
    """Wait for the Run. Raises its error if it fails, and Halt."""
    runs = turn.house.runs
    if run.status in ("paused", "failed") or run.wanted == "pause":
        runs.resume(run)  # with the Cycle, which was resumed too
    while not (run := runs.get(run.id)).ended:
        if run.status == "paused" or (run.status == "queued" and run.note):  # by a person; for compute to be free
            with turn.waiting():
                turn.sleep(POLL_S)
        else:
            turn.sleep(POLL_S)
        if turn.plan.core_hours and _core_hours(turn) > turn.plan.core_hours:
            raise Halt("core_hours")
    turn.require_standing()  # a Run whose data was withdrawn ends too: that is why, then
    if run.status == "failed":
        raise runs.failure(run)
    if run.status == "cancelled":
        raise Conflict(
            f"The run {run.id} was cancelled.", fix=f"`rixin renew repeat {turn.cycle.id} train` trains anew."
        )
    return run


def _core_hours(turn: Turn) -> float:
    runs = turn.house.runs
    return sum(runs.used_core_seconds(runs.get(one)) for one in turn.made.runs.values() if runs.there(one)) / 3600


def _told(turn: Turn, stage: str, run: Run, version: Version) -> TrainedRun:
    built = next(one for one in turn.values(Built).datasets if one.role == stage)
    began, ended = run.started_at, run.finished_at
    return TrainedRun(
        stage=stage,
        run_id=run.id,
        version_id=version.id,
        seconds=(ended - began).total_seconds() if began and ended else 0.0,
        core_hours=turn.house.runs.used_core_seconds(run) / 3600,
        rows=built.rows,
        loss_before=_loss(version.card.get("metrics_before")),
        loss_after=_loss(version.card.get("metrics")),
    )


def _loss(metrics: object) -> float | None:
    value = metrics.get("loss") if isinstance(metrics, dict) else None
    return float(value) if isinstance(value, int | float) else None
