"""How likely each answer is to a model that learned only from the other folds.

A process of its own, `python -m rixin.training.crossfit FOLDER`, as everything that needs torch is.
Nothing is exported or registered: the adapters are forgotten with the process.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import torch

from rixin.compute import be_child
from rixin.data import ChatExample
from rixin.errors import RixinError
from rixin.models import open_weights
from rixin.text import Tokens
from rixin.training.crossfit_job import JOB_FILE, SCORES_FILE, CrossFitJob, TokenScores
from rixin.training.dial import Facts, Wishes, settle
from rixin.training.ending import Ending, Failure, write_ending
from rixin.training.head_loss import likelihoods
from rixin.training.loop import train
from rixin.training.loop_settings import LoopSettings
from rixin.training.lora import add_lora
from rixin.training.memory import explained_memory
from rixin.training.objectives import Mixture, Pace, Reader, SupervisedFineTuning, Tree
from rixin.training.objectives.trees import cut, pack
from rixin.training.precision import choose_precision
from rixin.training.recorder import Recorder
from rixin.training.threads import settle as settle_threads
from rixin.training.transformer import Transformer, load_transformer
from rixin.training.workshop import ADAM_BETAS, LORA_ALPHA_PER_RANK

RANK = 8
EPOCHS, LEAST_STEPS = 1.0, 16
CONTEXT = 2048
SCORED_TOKENS = 4096


def main() -> None:
    """Score, and leave word of it, or of why it failed."""
    be_child(lambda: sys.exit(1))
    folder = Path(sys.argv[1])
    try:
        with explained_memory():
            job = msgspec.json.decode((folder / JOB_FILE).read_bytes(), type=CrossFitJob)
            (folder / SCORES_FILE).write_bytes(msgspec.json.encode(cross_fit(job, folder)))
    except RixinError as error:
        write_ending(folder, Ending("failed", failure=Failure.of(error)))


def cross_fit(job: CrossFitJob, folder: Path) -> list[TokenScores]:
    """The scores of each row's last answer, in the rows' order; empty where it is too long.

    Content is what has a letter, a digit or no ASCII: how somebody lays out JSON says nothing of what he answers.
    Raises MalformedModel, UnsupportedModel, TemplateError, TrainingDiverged.
    """
    settle_threads(job.threads or None)
    tokens = Tokens(Path(job.folder))
    reader = Reader(tokens, CONTEXT).for_held_out()
    trees = [next(iter(reader.conversations([_last_only(row.example)]).trees), None) for row in job.rows]
    model = load_transformer(open_weights(Path(job.weights)), dtype=choose_precision().dtype)
    fitting = [at for at, tree in enumerate(trees) if tree is not None]
    before = dict(zip(fitting, _logprobs(model, [trees[at] for at in fitting], tokens), strict=True))
    taught: dict[int, list[float]] = {}
    for fold in sorted({row.fold for row in job.rows}):
        learn = [tree for tree, row in zip(trees, job.rows, strict=True) if tree is not None and row.fold != fold]
        mine = [at for at in fitting if job.rows[at].fold == fold]
        if not learn or not mine:
            continue
        _teach(model, learn, job, folder / f"fold-{fold}")
        taught |= dict(zip(mine, _logprobs(model, [trees[at] for at in mine], tokens), strict=True))
    return [TokenScores(before[at], taught[at]) if at in taught else TokenScores([], []) for at in range(len(trees))]


def _last_only(example: ChatExample) -> ChatExample:
    *before, last = example.messages
    silent = [msgspec.structs.replace(turn, learn=False) for turn in before]
    return msgspec.structs.replace(example, messages=(*silent, last))


def _teach(model: Transformer, trees: Sequence[Tree], job: CrossFitJob, folder: Path) -> None:
    """New adapters that have learned from `trees`."""
    add_lora(model, rank=RANK, alpha=LORA_ALPHA_PER_RANK * RANK, seed=job.seed)
    facts = Facts("sft", model.shape.hidden, sum(tree.length for tree in trees), rows=len(trees))
    settled = settle(Wishes(epochs=EPOCHS), facts)
    pace = Pace(max(settled.steps, LEAST_STEPS), settled.parts_per_step, settled.part_tokens, job.seed)
    settings = LoopSettings(
        learning_rate=settled.learning_rate,
        warmup_share=settled.warmup_share,
        betas=ADAM_BETAS,
        seed=job.seed,
        checkpoint_every_s=3600,
    )
    folder.mkdir()
    ended = train(model, SupervisedFineTuning(Mixture(trees, pace), [], pace), settings, folder, Recorder(folder))
    if ended.error is not None:
        raise ended.error


@torch.no_grad()
def _logprobs(model: Transformer, trees: Sequence[Tree | None], tokens: Tokens) -> list[list[float]]:
    found: list[list[float]] = []
    for part in map(pack, cut([tree for tree in trees if tree is not None], SCORED_TOKENS)):
        logprobs, _ = likelihoods(model, model(part), part)
        says = [_has_content(tokens.bytes_of(target)) for target in part.targets.tolist()]
        rows: list[list[float]] = [[] for _ in range(int(part.sequence.max()) + 1)]
        for row, chance, counts in zip(part.sequence.tolist(), logprobs.tolist(), says, strict=True):
            if counts:
                rows[row].append(chance)
        found += rows
    return found


def _has_content(token: bytes) -> bool:
    return any(byte >= 0x80 or chr(byte).isalnum() for byte in token)


if __name__ == "__main__":
    began = time.monotonic()
    main()
    print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)
