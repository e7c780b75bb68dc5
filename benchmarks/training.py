"""How fast, how small and how well Rixin trains, beside TRL and LLaMA-Factory on the same weights and rows.

`make bench NAME=training`, or `python benchmarks/training.py [--rounds N] [--seeds N] [--only FIGURE,…]`. Each figure
is one JSON line on standard output; everything else goes to standard error. Trainers run in turns, each training in a
process of its own. `--only search` finds TRL's best settings on this machine; without it that is done once.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from rixin.models import weights_path
from trainers import RANK, Peer, Trained, TrainerFailed, held_out_losses, python_of, train_ours, train_peer
from training_material import Material, hugging_face_folder, material

ROOT = Path(__file__).parent.parent
HOME = ROOT / ".cache" / "benchmark-home"
VENVS = ROOT / ".cache" / "benchmark-venvs"
WORK = ROOT / ".cache" / "benchmark-training"
MODEL = "smollm2-135m-instruct"
LARGER_MODEL = "qwen2.5-coder-0.5b-instruct"
FIGURES = ("defaults", "best", "bound", "flat", "search")
STEPS = 4  # of a peer's defaults, the first not timed: a whole epoch would take four minutes
SEARCH_STEPS = 3
GB = 1e9
PACKED_LENGTHS = (256, 512, 1024, 2048, 4096)
ROW_TOKENS = 128
ANSWER_SHARE = 0.7

# Without `use_cpu` TRL refuses to train in its default precision on a machine without a GPU.
ON_CPU: dict[str, object] = {"use_cpu": True}
DEFAULTS = (
    Peer("TRL 1.16.0, its defaults", "trl", "peer_trl.py", ON_CPU),
    Peer("LLaMA-Factory 0.9.5, its defaults", "llamafactory", "peer_llamafactory.py"),
)
_LEAN = {**ON_CPU, "gradient_checkpointing": False, "model_init_kwargs": {"dtype": "bfloat16"}}
# All learn about as much in a step as the default, 8 rows or 1,700 tokens, so that they learn as well.
TRL_SETTINGS: dict[str, dict[str, object]] = {
    "8 padded rows": _LEAN,
    "4 times 2 padded rows": {**_LEAN, "per_device_train_batch_size": 2, "gradient_accumulation_steps": 4},
    "8 times 1 row": {**_LEAN, "per_device_train_batch_size": 1, "gradient_accumulation_steps": 8},
    "8 times 1 row, no autocast": {
        **_LEAN, "per_device_train_batch_size": 1, "gradient_accumulation_steps": 8, "bf16": False,
    },
    "8 times 1 row, eager attention": {
        **_LEAN, "per_device_train_batch_size": 1, "gradient_accumulation_steps": 8,
        "model_init_kwargs": {"dtype": "bfloat16", "attn_implementation": "eager"},
    },
    "8 rows without padding": {**_LEAN, "padding_free": True, "max_length": None},
    "packs of 1,024, two a step": {**_LEAN, "packing": True, "per_device_train_batch_size": 2},
    "packs of 1,024, one at a time": {
        **_LEAN, "packing": True, "per_device_train_batch_size": 1, "gradient_accumulation_steps": 2,
    },
    "full windows of 1,024, compiled": {
        **_LEAN, "packing": True, "packing_strategy": "wrapped", "per_device_train_batch_size": 2,
        "torch_compile": True,
    },
}  # fmt: skip


def main() -> None:
    """Measure what is asked for."""
    arguments = _arguments()
    load = os.getloadavg()[0]
    _say(f"load average {load:.2f}" + (": other programs are at work, the figures will be worse" if load > 0.5 else ""))
    wanted = set(arguments.only.split(","))
    if unknown := wanted - set(FIGURES):
        sys.exit(f"There is no figure {', '.join(sorted(unknown))}; there are {', '.join(FIGURES)}.")
    if wanted & {"defaults", "best", "search"}:
        given = material(HOME, MODEL, WORK)
        if "search" in wanted:
            _search(given)
        if "defaults" in wanted:
            _defaults(given, arguments.rounds)
        if "best" in wanted:
            _best(given, arguments.seeds)
    if "bound" in wanted:
        _bound()
    if "flat" in wanted:
        _flat()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Rixin's training beside TRL's and LLaMA-Factory's.")
    parser.add_argument("--rounds", type=int, default=1, help="of the comparison with the peers' defaults")
    parser.add_argument("--seeds", type=int, default=3, help="of the comparison with TRL at its best")
    parser.add_argument("--only", default="defaults,best,bound,flat", help=f"of {', '.join(FIGURES)}")
    return parser.parse_args()


def _defaults(given: Material, rounds: int) -> None:
    """Speed and memory beside what the peers do when they are told nothing."""
    ours: list[Trained] = []
    theirs: dict[str, list[Trained]] = {peer.name: [] for peer in DEFAULTS}
    for number in range(rounds):
        for peer in DEFAULTS:
            ours.append(_ours(given, seed=number))
            theirs[peer.name].append(_theirs(peer, given, seed=number, steps=STEPS))
    for name, trained in theirs.items():
        _figure("training, tokens per second", _median(ours, _speed), "tokens/s", name, _median(trained, _speed))
        _figure("training, peak memory", _median(ours, _peak), "GB", name, _median(trained, _peak))


def _best(given: Material, seeds: int) -> None:
    """Speed, memory, and what was learnt from the same rows, beside TRL with the settings that suit this machine."""
    name, config = _best_settings(given)
    peer = Peer(f"TRL 1.16.0, its best settings here ({name})", "trl", "peer_trl.py", config)
    ours, theirs = [], []
    for seed in range(seeds):
        ours.append(_ours(given, seed=seed))
        theirs.append(_theirs(peer, given, seed=seed, steps=-1))
    _figure("training, tokens per second", _median(ours, _speed), "tokens/s", peer.name, _median(theirs, _speed))
    _figure("training, peak memory", _median(ours, _peak), "GB", peer.name, _median(theirs, _peak))
    adapters = [one.adapter for one in (*ours, *theirs)]
    losses = held_out_losses(python_of(VENVS, "trl"), given, adapters)
    mine, other = losses[:seeds], losses[seeds:]
    _say(f"held-out loss by seed: ours {_rounded(mine)}, {peer.name} {_rounded(other)}")
    title = f"held-out loss after one epoch ({ours[0].tokens} and {theirs[0].tokens} tokens), mean of {seeds} seeds"
    _figure(title, statistics.fmean(mine), "nats/token", peer.name, statistics.fmean(other))


def _best_settings(given: Material) -> tuple[str, dict[str, object]]:
    found = WORK / "trl-best.txt"
    name = found.read_text() if found.is_file() else ""
    if name not in TRL_SETTINGS:
        name = _search(given)
    return name, TRL_SETTINGS[name]


def _search(given: Material) -> str:
    """Try all settings for a few steps; the fastest is kept for later runs."""
    speeds: dict[str, float] = {}
    for name, config in TRL_SETTINGS.items():
        peer = Peer(f"TRL, {name}", "trl", "peer_trl.py", config)
        try:
            speeds[name] = _theirs(peer, given, seed=0, steps=SEARCH_STEPS).tokens_per_second
        except TrainerFailed as failure:
            _say(f"TRL, {name}: {failure}")
    best = max(speeds, key=lambda name: speeds[name])
    (WORK / "trl-best.txt").write_text(best)
    _say(f"TRL's best settings: {best}; of {_shown(speeds)}")
    return best


def _bound() -> None:
    """How much of what the matrix products would allow."""
    rows = [ROW_TOKENS] * 16
    for name in (MODEL, LARGER_MODEL):
        [case] = _our_steps(name, [rows], rounds=5, bound=True)
        share = 100 * case["bound_seconds"] / case["seconds"]
        speeds = f"{case['tokens'] / case['seconds']:.0f} of {case['tokens'] / case['bound_seconds']:.0f} tokens/s"
        _say(f"{name}: {speeds}")
        _figure(f"share of the measured GEMM bound, {name}", share, "%", "asked for", 45)


def _flat() -> None:
    """What a token costs in packs of different lengths."""
    cases = [[ROW_TOKENS] * (length // ROW_TOKENS) for length in PACKED_LENGTHS]
    costs = [1000 * case["seconds"] / case["tokens"] for case in _our_steps(MODEL, cases, rounds=3, bound=False)]
    for length, cost in zip(PACKED_LENGTHS, costs, strict=True):
        _figure(f"cost of a token in packs of {length}", cost, "ms", f"packs of {PACKED_LENGTHS[0]}", costs[0])


def _our_steps(name: str, cases: list[list[int]], *, rounds: int, bound: bool) -> list[dict[str, float]]:
    version, _ = hugging_face_folder(HOME, name, WORK)
    job = {
        "weights": str(weights_path(version)),
        "rank": RANK,
        "answer_share": ANSWER_SHARE,
        "cases": cases,
        "rounds": rounds,
        "bound": bound,
    }
    command = [sys.executable, str(Path(__file__).with_name("our_steps.py")), json.dumps(job)]
    said = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout
    return [json.loads(line) for line in said.splitlines()]


def _ours(given: Material, *, seed: int) -> Trained:
    trained = train_ours(HOME, given, seed=seed)
    _say(f"ours, seed {seed}: {_told(trained)}")
    return trained


def _theirs(peer: Peer, given: Material, *, seed: int, steps: int) -> Trained:
    out = WORK / f"{peer.venv}-{seed}"
    trained = train_peer(peer, python_of(VENVS, peer.venv), given, out, seed=seed, steps=steps)
    _say(f"{peer.name}, seed {seed}: {_told(trained)}")
    return trained


def _told(trained: Trained) -> str:
    speed = f"{trained.tokens_per_second:.0f} tokens/s"
    return f"{speed}, {trained.peak_bytes / GB:.2f} GB, {trained.tokens} tokens in {trained.steps} steps"


def _speed(trained: Trained) -> float:
    return trained.tokens_per_second


def _peak(trained: Trained) -> float:
    return trained.peak_bytes / GB


def _median(trained: list[Trained], of: Callable[[Trained], float]) -> float:
    return statistics.median(map(of, trained))


def _rounded(values: list[float]) -> list[float]:
    return [round(value, 4) for value in values]


def _shown(speeds: dict[str, float]) -> str:
    return ", ".join(f"{name}: {speed:.0f}" for name, speed in sorted(speeds.items(), key=lambda item: -item[1]))


def _figure(name: str, value: float, unit: str, peer: str, peer_value: float) -> None:
    line = {
        "name": name,
        "value": round(value, 4),
        "unit": unit,
        "peer": peer,
        "peer_value": round(peer_value, 4),
        "ratio": round(value / peer_value, 4),
    }
    print(json.dumps(line, ensure_ascii=False), flush=True)


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
