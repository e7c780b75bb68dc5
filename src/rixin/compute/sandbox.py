"""Untrusted Python, run where it can do no harm: the code a model wrote, beside the tests that judge it.

It gets an interpreter of its own (`jail.py`) with the standard library, an empty environment, its text and its input.
It can't reach the network, another process, or any file but Python's own library and, where the machine has mount
namespaces, a small empty folder in memory. No root, no extra package: the walls are the kernel's.

| what | kept by |
|---|---|
| network | a network namespace, seccomp, Landlock |
| files | a root of its own (mount namespace), Landlock; either of them suffices |
| processes | seccomp (no new ones), a process namespace, a user namespace, no capabilities |
| memory, time, threads, open files | limits of the kernel, and a clock outside |
| output | counted outside; the process is killed when it passes |

Code that shares an interpreter with its tests can deceive them (`os._exit(0)` before they ran). `finished` tells that
from an end that was reached; a program bent on forging even that can, so what matters is compared outside, by output.
"""

import functools
import json
import math
import os
import platform
import random
import selectors
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rixin.compute import seccomp
from rixin.errors import SandboxUnavailable

Status = Literal["ok", "error", "denied", "timeout", "memory", "output"]

_JAIL = Path(__file__).with_name("jail.py")
_SYSTEM_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/share/zoneinfo")
_ENVIRONMENT = {"HOME": "/tmp", "TMPDIR": "/tmp", "LANG": "C.UTF-8", "PYTHONHASHSEED": "0", "PYTHONUTF8": "1"}  # noqa: S108
_FIRST_UNUSED_USER = 0x7F000000
_REPORT_LIMIT = 1 << 16
_SIGNALLED = 128


@dataclass(frozen=True)
class Limits:
    """What a program may use. `seconds` of the clock, its start included; bytes of address space, output, scratch."""

    seconds: float = 5.0
    memory_bytes: int = 512 << 20
    output_bytes: int = 1 << 20
    scratch_bytes: int = 16 << 20
    threads: int = 32
    open_files: int = 64


@dataclass(frozen=True)
class Program:
    """Python text and what it reads from standard input."""

    code: str
    stdin: str = ""


@dataclass(frozen=True)
class SandboxResult:
    """How a program ended.

    `ok`: exit status 0. `denied`: by a PermissionError that it didn't catch. `memory`: by a MemoryError. `timeout` and
    `output`: killed at the limit; the output so far is here. `error`: any other exception, exit status or signal.
    `finished`: its last line was reached. `layers`: the walls that stood.
    """

    status: Status
    stdout: str
    stderr: str
    seconds: float
    finished: bool
    layers: tuple[str, ...]


def run_python(code: str, *, stdin: str = "", limits: Limits | None = None) -> SandboxResult:
    """Run the text as a program and wait for its end. Safe to call from several threads.

    Raises SandboxUnavailable, before anything of it has run, where the kernel can't give the walls.
    """
    limits = limits or Limits()
    machine = _machine()
    setup = {
        "code": code,
        "readable": _readable(),
        "filters": _filters(machine),
        "user": _FIRST_UNUSED_USER + random.randrange(1 << 20),  # noqa: S311 - so that two never share a user
        "scratch_bytes": limits.scratch_bytes,
        "limits": {
            "RLIMIT_AS": limits.memory_bytes,
            "RLIMIT_CPU": math.ceil(limits.seconds) + 1,
            "RLIMIT_NPROC": limits.threads + 2,
            "RLIMIT_FSIZE": limits.scratch_bytes,
            "RLIMIT_NOFILE": limits.open_files,
            "RLIMIT_CORE": 0,
            "RLIMIT_MEMLOCK": 0,
            "RLIMIT_MSGQUEUE": 0,
            "RLIMIT_STACK": 8 << 20,
        },
    }
    return _supervise(json.dumps(setup).encode(), stdin.encode(), limits)


def run_many(
    programs: Sequence[Program], *, limits: Limits | None = None, parallel: int | None = None
) -> list[SandboxResult]:
    """Run programs, at most `parallel` (default: the processors) at a time; the results in the programs' order."""
    with ThreadPoolExecutor(parallel or os.cpu_count()) as pool:
        return list(pool.map(lambda one: run_python(one.code, stdin=one.stdin, limits=limits), programs))


def sandbox_layers() -> tuple[str, ...]:
    """The walls this machine gives, found by running nothing inside them. Raises SandboxUnavailable."""
    return run_python("").layers


def _machine() -> str:
    if sys.platform != "linux":
        raise SandboxUnavailable(
            f"Untrusted code is not run on {sys.platform}: the sandbox needs Linux's namespaces, Landlock and seccomp.",
            fix="Run Rixin on Linux, or in a Linux virtual machine.",
        )
    machine = platform.machine()
    if machine not in seccomp.AUDIT_ARCH:
        raise SandboxUnavailable(
            f"Untrusted code is not run on {machine}: the sandbox knows the system calls of "
            f"{' and '.join(seccomp.AUDIT_ARCH)}."
        )
    return machine


@functools.cache
def _filters(machine: str) -> dict[str, str]:
    return {
        "alone": seccomp.assemble(machine, alone=True).hex(),
        "among_others": seccomp.assemble(machine, alone=False).hex(),
    }


@functools.cache
def _readable() -> list[str]:
    """The standard library first; of folders within each other the outer before the inner."""
    library = sysconfig.get_path("stdlib")
    modules = sysconfig.get_config_var("DESTSHARED")
    return [library, *sorted({*_SYSTEM_LIBRARIES, modules} - {library, None})]


def _supervise(setup: bytes, stdin: bytes, limits: Limits) -> SandboxResult:
    started = time.monotonic()
    command = [os.path.realpath(sys.executable), "-s", "-S", "-P", "-B", str(_JAIL)]
    report_read, report_write = os.pipe()
    setup_file, stdin_file = _in_memory("setup", setup), _in_memory("stdin", stdin)
    try:
        process = subprocess.Popen(
            [*command, str(setup_file), str(report_write), str(os.getpid())],
            stdin=stdin_file,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=(setup_file, report_write),
            env=_ENVIRONMENT,
            cwd="/",
            start_new_session=True,
        )
    finally:
        for file in (setup_file, stdin_file, report_write):
            os.close(file)
    with os.fdopen(report_read, "rb") as report_pipe, process:
        assert process.stdout
        assert process.stderr
        pipes = [process.stdout.fileno(), process.stderr.fileno(), report_pipe.fileno()]
        try:
            read, killed = _read(pipes, started + limits.seconds, limits.output_bytes)
        finally:
            # The leader may have ended while the other lives on for a moment; the group is theirs until it is reaped.
            os.killpg(process.pid, signal.SIGKILL)
            exit_status = process.wait()
    stdout, stderr, report = (read[pipe] for pipe in pipes)
    return _result(stdout, stderr, report, killed, exit_status, time.monotonic() - started)


def _in_memory(name: str, content: bytes) -> int:
    """A file that no folder holds, at its start, which can't be changed any more."""
    import fcntl  # not there on Windows

    file = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with os.fdopen(os.dup(file), "wb") as opened:
        opened.write(content)
    os.lseek(file, 0, os.SEEK_SET)
    fcntl.fcntl(
        file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
    )
    return file


def _read(pipes: Sequence[int], deadline: float, output_limit: int) -> tuple[dict[int, bytes], Status | None]:
    """All that comes until the pipes close; or until the time or the output passes its limit, which is then named."""
    read = dict.fromkeys(pipes, b"")
    kept: dict[int, list[bytes]] = {pipe: [] for pipe in pipes}
    left = output_limit + _REPORT_LIMIT
    killed: Status | None = None
    with selectors.DefaultSelector() as selector:
        for pipe in pipes:
            selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map() and not killed:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                killed = "timeout"
            for key, _ in selector.select(max(0.0, remaining)):
                chunk = os.read(key.fd, 1 << 16)
                left -= len(chunk)
                if not chunk:
                    selector.unregister(key.fd)
                elif left < 0:
                    killed = "output"
                else:
                    kept[key.fd].append(chunk)
    read.update({pipe: b"".join(chunks) for pipe, chunks in kept.items()})
    return read, killed


def _result(
    stdout: bytes, stderr: bytes, report: bytes, killed: Status | None, exit_status: int, seconds: float
) -> SandboxResult:
    """What the jail reported and how its process ended, in one word."""
    # The jail writes the first line before the code runs; all after it may be the code's own, if it found the pipe.
    first, *others = [_object(line) for line in report.splitlines()] or [{}]
    if "missing" in first:
        raise SandboxUnavailable(
            f"Untrusted code is not run here: the kernel refuses {first['missing']}.",
            fix="Linux 6.2 or newer with Landlock, or one that allows user namespaces, will do.",
        )
    layers = first.get("layers")
    if layers is None and not killed:
        last = stderr.decode(errors="replace").strip().splitlines()[-1:] or [f"exit status {exit_status}"]
        raise SandboxUnavailable(f"Untrusted code is not run here: the sandbox's own process failed ({last[0]}).")
    ended = others[-1].get("ended") if others else None
    signalled = exit_status - _SIGNALLED if exit_status > _SIGNALLED else 0
    status: Status
    if killed:
        status = killed
    elif signalled in (signal.SIGXCPU, signal.SIGKILL):
        status = "timeout"
    elif signalled == signal.SIGSYS or (ended == "denied" and exit_status):
        status = "denied"
    elif ended == "memory" and exit_status:
        status = "memory"
    else:
        status = "error" if exit_status else "ok"
    note = f"Ended by signal {signalled}.\n" if signalled and not killed else ""
    return SandboxResult(
        status,
        stdout.decode(errors="replace"),
        stderr.decode(errors="replace") + note,
        seconds,
        status == "ok" and ended == "finished",
        tuple(map(str, layers)) if isinstance(layers, list) else (),
    )


def _object(line: bytes) -> dict[str, object]:
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}
