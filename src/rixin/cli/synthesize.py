"""`rixin data synthesize`: questions with answers and sources out of a Library."""

import asyncio
import sys
from collections import Counter
from collections.abc import Mapping
from typing import Annotated

from cyclopts import Parameter

from rixin.cli.tables import print_json
from rixin.data.versions import check_name
from rixin.errors import InvalidRequest
from rixin.knowledge import MACHINE, Found
from rixin.renewal.synthesis import FIRST, TRIES, Reason, Synthesized, passages_of, synthesize, write_dropped
from rixin.workspace import Workspace, open_workspace

MOST = 100_000


def run(
    library: str,
    *,
    name: str,
    model: str | None = None,
    count: int = 100,
    seed: int = 0,
    as_json: Annotated[bool, Parameter("--json")] = False,
) -> None:
    """Make questions with answers out of a Library, and keep those that its documents bear out.

    Parameters
    ----------
    library
        The Library.
    name
        What to call the dataset.
    model
        Who asks and answers; the alias `chat` if left out.
    count
        How many questions to try for; fewer come where too many do not hold.
    seed
        Which passages are drawn.
    as_json
        As JSON, for programs.
    """
    if not 1 <= count <= MOST:
        raise InvalidRequest(f"--count is from 1 to {MOST:,}.", param="count")
    check_name(name)

    async def make(workspace: Workspace) -> Synthesized:
        version = workspace.models.resolve(model or workspace.default_alias)

        async def find(question: str) -> Found:
            return await workspace.libraries.search([library], question, reader=MACHINE, limit=FIRST)

        async with workspace.running():
            passages = await passages_of(workspace.libraries, library, count * TRIES, seed)
            async with workspace.engines.lease(version) as engine:
                return await synthesize(engine, library, passages, find, count=count, report=_tell)

    with open_workspace() as workspace:
        found = asyncio.run(make(workspace))
        if sys.stderr.isatty():
            print(file=sys.stderr)
        why = write_dropped(workspace.settings.home / "synthesis", name, found.dropped)
        reasons = dict(Counter(one.reason for one in found.dropped))
        if not found.kept:
            raise InvalidRequest(
                f"No question held, of {len(found.dropped)}: {_said(reasons)}.",
                where=str(why),
                fix="Try a larger model.",
            )
        source = f"library:{library} by {model or workspace.default_alias}"
        version = workspace.datasets.add_sourced(name, found.kept, source=source)
    if as_json:
        print_json({"dataset": version.name, "id": version.id, "rows": version.rows, "dropped": reasons})
        return
    print(f"{version.name} ({version.id}): {version.rows:,} questions; not used: {_said(reasons) or 'none'} ({why}).")


def _said(reasons: Mapping[Reason, int]) -> str:
    return ", ".join(f"{count:,} {reason.replace('_', ' ')}" for reason, count in sorted(reasons.items()))


def _tell(kept: int, tried: int) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[2K{kept:,} hold, of {tried:,}", end="", file=sys.stderr, flush=True)
