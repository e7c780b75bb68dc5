"""`rixin library`: documents that can be searched and cited: made, filled, shown, asked, and who may read them."""

import asyncio
import sys
from dataclasses import asdict
from typing import Annotated

import msgspec
from cyclopts import App, Parameter

from rixin.cli.data import plain
from rixin.cli.library_tune import said, tune
from rixin.cli.progress import ProgressLine
from rixin.cli.tables import print_json, print_table
from rixin.errors import InvalidRequest, NotFound
from rixin.knowledge import MACHINE, Found, Hit, Ingested, IngestProgress, Visibility
from rixin.knowledge.reranking import RERANKED
from rixin.models import catalogue, install
from rixin.workspace import Workspace, open_workspace

app = App(name="library", help="Make, fill, search and share Libraries of documents.")
app.command(tune)

SHOWN_TEXT = 240


@app.command
def create(
    name: str,
    sources: list[str] | None = None,
    *,
    watch: bool = False,
    description: str = "",
    visibility: Visibility = "named",
    embedder: str | None = None,
) -> None:
    """Make a Library. `rixin library ingest` then reads its sources.

    Parameters
    ----------
    name
        What to call it.
    sources
        Files, folders and pages (https://…) that its documents come from.
    watch
        Ingest the files and folders when they change, as long as a server runs.
    description
        What is in it, in a sentence.
    visibility
        Who may read it: everyone with an account, or only those who are named by `rixin library grant`.
    embedder
        The model that finds by meaning, such as multilingual-e5-small, which is fetched if it isn't here; the alias
        `embed` if left out.
    """
    with open_workspace() as workspace:
        workspace.libraries.create(
            name, description=description, visibility=visibility, embedder=_embedder(workspace, embedder)
        )
        if sources:
            workspace.libraries.add(name, sources, watched=watch)
    print(f"The Library {name} is made. Fill it with `rixin library ingest {name}`.", file=sys.stderr)


@app.command
def change(
    name: str,
    *,
    description: str | None = None,
    visibility: Visibility | None = None,
    embedder: str | None = None,
    reranker: str | None = None,
) -> None:
    """Change what a Library says of itself, who may read it, or the models that find in it and order what is found.

    Parameters
    ----------
    name
        The Library.
    description
        What is in it, in a sentence.
    visibility
        Who may read it: everyone with an account, or only those who are named by `rixin library grant`.
    embedder
        Another model to find by meaning; the next ingest makes the index anew beside the old one.
    reranker
        A model that reads the first 20 hits of every search and puts them in order; `none` leaves them as found.
    """
    with open_workspace() as workspace:
        if description is not None:
            workspace.libraries.describe(name, description)
        if visibility is not None:
            workspace.libraries.set_visibility(name, visibility)
        if embedder is not None:
            workspace.libraries.set_embedder(name, _embedder(workspace, embedder))
            print(f"`rixin library ingest {name}` makes the index anew with {embedder}.", file=sys.stderr)
        if reranker is not None:
            workspace.libraries.set_reranker(name, None if reranker == "none" else reranker)


@app.command
def add(name: str, sources: list[str], *, watch: bool | None = None) -> None:
    """Add files, folders and pages as sources; every ingest looks at them for what is new, changed or gone.

    Parameters
    ----------
    name
        The Library.
    sources
        Files, folders and pages (https://…).
    watch
        Ingest the files and folders when they change, as long as a server runs. A source that is there already is
        watched from now on, or with --no-watch no longer.
    """
    with open_workspace() as workspace:
        workspace.libraries.add(name, sources, watched=watch)
    print(f"Read them with `rixin library ingest {name}`.", file=sys.stderr)


@app.command
def ingest(name: str) -> None:
    """Bring a Library up to date with its sources; exit status 1 if something could not be read.

    Parameters
    ----------
    name
        The Library.
    """

    async def run(workspace: Workspace) -> Ingested:
        async with workspace.running():
            return await workspace.libraries.ingest(name, report=_tell)

    with open_workspace() as workspace:
        done = asyncio.run(run(workspace))
        failed = [one for one in workspace.libraries.documents(name, MACHINE) if one.error is not None]
    if sys.stderr.isatty():
        print(file=sys.stderr)
    print(
        f"{name} is at version {done.version}: {done.added} new or changed, {done.removed} gone, "
        f"{done.unchanged} as before, {len(failed)} unreadable.",
        file=sys.stderr,
    )
    for problem in [*done.problems, *(f"{one.location}: {one.error}" for one in failed)]:
        print(problem, file=sys.stderr)
    if failed or done.problems:
        sys.exit(1)


@app.command(name="list")
def show_all(*, as_json: Annotated[bool, Parameter("--json")] = False) -> None:
    """List the Libraries.

    Parameters
    ----------
    as_json
        As JSON, for programs.
    """
    with open_workspace() as workspace:
        libraries = workspace.libraries.list(MACHINE)
    if as_json:
        print_json([plain(asdict(one)) for one in libraries])
        return
    rows = [
        (one.name, str(one.version), f"{one.documents:,}", f"{one.chunks:,}", one.visibility, one.description)
        for one in libraries
    ]
    print_table(("LIBRARY", "VERSION", "DOCUMENTS", "CHUNKS", "READ BY", "WHAT IT IS"), rows)
    if not rows:
        print("There are no Libraries. `rixin library create` makes one.", file=sys.stderr)


@app.command
def show(name: str, *, as_json: Annotated[bool, Parameter("--json")] = False) -> None:
    """Show a Library's sources and documents, with what could not be read.

    Parameters
    ----------
    name
        The Library.
    as_json
        As JSON, for programs.
    """
    with open_workspace() as workspace:
        library = workspace.libraries.get(name, MACHINE)
        documents = workspace.libraries.documents(name, MACHINE)
        readers = workspace.libraries.readers(name)
    if as_json:
        facts = {"library": asdict(library), "readers": readers, "documents": [asdict(one) for one in documents]}
        print_json(plain(facts))
        return
    print(f"{library.name}, version {library.version}: {library.documents:,} documents, {library.chunks:,} chunks.")
    print(f"Read by: {library.visibility}{''.join(f', {one}' for one in readers)}")
    for source in library.sources:
        print(f"Source: {source}{' (watched)' * (source in library.watched)}")
    if library.reranker is not None:
        print(f"Reranked by: {library.reranker}")
    if library.lesson is not None:
        print(f"Tuned: {said(library.lesson)}")
    print_table(
        ("DOCUMENT", "TITLE", "CHUNKS", "LOCATION", "ERROR"),
        [(one.id, one.title, f"{one.chunks:,}", one.location, one.error or "-") for one in documents],
    )


@app.command
def versions(name: str, *, as_json: Annotated[bool, Parameter("--json")] = False) -> None:
    """List the versions of a Library that can still be searched, the newest first.

    Parameters
    ----------
    name
        The Library.
    as_json
        As JSON, for programs.
    """
    with open_workspace() as workspace:
        found = workspace.libraries.versions(name, MACHINE)
    if as_json:
        print_json([plain(asdict(one)) for one in found])
        return
    rows = [
        (str(one.number), f"{one.created_at:%Y-%m-%d %H:%M}", f"{one.documents:,}", f"{one.chunks:,}", one.embedder)
        for one in found
    ]
    print_table(("VERSION", "MADE (UTC)", "DOCUMENTS", "CHUNKS", "EMBEDDER"), rows)
    if not rows:
        print(f"Nothing is read yet. `rixin library ingest {name}` does that.", file=sys.stderr)


@app.command
def search(
    library: str,
    question: str,
    *,
    limit: int = 10,
    as_of: int | None = None,
    filter: list[str] | None = None,
    explain: bool = False,
    as_json: Annotated[bool, Parameter("--json")] = False,
) -> None:
    """Find what a Library has about a question, the best first.

    Parameters
    ----------
    library
        The Library; several with commas between them.
    question
        What to look for, in any words.
    limit
        The most places to show.
    as_of
        An older version of the Library's index.
    filter
        A value that the metadata must have, as key=value; may be given several times.
    explain
        Show how each place was found: its rank by words, its rank by meaning, and how sure that is.
    as_json
        A JSON object a line, for programs.
    """
    filters = dict(_pair(one) for one in filter or [])

    async def run(workspace: Workspace) -> Found:
        async with workspace.running():
            return await workspace.libraries.search(
                library.split(","), question, reader=MACHINE, limit=limit, as_of=as_of, filters=filters
            )

    with open_workspace() as workspace:
        found = asyncio.run(run(workspace))
    for number, hit in enumerate(found.hits, 1):
        print(msgspec.json.encode(hit).decode() if as_json else _told(number, hit, explain=explain))
    if explain and found.reranker is not None and not as_json:
        print(f"The first {RERANKED} were put in order by {found.reranker}.")
    if not found.hits:
        print("Nothing was found.", file=sys.stderr)


@app.command
def remove(name: str, source: str | None = None) -> None:
    """Delete a Library with all that was read into it; or only a source, whose documents go with the next ingest.

    Parameters
    ----------
    name
        The Library.
    source
        A source of it, as `rixin library show` names it. The files themselves are never touched.
    """
    with open_workspace() as workspace:
        if source is None:
            workspace.libraries.delete(name)
        else:
            workspace.libraries.remove_source(name, source)
    print(f"{source or name} is removed.", file=sys.stderr)


@app.command
def grant(name: str, user: str) -> None:
    """Let a person read a Library; `everyone` lets all who have an account.

    Parameters
    ----------
    name
        The Library.
    user
        The person's name, or everyone.
    """
    with open_workspace() as workspace:
        if user == "everyone":
            workspace.libraries.set_visibility(name, "everyone")
        else:
            workspace.libraries.grant(name, _user_id(workspace, user))
    print(f"{user} may read {name}.", file=sys.stderr)


@app.command
def revoke(name: str, user: str) -> None:
    """Take the right to read a Library back; from `everyone` leaves it to its owner, administrators and those named.

    Parameters
    ----------
    name
        The Library.
    user
        The person's name, or everyone.
    """
    with open_workspace() as workspace:
        if user == "everyone":
            workspace.libraries.set_visibility(name, "named")
        else:
            workspace.libraries.revoke(name, _user_id(workspace, user))
    print(f"{user} may no longer read {name}, unless by another right.", file=sys.stderr)


def _tell(progress: IngestProgress) -> None:
    if sys.stderr.isatty():
        of = f" of {progress.of:,}" if progress.of else ""
        line = f"{progress.documents:,}{of} documents looked at, {progress.chunks:,} chunks written"
        print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)


def _told(number: int, hit: Hit, *, explain: bool) -> str:
    place = " › ".join((hit.title, *(one for one in hit.heading_path if one != hit.title)))
    page = f", page {hit.page}" if hit.page is not None else ""
    text = " ".join(hit.text.split())
    lines = [f"{number}. {place}{page}", f"   {text[:SHOWN_TEXT]}{'…' * (len(text) > SHOWN_TEXT)}"]
    if explain:
        words, meaning = (
            "not found" if rank is None else f"rank {rank}" for rank in (hit.lexical_rank, hit.vector_rank)
        )
        lines.append(
            f"   by words: {words}; by meaning: {meaning}; score {hit.score:.4f}; confidence {hit.confidence:.2f}"
        )
        if hit.rerank_score is not None:
            lines.append(f"   by the reranker: {hit.rerank_score:.4f}")
        lines += [f"   {key}: {value}" for key, value in hit.metadata.items()]
    return "\n".join(lines)


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise InvalidRequest(f"{text!r} is no filter.", fix="Write it as key=value.", param="filter")
    return key, value


def _embedder(workspace: Workspace, name: str | None) -> str | None:
    """A model of the catalogue is fetched if it isn't here."""
    if name is None:
        return None
    if name in catalogue() and not any(name == version.model_name for version in workspace.models.versions()):
        with ProgressLine("the embedder") as line:
            install(workspace.models, name, line.report)
    workspace.models.resolve(name)
    return name


def _user_id(workspace: Workspace, name: str) -> str:
    for user in workspace.accounts.users():
        if user.name == name or user.id == name:
            return user.id
    raise NotFound(f"There is no user {name!r}.", param="user")
