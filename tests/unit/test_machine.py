"""What there is room for: the machine's memory, or less where a container is given less."""

from pathlib import Path

import pytest

from rixin import machine


@pytest.fixture
def group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A container's folder of limits, and a machine of 8,000 kB that are free."""
    monkeypatch.setattr(machine, "_CGROUP", tmp_path)
    monkeypatch.setattr(machine, "_MEMINFO", tmp_path / "meminfo")
    (tmp_path / "meminfo").write_text("MemTotal: 16000 kB\nMemAvailable: 8000 kB\n")
    return tmp_path


def test_without_a_limit_it_is_the_machine_s(group: Path) -> None:
    whole = machine.memory()
    assert whole > 100 << 20
    (group / "memory.max").write_text("max\n")
    assert machine.memory() == whole
    assert machine.free_memory() == 8_192_000


def test_a_container_has_what_it_was_given(group: Path) -> None:
    (group / "memory.max").write_text("5000000\n")
    (group / "memory.current").write_text("3000000\n")
    (group / "memory.stat").write_text("anon 2000000\ninactive_file 400000\nactive_file 100000\n")
    assert machine.memory() == 5_000_000
    assert machine.free_memory() == 2_500_000  # what is only file cache can be had


def test_an_older_kernel_s_limit_is_one_too(group: Path) -> None:
    whole = machine.memory()
    (group / "memory").mkdir()
    (group / "memory" / "memory.limit_in_bytes").write_text("9223372036854771712\n")
    assert (machine.memory_limit(), machine.memory()) == (None, whole)
    (group / "memory" / "memory.limit_in_bytes").write_text("5000000\n")
    assert (machine.memory_limit(), machine.memory()) == (5_000_000, 5_000_000)


def test_where_the_system_does_not_say_nothing_is_made_up(group: Path) -> None:
    (group / "meminfo").unlink()
    assert machine.free_memory() is None
