"""From facts to plain sentences: what is used of the machine, what would make it faster, what is broken."""

import os
from pathlib import Path

from rixin.cli.machine import Machine
from rixin.settings import Settings
from rixin.store import DatabaseState

GIB = 1 << 30
MIB = 1 << 20
LEAST_DISK = 100 * MIB
MODEL_DISK = 2 * GIB
MODEL_MEMORY = 2 * GIB


def size(number: float) -> str:
    """Bytes for a person."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:.0f} {unit}" if unit in ("B", "KiB") else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} TiB"


def usage(machine: Machine, settings: Settings) -> list[str]:
    """What Rixin makes of this machine."""
    threads = settings.threads or machine.physical_cores or machine.logical_cores
    said = "RIXIN_THREADS says so" if settings.threads else "one for each physical core"
    memory = machine.memory_limit or machine.memory
    lines = [f"Models run on {threads} thread{'s' * (threads != 1)} ({said})."]
    if settings.kv_cache_bytes:
        lines.append(f"Up to {size(settings.kv_cache_bytes)} of memory holds conversations (RIXIN_KV_CACHE_BYTES).")
    elif memory:
        lines.append(f"Up to {size(memory / 8)} of memory, an eighth, holds conversations for quick reuse.")
    lines.append(f"Arithmetic: {_arithmetic(machine.flags)}.")
    if machine.gpus:
        lines.append(f"The GPU ({', '.join(machine.gpus)}) is not used: this engine runs on the CPU.")
    return lines


def _arithmetic(flags: tuple[str, ...]) -> str:
    if "amx_int8" in flags or "amx_bf16" in flags:
        return "AMX matrix units, the fastest for long prompts and many people at once"
    if "avx512_vnni" in flags or "avx_vnni" in flags:
        return "8-bit dot products (VNNI), good for this"
    if "avx512f" in flags:
        return "AVX-512 without 8-bit dot products (VNNI)"
    if "avx2" in flags:
        return "AVX2 only, without 8-bit dot products (VNNI)"
    return "NEON" if "asimd" in flags else "no vector instructions that could be told"


def advice(machine: Machine, settings: Settings) -> list[str]:
    """What would make it faster, or keep it from becoming slow."""
    lines = []
    cores = machine.physical_cores or machine.logical_cores
    threads = settings.threads or cores
    allowed = min(machine.usable_cores, machine.cpu_quota or machine.usable_cores)
    if allowed < threads:
        lines.append(
            f"Only {allowed:g} of the cores may be used here, but {threads} threads would share them: "
            f"set RIXIN_THREADS={max(1, int(allowed))}, or allow the container more."
        )
    elif settings.threads > cores:
        lines.append(f"RIXIN_THREADS is {settings.threads}; more than the {cores} physical cores only slows it down.")
    elif settings.threads and settings.threads < min(cores, allowed):
        lines.append(f"RIXIN_THREADS is {settings.threads}; {min(cores, int(allowed))} cores could be used.")
    if machine.load > cores / 2:
        lines.append(f"The machine is busy (load {machine.load:.1f} on {cores} cores): other programs take its time.")
    if machine.governor not in (None, "performance", "schedutil"):
        lines.append(f"The CPU saves power (governor {machine.governor}): `performance` answers faster.")
    if machine.numa_nodes > 1:
        lines.append(f"{machine.numa_nodes} memory nodes: bind Rixin to one (numactl) and set RIXIN_THREADS to it.")
    if (machine.memory_free or MODEL_MEMORY) < MODEL_MEMORY:
        lines.append(f"Only {size(machine.memory_free or 0)} of memory is free: end other programs, or take smollm2.")
    if LEAST_DISK <= machine.disk_free < MODEL_DISK:
        lines.append(f"Only {size(machine.disk_free)} of disk is free, too little for another model.")
    if machine.gpus:
        lines.append("To use the GPU, serve a model with vLLM or SGLang on it and add that as a remote model.")
    if not {"avx_vnni", "avx512_vnni", "amx_int8", "asimd"} & set(machine.flags):
        lines.append("A processor with 8-bit dot products (VNNI) or matrix units (AMX) would be much faster.")
    return lines


def problems(machine: Machine, home: Path, database: DatabaseState | None) -> list[str]:
    """What keeps Rixin from working."""
    lines = [f"The package {name} is not installed." for name, found in machine.versions.items() if found is None]
    if home.exists() and not home.is_dir():
        lines.append(f"{home} is not a folder.")
    elif not _writable(home):
        lines.append(f"{home} can't be written.")
    if machine.disk_free < LEAST_DISK:
        lines.append(f"Only {size(machine.disk_free)} of disk is free at {home}.")
    if machine.memory_limit is not None and machine.memory_limit < MODEL_MEMORY / 2:
        lines.append(f"The container may use {size(machine.memory_limit)} of memory, too little for any model.")
    if database is not None and not database.known:
        lines.append(
            f"{database.where} was written by a newer Rixin (schema {database.revision}; this one knows up to "
            f"{database.newest}). Install that version again."
        )
    return lines


def _writable(path: Path) -> bool:
    return os.access(path, os.W_OK) if path.exists() else _writable(path.parent)
