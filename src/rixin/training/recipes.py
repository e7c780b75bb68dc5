"""Recipes: what a person may say about a training. Each field is a flag, a key of the TOML file and a row of the docs.

What is left out (None) is derived by `dial`. A value that is given wins.
"""

from dataclasses import dataclass, field
from typing import Literal

Method = Literal["lora", "full"]
Schedule = Literal["cosine", "linear", "constant", "wsd"]
RewardKind = Literal["exact", "regex", "schema", "code", "model"]


def says(help: str) -> dict[str, str]:
    """What the docs and `--help` say of a field."""
    return {"help": help}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What every recipe has. At most one of `minutes`, `tokens`, `epochs` and `steps` says how long it trains."""

    name: str | None = field(
        default=None, metadata=says("What to call the model that comes of it; derived from the base and the kind.")
    )
    minutes: float | None = field(default=None, metadata=says("The dial: how long to train, in minutes."))
    tokens: int | None = field(default=None, metadata=says("The dial: how many tokens to train on."))
    epochs: float | None = field(default=None, metadata=says("How often to go through the data."))
    steps: int | None = field(default=None, metadata=says("How many optimizer steps to make."))
    seed: int = field(default=0, metadata=says("Where all randomness comes from; the same seed gives the same run."))
    context: int | None = field(
        default=None, metadata=says("The longest sequence, in tokens; a longer one is cut or left out.")
    )
    batch_tokens: int | None = field(
        default=None, metadata=says("About how many tokens one optimizer step learns from.")
    )
    batch_rows: int | None = field(
        default=None, metadata=says("About how many rows one optimizer step learns from; instead of batch_tokens.")
    )
    learning_rate: float | None = field(default=None, metadata=says("The highest learning rate."))
    learning_rate_factor: float = field(default=1.0, metadata=says("Times the derived learning rate."))
    schedule: Schedule = field(default="cosine", metadata=says("How the learning rate falls."))
    warmup_share: float | None = field(default=None, metadata=says("The share of the steps in which the rate rises."))
    weight_decay: float = field(default=0.0, metadata=says("Weight decay of the optimizer (AdamW)."))
    validation: str | None = field(
        default=None, metadata=says("Data to validate on: a file, a folder or a dataset; instead of a held-out share.")
    )
    validation_share: float = field(
        default=0.05, metadata=says("The share of the data that is held out to validate on.")
    )
    validate_every: int | None = field(default=None, metadata=says("Steps between two validations."))
    checkpoint_every_s: float = field(default=60.0, metadata=says("Seconds between two checkpoints."))
    sample: tuple[str, ...] = field(
        default=(), metadata=says("A prompt that is answered at every validation; may be repeated.")
    )


@dataclass(frozen=True, kw_only=True)
class Tuning(Recipe):
    """What recipes have that begin from a model."""

    model: str = field(
        metadata=says("The model to begin from: a model, an alias, a version's id or a finished run's id.")
    )
    method: Method = field(default="lora", metadata=says("Train a small adapter (lora) or all weights (full)."))
    lora_rank: int | None = field(default=None, metadata=says("The adapter's rank."))


@dataclass(frozen=True, kw_only=True)
class Sft(Tuning):
    """Teach a model to answer as in examples of conversations."""

    data: str = field(metadata=says("The conversations: a file, a folder or a dataset's name."))
    replay: str | None = field(
        default=None, metadata=says("General conversations mixed in, so that less is forgotten: a file or a dataset.")
    )
    replay_share: float = field(default=0.1, metadata=says("Their share of the tokens, if there are any."))


@dataclass(frozen=True, kw_only=True)
class Dpo(Tuning):
    """Teach a model to prefer the better of two answers. Source: Rafailov et al. 2023, arXiv:2305.18290."""

    data: str = field(
        metadata=says("The pairs (a chosen and a rejected answer): a file, a folder or a dataset's name.")
    )
    beta: float = field(default=0.1, metadata=says("How strongly the model is held to where it began."))
    sft_weight: float = field(
        default=0.0, metadata=says("How much the chosen answers are also learned as in sft; 0 not at all.")
    )


@dataclass(frozen=True, kw_only=True)
class Kto(Tuning):
    """Teach a model from answers marked good or bad. Source: Ethayarajh et al. 2024, arXiv:2402.01306."""

    data: str = field(metadata=says("The answers with their labels: a file, a folder or a dataset's name."))
    beta: float = field(default=0.1, metadata=says("How strongly the model is held to where it began."))


@dataclass(frozen=True, kw_only=True)
class Reward(Tuning):
    """Train a model that scores answers, from pairs of a better and a worse one."""

    data: str = field(
        metadata=says("The pairs (a chosen and a rejected answer): a file, a folder or a dataset's name.")
    )


@dataclass(frozen=True, kw_only=True)
class Grpo(Tuning):
    """Let a model try, and strengthen what a reward finds good. Source: Shao et al. 2024, arXiv:2402.03300."""

    data: str = field(
        metadata=says("The tasks (a prompt and how to check the answer): a file, a folder or a dataset's name.")
    )
    reward: RewardKind | None = field(
        default=None, metadata=says("How an answer is judged; without it as each task says.")
    )
    reward_model: str | None = field(default=None, metadata=says("For `--reward model`: the run that trained it."))
    group: int = field(default=8, metadata=says("Answers that are tried for each prompt."))
    max_answer_tokens: int | None = field(default=None, metadata=says("The longest answer that is tried."))
    temperature: float = field(default=1.0, metadata=says("How varied the tries are."))
    beta: float = field(default=0.0, metadata=says("How strongly the model is held to where it began; 0 not at all."))


@dataclass(frozen=True, kw_only=True)
class Distill(Tuning):
    """Teach a smaller model to answer as a larger one does."""

    data: str = field(
        metadata=says("The conversations whose prompts the teacher answers: a file, a folder or a dataset's name.")
    )
    teacher: str = field(
        metadata=says("The larger model: a model, an alias or a version's id; one of a remote server may be used.")
    )
    temperature: float = field(default=1.0, metadata=says("Softens what the teacher says about each token."))


@dataclass(frozen=True, kw_only=True)
class Continue(Tuning):
    """Go on training a model on plain text of a field."""

    data: str = field(metadata=says("The text: a file, a folder or a dataset's name."))
    replay: str | None = field(
        default=None, metadata=says("General text mixed in, so that less is forgotten: a file or a dataset.")
    )
    replay_share: float = field(default=0.1, metadata=says("Its share of the tokens, if there is any."))


@dataclass(frozen=True, kw_only=True)
class Pretrain(Recipe):
    """Train a new model and its tokenizer from nothing but text."""

    data: str = field(metadata=says("The text: a file, a folder or a dataset's name."))
    validation: str | None = field(
        default=None, metadata=says("Data to validate on: a file, a folder or a dataset; instead of a held-out share.")
    )
    validation_share: float = field(
        default=0.005, metadata=says("The share of the data that is held out to validate on.")
    )
    vocabulary: int | None = field(default=None, metadata=says("How many tokens the new tokenizer has."))
    layers: int | None = field(default=None, metadata=says("How many layers the new model has."))
    hidden: int | None = field(default=None, metadata=says("How wide the new model is."))


@dataclass(frozen=True, kw_only=True)
class Rlhf(Recipe):
    """SFT, then a reward model, then GRPO with it: three Runs, one after the other. Source: arXiv:2203.02155."""

    model: str = field(metadata=says("The model to begin from: a model, an alias or a version's id."))
    data: str = field(metadata=says("Conversations for the first stage: a file, a folder or a dataset's name."))
    preferences: str = field(
        metadata=says("Pairs of answers for the reward model: a file, a folder or a dataset's name.")
    )
    prompts: str | None = field(
        default=None, metadata=says("Prompts for the last stage; without it those of the conversations.")
    )
    lora_rank: int | None = field(default=None, metadata=says("The adapters' rank."))


KINDS: dict[str, type[Recipe]] = {
    "sft": Sft,
    "dpo": Dpo,
    "kto": Kto,
    "reward": Reward,
    "grpo": Grpo,
    "distill": Distill,
    "continue": Continue,
    "pretrain": Pretrain,
}
CHAINS: dict[str, type[Recipe]] = {"rlhf": Rlhf}


def kind_of(recipe: Recipe) -> str:
    """The word for it: `sft`, `dpo` …"""
    return type(recipe).__name__.lower()
