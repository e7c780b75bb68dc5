"""One Run in several processes: each differentiates its parts of every batch, the gradients are summed."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from rixin.training.checkpoint import Json

T = TypeVar("T")
PATIENCE = timedelta(hours=12)  # for a process that waits for room on the disk; one that died is noticed at once
GRACE_S = 60.0


@dataclass(frozen=True, slots=True)
class World:
    """This process among those that train together; alone by default."""

    rank: int = 0
    size: int = 1
    here: int = 1  # of them on this machine

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def sum(self, tensor: Tensor) -> None:
        """Replace the tensor by its sum over all processes: the same bits in each."""
        if self.size > 1:
            dist.all_reduce(tensor)

    def spread(self, tensor: Tensor) -> None:
        """Replace the tensor by that of the process that leads."""
        if self.size > 1:
            dist.broadcast(tensor, src=0)

    def gather(self, value: Json) -> list[Json]:
        """What each process said, in the order of their ranks."""
        if self.size == 1:
            return [value]
        text = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)
        lengths = [torch.zeros(1, dtype=torch.int64) for _ in range(self.size)]
        dist.all_gather(lengths, torch.tensor([len(text)]))
        longest = max(int(length) for length in lengths)
        padded = torch.zeros(longest, dtype=torch.uint8)
        padded[: len(text)] = text
        texts = [torch.zeros(longest, dtype=torch.uint8) for _ in range(self.size)]
        dist.all_gather(texts, padded)
        said: list[Json] = [
            json.loads(bytes(text[: int(length)].numpy())) for text, length in zip(texts, lengths, strict=True)
        ]
        return said

    def leader_first(self, make: Callable[[], T]) -> T:
        """What `make` gives; the others begin when the leader has done it, and find what it left on the disk."""
        made = make() if self.leads else None
        self.gather(None)
        return make() if made is None else made

    def from_leader(self, value: Json) -> Json:
        """What the leading process said; the others' is not read."""
        return self.gather(value if self.leads else None)[0]


ALONE = World()


@contextmanager
def join_world() -> Iterator[World]:
    """Meet the other processes that RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT name (torchrun's words).

    Without WORLD_SIZE, or with 1, alone. Uses gloo, which needs no device.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ALONE
        return
    dist.init_process_group("gloo", timeout=PATIENCE)
    try:
        yield World(dist.get_rank(), size, int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
    finally:
        dist.destroy_process_group()


def launch(command: Sequence[str], processes: int, *, environment: Mapping[str, str] | None = None) -> int:
    """Run a command in several processes on this machine that find each other over loopback.

    SIGTERM and SIGINT are passed on to all. When one fails, the others are ended. Returns the first exit code that is
    not 0, negative for a signal.
    """
    common = {
        **(os.environ if environment is None else environment),
        "WORLD_SIZE": str(processes),
        "LOCAL_WORLD_SIZE": str(processes),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(_free_port()),
        "GLOO_SOCKET_IFNAME": "lo0" if sys.platform == "darwin" else "lo",
    }
    running = [
        subprocess.Popen(command, env={**common, "RANK": str(rank), "LOCAL_RANK": str(rank)})
        for rank in range(processes)
    ]
    with _passing_on(running):
        codes = _wait(running)
    return next((code for code in codes if code), 0)


def _wait(running: Sequence[subprocess.Popen[bytes]]) -> list[int]:
    """Codes in the order in which they came."""
    left = list(running)
    codes: list[int] = []
    deadline: float | None = None
    while left:
        for process in [process for process in left if process.poll() is not None]:
            left.remove(process)
            codes.append(process.returncode)
            if process.returncode and deadline is None:
                deadline = time.monotonic() + GRACE_S
                for other in left:
                    other.terminate()
        if deadline is not None and time.monotonic() > deadline:
            for other in left:
                other.kill()
        time.sleep(0.02)
    return codes


@contextmanager
def _passing_on(running: Sequence[subprocess.Popen[bytes]]) -> Iterator[None]:
    def handle(number: int, _: object) -> None:
        for process in running:
            if process.poll() is None:
                process.send_signal(number)

    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
