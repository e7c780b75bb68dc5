"""Answers to fixed prompts during a Run: how the model gets better, to be read."""

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from rixin.training.decoding import generate
from rixin.training.transformer import Transformer

TOP_P = 0.95


@dataclass(frozen=True)
class Samples:
    """What to ask at each validation.

    `prompts` are (what a person reads, its tokens); `decode` makes text of an answer's tokens, end tokens left out.
    """

    prompts: Sequence[tuple[str, Sequence[int]]]
    decode: Callable[[Sequence[int]], str]
    end_ids: Collection[int]
    max_tokens: int = 64
    temperature: float = 0.7


def write_samples(path: Path, model: Transformer, samples: Samples, *, step: int, seed: int) -> None:
    """Answer the prompts and write one line each into `samples.jsonl`: step, prompt, text.

    The same weights, step and seed give the same answers. Lines of this step or later ones, from before a resumption,
    are replaced. Raises OSError, and then the file is as before.
    """
    generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
    answers = generate(
        model,
        [tokens for _, tokens in samples.prompts],
        samples_per_prompt=1,
        max_tokens=samples.max_tokens,
        temperature=samples.temperature,
        top_p=TOP_P,
        end_ids=samples.end_ids,
        generator=generator,
    )
    lines = [line for line in _lines(path) if json.loads(line)["step"] < step]
    for (prompt, _), completions in zip(samples.prompts, answers, strict=True):
        tokens = [token for token in completions[0].tokens if token not in samples.end_ids]
        lines.append(json.dumps({"step": step, "prompt": prompt, "text": samples.decode(tokens)}, ensure_ascii=False))
    temporary = path.with_name(f".{path.name}.writing")
    temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    temporary.replace(path)


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []
