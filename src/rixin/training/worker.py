"""The process that trains: `python -m rixin.training.worker RUN_FOLDER`.

It saves and ends when it gets SIGTERM or when the process that started it is gone, and leaves word of how it ended.
Several train one run together where torchrun starts them: `torchrun --nproc-per-node 2 -m rixin.training.worker …`.
"""

import logging
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from filelock import FileLock

from rixin.compute import be_child
from rixin.training.answers import AskedToStop
from rixin.training.ending import Ending, Failure, forget_ending, write_ending
from rixin.training.events import in_force, read_events
from rixin.training.handover import hand_over
from rixin.training.loop import train
from rixin.training.measure import correct_speed
from rixin.training.memory import explained_memory
from rixin.training.objective import Objective
from rixin.training.objectives.causal import CausalLearning
from rixin.training.objectives.sft import SupervisedFineTuning
from rixin.training.parallel import ALONE, World, join_world
from rixin.training.plan import PLAN_FILE, Plan, load
from rixin.training.precision import gemm_bound
from rixin.training.recorder import Recorder
from rixin.training.run import EVENTS_FILE
from rixin.training.stop import StopSignal
from rixin.training.threads import settle
from rixin.training.transformer import Transformer
from rixin.training.workshop import Workshop

OTHER_SAVES_S = 600.0
STARTED_BY_TORCHRUN = "WORLD_SIZE"

log = logging.getLogger(__name__)


def main() -> None:
    """Train what the plan in the folder says, from its newest checkpoint on."""
    stop = StopSignal()
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO)
    folder = Path(sys.argv[1]).resolve()
    with ExitStack() as stack:
        if STARTED_BY_TORCHRUN in os.environ:
            stack.enter_context(stop.on_signals())
        else:
            be_child(lambda: stop.request("asked to stop"))
        world = stack.enter_context(join_world())
        if world.leads:
            # A worker whose parent was killed may still be saving: two must never write into one folder.
            stack.enter_context(FileLock(folder / "worker.lock", timeout=OTHER_SAVES_S))
            forget_ending(folder)
        try:
            with explained_memory():
                ending = work(folder, stop, world)
        except Exception as error:  # the process's boundary: whoever started it gets to know
            log.exception("The run failed")
            ending = Ending("failed", failure=Failure.of(error))
        if world.leads:
            write_ending(folder, ending)
    if ending.status == "failed" and world.size > 1:
        sys.exit(1)  # so that torchrun ends the others


def work(folder: Path, stop: StopSignal, world: World = ALONE) -> Ending:
    """The run in `folder`, which lies in RIXIN_HOME/runs. Raises whatever stands in its way."""
    home = folder.parent.parent
    plan = load(folder, PLAN_FILE, Plan)
    settle(max(1, plan.measured.cores // world.here))
    try:
        shop = world.leader_first(lambda: Workshop(home, folder, plan.assignment, stop=stop))
    except AskedToStop as asked:
        return Ending("stopped", reason=str(asked))
    model = shop.model(plan.values, plan.measured.precision)
    objective = world.leader_first(lambda: shop.objective(model, plan.values, folder))
    ended = train(
        model,
        objective,
        shop.settings(plan.values),
        folder,
        Recorder(folder),
        stop=stop,
        world=world,
        samples=shop.samples(),
        bound_tokens_per_second=_bound(model, objective),
    )
    if ended.error is not None:
        raise ended.error
    if ended.status == "finished" and world.leads:
        steps = [event for event in in_force(read_events(folder / EVENTS_FILE)) if event.kind == "step"]
        speeds = [step.values["tokens_per_second"] for step in steps]
        correct_speed(home, plan.measured, [speed for speed in speeds if isinstance(speed, float)])
        base = plan.assignment.bases.get("model")
        base_name = plan.name if base is None else base.name
        hand_over(
            model, folder, name=plan.name, base_folder=shop.base, base_name=base_name, held=shop.material.held_tokens
        )
    return Ending(ended.status, reason=ended.reason, step=ended.step, metrics=ended.metrics)


def _bound(model: Transformer, objective: Objective[Any]) -> float | None:
    """Tokens a second that the products of a step alone would allow; None where a step also samples or has no packs."""
    if not isinstance(objective, SupervisedFineTuning | CausalLearning):
        return None
    packs = objective.batch(0, model).parts
    largest = max(packs, key=lambda pack: len(pack.tokens))
    bound = gemm_bound(
        model.shape,
        rank=next((linear.adapter.rank for linear in model.linears() if linear.adapter is not None), None),
        tokens=len(largest.tokens),
        predicted=len(largest.predict_at),
        dtype=model.head.dtype,
        rounds=2,
    )
    return len(largest.tokens) / bound.seconds


if __name__ == "__main__":
    main()
