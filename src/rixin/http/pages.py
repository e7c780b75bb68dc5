"""The web app, as it was built into `static/`: hashed assets for ever, the page itself always fresh.

The build leaves a `.gz` beside what it makes smaller; who can read that gets it.
"""

import logging
import mimetypes
from pathlib import Path, PurePosixPath

from anyio.to_thread import run_sync
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

log = logging.getLogger(__name__)

STATIC = Path(__file__).parent / "static"
NOT_BUILT = (
    "Rixin runs, but its page is not built. In a clone of the project, run `make web`; the API works without it.\n"
)

FOR_EVER = "public, max-age=31536000, immutable"
ALWAYS_ASK = "no-cache"


class Pages:
    """ASGI app behind all other routes: a file of the web app, or its `index.html` for the app's own addresses."""

    def __init__(self, folder: Path = STATIC) -> None:
        self.folder = folder
        self.files = _files(folder)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise HTTPException(404)
        response = await run_sync(
            self._answer, str(scope["path"]), str(scope["method"]), Headers(scope=scope).get("accept-encoding", "")
        )
        await response(scope, receive, send)

    def _answer(self, path: str, method: str, accepted: str) -> Response:
        if path.startswith(("/api/", "/v1/")) or path in ("/api", "/v1"):
            raise HTTPException(404)
        if method not in ("GET", "HEAD"):
            raise HTTPException(405, headers={"allow": "GET, HEAD"})
        name = path.lstrip("/")
        if name in self.files and name != "index.html":
            return self._file(name, accepted, FOR_EVER if name.startswith("assets/") else ALWAYS_ASK)
        if PurePosixPath(name).suffix and name != "index.html":
            raise HTTPException(404)
        if "index.html" not in self.files:
            return PlainTextResponse(NOT_BUILT, 503 if name else 200, {"cache-control": ALWAYS_ASK})
        return self._file("index.html", accepted, ALWAYS_ASK)

    def _file(self, name: str, accepted: str, cache: str) -> Response:
        headers = {"cache-control": cache}
        packed = f"{name}.gz"
        if packed not in self.files:
            return FileResponse(self.folder / name, headers=headers)
        headers["vary"] = "accept-encoding"
        media_type = mimetypes.guess_type(name)[0]
        if not _takes_gzip(accepted):
            return FileResponse(self.folder / name, headers=headers, media_type=media_type)
        headers["content-encoding"] = "gzip"
        return FileResponse(self.folder / packed, headers=headers, media_type=media_type)


def _takes_gzip(accepted: str) -> bool:
    """Source: RFC 9110, 12.5.3; a weight of 0 is a refusal."""
    for coding in accepted.split(","):
        name, _, weight = coding.partition(";")
        if name.strip().lower() in ("gzip", "*"):
            return weight.strip().replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def _files(folder: Path) -> frozenset[str]:
    """Names of all files, known once: no path from a request ever reaches the file system."""
    if not folder.is_dir():
        return frozenset()
    return frozenset(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
