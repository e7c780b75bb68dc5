"""Once an hour: what was kept long enough goes, and withdrawals and removals that were cut off are finished."""

import asyncio
import logging
from functools import partial

from anyio.to_thread import run_sync

from rixin.errors import RixinError
from rixin.models import finish_removals
from rixin.workspace import Workspace

EVERY_S = 3600.0

log = logging.getLogger(__name__)


async def sweep(workspace: Workspace) -> None:
    """Runs until it is cancelled."""
    while True:
        removals = partial(finish_removals, workspace.models)
        for work in (workspace.completions.sweep, workspace.datasets.withdraw, removals):
            try:
                await run_sync(work)
            except (RixinError, OSError) as error:
                log.warning("What should be gone is still there, and is tried again in an hour: %s", error)
        await asyncio.sleep(EVERY_S)
