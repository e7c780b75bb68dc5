"""Log-probabilities of whole answers, and those of the reference model: computed once, before anything is learned."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import torch
from torch import Tensor

from rixin.training.batch import Pack
from rixin.training.head_loss import target_logprobs
from rixin.training.lora import adapter_off
from rixin.training.objectives.row_cache import Progress, RowCache, fingerprint, key_of
from rixin.training.objectives.trees import Tree, groups, pack
from rixin.training.transformer import Transformer


def sequence_logprobs(model: Transformer, part: Pack, sequences: int) -> Tensor:
    """The summed log-probability of each sequence's predicted tokens, float32 [sequences]; differentiable."""
    logprobs = target_logprobs(model, model(part), part)
    return torch.zeros(sequences).index_add(0, part.sequence, logprobs)


def reference_logprobs(
    model: Transformer,
    trees: Sequence[Tree],
    *,
    part_tokens: int,
    folder: Path,
    name: str,
    progress: Progress | None = None,
) -> Tensor:
    """The log-probability of each tree's branches under the model as it was before this run, float32 [trees, branches].

    All trees have equally many branches. The reference is the model as given, so ask before its training starts or a
    checkpoint is restored; one whose adapter has learned something is taken without it. What is in `folder` already
    for this very model and these tokens isn't computed again.
    """
    cache = RowCache(folder, name, key_of(trees, fingerprint(model)), len(trees), len(trees[0].branches))
    missing = cache.missing()
    done = len(trees) - len(missing)
    with _as_before(model):
        for rows in groups(missing, trees, part_tokens):
            branches = [len(trees[row].branches) for row in rows]
            values = sequence_logprobs(model, pack([trees[row] for row in rows]), sum(branches))
            cache.write(rows, values.view(len(rows), -1))
            done += len(rows)
            if progress is not None:
                progress(done, len(trees))
    return cache.read(range(len(trees)))


def _as_before(model: Transformer) -> AbstractContextManager[None]:
    """Without the adapter, unless that is new: in bfloat16 the way past an adapter rounds otherwise than through it.

    That was 0.06 nats a token, which let pairs begin with a margin before anything was learned.
    """
    learned = any(bool(linear.adapter.b.any()) for linear in model.linears() if linear.adapter is not None)
    return adapter_off(model) if learned else torch.no_grad()
