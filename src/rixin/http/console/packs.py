"""Packs, for administrators: installed in the background, each at most once at a time."""

import asyncio
import logging
from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from rixin.assistants.packs import InstalledPack, PackProgress
from rixin.errors import RixinError
from rixin.http.console.assistant_wire import PackInfo, PackInfoList, PackStep
from rixin.http.describe import describe
from rixin.http.identity import administrator, workspace
from rixin.http.reply import json_answer
from rixin.workspace import Workspace

log = logging.getLogger(__name__)
router = APIRouter(tags=["packs"], dependencies=[Depends(administrator)])


class Installing:
    """The installations of this server. One that is cut off by its end goes on where somebody begins it again."""

    def __init__(self, house: Workspace) -> None:
        self._house = house
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._progress: dict[str, PackProgress] = {}
        self._problems: dict[str, str] = {}

    def begin(self, name: str) -> None:
        """Install it, unless that is being done already. Only in the event loop."""
        if name not in self._tasks:
            self._problems.pop(name, None)
            self._progress[name] = PackProgress("fetching")
            self._tasks[name] = asyncio.create_task(self._install(name), name=f"pack {name}")

    async def close(self) -> None:
        """End what is under way; it can be begun again."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def told(self, pack: InstalledPack) -> PackInfo:
        """The pack as the page shows it."""
        progress = self._progress.get(pack.pack.name)
        manifest = pack.pack.manifest
        return PackInfo(
            name=manifest.name,
            title=manifest.title,
            description=manifest.description,
            licence=manifest.licence,
            assistant=f"assistant:{pack.pack.assistant.name}",
            state=pack.state if progress is None else "installing",
            progress=None
            if progress is None
            else PackStep(
                step=progress.step, done=progress.done, total=progress.total, seconds_left=progress.seconds_left
            ),
            error=self._problems.get(manifest.name),
        )

    async def _install(self, name: str) -> None:
        def report(progress: PackProgress) -> None:
            self._progress[name] = progress

        try:
            await self._house.packs.install(name, report)
        except RixinError as error:
            log.warning("The pack %s could not be installed: %s", name, error)
            self._problems[name] = str(error)
        except Exception:  # the page must learn that it is over
            log.exception("The pack %s could not be installed.", name)
            self._problems[name] = "Something went wrong in the server; its log says what."
        finally:
            del self._tasks[name]
            del self._progress[name]


def installing(request: Request) -> Installing:
    running: Installing = request.app.state.installing
    return running


House = Annotated[Workspace, Depends(workspace)]
Background = Annotated[Installing, Depends(installing)]


@router.get("/api/packs", summary="Packs that can be installed", openapi_extra=describe(answer=PackInfoList))
async def list_packs(house: House, background: Background) -> Response:
    packs = await run_sync(house.packs.list)
    return json_answer(PackInfoList(data=[background.told(pack) for pack in packs]))


@router.post(
    "/api/packs/{name}/install",
    status_code=202,
    summary="Install a pack in the background, or go on with that",
    openapi_extra=describe(answer=PackInfo, status=202),
)
async def install_pack(name: str, house: House, background: Background) -> Response:
    found = await run_sync(house.packs.get, name)
    if found.state != "installed":
        background.begin(name)
    return json_answer(background.told(found), 202)
