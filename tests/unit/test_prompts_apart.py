"""A second copy of the weights is kept only where it is worth its memory."""

from pathlib import Path

import pytest

from rixin import machine
from rixin.engines.openvino import runner

AMX = "flags\t\t: fpu avx512f amx_bf16 amx_tile amx_int8\n"
MEMORY = 8 << 30


@pytest.mark.parametrize(
    ("size", "facts", "free", "apart"),
    [
        (runner.APART_FROM, AMX, MEMORY, True),
        (MEMORY // runner.MEMORY_SHARE, AMX, MEMORY, True),
        (runner.APART_FROM - 1, AMX, MEMORY, False),  # quick anyway
        (MEMORY // runner.MEMORY_SHARE + 1, AMX, MEMORY, False),
        (runner.APART_FROM, "flags\t\t: fpu avx512f avx512_vnni\n", MEMORY, False),
        (runner.APART_FROM, None, MEMORY, False),  # not Linux
        (runner.APART_FROM, AMX, 2 * runner.APART_FROM, True),
        (runner.APART_FROM, AMX, 2 * runner.APART_FROM - 1, False),
        (runner.APART_FROM, AMX, None, True),  # the system does not say
    ],
)
def test_where_prompts_are_read_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, facts: str | None, free: int | None, apart: bool
) -> None:
    monkeypatch.setattr(machine, "memory", lambda: MEMORY)
    monkeypatch.setattr(machine, "free_memory", lambda: free)
    monkeypatch.setattr(runner, "CPU_FACTS", tmp_path / "cpuinfo")
    if facts is not None:
        (tmp_path / "cpuinfo").write_text(facts)
    with (tmp_path / "openvino_model.bin").open("wb") as file:
        file.truncate(size)
    assert runner._prompts_apart(tmp_path) is apart
