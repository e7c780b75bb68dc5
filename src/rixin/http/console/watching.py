"""Watched folders of Libraries are looked at every few minutes, and read where something has changed."""

import asyncio
import logging

from anyio.to_thread import run_sync

from rixin.errors import RixinError
from rixin.http.console.reading import Reading
from rixin.knowledge import MACHINE, Library, fingerprint
from rixin.workspace import Workspace

log = logging.getLogger(__name__)


class Watching:
    """Tells `Reading` which Libraries have changed. What changed while no server ran is seen at the first look.

    Two servers on one Workspace both see a change; one of them reads it, and the other, which is told to come again
    later, finds nothing new.
    """

    def __init__(self, house: Workspace, reading: Reading) -> None:
        self._house = house
        self._reading = reading
        self._seen: dict[str, list[tuple[str, str]]] = {}  # by Library, each place with its fingerprint

    async def run(self) -> None:
        """As long as the server lives; ends at once where the settings say that nothing is watched."""
        pause_s = self._house.settings.library_watch_minutes * 60
        while pause_s:
            try:
                for library in await run_sync(self.changed):
                    self._reading.wake(library)
            except RixinError as error:
                log.warning("The watched folders could not be looked at: %s", error)
            except Exception:  # a fault in one look must not end the watching
                log.exception("The watched folders could not be looked at.")
            await asyncio.sleep(pause_s)

    def changed(self) -> list[Library]:
        """The Libraries whose watched sources are not as they were when this was last asked."""
        before = self._seen
        libraries = [one for one in self._house.libraries.list(MACHINE) if one.watched]
        self._seen = {one.id: [(place, fingerprint(place)) for place in one.watched] for one in libraries}
        return [one for one in libraries if self._seen[one.id] != before.get(one.id)]
