"""One dial: from how long to train, to everything else that a recipe leaves open.

Rules of thumb, each with where it comes from; whatever a person gives wins.
"""

import math
from dataclasses import dataclass

from rixin.training import sizing
from rixin.training.recipes import Method

# The best rate of LoRA is about ten times that of training all weights, and falls with the model's width.
# Source: Schulman et al. 2025, "LoRA Without Regret" (5e-4 at width 2,000 for chat data).
LORA_RATE = 5e-4
LORA_RATE_WIDTH = 2000
HIGHEST_RATE = 2e-3
FULL_PER_LORA = 0.1
RATE_OF_KIND = {
    "sft": 1.0,
    "distill": 1.0,
    "continue": 0.5,  # a model that has converged on text forgets quickly
    "reward": 0.5,
    "dpo": 0.1,  # the loss is flat where the policy is the reference; higher rates break the model's language
    "kto": 0.1,
    "grpo": 0.1,
}
SMALLEST_BATCH, LARGEST_BATCH = 1024, 32768
SMALLEST_OF_KIND = {"dpo": 2048, "kto": 2048, "reward": 2048}
PART_TOKENS = 2048  # what goes through the model at once; more makes no product faster here, and takes memory
PART_TOKENS_OF_KIND = {"pretrain": 8192}  # new models are narrow: smaller products would be mostly overhead
USUAL_EPOCHS = 3.0
USUAL_MINUTES = 60.0
VALIDATIONS = 10
OVERHEAD_SHARE = 0.1  # of the time, for validation, samples and checkpoints


@dataclass(frozen=True)
class Facts:
    """What is known before a training: of the model, the data, and (once measured) the speed.

    `tokens` is how many one pass over the data puts through the model, `fill` the share of a pack that they fill.
    """

    kind: str
    hidden: int
    tokens: int
    rows: int = 1
    fill: float = 1.0
    method: Method = "lora"
    tokens_per_second: float | None = None


@dataclass(frozen=True)
class Wishes:
    """What a person said; None is for the dial."""

    minutes: float | None = None
    tokens: int | None = None
    epochs: float | None = None
    steps: int | None = None
    batch_tokens: int | None = None
    batch_rows: int | None = None
    learning_rate: float | None = None
    learning_rate_factor: float = 1.0
    warmup_share: float | None = None
    lora_rank: int | None = None
    validate_every: int | None = None


@dataclass(frozen=True)
class Settled:
    """What a training does: `steps` of `parts_per_step` packs of `part_tokens`; `tokens` go through in all."""

    steps: int
    parts_per_step: int
    part_tokens: int
    batch_tokens: int
    tokens: int
    epochs: float
    learning_rate: float
    warmup_share: float
    lora_rank: int
    validate_every: int


def settle(wishes: Wishes, facts: Facts, *, guessed_speed: float = 300.0) -> Settled:
    """Derive what is left open. `guessed_speed` (tokens/s) stands in until the speed is measured."""
    speed = facts.tokens_per_second or guessed_speed
    goal = _goal(wishes, facts, speed)
    of_rows = None if wishes.batch_rows is None else math.ceil(wishes.batch_rows * facts.tokens / max(facts.rows, 1))
    batch = wishes.batch_tokens or of_rows or _batch(facts.kind, goal)
    parts = math.ceil(batch / PART_TOKENS_OF_KIND.get(facts.kind, PART_TOKENS))
    part = math.ceil(batch / parts)
    learnt = parts * part * facts.fill  # in a step
    # Minutes are a limit, the other ways of saying it are a goal.
    steps = wishes.steps or max(1, math.floor(goal / learnt) if wishes.minutes else round(goal / learnt))
    return Settled(
        steps=steps,
        parts_per_step=parts,
        part_tokens=part,
        batch_tokens=parts * part,
        tokens=round(steps * learnt),
        epochs=steps * learnt / max(facts.tokens, 1),
        learning_rate=wishes.learning_rate or _rate(facts) * wishes.learning_rate_factor,
        warmup_share=_warmup(steps) if wishes.warmup_share is None else wishes.warmup_share,
        lora_rank=wishes.lora_rank or _rank(goal),
        validate_every=wishes.validate_every or max(1, math.ceil(steps / VALIDATIONS)),
    )


def _goal(wishes: Wishes, facts: Facts, speed: float) -> float:
    """How many tokens are to go through the model."""
    in_all = facts.tokens
    if wishes.steps is not None:
        return wishes.steps * (wishes.batch_tokens or SMALLEST_BATCH)
    if wishes.tokens is not None:
        return wishes.tokens
    if wishes.epochs is not None:
        return wishes.epochs * in_all
    if wishes.minutes is not None:
        goal = wishes.minutes * 60 * (1 - OVERHEAD_SHARE) * speed
        return min(goal, sizing.MOST_EPOCHS * in_all) if facts.kind == "pretrain" else goal
    return min(USUAL_EPOCHS * in_all, USUAL_MINUTES * 60 * (1 - OVERHEAD_SHARE) * speed)


def _batch(kind: str, tokens: float) -> int:
    """With more tokens both the batch and the number of steps grow, each as the square root."""
    if kind == "pretrain":
        return sizing.batch_tokens(tokens)
    smallest = SMALLEST_OF_KIND.get(kind, SMALLEST_BATCH)
    return min(max(round(8 * math.sqrt(tokens) / 256) * 256, smallest), LARGEST_BATCH)


def _rate(facts: Facts) -> float:
    if facts.kind == "pretrain":
        return sizing.learning_rate(facts.hidden)
    rate = min(LORA_RATE * math.sqrt(LORA_RATE_WIDTH / facts.hidden), HIGHEST_RATE) * RATE_OF_KIND[facts.kind]
    rate = rate if facts.method == "lora" else rate * FULL_PER_LORA
    return float(f"{rate:.2g}")


def _warmup(steps: int) -> float:
    """A few steps at least: Adam's second moment needs them."""
    return round(max(0.03, min(0.3, 3 / steps)), 3)


def _rank(tokens: float) -> int:
    """Room for what the data can teach: more of it, a larger adapter."""
    return 8 if tokens < 100_000 else 16 if tokens < 3_000_000 else 32
