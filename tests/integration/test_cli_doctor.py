"""`rixin doctor` says what is there, changes nothing, and fails if something is broken."""

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from rixin.cli.diagnosis import advice, problems, usage
from rixin.cli.machine import Machine
from rixin.models import NewModel, NewVersion
from rixin.settings import Settings
from rixin.workspace import open_workspace


def doctor(home: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", "from rixin.cli import main; main()", "doctor", *arguments],
        env={**os.environ, "RIXIN_HOME": str(home), **settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_an_empty_home_is_healthy_and_stays_empty(tmp_path: Path) -> None:
    done = doctor(tmp_path / "new")
    assert (done.returncode, done.stderr) == (0, "")
    for said in ("physical cores", "Models run on", "is not there yet", "None yet", "openvino 20"):
        assert said in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_every_setting_says_where_it_comes_from(tmp_path: Path) -> None:
    (tmp_path / "rixin.toml").write_text("port = 9000\nthreads = 1\n")
    secret = {"RIXIN_DATABASE_URL": "postgresql://u:hunter2@127.0.0.1:1/none"}
    done = doctor(tmp_path, "--json", RIXIN_THREADS="2", **secret)
    assert done.returncode == 1
    found = json.loads(done.stdout)
    settings = {line["name"]: (line["value"], line["origin"]) for line in found["settings"]}
    assert settings["port"] == ("9000", str(tmp_path / "rixin.toml"))
    assert settings["threads"] == ("2", "RIXIN_THREADS")
    assert settings["max_engines"][1] == "default"
    assert settings["database_url"] == ("(hidden)", "RIXIN_DATABASE_URL")
    assert "hunter2" not in done.stdout + done.stderr
    assert "127.0.0.1:1" in found["problems"][0]


def test_models_are_listed_and_a_lost_folder_is_a_problem(tmp_path: Path) -> None:
    with open_workspace(tmp_path) as workspace:
        workspace.models.register(
            NewModel(name="small", title="Small"),
            NewVersion(
                id="v_0123456789ab",
                source="hf:someone/small",
                engine="openvino",
                format="gguf",
                licence="MIT",
                context_length=2048,
                bytes=5 << 20,
                folder="models/v_0123456789ab",
            ),
        )
        workspace.models.set_alias("chat", "small")
    done = doctor(tmp_path)
    assert done.returncode == 1
    assert "small v_0123456789ab: openvino, 5.0 MiB, also called chat" in done.stdout
    assert "`rixin models pull hf:someone/small` makes it again" in done.stdout


@pytest.mark.parametrize(
    ("break_it", "says"),
    [
        (lambda home: (home / "rixin.toml").write_text("port = 'many'"), "rixin.toml: port"),
        (lambda home: (home / "rixin.toml").write_text("port = ="), "rixin.toml"),
        (lambda home: (home / "rixin.db").write_bytes(b"no database" * 500), "damaged"),
    ],
)
def test_what_is_broken_is_named(tmp_path: Path, break_it: object, says: str) -> None:
    break_it(tmp_path)  # type: ignore[operator]
    done = doctor(tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    assert says in done.stdout.partition("Problems")[2]


def test_a_newer_schema_is_a_problem(tmp_path: Path) -> None:
    open_workspace(tmp_path).close()
    with sqlite3.connect(tmp_path / "rixin.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'from-the-future'")
    connection.close()
    done = doctor(tmp_path)
    assert done.returncode == 1
    assert "was written by a newer Rixin (schema from-the-future" in done.stdout


def machine(**changes: object) -> Machine:
    given: dict[str, object] = {
        "system": "Linux",
        "cpu": "a CPU",
        "logical_cores": 16,
        "physical_cores": 8,
        "usable_cores": 16,
        "cpu_quota": None,
        "numa_nodes": 1,
        "governor": "performance",
        "load": 0.1,
        "flags": ("avx2", "avx512f", "avx512_vnni"),
        "gpus": (),
        "memory": 32 << 30,
        "memory_free": 20 << 30,
        "memory_limit": None,
        "disk_free": 100 << 30,
        "versions": {"rixin": "0.1.0"},
    }
    return Machine(**given | changes)  # type: ignore[arg-type]


def test_advice_fits_the_machine(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert advice(machine(), settings) == []
    assert "Models run on 8 threads (one for each physical core)." in usage(machine(), settings)
    assert "Up to 4.0 GiB of memory" in usage(machine(), settings)[1]
    for changes, says in (
        ({"cpu_quota": 2.5}, "set RIXIN_THREADS=2"),
        ({"load": 7.0}, "The machine is busy"),
        ({"governor": "powersave"}, "governor powersave"),
        ({"flags": ("avx2",)}, "A processor with 8-bit dot products"),
        ({"gpus": ("/dev/nvidia0",)}, "add that as a remote model"),
        ({"numa_nodes": 2}, "2 memory nodes"),
        ({"memory_free": 1 << 30}, "Only 1.0 GiB of memory is free"),
    ):
        (line,) = advice(machine(**changes), settings)
        assert says in line
    (line,) = advice(machine(), Settings(home=tmp_path, threads=16))
    assert "more than the 8 physical cores only slows it down" in line


def test_a_full_disk_and_a_tiny_container_are_problems(tmp_path: Path) -> None:
    assert problems(machine(), tmp_path, None) == []
    (line,) = problems(machine(disk_free=1 << 20), tmp_path, None)
    assert "Only 1.0 MiB of disk is free" in line
    (line,) = problems(machine(memory_limit=512 << 20), tmp_path, None)
    assert "too little for any model" in line
