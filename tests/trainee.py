"""A tiny run for tests of the loop; as a program, it lives in processes that can be killed."""

import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import torch

from rixin.training.batch import Pack, Segment
from rixin.training.head_loss import cross_entropy
from rixin.training.loop import Outcome, train
from rixin.training.loop_settings import LoopSettings
from rixin.training.lora import add_lora
from rixin.training.objective import Batch, Loss
from rixin.training.parallel import join_world
from rixin.training.recorder import Recorder
from rixin.training.shape import Shape
from rixin.training.stop import StopSignal
from rixin.training.transformer import Transformer, new_transformer

TINY = Shape(
    architecture="llama",
    layers=2,
    hidden=64,
    heads=4,
    kv_heads=2,
    head_size=16,
    feed_forward=96,
    vocabulary=61,
    context=128,
    norm_epsilon=1e-5,
    rope_theta=10_000.0,
    tied=True,
)


def tiny_model(*, dtype: torch.dtype = torch.float32, lora: bool = False) -> Transformer:
    """Two layers of random weights, all trained or with adapters."""
    model = new_transformer(TINY, seed=1, dtype=dtype)
    if lora:
        add_lora(model, rank=4, alpha=8, seed=2)
    return model


def counting_pack(random: Random, sequences: int = 3, length: int = 12) -> Pack:
    """Sequences in which each token is the one before plus a fixed number: soon learnt."""
    tokens: list[int] = []
    for _ in range(sequences):
        start, by = random.randrange(TINY.vocabulary), random.choice((1, 2))
        tokens += [(start + by * place) % TINY.vocabulary for place in range(length)]
    at = [sequence * length + place for sequence in range(sequences) for place in range(length - 1)]
    return Pack(
        tokens=torch.tensor(tokens),
        segments=tuple(Segment(length) for _ in range(sequences)),
        predict_at=torch.tensor(at),
        targets=torch.tensor([tokens[place + 1] for place in at]),
        sequence=torch.tensor([place // length for place in at]),
    )


@dataclass
class Counting:
    """Learn to count. `poison` says by step what to multiply the loss with; `pause_s` makes a step last longer.

    The loss has a bit of chance in it, so that a run that draws another chance ends with other weights.
    """

    steps: int
    parts: int = 2
    poison: Mapping[int, float] = field(default_factory=dict)
    pause_s: float = 0.0
    seen: list[int] = field(default_factory=list)
    step: int = 0

    def batch(self, step: int, model: Transformer) -> Batch[Pack]:
        self.seen.append(step)
        self.step = step
        random = Random(f"counting/{step}")
        parts = [counting_pack(random) for _ in range(self.parts)]
        return Batch(parts, weight=sum(len(part.targets) for part in parts), tokens=sum(len(p.tokens) for p in parts))

    def loss(self, model: Transformer, part: Pack) -> Loss:
        time.sleep(self.pause_s)
        total = cross_entropy(model, model(part), part, weights=0.9 + 0.2 * torch.rand(len(part.targets)))
        return Loss(total * self.poison.get(self.step, 1.0), sums={"half": float(total.detach()) / 2})

    def validate(self, model: Transformer) -> Mapping[str, float]:
        part = counting_pack(Random("held out"))
        return {"loss": float(cross_entropy(model, model(part), part)) / len(part.targets)}


def run_tiny(
    folder: Path,
    *,
    steps: int = 12,
    lora: bool = False,
    bfloat16: bool = False,
    poison: Mapping[int, float] | None = None,
    pause_s: float = 0.0,
    parts: int = 2,
    stop: StopSignal | None = None,
    **settings: Any,
) -> tuple[Outcome, Transformer, Counting]:
    """Train a tiny model in `folder`."""
    model = tiny_model(dtype=torch.bfloat16 if bfloat16 else torch.float32, lora=lora)
    objective = Counting(steps, parts=parts, poison=poison or {}, pause_s=pause_s)
    wanted = LoopSettings(**{"learning_rate": 3e-3, "seed": 5, **settings})
    with join_world() as world:
        outcome = train(model, objective, wanted, folder, Recorder(folder), stop=stop, world=world)
    return outcome, model, objective


def weights_hex(model: Transformer) -> dict[str, str]:
    """The bits of the trained weights."""
    return {
        name: bytes(w.detach().contiguous().view(torch.uint8).numpy()).hex() for name, w in model.trainable().items()
    }


def live(folder: Path, options: dict[str, Any]) -> None:
    """Train with the options given; write the weights' bits and the outcome when done."""
    torch.set_num_threads(1)
    rank = os.environ.get("RANK", "0")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"pid-{rank}").write_text(str(os.getpid()))
    if "poison" in options:
        options["poison"] = {int(step): float(factor) for step, factor in options["poison"].items()}
    stop = StopSignal()
    with stop.on_signals():
        outcome, model, _ = run_tiny(folder, stop=stop, **options)
    name = "outcome.json" if rank == "0" else f"outcome-{rank}.json"
    (folder / name).write_text(json.dumps({"status": outcome.status, "weights": weights_hex(model)}))


def main() -> None:
    """Given a folder and options, train there.

    Without, for each line of standard input, [folder, options], a new process trains; its number and its end are
    printed. It is forked, which spares it the seconds that importing torch takes.
    """
    if len(sys.argv) > 1:
        live(Path(sys.argv[1]), json.loads(sys.argv[2]))
        return
    for line in sys.stdin:
        folder, options = json.loads(line)
        child = os.fork()
        if child == 0:
            live(Path(folder), options)
            os._exit(0)
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
