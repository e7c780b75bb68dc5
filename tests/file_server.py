"""An HTTP server of files on loopback that can be slow, forgetful, corrupt or deaf, and writes down what it gave."""

import hashlib
import io
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


@dataclass
class FileServer:
    """`files` by path. `given` counts the bytes sent of each; the other fields are its faults."""

    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    redirects: dict[str, str] = field(default_factory=dict)
    bytes_per_second: float | None = None
    break_after: int | None = None
    given: dict[str, int] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    url: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)
    busy: int = 0

    def settle(self) -> None:
        """Wait until what was answered is also written down: a client may have the last byte before `given` has."""
        deadline = time.monotonic() + 10
        while self.busy and time.monotonic() < deadline:
            time.sleep(0.005)

    def add_wheel(self, name: str, member: str, content: bytes, *, stored: bool = False) -> None:
        """Put a package of one version, 1.0, into the index under `/simple/`."""
        file = f"{name.replace('-', '_')}-1.0-py3-none-any.whl"
        info = f"{name.replace('-', '_')}-1.0.dist-info"
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED) as wheel:
            wheel.writestr(member, content)
            wheel.writestr(f"{info}/METADATA", metadata)
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")
        digest = hashlib.sha256(metadata.encode()).hexdigest()
        link = f'<a href="/wheels/{file}" data-core-metadata="sha256={digest}">{file}</a>'
        self.files[f"/simple/{name}/"] = f"<!DOCTYPE html><html><body>{link}</body></html>".encode()
        self.files[f"/wheels/{file}"] = archive.getvalue()
        self.files[f"/wheels/{file}.metadata"] = metadata.encode()

    def wheel_bytes(self) -> int:
        """How many bytes of wheels were sent."""
        return sum(amount for path, amount in self.given.items() if path.endswith(".whl"))


@contextmanager
def serve_files(**options: object) -> Iterator[FileServer]:
    """A FileServer that runs until the block ends."""
    state = FileServer(**options)  # type: ignore[arg-type]

    class Handler(_Handler):
        files = state

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    files: FileServer

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        with self.files.lock:
            self.files.busy += 1
        try:
            self._answer()
        finally:
            with self.files.lock:
                self.files.busy -= 1

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        wanted = self.headers.get("range", "")
        self.files.requests.append((self.path, wanted))
        if target := self.files.redirects.get(path):
            self._head(302, 0, {"location": target})
            return
        content = self.files.files.get(self.path, self.files.files.get(path))
        if content is None:
            self._head(404, 0, {})
            return
        kind = {"content-type": "text/html"} if path.endswith("/") else {}
        if wanted and self.files.ranges:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start = int(first) if first else len(content) - int(last)
            end = min(int(last) + 1, len(content)) if first and last else len(content)
            body = content[start:end]
            self._head(206, len(body), kind | {"content-range": f"bytes {start}-{end - 1}/{len(content)}"})
        else:
            body = content
            self._head(200, len(body), kind | ({"accept-ranges": "bytes"} if self.files.ranges else {}))
        self._send(path, body)

    do_HEAD = do_GET  # noqa: N815 (pip asks so; the body is left out below)

    def _head(self, status: int, length: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"content-length": str(length), **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def _send(self, path: str, body: bytes) -> None:
        if self.command == "HEAD":
            return
        for start in range(0, len(body), 16 << 10):
            piece = body[start : start + (16 << 10)]
            if self.files.break_after is not None and sum(self.files.given.values()) >= self.files.break_after:
                self.close_connection = True
                return
            if self.files.bytes_per_second and len(body) > 16 << 10:
                time.sleep(len(piece) / self.files.bytes_per_second)
            try:
                self.wfile.write(piece)
            except OSError:
                return
            with self.files.lock:
                self.files.given[path] = self.files.given.get(path, 0) + len(piece)
