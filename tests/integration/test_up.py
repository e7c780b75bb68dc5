"""`rixin up` and `rixin keys` as a person runs them: processes, signals, exit codes, memory."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

import rixin
from rixin.models import add_remote
from rixin.settings import load_settings
from rixin.workspace import Workspace

MOST_IDLE_MB = 150


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A Workspace whose model `far` runs on a server that is not there: enough to start, nothing to fetch."""
    with Workspace(load_settings(tmp_path)) as workspace:
        add_remote(workspace.models, "far", "http://127.0.0.1:9/v1", "far")
    return tmp_path


def run(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "RIXIN_HOME": str(home)}
    command = [sys.executable, "-m", "rixin", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


@contextmanager
def up(home: Path, *arguments: str) -> Iterator[tuple["subprocess.Popen[str]", list[str]]]:
    """The running process, and its lines up to the one with its address."""
    command = [sys.executable, "-m", "rixin", "up", "--port", "0", "--model", "far", *arguments]
    environment = {**os.environ, "RIXIN_HOME": str(home), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line.strip())
            if "First start" in line or "can't answer" in line:
                break
        try:
            yield process, lines
        finally:
            process.kill()


def address_in(lines: list[str]) -> str:
    return next(line.split()[-1] for line in lines if line.startswith("Rixin is at "))


def test_the_first_start_prints_a_link_that_makes_the_administrator(home: Path) -> None:
    with up(home) as (process, lines):
        url = address_in(lines)
        link = next(line for line in lines if line.startswith("First start")).split()[-1]
        assert link.startswith(f"{url}/setup#token=")
        token = link.partition("#token=")[2]
        body = {"token": token, "name": "ada", "password": "long enough"}
        assert httpx2.post(f"{url}/api/setup", json=body).status_code == 201
        ready = httpx2.get(f"{url}/readyz")
        assert ready.status_code == 503
        assert ready.json()["model"] == "far"
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
    with up(home) as (_, lines):
        assert not [line for line in lines if "setup" in line], "there is an administrator now"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(home: Path, number: signal.Signals) -> None:
    with up(home) as (process, _):
        process.send_signal(number)
        assert process.wait(15) == 0
        assert process.stdout is not None
        assert "Traceback" not in process.stdout.read()


def test_a_port_in_use_is_said_before_anything_slow(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        began = time.monotonic()
        done = run(home, "up", "--port", str(port))
        assert time.monotonic() - began < 10
    assert done.returncode == 1
    assert done.stderr == (f"rixin: Port {port} is in use by another program. Stop that, or use --port {port + 1}.\n")


def test_the_idle_server_needs_little_memory(home: Path) -> None:
    with up(home) as (process, lines):
        url = address_in(lines)
        for path in ("/", "/healthz", "/openapi.json", "/api/session"):
            httpx2.get(url + path)
        status = Path(f"/proc/{process.pid}/status").read_text()
        megabytes = int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) / 1024  # type: ignore[union-attr]
        loaded = Path(f"/proc/{process.pid}/maps").read_text()
    assert megabytes <= MOST_IDLE_MB, f"{megabytes:.0f} MB"
    for heavy in ("numpy", "openvino", "tokenizers"):
        assert f"/{heavy}/" not in loaded, f"{heavy} is loaded in the server's process"


def test_keys_are_made_listed_and_revoked_from_the_machine(home: Path) -> None:
    none = run(home, "keys", "create", "script")
    assert none.returncode == 1
    assert none.stderr.startswith("rixin: There is no account yet.")
    with Workspace(load_settings(home)) as workspace:
        accounts = workspace.accounts
        accounts.redeem_setup(accounts.create_setup_token(), "ada", "long enough")
    made = run(home, "keys", "create", "script", "--days", "30")
    assert made.returncode == 0
    secret = made.stdout.strip()
    assert secret.startswith("rx-")
    listed = run(home, "keys", "list").stdout
    assert "ada" in listed
    assert "'script'" in listed
    assert secret not in listed
    assert run(home, "keys", "revoke", listed.split()[0]).returncode == 0
    assert run(home, "keys", "list").stdout == ""


def test_mistakes_are_one_line_and_status_1(home: Path) -> None:
    wrong = run(home, "keys", "revoke", "nope")
    assert (wrong.returncode, wrong.stderr) == (1, "rixin: There is no key 'nope'.\n")
    port = run(home, "up", "--port", "99999")
    assert port.returncode == 1
    assert port.stderr.startswith("rixin: --port: ")
    assert port.stderr.count("\n") == 1


def test_the_version_is_told(home: Path) -> None:
    assert run(home, "--version").stdout.strip() == rixin.__version__
