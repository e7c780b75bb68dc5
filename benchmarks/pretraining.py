"""A model from nothing but poems, beside an order-5 Kneser-Ney model and `xz -9e` on the same held-out poems.

`make bench NAME=pretraining`, or `python benchmarks/pretraining.py [--minutes 30] [--only poems,scaling,replay]`. Each
figure is one JSON line on standard output; everything else goes to standard error. Training goes through `rixin train`
with nothing but the dial; its whole time is counted, from reading the text and making the tokenizer to the last step.
What the others need is computed once and kept in `.cache/benchmark-pretraining`.
"""

import argparse
import json
import os
import sys
from pathlib import Path

from poems import Poems, kept_figures, poems, write_rows
from pretrained import Pretrained, continue_poem, held_out_bits, pretrain
from replay import forgetting

HERE = Path(__file__).parent
HOME = HERE.parent / ".cache" / "benchmark-home"
FOLDER = HERE.parent / ".cache" / "benchmark-pretraining"
FIGURES = ("poems", "scaling", "replay")
SHARES_OF_TIME = (1 / 20, 1 / 5)  # of the smaller models of `scaling`; the largest is that of `poems`
PROMPTS = ("春望\n", "中秋月\n", "題西林壁\n", "江雪\n", "送友人\n")


def main() -> None:
    """Measure what is asked for."""
    arguments = _arguments()
    load = os.getloadavg()[0]
    _say(f"load average {load:.2f}" + (": others are at work, ours learns less in its time" if load > 0.5 else ""))
    wanted = arguments.only.split(",")
    if unknown := set(wanted) - set(FIGURES):
        sys.exit(f"There is no figure {', '.join(sorted(unknown))}; there are {', '.join(FIGURES)}.")
    if "poems" in wanted or "scaling" in wanted:
        known = poems(HOME, FOLDER)
        _say(f"{len(known.learn)} poems to learn from, {len(known.held_out)} held out ({known.characters} characters)")
        rows = write_rows(known.learn, FOLDER / "learn.jsonl")
        if "scaling" in wanted:
            for share in SHARES_OF_TIME:
                _learned(known, rows, arguments.minutes * share, others=())
        if "poems" in wanted:
            others = tuple(kept_figures(known, FOLDER))
            made = _learned(known, rows, arguments.minutes, others)
            for prompt in PROMPTS:
                _say("\n" + continue_poem(made, prompt, seed=0))
    if "replay" in wanted:
        for name, value, other in forgetting(HOME, FOLDER):
            _figure(name, value, "nats/token", "without replay", other)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Poems learned from nothing, and what others make of them.")
    parser.add_argument("--minutes", type=float, default=30.0, help="for the largest model, all of its training")
    parser.add_argument("--only", default=",".join(FIGURES), help=f"of {', '.join(FIGURES)}")
    return parser.parse_args()


def _learned(known: Poems, rows: Path, minutes: float, others: tuple[tuple[str, float], ...]) -> Pretrained:
    made = pretrain(HOME, rows, minutes)
    bits = held_out_bits(made, known)
    _say(
        f"{made.parameters / 1e6:.1f}M weights, {made.layers} layers of {made.hidden}, {made.vocabulary} tokens: "
        f"{made.tokens / 1e6:.1f}M tokens in {made.seconds / 60:.1f} min, {bits:.3f} bits per character"
    )
    name = f"bits per character of held-out poems after {minutes:g} minutes"
    if not others:
        _figure(name, bits, "bits/character", f"{made.parameters / 1e6:.1f}M weights, minutes taken", made.seconds / 60)
    for other, value in others:
        _figure(name, bits, "bits/character", other, value)
    _figure("time of the training, of what it was given", made.seconds / 60, "min", "limit", minutes)
    return made


def _figure(name: str, value: float, unit: str, peer: str, peer_value: float) -> None:
    figure = {"name": name, "value": value, "unit": unit, "peer": peer, "peer_value": peer_value}
    print(json.dumps(figure | {"ratio": value / peer_value}, ensure_ascii=False), flush=True)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
