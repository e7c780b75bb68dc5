"""The trainers that are compared, each in a process of its own: ours as a Run's worker is, TRL, LLaMA-Factory."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import rixin
from peer_venv import python_in
from rixin.compute import Child
from rixin.training.events import Event, read_events
from rixin.training.planner import Planner
from rixin.training.recipes import Sft
from rixin.training.run import EVENTS_FILE
from training_material import Material

HERE = Path(__file__).parent
LEARNING_RATE = 2e-4
STEP_TOKENS = 1700  # as many as TRL's default batch of 8 rows has on average
RANK = 16
TIMEOUT_S = 1800

# Their newest releases; torch first, so that it is the same build of the same version as ours. LLaMA-Factory asks for
# older libraries, and comes without what it needs for pictures, sound and its web page.
TORCH = "torch==2.13.0"
REQUIREMENTS = {
    "trl": ("trl==1.16.0 peft==0.21.2 transformers==5.23.0 accelerate==1.15.0 datasets==5.2.0", ""),
    "llamafactory": (
        "transformers==5.6.0 datasets==4.0.0 accelerate==1.11.0 peft==0.18.1 trl==0.24.0 torchdata==0.11.0 tyro<0.9 "
        "einops numpy pandas scipy sentencepiece tiktoken hf-transfer safetensors fire omegaconf packaging protobuf "
        "pyyaml pydantic matplotlib uvicorn fastapi sse-starlette modelscope",
        "llamafactory==0.9.5",
    ),
}


class TrainerFailed(Exception):
    """A trainer's process broke off; the message has its last words."""


@dataclass(frozen=True)
class Trained:
    """What one training took. `tokens_per_second` is of the steps after the first; no padding is counted."""

    tokens_per_second: float
    tokens: int
    steps: int
    peak_bytes: int
    adapter: Path


@dataclass(frozen=True)
class Peer:
    """A trainer in its own virtual environment; `config` is what its settings differ in from its defaults."""

    name: str
    venv: str
    script: str
    config: Mapping[str, object] = field(default_factory=dict)


def python_of(venvs: Path, name: str) -> Path:
    """The Python of a peer's virtual environment, which is made if it isn't there."""
    libraries, alone = REQUIREMENTS[name]
    installs = [[TORCH], [TORCH, *libraries.split()]]
    if alone:
        installs.append(["--no-deps", *alone.split()])
    return python_in(venvs / name, installs)


def train_peer(peer: Peer, python: Path, material: Material, out: Path, *, seed: int, steps: int) -> Trained:
    """Train with it; `steps` -1 is one epoch."""
    shutil.rmtree(out, ignore_errors=True)
    job = {
        "model": str(material.folder),
        "rows": str(material.training),
        "out": str(out),
        "template": "smollm2",
        "seed": seed,
        "steps": steps,
        "learning_rate": LEARNING_RATE,
        "config": peer.config,
    }
    said = json.loads(_run([str(python), str(HERE / peer.script), json.dumps(job)])[-1])
    return Trained(said["tokens_per_second"], said["tokens"], said["steps"], said["peak_bytes"], out)


def train_ours(home: Path, material: Material, *, seed: int) -> Trained:
    """One epoch by the worker process of `rixin train sft`, on what its planner makes of the recipe."""
    rows = material.training.with_suffix(".jsonl")
    rows.write_text("".join(_chat(row) + "\n" for row in json.loads(material.training.read_text("utf-8"))), "utf-8")
    recipe = Sft(
        model=material.version.id,
        data=str(rows),
        epochs=1,
        batch_tokens=STEP_TOKENS,
        learning_rate=LEARNING_RATE,
        schedule="linear",
        warmup_share=0.0,
        validation_share=0.0,
        lora_rank=RANK,
        seed=seed,
    )
    folder = home / "runs" / f"benchmark-{seed}"
    shutil.rmtree(folder, ignore_errors=True)
    with rixin.open(home) as workspace:
        Planner(workspace.database, workspace.settings, workspace.models).plan(recipe, folder)
    child = Child("rixin.training.worker", (str(folder),), folder / "worker.log")
    status = child.wait(TIMEOUT_S)
    if status is None:
        child.kill()
    steps = [event for event in read_events(folder / EVENTS_FILE) if event.kind == "step"]
    if status != 0 or not steps:
        raise TrainerFailed(f"Our worker ended with {status}:\n{(folder / 'worker.log').read_text()[-3000:]}")
    first, last = steps[0], steps[-1]
    tokens = _number(last, "tokens") - _number(first, "tokens")
    return Trained(
        tokens_per_second=tokens / (_number(last, "seconds") - _number(first, "seconds")),
        tokens=round(_number(last, "tokens")),
        steps=last.step,
        peak_bytes=round(max(_number(event, "peak_memory") for event in steps)),
        adapter=folder / "out" / "adapter",
    )


def held_out_losses(python: Path, material: Material, adapters: Sequence[Path]) -> list[float]:
    """Nats a token of the answers that nobody learnt, one figure for each adapter; the same judge for all."""
    command = [str(python), str(HERE / "peer_judge.py"), str(material.folder), str(material.held_out)]
    losses = json.loads(_run([*command, *map(str, adapters)])[-1])
    return [float(loss) for loss in losses]


def _chat(row: Mapping[str, str]) -> str:
    turns = ({"role": "user", "content": row["question"]}, {"role": "assistant", "content": row["answer"]})
    return json.dumps({"messages": turns}, ensure_ascii=False)


def _number(event: Event, name: str) -> float:
    value = event.values[name]
    assert isinstance(value, int | float)
    return float(value)


def _run(command: Sequence[str]) -> list[str]:
    """The lines it prints; what it says besides is shown if it fails."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=TIMEOUT_S)
    if done.returncode:
        raise TrainerFailed(f"{command[1]} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return done.stdout.splitlines()
