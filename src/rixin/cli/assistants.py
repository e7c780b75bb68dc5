"""`rixin assistants`: what people talk to: listed, shown, brought in from a file, written out, removed."""

import sys
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import App, Parameter

from rixin.assistants import ASSISTANT_FILE, SavedAssistant, Visibility, assistant_toml, read_assistant
from rixin.cli.tables import print_json, print_table
from rixin.errors import InvalidRequest
from rixin.knowledge import MACHINE
from rixin.models import full_disk_named
from rixin.workspace import open_workspace

app = App(name="assistants", help="List, show, import, export and remove assistants.")


@app.command(name="list")
def show_all(*, as_json: Annotated[bool, Parameter("--json")] = False) -> None:
    """List the assistants.

    Parameters
    ----------
    as_json
        As JSON, for programs.
    """
    with open_workspace() as workspace:
        found = workspace.assistants.list(reader=MACHINE)
    if as_json:
        print_json([_facts(one) for one in found])
        return
    rows = [
        (one.assistant.name, one.id, one.assistant.model, ", ".join(one.assistant.libraries) or "-", one.visibility)
        for one in found
    ]
    print_table(("ASSISTANT", "VERSION", "MODEL", "LIBRARIES", "USED BY"), rows)
    if not rows:
        print("There are no assistants. `rixin packs list` shows what can be installed.", file=sys.stderr)


@app.command
def show(name: str, *, as_json: Annotated[bool, Parameter("--json")] = False) -> None:
    """Show an assistant as its file has it, and the versions that it ever had.

    Parameters
    ----------
    name
        Its name, or a version's id.
    as_json
        As JSON, for programs.
    """
    with open_workspace() as workspace:
        found = workspace.assistants.get(name, reader=MACHINE)
        versions = workspace.assistants.versions(found.assistant.name, reader=MACHINE)
    if as_json:
        print_json({**_facts(found), "versions": [one.id for one in versions]})
        return
    print(assistant_toml(found.assistant), end="")
    for one in versions:
        mark = " (this one)" if one.id == found.id else ""
        print(f"{one.id}  {one.created_at:%Y-%m-%d %H:%M}{mark}", file=sys.stderr)


@app.command(name="import")
def bring_in(path: Path, *, visibility: Visibility | None = None) -> None:
    """Read an assistant's file, and make it the newest version of its name.

    Parameters
    ----------
    path
        The file, or the folder with its `assistant.toml`.
    visibility
        Who may talk to it: everyone, its owner, or administrators only. A new one is for everyone.
    """
    assistant = read_assistant(path / ASSISTANT_FILE if path.is_dir() else path)
    with open_workspace() as workspace:
        saved = workspace.assistants.save(assistant, reader=MACHINE, visibility=visibility)
    print(f"{saved.assistant.name} is at version {saved.id}.", file=sys.stderr)


@app.command
def export(name: str, path: Path | None = None) -> None:
    """Write an assistant as a file that `rixin assistants import` reads.

    Parameters
    ----------
    name
        Its name, or a version's id.
    path
        Where to write it; standard output if left out. A file that is there is not replaced.
    """
    with open_workspace() as workspace:
        found = workspace.assistants.get(name, reader=MACHINE)
    text = assistant_toml(found.assistant)
    if path is None:
        print(text, end="")
        return
    try:
        with full_disk_named(path), path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise InvalidRequest("There is a file already.", where=str(path), fix="Name another.") from None
    print(f"{found.assistant.name} ({found.id}) is in {path}.", file=sys.stderr)


@app.command
def remove(name: str) -> None:
    """Remove an assistant with all its versions. Its Libraries and its answers stay.

    Parameters
    ----------
    name
        Its name.
    """
    with open_workspace() as workspace:
        workspace.assistants.delete(name, reader=MACHINE)
    print(f"{name} is removed.", file=sys.stderr)


def _facts(one: SavedAssistant) -> dict[str, object]:
    made: dict[str, object] = msgspec.to_builtins(one.assistant)
    return {"id": one.id, "visibility": one.visibility, "created_at": one.created_at.isoformat(), **made}
