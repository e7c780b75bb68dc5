"""A short trial of a training, in a process of its own: `python -m rixin.training.measure FOLDER HOME`.

It reads the data as the run will, takes a few real steps on real batches and writes down what they took. The speed is
remembered for the same model, machine and sizes; a run that was faster corrects it when it ends.
"""

import hashlib
import json
import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median

import msgspec
import torch

from rixin.compute import be_child
from rixin.errors import RixinError
from rixin.training.dial import Facts, Settled, Wishes, settle
from rixin.training.ending import Ending, Failure, write_ending
from rixin.training.loop import optimizer_for
from rixin.training.memory import explained_memory, peak_memory
from rixin.training.objectives import Packs
from rixin.training.plan import ASSIGNMENT_FILE, MEASURED_FILE, Assignment, Measured, Values, load, save
from rixin.training.precision import choose_precision
from rixin.training.recipes import Method, Recipe, Tuning
from rixin.training.threads import settle as settle_threads
from rixin.training.workshop import Workshop

TRIAL_STEPS = 3  # at least, if they take no longer than TRIAL_S
MOST_TRIAL_STEPS, ENOUGH_TRIAL_S = 10, 6.0
STEPS_THAT_TELL = 20  # of a run: enough to correct what its trial measured
NO_RATE = 1e-12  # the trial teaches nothing
TRIAL_S = 12.0
MOST_ROWS = 20_000  # that are read; more of the same kind are counted as these
CACHE_FILE = "cache/speed.json"
MOST_REMEMBERED = 256
BUSY_PER_CORE = 1.6


class Speed(msgspec.Struct, frozen=True):
    """What is remembered of a trial."""

    tokens_per_second: float
    peak_bytes: int
    load_s: float
    precision: str
    trainable: int
    parameters: int


def main() -> None:
    """Measure, and leave word of it, or of why it failed."""
    be_child(lambda: sys.exit(1))
    folder, home = Path(sys.argv[1]), Path(sys.argv[2])
    try:
        with explained_memory():
            save(folder, MEASURED_FILE, measure(folder, home))
    except RixinError as error:
        write_ending(folder, Ending("failed", failure=Failure.of(error)))


def measure(folder: Path, home: Path) -> Measured:
    """The trial of the assignment in `folder`."""
    assignment = load(folder, ASSIGNMENT_FILE, Assignment)
    cores = settle_threads(assignment.threads or None)
    began = time.monotonic()
    shop = Workshop(home, folder, assignment, rows=MOST_ROWS)
    read_s = time.monotonic() - began - shop.conceived_s
    material = shop.material
    width = shop.shape.hidden
    read = len(material.lengths) + material.held_out + material.fit.left_out
    # What is replayed is mixed into the steps; it makes an epoch of the data no longer.
    rows = sum(source.rows for role, source in assignment.sources.items() if role != "replay")
    more = max(1.0, rows / max(read, 1))
    tokens = round(sum(material.lengths) * more)
    first = settle(
        wishes(shop.recipe),
        Facts(assignment.kind, width, tokens, rows=round(len(material.lengths) * more), method=_method(shop.recipe)),
    )
    part = max(first.part_tokens, *material.lengths)
    packs = Packs(material.lengths, part, shop.recipe.seed).in_epoch
    key = _key(shop, first, cores)
    speed = _remembered(home, key)
    known = speed is not None
    if speed is None:
        speed = _trial(shop, first, folder)
        if os.getloadavg()[0] < BUSY_PER_CORE * cores:  # else others were measured, not this machine
            _remember(home, key, speed)
    return Measured(
        rows=round(len(material.lengths) * more),
        held_out=round(material.held_out * more),
        left_out=round(material.fit.left_out * more),
        tokens=tokens,
        longest=max(material.lengths),
        context=shop.reader.context,
        fill=sum(material.lengths) / (packs * first.part_tokens),
        hidden=width,
        parameters=speed.parameters,
        trainable=speed.trainable,
        tokens_per_second=speed.tokens_per_second,
        peak_bytes=speed.peak_bytes,
        load_s=speed.load_s + read_s * more,
        precision=speed.precision,
        cores=cores,
        cached=known,
        speed_key=key,
    )


def wishes(recipe: Recipe) -> Wishes:
    """What the recipe says of what the dial settles."""
    names = Wishes.__dataclass_fields__
    return Wishes(**{name: getattr(recipe, name) for name in names if hasattr(recipe, name)})


def _trial(shop: Workshop, settled: Settled, folder: Path) -> Speed:
    precision = choose_precision()
    name = str(precision.dtype).removeprefix("torch.")
    began = time.monotonic()
    values = values_of(settled)
    model = shop.model(values, name)
    load_s = time.monotonic() - began
    objective = shop.objective(model, values, folder)
    optimizer = optimizer_for(model, shop.settings(values))
    began = time.monotonic()
    speeds: list[float] = []
    for step in range(MOST_TRIAL_STEPS):
        start = time.monotonic()
        batch = objective.batch(step, model)
        optimizer.clear()
        for part in batch.parts:
            objective.loss(model, part).total.backward()  # type: ignore[no-untyped-call]
        optimizer.update(NO_RATE, 1 / (batch.weight or 1.0))
        speeds.append(batch.tokens / (time.monotonic() - start))
        if time.monotonic() - began > (TRIAL_S if len(speeds) < TRIAL_STEPS else ENOUGH_TRIAL_S):
            break
    return Speed(
        # The first also pays for pages and kernels that are made once; others may be at work during some.
        tokens_per_second=median(speeds[1:] or speeds),
        peak_bytes=peak_memory(),
        load_s=load_s,
        precision=name,
        trainable=sum(one.numel() for one in model.trainable().values()),
        parameters=model.shape.parameters,
    )


def correct_speed(home: Path, measured: Measured, speeds: Sequence[float]) -> None:
    """Remember how fast a run was (tokens/s, of each step) if its trial was slower: others were at work then."""
    if len(speeds) < STEPS_THAT_TELL or not measured.speed_key:
        return
    known = _remembered(home, measured.speed_key)
    seen = median(speeds)
    if known is not None and seen > known.tokens_per_second:
        _remember(home, measured.speed_key, msgspec.structs.replace(known, tokens_per_second=seen))


def values_of(settled: Settled) -> Values:
    """As the plan keeps them."""
    return msgspec.convert(settled, Values, from_attributes=True)


def _method(recipe: Recipe) -> Method:
    return recipe.method if isinstance(recipe, Tuning) else "full"


def _key(shop: Workshop, settled: Settled, cores: int) -> str:
    assignment = shop.assignment
    base = assignment.bases["model"].version if "model" in assignment.bases else repr(shop.shape)
    sizes = (settled.part_tokens, settled.lora_rank, assignment.recipe.get("method"), cores)
    machine = (torch.backends.cpu.get_cpu_capability(), torch.__version__)
    told = json.dumps([assignment.kind, base, *sizes, *machine, assignment.recipe.get("group")])
    return hashlib.sha256(told.encode()).hexdigest()[:24]


def _remembered(home: Path, key: str) -> Speed | None:
    return _memory(home).get(key)


def _remember(home: Path, key: str, speed: Speed) -> None:
    """What can't be written (the disk is full) is measured again; no run fails of it."""
    known = {**_memory(home), key: speed}
    path = home / CACHE_FILE
    draft = path.with_suffix(f".{os.getpid()}")  # of two processes at once one is forgotten, neither is disturbed
    with suppress(OSError):
        path.parent.mkdir(exist_ok=True)
        draft.write_bytes(msgspec.json.encode(dict(list(known.items())[-MOST_REMEMBERED:])))
        draft.replace(path)


def _memory(home: Path) -> dict[str, Speed]:
    try:
        return msgspec.json.decode((home / CACHE_FILE).read_bytes(), type=dict[str, Speed])
    except (OSError, msgspec.DecodeError):
        return {}


if __name__ == "__main__":
    main()
