"""Canaries are looked at every minute and decided on where something is proven, whether or not a Cycle runs."""

import asyncio
import logging

from anyio.to_thread import run_sync

from rixin.errors import RixinError
from rixin.workspace import Workspace

log = logging.getLogger(__name__)

LOOK_EVERY_S = 60.0


class Looking:
    """Two servers on one Workspace may both look; the first to decide decides."""

    def __init__(self, house: Workspace, *, every_s: float = LOOK_EVERY_S) -> None:
        self._house = house
        self._every_s = every_s

    async def run(self) -> None:
        """As long as the server lives."""
        while True:
            await asyncio.sleep(self._every_s)
            try:
                await run_sync(self._house.canaries.decide_all)
            except RixinError as error:
                log.warning("The canaries could not be looked at: %s", error)
            except Exception:  # a fault in one look must not end the looking
                log.exception("The canaries could not be looked at.")
