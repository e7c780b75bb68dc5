"""What training does to a real model: each objective on held-out rows, before the first step and after the last.

`python benchmarks/objectives.py --only sft,dpo,grpo` prints a JSON line a figure. SmolLM2-135M with LoRA, rows of the
dataset catalogue (`sft`, `dpo`) or made here (`grpo`: sums with a checker). The steps are few: it is to be seen that
each objective teaches what it says, not how far it can go.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

import rixin
from rixin.data import AnyExample, TaskExample, Turn, pull_dataset, split
from rixin.models import Progress, Version, install, open_weights
from rixin.text import Tokens
from rixin.training.loop import train
from rixin.training.loop_settings import LoopSettings
from rixin.training.lora import add_lora
from rixin.training.objective import Objective
from rixin.training.objectives import (
    DirectPreference,
    GroupRelativePolicy,
    Mixture,
    Pace,
    Reader,
    SupervisedFineTuning,
)
from rixin.training.precision import choose_precision
from rixin.training.recorder import Recorder
from rixin.training.rewards import Arithmetic
from rixin.training.rollout import Trying, figures_of, roll_out
from rixin.training.transformer import Transformer, load_transformer
from rixin.workspace import Workspace

HOME = Path(__file__).parents[1] / ".cache" / "benchmark-home"
MODEL = "smollm2-135m-instruct"
SEED = 0


@dataclass(frozen=True)
class Bench:
    """A model's tokens, how to load it anew, and where the rows come from."""

    workspace: Workspace
    version: Version
    tokens: Tokens
    dtype: torch.dtype

    def model(self) -> Transformer:
        """The model with a new adapter."""
        model = load_transformer(open_weights(self.version), dtype=self.dtype)
        add_lora(model, rank=16, alpha=32, seed=SEED)
        return model

    def rows(self, name: str, held_out: float) -> tuple[list[AnyExample], list[AnyExample]]:
        """A dataset of the catalogue: rows to learn from, and rows held out."""
        datasets = self.workspace.datasets
        version = pull_dataset(
            datasets, name, npm_endpoint=self.workspace.settings.npm_endpoint, report=lambda progress: tell(progress)
        )
        rows = list(datasets.open(version))
        halves = split(rows, held_out)
        return [rows[at] for at in halves.train], [rows[at] for at in halves.validation]


@dataclass(frozen=True)
class Case:
    """An objective, how to train it, and which figure is to move from what to what."""

    objective: Objective[Any]
    model: Transformer
    learning_rate: float
    figure: str
    asked: str


def sft(bench: Bench, share: float) -> Case:
    """Answers in Chinese, from the 1,000 instructions of `alpaca-zh-demo`."""
    learn, held = bench.rows("alpaca-zh-demo", 0.06)
    reader = Reader(bench.tokens, 512)
    lessons, held_out = reader.conversations(learn), reader.conversations(held)
    tell(f"sft: {lessons.fit}; held out: {held_out.fit}")
    pace = Pace(steps(24, share), parts_per_step=2, part_tokens=1024, seed=SEED)
    objective = SupervisedFineTuning(Mixture(lessons.trees, pace), held_out.trees, pace)
    return Case(objective, bench.model(), 1e-3, "loss", "lower")


def dpo(bench: Bench, share: float) -> Case:
    """The 300 Chinese pairs of `dpo-zh-demo`, cut to 320 tokens a side."""
    learn, held = bench.rows("dpo-zh-demo", 0.2)
    reader = Reader(bench.tokens, 320, too_long="cut")
    lessons, held_out = reader.pairs(learn), reader.pairs(held)
    tell(f"dpo: {lessons.fit}; held out: {held_out.fit}")
    pace = Pace(steps(40, share), parts_per_step=2, part_tokens=1024, seed=SEED)
    model = bench.model()
    objective = DirectPreference(
        lessons.trees, held_out.trees, pace, model=model, folder=Path(tempfile.mkdtemp()), beta=0.1
    )
    return Case(objective, model, 3e-4, "accuracy", "at least 10 points more")


def sums(count: int, seed: int) -> list[TaskExample]:
    """Different questions for the sum of two numbers from 2 to 14."""
    draw = random.Random(seed)
    found = {(a, b) for a in range(2, 15) for b in range(2, 15)}
    return [
        TaskExample(prompt=(Turn(role="user", content=f"What is {a} + {b}?"),), answer=str(a + b))
        for a, b in draw.sample(sorted(found), count)
    ]


class Trial(GroupRelativePolicy):
    """Also shows how many of 2 answers to each held-out task pass if sampled at temperature 1, as GRPO tries them."""

    def validate(self, model: Transformer) -> Mapping[str, float]:
        trying = replace(self._trying, samples=2)
        tried = figures_of(roll_out(model, self._held_out, trying, self._reward, SEED), trying.max_tokens)
        return {**super().validate(model), "sampled_pass_rate": tried["pass_rate"]}


def grpo(bench: Bench, share: float) -> Case:
    """Sums with a checker: the last number of the answer has to be the right one."""
    tasks = sums(169, SEED)
    reader = Reader(bench.tokens, 512)
    learn = reader.tasks(tasks[:129], answer_tokens=24).prompts
    held = reader.tasks(tasks[129:], answer_tokens=24).prompts
    pace = Pace(steps(30, share), parts_per_step=1, part_tokens=2048, seed=SEED)
    trying = Trying(
        samples=8,
        max_tokens=24,
        temperature=1.0,
        end_ids=bench.tokens.end_tokens,
        text_of=lambda made: b"".join(map(bench.tokens.bytes_of, made)).decode(errors="replace"),
    )
    model = bench.model()
    objective = Trial(
        learn,
        held,
        pace,
        model=model,
        folder=Path(tempfile.mkdtemp()),
        trying=trying,
        reward=Arithmetic(),
        prompts_per_step=8,
    )
    return Case(objective, model, 3e-4, "sampled_pass_rate", "at least doubled")


CASES: Mapping[str, Callable[[Bench, float], Case]] = {"sft": sft, "dpo": dpo, "grpo": grpo}


def steps(usual: int, share: float) -> int:
    """That share of the usual number of steps, at least one."""
    return max(1, round(usual * share))


def measure(name: str, case: Case) -> None:
    """Train, and print the figure before and after."""
    folder = Path(tempfile.mkdtemp(prefix=f"rixin-{name}-"))
    every = max(1, case.objective.steps // 2)
    settings = LoopSettings(learning_rate=case.learning_rate, schedule="cosine", seed=SEED, validate_every=every)
    began = time.monotonic()
    outcome = train(case.model, case.objective, settings, folder, Recorder(folder))
    seconds = time.monotonic() - began
    if outcome.status != "finished":
        raise SystemExit(f"{name}: {outcome.status}: {outcome.reason}")
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    seen = [event["values"] for event in events if event["kind"] == "validation"]
    line = {
        "name": name,
        "figure": case.figure,
        "before": round(seen[0][case.figure], 4),
        "after": round(seen[-1][case.figure], 4),
        "asked": case.asked,
        "curve": [round(one[case.figure], 4) for one in seen],
        "steps": case.objective.steps,
        "tokens": int(outcome.metrics["tokens"]),
        "seconds": round(seconds),
        "unit": "nats a token" if case.figure == "loss" else "share",
    }
    print(json.dumps(line), flush=True)
    tell(f"{name}: {seen[0]} -> {seen[-1]}; {folder}")


def tell(what: str | Progress) -> None:
    """To standard error."""
    print(what, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what `--only` names; `--share` of the usual steps, for a quick look."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(CASES))
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--threads", type=int, default=0, help="0: as many as there are processors")
    parser.add_argument("--home", type=Path, default=HOME)
    given = parser.parse_args(arguments)
    if given.threads:
        torch.set_num_threads(given.threads)
    with rixin.open(given.home) as workspace:
        version = install(workspace.models, MODEL)
        assert version.folder is not None
        bench = Bench(workspace, version, Tokens(version.folder), choose_precision().dtype)
        for name in given.only.split(","):
            measure(name, CASES[name](bench, given.share))


if __name__ == "__main__":
    main()
