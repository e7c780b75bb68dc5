"""How fast Rixin serves, beside llama.cpp's server on the same file, both through HTTP and one and the same client.

`make bench NAME=serving`, or `python benchmarks/serving.py [--model NAME] [--rounds N] [--only FIGURE,…]`. Each figure
is one JSON line on standard output; everything else goes to standard error. Rounds alternate (ours, peer, ours, …) and
a figure is the median of its rounds. Greedy, `ignore_eos`, so that both sides make the same number of tokens; every
prompt is new, so that no answer comes from a cache unless the figure is about the cache.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

from contenders import SLOTS, InProcess, Server, in_process, ours, peer, prepare
from http_load import Reply, ask, tokens_per_second

ROOT = Path(__file__).parent.parent
HOME = ROOT / ".cache" / "benchmark-home"
TOKENS = 128
MB = 1_000_000
INSTALL_LIMIT_MB = 700
MEMORY_LIMIT_MB = 150
FIGURES = ("streams_16", "streams_1", "first_token", "boundary", "memory", "install")


def main() -> None:
    """Measure what is asked for."""
    arguments = _arguments()
    load = os.getloadavg()[0]
    _say(f"load average {load:.2f}" + (": other programs are at work, the figures will be worse" if load > 0.5 else ""))
    wanted = set(arguments.only.split(","))
    if unknown := wanted - set(FIGURES):
        sys.exit(f"There is no figure {', '.join(sorted(unknown))}; there are {', '.join(FIGURES)}.")
    if wanted - {"install"}:
        _serving(arguments, wanted)
    if "install" in wanted:
        size = _install_size()
        _figure("core install without models", size / MB, "MB", "limit", INSTALL_LIMIT_MB)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Rixin's server beside llama.cpp's.")
    parser.add_argument("--model", default="qwen2.5-coder-0.5b-instruct", help="catalogue name or reference")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join(FIGURES), help=f"of {', '.join(FIGURES)}")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of the peer; ours chooses by itself")
    return parser.parse_args()


def _serving(arguments: argparse.Namespace, wanted: set[str]) -> None:
    model, key = prepare(HOME, arguments.model)
    with ours(HOME, arguments.model, key, model) as mine, peer(model, arguments.threads) as other:
        _say(f"ours: {mine.settings} at {mine.target.url}; peer: {other.settings}, {SLOTS} slots, flash attention")
        memory = mine.resident_bytes()
        for server in (mine, other):
            asyncio.run(ask(server.target, "Say hello.", 8))
        if "streams_16" in wanted:
            _streams(mine, other, SLOTS, arguments.rounds)
        if "streams_1" in wanted:
            _streams(mine, other, 1, arguments.rounds)
        if "first_token" in wanted:
            _first_token(mine, other, arguments.rounds)
        if "boundary" in wanted:
            with in_process(model) as engine:
                _boundary(mine, engine, arguments.rounds)
        if "memory" in wanted:
            memory = max(memory, mine.resident_bytes())
            _figure("memory of the idle API process", memory / MB, "MB", "limit", MEMORY_LIMIT_MB)


_numbers = count(int.from_bytes(os.urandom(3), "big"))


def _questions(streams: int) -> list[str]:
    """New ones each time, different from their first word on."""
    return [f"{next(_numbers)}: write a story about the sea, a ship and its crew." for _ in range(streams)]


def _long_question() -> str:
    """About 1,000 tokens."""
    places = ("north", "south", "east", "west")
    facts = (f"The {places[year % 4]} station counted {year * 37 % 911} birds in {1900 + year}." for year in range(60))
    return f"Report {next(_numbers)}. {' '.join(facts)} What does it say?"


def _streams(mine: Server, other: Server, streams: int, rounds: int) -> None:
    def measure(server: Server) -> float:
        return asyncio.run(tokens_per_second(server.target, _questions(streams), TOKENS))

    name = f"tokens per second, {streams} stream{'s' * (streams > 1)}"
    value, peer_value = _alternate(name, lambda: measure(mine), lambda: measure(other), rounds)
    _figure(name, value, "tokens/s", other.settings, peer_value)


def _first_token(mine: Server, other: Server, rounds: int) -> None:
    replies: dict[str, list[Reply]] = {"cold": [], "cached": []}

    def measure(server: Server) -> float:
        question = _long_question()
        cold = asyncio.run(ask(server.target, question, 4))
        cached = asyncio.run(ask(server.target, question, 4))
        if server is mine:
            replies["cold"].append(cold)
            replies["cached"].append(cached)
        return cold.first_token_s

    value, peer_value = _alternate("first token, cold", lambda: measure(mine), lambda: measure(other), rounds)
    tokens = replies["cold"][0].prompt_tokens
    _figure(f"first token of a new prompt, {tokens} tokens", value, "s", other.settings, peer_value)
    cached = statistics.median(reply.first_token_s for reply in replies["cached"])
    _say(f"cached: {[round(reply.first_token_s, 3) for reply in replies['cached']]} s, "
         f"{replies['cached'][0].cached_tokens} of {tokens} tokens from the cache")  # fmt: skip
    _figure(f"first token of a cached prompt, {tokens} tokens", cached, "s", "our own cold time", value)


def _boundary(mine: Server, engine: InProcess, rounds: int) -> None:
    engine.tokens_per_second(_questions(1), 8)
    name = f"through HTTP and the process boundary, {SLOTS} streams"
    value, peer_value = _alternate(
        name,
        lambda: asyncio.run(tokens_per_second(mine.target, _questions(SLOTS), TOKENS)),
        lambda: engine.tokens_per_second(_questions(SLOTS), TOKENS),
        rounds,
    )
    _figure(name, value, "tokens/s", "our engine in-process", peer_value)


def _install_size() -> int:
    """Everything that `pip install` of this checkout puts into a fresh virtual environment."""
    with tempfile.TemporaryDirectory() as folder:
        environment = Path(folder) / "venv"
        subprocess.run([sys.executable, "-m", "venv", environment], check=True)
        before = _size(environment)
        pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, str(ROOT)], check=True, stdout=sys.stderr)
        return _size(environment) - before


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in _files(folder))


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if not path.is_dir())


def _alternate(name: str, first: Callable[[], float], second: Callable[[], float], rounds: int) -> tuple[float, float]:
    """Medians of both, measured in turns, so that a slow minute of the machine hits both."""
    results: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        results[0].append(first())
        results[1].append(second())
    _say(f"{name}: {[round(one, 3) for one in results[0]]} against {[round(one, 3) for one in results[1]]}")
    return statistics.median(results[0]), statistics.median(results[1])


def _figure(name: str, value: float, unit: str, peer: str, peer_value: float) -> None:
    line = {
        "name": name,
        "value": round(value, 4),
        "unit": unit,
        "peer": peer,
        "peer_value": round(peer_value, 4),
        "ratio": round(value / peer_value, 4),
    }
    print(json.dumps(line), flush=True)


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
