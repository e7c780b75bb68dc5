"""kill -9 in the middle of an ingest: the last version answers as before, and the next ingest goes on."""

import asyncio
import subprocess
import sys
from pathlib import Path

from libraries import LetterEmbedder
from rixin.knowledge import MACHINE, Found, Libraries
from rixin.store import Database

DOCUMENTS = 24
KILLED_AT = 8
INGEST = """
import asyncio, sys
from pathlib import Path
import rixin.knowledge.ingest as ingest
from libraries import LetterEmbedder
from rixin.knowledge import Libraries
from rixin.store import Database
ingest.CHUNKS_AT_ONCE = 4
home = Path(sys.argv[1])
with Database.open(home / "rixin.db") as database:
    libraries = Libraries(database, home, LetterEmbedder(sys.argv[2], delay_s=0.05))
    print("begun", flush=True)
    asyncio.run(libraries.ingest("lib", report=lambda progress: print(progress.chunks, flush=True)))
"""


def killed_after(home: Path, embedder: str, chunks: int) -> None:
    """Ingest in another process, and kill it when it has written so many chunks."""
    tests = Path(__file__).parents[1]
    with subprocess.Popen(
        [sys.executable, "-c", INGEST, str(home), embedder], stdout=subprocess.PIPE, text=True, cwd=tests
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip().isdigit() and int(line) >= chunks:
                break
        process.kill()
    assert process.returncode == -9


def test_a_killed_ingest_changes_nothing_and_the_next_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "first.md").write_text("The old state.")

    def search(libraries: Libraries, question: str) -> Found:
        return asyncio.run(libraries.search(["lib"], question, reader=MACHINE, limit=200))

    with Database.open(tmp_path / "rixin.db") as database:
        embedder = LetterEmbedder()
        libraries = Libraries(database, tmp_path, embedder)
        libraries.create("lib")
        libraries.add("lib", [folder])
        asyncio.run(libraries.ingest("lib"))
        for number in range(DOCUMENTS):
            (folder / f"{number}.md").write_text(f"Page number{number} of the new state.")
        (folder / "first.md").unlink()
        killed_after(tmp_path, "letters1", KILLED_AT)
        assert [hit.text for hit in search(libraries, "state").hits] == ["The old state."]
        assert [one.title for one in libraries.documents("lib", MACHINE)] == ["first"]

        embedder.asked.clear()
        done = asyncio.run(libraries.ingest("lib"))
        assert (done.version, done.added + done.unchanged) == (2, DOCUMENTS)
        assert done.unchanged >= KILLED_AT
        assert len(embedder.asked) <= DOCUMENTS - KILLED_AT + 1  # one to learn the dimensions
        found = search(libraries, "state").hits
        assert sorted(hit.text for hit in found) == sorted(
            f"Page number{number} of the new state." for number in range(DOCUMENTS)
        )

        killed_after(tmp_path, "letters2", KILLED_AT)  # while it is embedded anew
        assert len(search(libraries, "state").hits) == DOCUMENTS
        embedder.version = "letters2"
        embedder.asked.clear()
        assert asyncio.run(libraries.ingest("lib")).version == 3
        assert len(embedder.asked) <= DOCUMENTS - KILLED_AT + 1
        assert len(search(libraries, "state").hits) == DOCUMENTS
