"""Pretraining through the command line as anyone has it, and what came of it."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from poems import Poems
from rixin import open as open_workspace
from rixin.data import render_text
from rixin.models import open_weights
from rixin.text import Tokens
from rixin.training.decoding import generate
from rixin.training.head_loss import cross_entropy
from rixin.training.objectives.causal import Windows
from rixin.training.objectives.trees import cut, pack
from rixin.training.transformer import load_transformer

PACK_TOKENS = 8192
# What `poems.py` holds out are the texts of the smallest hashes; the run's own validation takes the next ones.
VALIDATION_SHARE = 0.012
RESERVE_S = 60.0  # of the time, for planning, reading and the tokenizer; what it was is measured
LONGEST_POEM = 160
TEMPERATURE, TOP_P = 0.8, 0.95


@dataclass(frozen=True)
class Pretrained:
    """A finished run: its folder, what it is, what it learned from, and all its seconds up to the last step."""

    out: Path
    name: str
    parameters: int
    layers: int
    hidden: int
    vocabulary: int
    context: int
    tokens: int
    seconds: float


def pretrain(home: Path, rows: Path, minutes: float) -> Pretrained:
    """`rixin train pretrain` with the dial alone; its planning, tokenizer and training take `minutes` in all."""
    name = f"poems-{minutes:g}m-{int(time.time())}"
    dial = max(minutes - RESERVE_S / 60, minutes / 2)
    command = [sys.executable, "-c", "from rixin.cli import main; main()", "train", "pretrain", str(rows)]
    began = time.time()
    subprocess.run(
        [*command, "--minutes", f"{dial:.3f}", "--validation-share", str(VALIDATION_SHARE), "--name", name],
        env={**os.environ, "RIXIN_HOME": str(home)},
        stdout=sys.stderr,
        check=True,
    )
    with open_workspace(home) as workspace:
        run = workspace.runs.get(name)
        steps = [event for event in workspace.runs.events(run, limit=1_000_000) if event.kind in ("step", "validation")]
    config = json.loads((run.folder / "out" / "config.json").read_text(encoding="utf-8"))
    plan = json.loads((run.folder / "plan.json").read_text(encoding="utf-8"))
    return Pretrained(
        out=run.folder / "out",
        name=name,
        parameters=plan["measured"]["parameters"],
        layers=config["num_hidden_layers"],
        hidden=config["hidden_size"],
        vocabulary=config["vocab_size"],
        context=config["max_position_embeddings"],
        tokens=plan["values"]["tokens"],
        seconds=steps[-1].time - began,
    )


def held_out_bits(made: Pretrained, known: Poems) -> float:
    """Bits per character of the held-out texts under the exported weights; what a text's end costs is counted in.

    A text longer than the context is continued without what came before its window, so the figure is an upper bound.
    """
    tokens = Tokens(made.out)
    model = load_transformer(open_weights(made.out), dtype=torch.bfloat16)
    windows = Windows((render_text(tokens, text).tokens for text in known.held_out), length=made.context)
    with torch.no_grad():
        parts = [pack(group) for group in cut(list(windows), PACK_TOKENS)]
        nats = sum(float(cross_entropy(model, model(part), part)) for part in parts)
    return nats / float(torch.log(torch.tensor(2.0))) / known.characters


def continue_poem(made: Pretrained, prompt: str, *, seed: int) -> str:
    """What the model makes of a beginning."""
    tokens = Tokens(made.out)
    model = load_transformer(open_weights(made.out), dtype=torch.float32)
    generator = torch.Generator().manual_seed(seed)
    [[found]] = generate(
        model,
        [tokens.encode(prompt, add_bos=True)],
        samples_per_prompt=1,
        max_tokens=min(LONGEST_POEM, made.context - 32),
        temperature=TEMPERATURE,
        top_p=TOP_P,
        end_ids=tokens.end_tokens,
        generator=generator,
    )
    written = b"".join(tokens.bytes_of(token) for token in found.tokens if token not in tokens.end_tokens)
    return prompt + written.decode(errors="replace")
