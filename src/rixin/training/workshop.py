"""From an assignment to a model, an objective and the loop's settings: what the trial and the run itself share."""

import itertools
import logging
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import torch

from rixin.data import AnyExample, ChatExample, RowProblem, TextExample, Turn, read_examples, render_prompt, split
from rixin.engines.remote import RemoteConfig, RemoteEngine
from rixin.errors import InvalidRequest
from rixin.models import open_weights
from rixin.text import Tokens
from rixin.training.answers import teach
from rixin.training.dial import OVERHEAD_SHARE, PART_TOKENS, USUAL_MINUTES
from rixin.training.loop_settings import LoopSettings
from rixin.training.lora import add_lora
from rixin.training.materials import Halves, Helpers, Material, read_material, text_of
from rixin.training.newborn import conceive, shape_in
from rixin.training.objective import Objective
from rixin.training.objectives import Pace, Reader, Teacher, add_reward_head, load_reward_head
from rixin.training.plan import Assignment, Source, Values
from rixin.training.recipes import Pretrain, Reward, Tuning
from rixin.training.reward_model import RewardModel
from rixin.training.sampling import Samples
from rixin.training.shape import Shape, shape_of
from rixin.training.stop import StopSignal
from rixin.training.transformer import Transformer, load_transformer, new_transformer

log = logging.getLogger(__name__)

USUAL_CONTEXT = 4096
LORA_ALPHA_PER_RANK = 2.0
ADAM_BETAS = (0.9, 0.99)
PRECISIONS = {"bfloat16": torch.bfloat16, "float32": torch.float32}


class Workshop:
    """Everything of a training in `folder` but its course.

    `rows` bounds how many rows become tokens, for a trial; a trial asks no teacher elsewhere, and takes the rows' own
    answers for what it would write. `stop` ends the asking.
    """

    def __init__(
        self,
        home: Path,
        folder: Path,
        assignment: Assignment,
        *,
        rows: int | None = None,
        stop: StopSignal | None = None,
    ) -> None:
        self.home = home
        self.assignment = assignment
        self.recipe = assignment.typed()
        began = time.monotonic()
        self.base = self._base(folder)
        self.conceived_s = time.monotonic() - began  # once for a run, and not again when it goes on
        self.shape = self._shape()
        self.reader = self._reader()
        halves = {role: self._rows(source, role, rows) for role, source in assignment.sources.items()}
        if "validation" in halves:
            halves["data"] = Halves(halves["data"].learn, halves["validation"].learn)
        if (teacher := assignment.bases.get("teacher")) and teacher.remote is not None and rows is None:
            halves["data"] = self._taught(teacher.remote, halves["data"], folder, stop or StopSignal())
        self.rows = sum(len(half.learn) + len(half.held_out) for half in halves.values())
        self.material: Material = read_material(self.recipe, self.reader, halves, self._helpers())

    def model(self, values: Values, precision: str) -> Transformer:
        """The model to train. Raises MalformedModel, UnsupportedModel."""
        if isinstance(self.recipe, Pretrain):
            return new_transformer(self.shape, seed=self.recipe.seed, dtype=PRECISIONS[precision])
        assert isinstance(self.recipe, Tuning)
        base = self.assignment.bases["model"]
        model = load_transformer(open_weights(self.home / base.weights), dtype=PRECISIONS[precision])
        if self.recipe.method == "lora":
            rank = values.lora_rank
            add_lora(model, rank=rank, alpha=LORA_ALPHA_PER_RANK * rank, seed=self.recipe.seed)
        if isinstance(self.recipe, Reward):
            add_reward_head(model, seed=self.recipe.seed)
        return model

    def objective(self, model: Transformer, values: Values, folder: Path) -> Objective[Any]:
        """What it minimises."""
        pace = Pace(values.steps, values.parts_per_step, values.part_tokens, self.recipe.seed)
        return self.material.objective(model, pace, folder)

    def settings(self, values: Values) -> LoopSettings:
        """How it goes."""
        recipe = self.recipe
        return LoopSettings(
            learning_rate=values.learning_rate,
            optimizer="muon" if isinstance(recipe, Pretrain) else "adamw",
            schedule=recipe.schedule,
            warmup_share=values.warmup_share,
            weight_decay=recipe.weight_decay,
            betas=ADAM_BETAS,
            seed=recipe.seed,
            checkpoint_every_s=recipe.checkpoint_every_s,
            validate_every=values.validate_every,
            time_limit_s=recipe.minutes * 60 if isinstance(recipe, Pretrain) and recipe.minutes else None,
        )

    def samples(self) -> Samples | None:
        """What it is asked at each validation."""
        if not self.recipe.sample:
            return None
        tokens = self.reader.tokens
        prompts = [(text, _question(tokens, text)) for text in self.recipe.sample]
        return Samples(prompts, lambda made: text_of(self.reader, made), tokens.end_tokens)

    def _helpers(self) -> Helpers:
        bases = self.assignment.bases
        judge = teacher = None
        if "reward_model" in bases:
            base = bases["reward_model"]
            model = load_transformer(open_weights(self.home / base.weights), dtype=torch.float32)
            load_reward_head(model, self.home / base.weights)
            tokens = Tokens(self.home / base.folder)
            context = base.context or USUAL_CONTEXT
            judge = RewardModel(model.requires_grad_(False), tokens, context=context, part_tokens=PART_TOKENS)
        if "teacher" in bases and bases["teacher"].remote is None:
            path = self.home / bases["teacher"].weights
            teacher = Teacher(
                bases["teacher"].version, lambda: load_transformer(open_weights(path), dtype=torch.bfloat16)
            )
        return Helpers(judge, teacher)

    def _taught(self, remote: Mapping[str, object], own: Halves, folder: Path, stop: StopSignal) -> Halves:
        """The rows with the answers of a teacher elsewhere; what it wrote is kept in the run's folder."""
        engine = RemoteEngine(msgspec.convert(remote, RemoteConfig))
        halves = []
        for name, rows in (("answers", own.learn), ("held-out-answers", own.held_out)):
            chats = [row for row in rows if isinstance(row, ChatExample)]
            file = folder / f"{name}.jsonl"
            answered = teach(engine, chats, file, max_tokens=self.reader.context // 2, stop=stop)
            if answered.left_out:
                log.warning("%d of %d answers of the teacher were cut off or empty.", answered.left_out, len(chats))
            halves.append(answered.rows)
        return Halves(*halves)

    def _base(self, folder: Path) -> Path:
        """The folder with the tokenizer of the model to begin from; a new model's is made from the text."""
        recipe = self.recipe
        if not isinstance(recipe, Pretrain):
            return self.home / self.assignment.bases["model"].folder
        minutes = recipe.minutes
        if minutes is None and recipe.tokens is None and recipe.epochs is None and recipe.steps is None:
            minutes = USUAL_MINUTES
        return conceive(
            folder,
            recipe,
            self._texts,
            seconds=None if minutes is None else minutes * 60 * (1 - OVERHEAD_SHARE),
        )

    def _texts(self) -> list[str]:
        rows = self._rows(self.assignment.sources["data"], "data", None).learn
        return [row.text for row in rows if isinstance(row, TextExample)]

    def _shape(self) -> Shape:
        if isinstance(self.recipe, Pretrain):
            return shape_in(self.base)
        return shape_of(open_weights(self.home / self.assignment.bases["model"].weights).config)

    def _reader(self) -> Reader:
        most = self.shape.context
        wanted = self.recipe.context or min(most, USUAL_CONTEXT)
        if wanted > most:
            raise InvalidRequest(
                f"The model's context is {most} tokens; {wanted} were asked for.",
                fix=f"Use --context {most} or less.",
                param="context",
            )
        return Reader(Tokens(self.base), wanted)

    def _rows(self, source: Source, role: str, limit: int | None) -> Halves:
        examples = list(itertools.islice(_examples(self.home / source.path, source), limit))
        if role != "data":
            return Halves(examples, [])
        return _halves(examples, self.recipe.validation_share if self.recipe.validation is None else 0.0)


def _question(tokens: Tokens, text: str) -> list[int]:
    """The tokens that ask `text`; of a model without a template the text itself."""
    if tokens.template is None:
        return tokens.encode(text, add_bos=True)
    return render_prompt(tokens.template, tokens, [Turn(role="user", content=text)])


def _examples(path: Path, source: Source) -> Iterable[AnyExample]:
    for row in read_examples(path, source.kind):  # type: ignore[arg-type]
        if isinstance(row, RowProblem):
            raise InvalidRequest(str(row), where=source.name, param="data")
        yield row


def _halves(examples: list[AnyExample], share: float) -> Halves:
    halves = split(examples, share)
    return Halves([examples[at] for at in halves.train], [examples[at] for at in halves.validation])
