"""The application: routes, layers around them, and its life."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp

import rixin
from rixin.http.body import BoundedBody
from rixin.http.console import console_router
from rixin.http.console.looking import Looking
from rixin.http.console.packs import Installing
from rixin.http.console.reading import Reading
from rixin.http.console.watching import Watching
from rixin.http.describe import openapi_document
from rixin.http.envelope import Envelope, own_hosts
from rixin.http.errors import install_error_handlers
from rixin.http.openai import openai_router
from rixin.http.pages import Pages
from rixin.http.serving import Serving
from rixin.http.sweeping import sweep
from rixin.workspace import Workspace

log = logging.getLogger(__name__)

DESCRIPTION = (
    "`/v1` is the OpenAI API, for programs with an API key. `/api` is what the page uses, with a session cookie and "
    "the X-CSRF-Token header. Every failure is an OpenAI error object."
)

FORM_MARGIN = 1 << 20  # what a form has beside its file

Background = Callable[[], Coroutine[Any, Any, None]]


def create_app(workspace: Workspace, *, background: Background | None = None) -> ASGIApp:
    """The ASGI application of an open Workspace; its lifespan starts and ends what the Workspace runs.

    `background` runs beside the server from its start: `rixin up` loads the model there.
    """
    app = routes(workspace, background)
    settings = workspace.settings
    bounded = BoundedBody(app, max_bytes=settings.max_body_bytes, max_form_bytes=settings.max_file_bytes + FORM_MARGIN)
    return Envelope(bounded, hosts=own_hosts(settings.host, settings.public_url), public_url=settings.public_url)


def routes(workspace: Workspace | None, background: Background | None = None) -> FastAPI:
    """The routes alone; without a Workspace they can be described, but not called."""

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncGenerator[None]:
        assert workspace is not None
        async with workspace.running(), workspace.working():
            beside = [
                asyncio.create_task(app.state.reading.run(), name="reading"),
                asyncio.create_task(Watching(workspace, app.state.reading).run(), name="watching"),
                asyncio.create_task(Looking(workspace).run(), name="looking"),
                asyncio.create_task(sweep(workspace), name="sweeping"),
            ]
            if background is not None:
                beside.append(asyncio.create_task(background()))
            try:
                yield
            finally:
                for task in beside:
                    task.cancel()
                await asyncio.gather(*beside, return_exceptions=True)
                await app.state.installing.close()

    app = FastAPI(
        title="Rixin",
        version=rixin.__version__,
        description=DESCRIPTION,
        lifespan=life,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.openapi = lambda: openapi_document(app)  # type: ignore[method-assign]
    if workspace is not None:
        app.state.workspace = workspace
        app.state.serving = Serving(workspace)
        app.state.reading = Reading(workspace)
        app.state.installing = Installing(workspace)
    install_error_handlers(app)
    app.include_router(openai_router)
    app.include_router(console_router)
    app.router.default = Pages()  # not a mount: that would also take another method on a known route, a 405
    return app
