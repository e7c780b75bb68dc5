"""What the pages tell people to type works, and shows what they say it shows.

A fence ```console run holds commands behind `$ `, each followed by what it prints, where `…` stands for anything; a
command without such lines has only to succeed. ```python run is one program. Both find a running server where the page
says http://127.0.0.1:8000, a key where it says rx-…, and the real SmolLM2 behind `chat`.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from models_cache import make_smollm2_home
from served import Served, serve_home

ROOT = Path(__file__).parents[2]
PAGES = (*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md")), ROOT / "benchmarks" / "README.md")
FENCE = re.compile(r"^```(console|python) run\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#([^)\s]+))?\)")


@dataclass(frozen=True)
class Block:
    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks() -> Iterator[Block]:
    for page in PAGES:
        text = page.read_text("utf-8")
        for match in FENCE.finditer(text):
            yield Block(page, text.count("\n", 0, match.start()) + 1, match[1], match[2])


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("docs") / "home"
    home.mkdir()
    make_smollm2_home(home)
    with serve_home(home) as running:
        yield running


@pytest.mark.parametrize("block", list(blocks()), ids=str)
def test_a_block_does_what_it_shows(block: Block, served: Served, tmp_path: Path) -> None:
    text = block.text.replace("http://127.0.0.1:8000", served.url).replace('"rx-…"', f'"{served.key}"')
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "RIXIN_HOME": str(served.workspace.settings.home),
        "RIXIN_KEY": served.key,
        "LANG": "C.UTF-8",
    }
    if block.language == "python":
        said = run([sys.executable, "-c", text], environment, tmp_path)
        assert said
        return
    commands = re.split(r"^\$ ", text, flags=re.MULTILINE)
    assert commands[0] == "", f"{block}: what is printed before the first command?"
    for part in commands[1:]:
        command, _, shown = part.partition("\n")
        while command.endswith("\\") or command.count("'") % 2:
            more, _, shown = shown.partition("\n")
            command = f"{command}\n{more}"
        said = run(["bash", "-c", "set -o pipefail\n" + command], environment, tmp_path)
        if shown.strip():
            pattern = re.escape(shown.strip()).replace("…", ".*")
            assert re.fullmatch(pattern, said.strip(), re.DOTALL), f"{block}: {command}\n{said}"


def run(command: list[str], environment: dict[str, str], folder: Path) -> str:
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{command[-1]}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_within_the_project_leads_somewhere(page: Path) -> None:
    for target, anchor in LINK.findall(page.read_text("utf-8")):
        if "://" in target:
            continue
        there = (page.parent / target).resolve()
        assert there.exists(), f"{page.name} links to {target}"
        if anchor:
            heads = re.findall(r"^#+ (.+)$", there.read_text("utf-8"), re.MULTILINE)
            assert anchor in {head.lower().replace(" ", "-") for head in heads}, f"{page.name}: #{anchor}"


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "index.md").read_text("utf-8")
    for page in ROOT.glob("docs/*"):
        assert page.name in index or page.name in ("index.md", "images"), page.name


def test_every_setting_is_explained() -> None:
    from rixin.settings import Settings

    page = (ROOT / "docs" / "install.md").read_text("utf-8")
    for name in Settings.model_fields:
        assert f"`RIXIN_{name.upper()}`" in page, name
