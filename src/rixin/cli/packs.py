"""`rixin packs`: whole fields, installed by one command."""

import asyncio
import sys
import time
from typing import Annotated

from cyclopts import App, Parameter

from rixin.assistants.packs import InstalledPack, PackProgress
from rixin.cli.tables import print_json, print_table
from rixin.workspace import Workspace, open_workspace

app = App(name="packs", help="Install whole fields: a Library, an assistant and a suite.")

LOG_EVERY_S = 10.0


@app.command(name="list")
def show_all(*, as_json: Annotated[bool, Parameter("--json")] = False) -> None:
    """List the packs, and what is installed of them.

    Parameters
    ----------
    as_json
        As JSON, for programs.
    """
    with open_workspace() as workspace:
        packs = workspace.packs.list()
    if as_json:
        print_json([_facts(one) for one in packs])
        return
    rows = [(one.pack.name, one.state, one.pack.manifest.title.en, one.pack.manifest.title.zh) for one in packs]
    print_table(("PACK", "STATE", "WHAT IT IS", "是什么"), rows)


@app.command
def show(name: str, *, as_json: Annotated[bool, Parameter("--json")] = False) -> None:
    """Show what a pack brings, from where, and under what licence.

    Parameters
    ----------
    name
        The pack.
    as_json
        As JSON, for programs.
    """
    with open_workspace() as workspace:
        facts = _facts(workspace.packs.get(name))
    if as_json:
        print_json(facts)
        return
    for field, value in facts.items():
        print(f"{field}: {value}")


@app.command
def install(name: str) -> None:
    """Fetch a pack's documents, check their hash, and make its Library and its assistant. Goes on where it was cut off.

    Parameters
    ----------
    name
        The pack; `rixin packs list` names them.
    """
    line = _Line()

    async def run(workspace: Workspace) -> InstalledPack:
        async with workspace.running():
            return await workspace.packs.install(name, line.report)

    with open_workspace() as workspace:
        try:
            done = asyncio.run(run(workspace))
        finally:
            line.end()
    assert done.library is not None, "it is installed"
    print(
        f"The Library {done.library.name} has {done.library.documents:,} documents in {done.library.chunks:,} pieces. "
        f"Ask it: rixin ask --assistant {done.pack.assistant.name} QUESTION",
        file=sys.stderr,
    )
    if done.kept:
        print(f"The assistant {done.pack.assistant.name} was changed here, and stays as it is.", file=sys.stderr)
    print(f"Licence: {done.pack.manifest.licence}.", file=sys.stderr)


@app.command
def remove(name: str) -> None:
    """Remove a pack's Library and assistant.

    Parameters
    ----------
    name
        The pack.
    """
    with open_workspace() as workspace:
        workspace.packs.remove(name)
    print(f"The pack {name} is removed.", file=sys.stderr)


class _Line:
    """One line that is rewritten on a terminal, and now and then a line elsewhere."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._told = 0.0
        self._step = ""
        self._open = False

    def report(self, progress: PackProgress) -> None:
        text = _sentence(progress)
        if self._terminal:
            sys.stderr.write(f"\r\x1b[2K{text}")
            sys.stderr.flush()
            self._open = True
        elif progress.step != self._step or time.monotonic() - self._told > LOG_EVERY_S:
            self._told = time.monotonic()
            print(text, file=sys.stderr)
        self._step = progress.step

    def end(self) -> None:
        if self._open:
            sys.stderr.write("\r\x1b[2K")
            self._open = False


def _sentence(progress: PackProgress) -> str:
    if progress.step == "ready":
        return "Ready"
    if not progress.total:
        return progress.note or "Fetching …"
    text = "Fetching" if progress.step == "fetching" else f"Reading document {progress.done:,} of {progress.total:,}"
    text += f": {100 * progress.done // progress.total}%"
    if progress.seconds_left is not None:
        minutes, seconds = divmod(int(progress.seconds_left), 60)
        text += f", {minutes}:{seconds:02} left"
    return text


def _facts(one: InstalledPack) -> dict[str, object]:
    manifest = one.pack.manifest
    return {
        "name": one.pack.name,
        "state": one.state,
        "title": {"zh": manifest.title.zh, "en": manifest.title.en},
        "description": {"zh": manifest.description.zh, "en": manifest.description.en},
        "library": manifest.library.name,
        "assistant": one.pack.assistant.name,
        "assistant_version": one.assistant,
        "suite": manifest.suite,
        "source": manifest.library.source.package,
        "sha256": manifest.library.source.sha256,
        "licence": manifest.licence,
        "documents": one.library.documents if one.library else 0,
        "chunks": one.library.chunks if one.library else 0,
    }
