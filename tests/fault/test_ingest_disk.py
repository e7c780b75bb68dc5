"""A full disk in the middle of an ingest is told as such; the last version stays, and the next ingest goes on."""

import asyncio
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from libraries import LetterEmbedder
from rixin.errors import NotEnoughDisk
from rixin.knowledge import MACHINE, Block, Document, Libraries
from rixin.store import Database

LARGER = "256m"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=12m", "none", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("may not mount a small file system here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def documents(count: int) -> list[tuple[str, Document]]:
    drawn = random.Random(3)
    return [
        (
            f"{at}",
            Document(
                title=f"Paper {at}",
                blocks=(Block(kind="paragraph", text=drawn.randbytes(2000).hex()),),
                media_type="text/plain",
            ),
        )
        for at in range(count)
    ]


def test_a_full_disk_is_told_and_the_next_ingest_goes_on(tmp_path: Path, small_disk: Path) -> None:
    with Database.open(tmp_path / "rixin.db") as database:
        libraries = Libraries(database, small_disk, LetterEmbedder())
        libraries.create("lib")
        asyncio.run(libraries.add_documents("lib", "first", documents(2)))
        with pytest.raises(NotEnoughDisk, match="The disk took no more"):
            asyncio.run(libraries.add_documents("lib", "second", documents(1500)))
        found = asyncio.run(libraries.search(["lib"], "paper", reader=MACHINE))
        assert (found.version, len(found.hits) > 0) == (1, True)
        subprocess.run(["mount", "-o", f"remount,size={LARGER}", str(small_disk)], check=True)
        done = asyncio.run(libraries.add_documents("lib", "second", documents(1500)))
        assert (done.version, libraries.get("lib", MACHINE).documents) == (2, 1502)
