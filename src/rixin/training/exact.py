"""Scoring by a Version's weights as they are: the figures that others publish are of those, not of what is served."""

import os
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import torch
from anyio import to_thread

from rixin.engines import Capabilities, Embeddings, GenerateEvent, GenerateRequest, Score, ScoreRequest
from rixin.errors import InvalidRequest
from rixin.models import Version, open_weights, weights_path
from rixin.training.head_loss import likelihoods
from rixin.training.objectives.trees import Tree, branch, cut, pack, tree
from rixin.training.precision import choose_precision
from rixin.training.threads import settle
from rixin.training.transformer import Transformer, load_transformer

PART_TOKENS = 8192  # only a layer at a time is kept, and each pack reads all weights


class ExactEngine:
    """An Engine that only scores, in this process: packed, and each context once for all of its continuations."""

    def __init__(self, version: Version, *, threads: int | None) -> None:
        self._version = version
        self._threads = threads
        self._model: Transformer | None = None
        self.pid = os.getpid()  # whose memory it takes

    async def start(self) -> None:
        """Read the weights. Raises ModelNotFound, MalformedModel, UnsupportedModel."""
        self._model = await to_thread.run_sync(self._loaded)

    def _loaded(self) -> Transformer:
        where: Path = weights_path(self._version)
        settle(self._threads)
        model = load_transformer(open_weights(where), dtype=choose_precision().dtype)
        return model.requires_grad_(False)

    def capabilities(self) -> Capabilities:
        """It scores."""
        return Capabilities(score=True, shares_contexts=True, context_length=self._version.context_length)

    def failure(self) -> str | None:
        """See Engine."""
        return None

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[GenerateEvent]:  # noqa: ARG002
        """Raises InvalidRequest."""
        raise InvalidRequest(
            "The weights as they are only score; this task is answered in words.",
            fix="Leave out --exact, or name with --tasks those that choose among answers.",
        )
        yield

    async def tokenize(self, text: str) -> tuple[int, ...]:  # noqa: ARG002
        """Raises InvalidRequest."""
        raise InvalidRequest("The weights have no tokenizer; the version's folder has it.")

    async def embed(self, texts: Sequence[str]) -> Embeddings:  # noqa: ARG002
        """Raises InvalidRequest."""
        raise InvalidRequest("The weights as they are only score.")

    async def score(self, requests: Sequence[ScoreRequest]) -> list[Score]:
        """See Engine."""
        return await to_thread.run_sync(self._scores, requests)

    async def close(self) -> None:
        """Let go of the weights."""
        self._model = None

    @torch.no_grad()
    def _scores(self, requests: Sequence[ScoreRequest]) -> list[Score]:
        assert self._model is not None, "start it first"
        alike: dict[tuple[int, ...], list[int]] = {}
        for index, request in enumerate(requests):
            alike.setdefault(request.context, []).append(index)
        trees = [_tree(context, [requests[at].continuation for at in rows]) for context, rows in alike.items()]
        found: list[Score] = []
        for part in map(pack, cut(trees, PART_TOKENS)):
            logprobs, likeliest = likelihoods(self._model, self._model(part), part)
            lengths = torch.bincount(part.sequence).tolist()
            for chances, first in zip(torch.split(logprobs, lengths), torch.split(likeliest, lengths), strict=True):
                found.append(Score(logprobs=tuple(chances.tolist()), greedy=tuple(first.tolist())))
        scores = dict(zip((at for rows in alike.values() for at in rows), found, strict=True))
        return [scores[at] for at in range(len(requests))]


def _tree(context: Sequence[int], continuations: Sequence[Sequence[int]]) -> Tree:
    if len(continuations) > 1:
        return tree(context, *map(branch, continuations))
    [continuation] = continuations
    learned = [False] * len(context) + [True] * len(continuation)
    return tree((), branch([*context, *continuation], learned))
