"""What a model forgets of general text while it goes on with poems, with and without general text mixed in."""

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from poems import poems, silent, write_rows
from rixin import open as open_workspace
from rixin.data import TextExample, pull_dataset, render_text
from rixin.models import install, open_weights
from rixin.text import Tokens
from rixin.training.head_loss import cross_entropy
from rixin.training.objectives.causal import Windows
from rixin.training.objectives.trees import cut, pack
from rixin.training.transformer import load_transformer

MODEL = "smollm2-135m-instruct"
REPLAYED, MEASURED = "c4-demo", "wiki-demo"  # web pages are mixed in, articles of an encyclopaedia tell what was lost
SHARE = 0.3
TOKENS = 40_000
POEMS_LEARNED, POEMS_MEASURED = 3000, 100
GENERAL_CHARACTERS = 120_000  # of the encyclopaedia; all of it would take longer than the trainings
CONTEXT = 512
PACK_TOKENS = 2048


def forgetting(home: Path, folder: Path) -> Iterator[tuple[str, float, float]]:
    """Name, loss with replay, loss without; of general text and of held-out poems. Nats a token.

    Both runs make as many steps of as many tokens; with replay fewer of them are poems.
    """
    known = poems(home, folder)
    rows = write_rows(known.learn[:: len(known.learn) // POEMS_LEARNED], folder / "some-poems.jsonl")
    with open_workspace(home) as workspace:
        base = install(workspace.models, MODEL)
        endpoint = workspace.settings.npm_endpoint
        for name in (REPLAYED, MEASURED):
            version = pull_dataset(workspace.datasets, name, npm_endpoint=endpoint, report=silent)
        articles = [row.text for row in workspace.datasets.open(version) if isinstance(row, TextExample)]
        assert base.folder is not None
        tokens = Tokens(base.folder)
        before = Path(str(open_weights(base).where))
    ends = itertools.accumulate(map(len, articles))
    general = [text for text, end in zip(articles, ends, strict=True) if end <= GENERAL_CHARACTERS] or articles[:1]
    texts = {"general text (wiki-demo)": general, "held-out poems": known.held_out[:POEMS_MEASURED]}
    models = [before, _continued(home, rows, []), _continued(home, rows, ["--replay", REPLAYED])]
    for title, some in texts.items():
        start, without, with_replay = (_loss(weights, tokens, some) for weights in models)
        print(f"{title}: before {start:.3f}, without {without:.3f}, with replay {with_replay:.3f}", file=sys.stderr)
        yield f"loss of {title} after {TOKENS} tokens of poems, {SHARE:.0%} replay", with_replay, without


def _continued(home: Path, rows: Path, more: Sequence[str]) -> Path:
    """The weights that `rixin train continue` leaves."""
    name = f"replay-{time.time_ns()}"
    command = [sys.executable, "-c", "from rixin.cli import main; main()", "train", "continue", str(rows)]
    options = ["--model", MODEL, "--tokens", str(TOKENS), "--context", str(CONTEXT), "--name", name]
    share = ["--replay-share", str(SHARE)] if more else []
    environment = {**os.environ, "RIXIN_HOME": str(home)}
    subprocess.run([*command, *options, *more, *share], env=environment, stdout=sys.stderr, check=True)
    with open_workspace(home) as workspace:
        return workspace.runs.get(name).folder / "out"


def _loss(weights: Path, tokens: Tokens, texts: Sequence[str]) -> float:
    """Nats a token."""
    model = load_transformer(open_weights(weights), dtype=torch.bfloat16)
    windows = Windows((render_text(tokens, text).tokens for text in texts), length=CONTEXT)
    packs = [pack(group) for group in cut(list(windows), PACK_TOKENS)]
    with torch.no_grad():
        total = sum(float(cross_entropy(model, model(part), part)) for part in packs)
    return total / sum(len(part.targets) for part in packs)
