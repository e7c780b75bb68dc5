"""Starts and ends what is compared: Rixin's server, our engine alone, and llama.cpp's server."""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import rixin
from http_load import Target
from rixin.models import Version
from rixin.models import install as install_model

HERE = Path(__file__).parent
SLOTS = 16
PEER_CONTEXT = 2048


@dataclass(frozen=True)
class Server:
    """A running server; `settings` say how it was set up."""

    target: Target
    pid: int
    settings: str

    def resident_bytes(self) -> int:
        """Resident memory of the server's own process, without its children."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024


@dataclass(frozen=True)
class Model:
    """A model as both sides run it: `file` is the same GGUF file for both, `folder` what ours made of it."""

    name: str
    file: Path
    folder: Path


def prepare(home: Path, reference: str) -> tuple[Model, str]:
    """Pull the model into the benchmark's own home, and make a key there; returns both."""
    with rixin.open(home) as workspace:
        found: Version = install_model(workspace.models, reference)
        workspace.models.set_alias(workspace.default_alias, found.id)
        if workspace.accounts.setup_needed():
            workspace.accounts.redeem_setup(
                workspace.accounts.create_setup_token(), "benchmark", secrets.token_urlsafe(24)
            )
        key = workspace.keys.create(workspace.accounts.users()[0].id, "benchmark")
        assert found.sha256 is not None
        assert found.folder is not None
        return Model(found.model_name, workspace.models.blobs.path(found.sha256), found.folder), key.secret


@contextmanager
def ours(home: Path, reference: str, key: str, model: Model) -> Iterator[Server]:
    """`rixin up` as anyone starts it, with its default settings."""
    command = [sys.executable, "-c", "from rixin.cli import main; main()", "up", "--port", "0", "--model", reference]
    with _process(command, {"RIXIN_HOME": str(home)}) as process:
        url = _wait_for(process, "Rixin is at ").split()[-1]
        _wait_for(process, "is ready")
        yield Server(Target(url, "chat", key), process.pid, f"rixin {rixin.__version__}, defaults, {model.name}")


@contextmanager
def peer(model: Model, threads: int) -> Iterator[Server]:
    """llama.cpp's server with continuous batching, flash attention and its prompt cache."""
    command = [sys.executable, str(HERE / "llama_cpp_server.py"), str(model.file)]
    with _process([*command, *map(str, (threads, SLOTS, PEER_CONTEXT))], {}) as process:
        url = _wait_for(process, "http").strip()
        yield Server(
            Target(url, "peer"), process.pid, f"xllamacpp {version('xllamacpp')} (llama.cpp), {threads} threads"
        )


class InProcess:
    """Our engine in a process of its own that speaks neither HTTP nor pipes while it works."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def tokens_per_second(self, questions: Sequence[str], max_tokens: int) -> float:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"questions": list(questions), "max_tokens": max_tokens}) + "\n")
        self._process.stdin.flush()
        return float(_wait_for(self._process, ""))


@contextmanager
def in_process(model: Model) -> Iterator[InProcess]:
    """The engine that the server has behind it, with the same model folder."""
    with _process([sys.executable, str(HERE / "in_process_engine.py"), str(model.folder)], {}) as process:
        _wait_for(process, "ready")
        yield InProcess(process)


@contextmanager
def _process(command: Sequence[str], environment: dict[str, str]) -> "Iterator[subprocess.Popen[str]]":
    """A process that is ended with the block: its standard input closed, then SIGTERM, then SIGKILL."""
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}
    )
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(process: "subprocess.Popen[str]", sign: str) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if sign in line:
            return line
        print(line, end="", file=sys.stderr)
    raise RuntimeError(f"{process.args!r} ended before it said {sign!r}")
