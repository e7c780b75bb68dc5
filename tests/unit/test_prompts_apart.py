"""A second copy of the weights is kept only where it is worth its memory."""

from pathlib import Path

import pytest

from rixin.engines.openvino import runner

AMX = "flags\t\t: fpu avx512f amx_bf16 amx_tile amx_int8\n"
MEMORY = 8 << 30


@pytest.mark.parametrize(
    ("size", "facts", "apart"),
    [
        (runner.APART_FROM, AMX, True),
        (MEMORY // runner.MEMORY_SHARE, AMX, True),
        (runner.APART_FROM - 1, AMX, False),  # quick anyway
        (MEMORY // runner.MEMORY_SHARE + 1, AMX, False),
        (runner.APART_FROM, "flags\t\t: fpu avx512f avx512_vnni\n", False),
        (runner.APART_FROM, None, False),  # not Linux
    ],
)
def test_where_prompts_are_read_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, facts: str | None, apart: bool
) -> None:
    monkeypatch.setattr(runner, "_memory", lambda: MEMORY)
    monkeypatch.setattr(runner, "CPU_FACTS", tmp_path / "cpuinfo")
    if facts is not None:
        (tmp_path / "cpuinfo").write_text(facts)
    with (tmp_path / "openvino_model.bin").open("wb") as file:
        file.truncate(size)
    assert runner._prompts_apart(tmp_path) is apart
