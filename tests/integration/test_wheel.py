"""The wheel that is built from this tree is whole: someone can install it and needs nothing of the repository."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tiny_gguf import write_tiny_gguf

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    done = subprocess.run([*command, "--wheel-dir", str(folder), str(ROOT)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("rixin-*.whl"))


def test_the_wheel_has_every_file_of_the_package(wheel: Path) -> None:
    package = ROOT / "src" / "rixin"
    wanted = {
        f"rixin/{file.relative_to(package).as_posix()}"
        for file in package.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.startswith("rixin/")}
    assert packed == wanted
    assert "rixin/models/catalogue.toml" in packed
    assert "rixin/py.typed" in packed
    assert any(name.startswith("rixin/store/migrations/versions/r0001") for name in packed)


def test_the_wheel_has_the_built_page(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        page = archive.read("rixin/http/static/index.html").decode()
        scripts = [name for name in archive.namelist() if name.startswith("rixin/http/static/assets/")]
    assert '<div id="root">' in page
    assert scripts, "The page is not built: run `make web`."


def test_what_is_installed_from_the_wheel_starts(wheel: Path, tmp_path: Path) -> None:
    """Straight from the archive's content, with no other source of `rixin` in sight."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r}); import rixin.cli; print(rixin.cli.__file__); "
    )
    program += "rixin.cli.main(['models', 'list', '--available'])"
    environment = {"RIXIN_HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-c", program, str(tmp_path / "site")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    place, *models = done.stdout.splitlines()
    assert place.startswith(str(tmp_path))
    assert any(line.startswith("qwen2.5-coder-0.5b-instruct") for line in models)


def test_the_core_neither_needs_nor_finds_torch() -> None:
    """A gigabyte that only training needs: every room that serves must do without."""
    program = "import sys; sys.modules['torch'] = None; import rixin.cli.up, rixin.engines.openvino.serve, "
    program += "rixin.models.prepare, rixin.engines.embedder_worker"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_openvino_reports_nothing_to_its_makers(tmp_path: Path) -> None:
    """By itself, `import openvino` makes ~/intel/openvino_ga_cid and sends an event to an analytics service."""
    source = write_tiny_gguf(tmp_path / "tiny.gguf")
    folder, home = tmp_path / "model", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "CI"} | {"HOME": str(home)}
    command = [sys.executable, "-m", "rixin.models.prepare", str(source), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    program = "import sys, rixin, openvino; sys.exit(any('telemetry.' in name for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", program], env=environment).returncode == 0
    assert list(home.iterdir()) == []
