"""`rixin models`: which models there are, where they come from and what they are called."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from cyclopts import App, Parameter

from rixin.cli.progress import ProgressLine
from rixin.cli.tables import print_json, print_table
from rixin.errors import InvalidRequest, ModelNotFound
from rixin.models import Registry, Version, add_remote, catalogue, install, restore
from rixin.models import remove as remove_version
from rixin.models import verify as verify_version
from rixin.workspace import open_workspace

app = App(name="models", help="Pull, list, show, verify, remove and name models.")


@app.command
def pull(reference: str, *, name: str | None = None, alias: str | None = None) -> None:
    """Fetch a model, check its hash and prepare it; going on where an earlier try broke off.

    Parameters
    ----------
    reference
        A name of the catalogue, hf:owner/name[@revision][:file], ms:…, file:/path or https://…
    name
        What to call the model; without it, as the catalogue or the file does.
    alias
        Point this alias at it afterwards; `chat` is what people talk with.
    """
    with open_workspace() as workspace:
        with ProgressLine() as line:
            version = install(workspace.models, reference, line.report, name=name)
        if alias:
            workspace.models.set_alias(alias, version.id)
    print(f"{version.model_name} ({version.id}) is ready.", file=sys.stderr)


@app.command(name="list")
def show_all(*, available: bool = False, as_json: Annotated[bool, Parameter("--json")] = False) -> None:
    """List the models that are here.

    Parameters
    ----------
    available
        List the catalogue instead: what can be pulled by name.
    as_json
        As JSON, for programs.
    """
    if available:
        _show_catalogue(as_json=as_json)
        return
    with open_workspace() as workspace:
        versions = workspace.models.versions()
        aliases = workspace.models.aliases()
    if as_json:
        print_json([_facts(version, [a.name for a in aliases if a.version_id == version.id]) for version in versions])
        return
    rows = [
        (
            version.model_name,
            version.id,
            ", ".join(alias.name for alias in aliases if alias.version_id == version.id),
            version.engine,
            _size(version.bytes),
            version.licence,
        )
        for version in versions
    ]
    print_table(("MODEL", "VERSION", "ALIASES", "ENGINE", "SIZE", "LICENCE"), rows)
    if not rows:
        print("There are no models. `rixin models list --available` shows what can be pulled.", file=sys.stderr)


@app.command
def show(name: str, *, as_json: Annotated[bool, Parameter("--json")] = False) -> None:
    """Show all that is known of a model.

    Parameters
    ----------
    name
        A model, an alias or a version's id.
    as_json
        As JSON, for programs.
    """
    with open_workspace() as workspace:
        version = workspace.models.resolve(name)
        facts = _facts(version, [one.name for one in workspace.models.aliases() if one.version_id == version.id])
        facts["lineage"] = _lineage(workspace.models, version)
        marks = workspace.models.marks(version.id)
        facts["marks"] = msgspec.to_builtins(marks) if as_json else [mark.said for mark in marks]
    if as_json:
        print_json(facts)
        return
    width = max(map(len, facts))
    for key, value in facts.items():
        if value not in (None, "", [], (), {}):
            print(f"{key.replace('_', ' '):<{width}}  {_plain(value)}")


@app.command
def verify(name: str) -> None:
    """Read every byte of a model again and compare it with its hash.

    Parameters
    ----------
    name
        A model, an alias or a version's id.
    """
    with open_workspace() as workspace, ProgressLine() as line:
        version = verify_version(workspace.models, name, line.report)
    print(f"{version.model_name} ({version.id}) is as it was.", file=sys.stderr)


@app.command
def remove(name: str, *, force: bool = False) -> None:
    """Delete a model from this machine.

    Parameters
    ----------
    name
        A model or a version's id.
    force
        Also if an alias points at it; the alias goes too.
    """
    with open_workspace() as workspace:
        version = remove_version(workspace.models, name, force=force)
    print(f"{version.model_name} ({version.id}) is removed.", file=sys.stderr)


@app.command
def export(
    name: str,
    folder: Path,
    *,
    to: Literal["gguf", "ollama", "openvino", "openvino-int4", "safetensors", "adapter", "phone"] = "gguf",
    force: bool = False,
) -> None:
    """Write a model to a folder, in the form that another program wants, and check it there.

    Parameters
    ----------
    name
        A model, an alias or a version's id.
    folder
        Where to; it is made, whole or not at all.
    to
        gguf (llama.cpp, LM Studio), ollama (with a Modelfile), openvino, openvino-int4 (laptops), safetensors
        (transformers, vLLM), adapter (PEFT), phone (a small GGUF file).
    force
        Replace the folder if it is there.
    """
    from rixin.models import export as export_version

    with open_workspace() as workspace, ProgressLine() as line:
        version = workspace.models.resolve(name)
        restore(workspace.models, version, line.report)
        done = export_version(version, to, folder, force=force, report=line.report)
    for note in done.notes:
        print(note, file=sys.stderr)
    for file in done.files:
        print(done.folder / file)


@app.command
def alias(name: str | None = None, target: str | None = None, *, remove: bool = False) -> None:
    """Point an alias at a model; without a name, list the aliases.

    Parameters
    ----------
    name
        The alias.
    target
        A model, a version's id or another alias.
    remove
        Forget the alias.
    """
    with open_workspace() as workspace:
        if name is None:
            for one in workspace.models.aliases():
                canary = f"\tcanary {one.canary_version_id} {one.canary_share:.0%}" if one.canary_version_id else ""
                print(f"{one.name}\t{one.version_id}\t{workspace.models.get(one.version_id).model_name}{canary}")
        elif remove:
            workspace.models.remove_alias(name)
        elif target is None:
            raise InvalidRequest("The alias needs a model.", fix=f"Write `rixin models alias {name} MODEL`.")
        else:
            version_id = workspace.models.set_alias(name, target).version_id
            print(f"{name} now means {version_id}.", file=sys.stderr)


@app.command
def remote(name: str, base_url: str, model: str, *, key_variable: str | None = None, context_length: int = 0) -> None:
    """Add a model of an OpenAI-compatible server (vLLM, SGLang, llama.cpp, a cloud, another Rixin).

    Parameters
    ----------
    name
        What to call it here.
    base_url
        The server's address, up to and with /v1.
    model
        What the server calls it.
    key_variable
        The environment variable that holds the server's key; the key itself is stored nowhere.
    context_length
        How many tokens it takes; 0 if that is not known.
    """
    with open_workspace() as workspace:
        version = add_remote(
            workspace.models, name, base_url, model, key_variable=key_variable, context_length=context_length
        )
    print(f"{version.model_name} ({version.id}) is registered.", file=sys.stderr)


def _show_catalogue(*, as_json: bool) -> None:
    entries = list(catalogue().values())
    if as_json:
        print_json([{name: getattr(entry, name) for name in _SHOWN} for entry in entries])
        return
    rows = [(entry.name, _size(entry.bytes), entry.licence, ", ".join(entry.languages)) for entry in entries]
    print_table(("MODEL", "SIZE", "LICENCE", "LANGUAGES"), rows)


_SHOWN = ("name", "title", "languages", "description", "licence", "parameters", "context_length", "sha256", "bytes")


def _facts(version: Version, aliases: Sequence[str]) -> dict[str, object]:
    facts = asdict(version) | {"aliases": list(aliases), "created_at": version.created_at.isoformat()}
    return facts | {"folder": str(version.folder) if version.folder else None}


def _lineage(registry: Registry, version: Version) -> list[str]:
    """What the version was made from, and that from what; a version that was removed is known by its id only."""
    found: dict[str, str] = {}
    waiting = list(version.parents)
    while waiting:
        parent = waiting.pop(0)
        if parent in found or parent == version.id:
            continue
        try:
            known = registry.get(parent)
        except ModelNotFound:
            found[parent] = f"{parent} (removed)"
        else:
            found[parent] = f"{known.model_name} ({parent})"
            waiting += known.parents
    return list(found.values())


def _plain(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)


def _size(amount: int) -> str:
    return f"{amount / 1e6:,.0f} MB" if amount else "-"
