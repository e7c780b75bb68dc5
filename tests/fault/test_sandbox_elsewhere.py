"""The sandbox where the kernel, or a container around us, gives less: it refuses, or its other walls hold."""

import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

import rixin
from rixin.compute import run_python, sandbox, sandbox_layers
from rixin.compute.seccomp import AUDIT_ARCH, assemble
from rixin.errors import SandboxUnavailable

on_x86 = pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers of system calls are x86_64's")


def _there() -> bool:
    try:
        return bool(sandbox_layers())
    except SandboxUnavailable:
        return False


pytestmark = pytest.mark.skipif(not _there(), reason="this kernel gives no sandbox")


@on_x86
def test_without_unshare_landlock_and_seccomp_still_hold() -> None:
    report = _in_a_container_without(["unshare"], ["open('/etc/passwd')", "import os; os.fork()", "print(6 * 7)"])
    if "refused" in report:  # Landlock too old, or Python in a folder that only root may enter
        assert "Landlock" in report["refused"] or "root's own folder" in report["refused"]
        return
    assert "network namespace" not in report["layers"]
    assert report["statuses"] == ["denied", "denied", "ok"]


@on_x86
def test_without_unshare_and_landlock_it_refuses() -> None:
    report = _in_a_container_without(["unshare", "landlock"], ["print('ran')"])
    assert "Untrusted code is not run here: the kernel refuses a mount namespace" in report["refused"]
    assert "Landlock of version 3 (here 0)" in report["refused"]


@on_x86
def test_without_seccomp_it_refuses() -> None:
    report = _in_a_container_without(["seccomp"], ["print('ran')"])
    assert "Untrusted code is not run here" in report["refused"]


def test_as_a_user_without_rights_the_walls_are_the_same() -> None:
    python = next(filter(None, (shutil.which(f"python3.{minor}", path="/usr/bin") for minor in range(11, 20))), None)
    if os.geteuid() != 0 or python is None:
        pytest.skip("needs root, to become someone else, and a Python that all may read")
    report = _in_a_container_without(
        [], ["open('/etc/passwd')", "import os; os.fork()", "print(6 * 7)"], python=python, user=65534
    )
    if "refused" in report:
        assert "Untrusted code is not run here" in report["refused"]
        return
    assert report["statuses"][1:] == ["denied", "ok"]
    assert report["statuses"][0] in ("error", "denied")


def test_other_systems_are_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox.sys, "platform", "darwin")
    with pytest.raises(SandboxUnavailable, match="not run on darwin: the sandbox needs Linux"):
        run_python("print(1)")
    monkeypatch.setattr(sandbox.sys, "platform", "linux")
    monkeypatch.setattr(sandbox.platform, "machine", lambda: "riscv64")
    with pytest.raises(SandboxUnavailable, match="not run on riscv64"):
        run_python("print(1)")


def test_the_filter_is_well_formed_on_every_machine() -> None:
    """Every jump stays inside, and every way through ends in a return."""
    for machine in AUDIT_ARCH:
        for alone in (True, False):
            program = list(struct.iter_unpack("=HBBI", assemble(machine, alone=alone)))
            assert 50 < len(program) < 4096
            for at, (code, jump_true, jump_false, _) in enumerate(program):
                if code in (0x15, 0x35, 0x45):
                    assert at + 1 + max(jump_true, jump_false) < len(program)
            assert program[-1][0] == 0x06


# What a container's own seccomp filter forbids: the number of the call, and its first argument where that matters.
FORBIDDEN_CALLS = {"unshare": (272, None), "landlock": (444, None), "seccomp": (157, 22)}
CONTAINER = """
import ctypes, json, os, struct, sys
wanted = json.load(sys.stdin)
sys.path.insert(0, wanted["source"])
if wanted["user"]:
    os.setgroups([])
    os.setresgid(*[wanted["user"]] * 3)
    os.setresuid(*[wanted["user"]] * 3)
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(38, 1, 0, 0, 0)
for number, argument in wanted["filters"]:
    checks = [(0x20, 0, 0, 0), (0x15, 0, 3 if argument else 1, number)]
    checks += [(0x20, 0, 0, 16), (0x15, 0, 1, argument)] if argument else []
    checks += [(0x06, 0, 0, 0x50001), (0x06, 0, 0, 0x7FFF0000)]
    program = b"".join(struct.pack("=HBBI", *check) for check in checks)
    kept = ctypes.create_string_buffer(program, len(program))
    assert libc.prctl(22, 2, struct.pack("=H6xQ", len(checks), ctypes.addressof(kept)), 0, 0) == 0
from rixin.compute.sandbox import Limits, run_python, sandbox_layers
from rixin.errors import SandboxUnavailable
try:
    said = {"layers": sandbox_layers()}
    said["statuses"] = [run_python(code, limits=Limits(seconds=30)).status for code in wanted["codes"]]
except SandboxUnavailable as error:
    said = {"refused": str(error)}
print(json.dumps(said))
"""


def _in_a_container_without(
    missing: list[str], codes: list[str], *, python: str = sys.executable, user: int | None = None
) -> dict[str, Any]:
    """Runs the programs in a process to which a filter forbids calls, as a container's does; what came of it."""
    with tempfile.TemporaryDirectory() as source:  # not tmp_path, which is closed to other users
        for name in ("__init__.py", "errors.py", "compute/sandbox.py", "compute/seccomp.py", "compute/jail.py"):
            copy = Path(source, "rixin", name)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(Path(rixin.__file__).parent / name, copy)
        Path(source).chmod(0o755)
        wanted = {"filters": [FORBIDDEN_CALLS[name] for name in missing], "codes": codes, "user": user}
        done = subprocess.run(
            [python, "-c", CONTAINER],
            input=json.dumps({**wanted, "source": source}),
            capture_output=True,
            text=True,
            timeout=120,
            cwd="/",
        )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert isinstance(report, dict)
    return report
