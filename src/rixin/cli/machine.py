"""What this machine has, as far as it tells: cores, instruction sets, memory, limits, disk."""

import os
import platform
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from msgspec import Struct

from rixin.machine import memory_limit

CPU = Path("/sys/devices/system/cpu")
CGROUP = Path("/sys/fs/cgroup")
FLAGS = ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_int8", "amx_bf16", "asimd")
PACKAGES = ("rixin", "openvino", "tokenizers", "llguidance", "numpy", "sqlalchemy")


class Machine(Struct, frozen=True, kw_only=True):
    """Sizes in bytes; None is what can't be told here. `usable_cores` regards affinity, `cpu_quota` the container."""

    system: str
    cpu: str | None
    logical_cores: int
    physical_cores: int | None
    usable_cores: int
    cpu_quota: float | None
    numa_nodes: int
    governor: str | None
    load: float
    flags: tuple[str, ...]
    gpus: tuple[str, ...]
    memory: int | None
    memory_free: int | None
    memory_limit: int | None
    disk_free: int
    versions: dict[str, str | None]


def look(home: Path) -> Machine:
    """Everything about this machine; reads only."""
    cpuinfo = _text(Path("/proc/cpuinfo")) or ""
    memory = _memory()
    return Machine(
        system=f"{platform.system()} {platform.release()}, {platform.machine()}, Python {platform.python_version()}",
        cpu=_field(cpuinfo, "model name") or platform.processor() or None,
        logical_cores=os.cpu_count() or 1,
        physical_cores=_physical_cores(),
        usable_cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        cpu_quota=_quota(),
        numa_nodes=len(list(Path("/sys/devices/system/node").glob("node[0-9]*"))) or 1,
        governor=_text(CPU / "cpu0/cpufreq/scaling_governor"),
        load=os.getloadavg()[0],
        flags=_flags(cpuinfo),
        gpus=tuple(sorted(str(device) for device in Path("/dev").glob("nvidia[0-9]*"))),
        memory=memory.get("MemTotal"),
        memory_free=memory.get("MemAvailable"),
        memory_limit=memory_limit(),
        disk_free=shutil.disk_usage(_existing(home)).free,
        versions={name: _version(name) for name in PACKAGES},
    )


def _existing(path: Path) -> Path:
    return path if path.exists() else _existing(path.parent)


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None


def _field(cpuinfo: str, name: str) -> str:
    return next((line.partition(":")[2].strip() for line in cpuinfo.splitlines() if line.startswith(name)), "")


def _flags(cpuinfo: str) -> tuple[str, ...]:
    has = set((_field(cpuinfo, "flags") or _field(cpuinfo, "Features")).split())
    return tuple(flag for flag in FLAGS if flag in has)


def _physical_cores() -> int | None:
    cores = {_text(path) for path in CPU.glob("cpu[0-9]*/topology/core_cpus_list")}
    return len(cores) or None


def _memory() -> dict[str, int]:
    lines = (line.split() for line in (_text(Path("/proc/meminfo")) or "").splitlines())
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines if len(words) == 3}


def _quota() -> float | None:
    """Cores that the control group may use (v2, then v1)."""
    words = (_text(CGROUP / "cpu.max") or "").split()
    if len(words) != 2:
        words = [
            _text(CGROUP / "cpu/cpu.cfs_quota_us") or "max",
            _text(CGROUP / "cpu/cpu.cfs_period_us") or "1",
        ]
    quota, period = words
    return int(quota) / int(period) if quota.isdigit() and int(period) else None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
