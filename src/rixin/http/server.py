"""The server's process: its socket, its loop, its signals."""

import asyncio
import errno
import gc
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import uvicorn
from starlette.types import ASGIApp

from rixin.errors import AddressInUse, SettingsInvalid
from rixin.http.protocol import BoundedProtocol

GRACE_S = 10
KEEP_ALIVE_S = 75
BACKLOG = 1024


class Listener:
    """The listening socket, taken before anything slow begins, so that a taken port is known at once."""

    def __init__(self, host: str, port: int) -> None:
        """Raises AddressInUse, and SettingsInvalid for a host that isn't this machine's."""
        try:
            family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
            self.socket = socket.create_server((host, port), family=family, backlog=BACKLOG)
        except PermissionError:
            raise SettingsInvalid(f"Port {port} may only be used by root.", fix="Take one above 1023.") from None
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise AddressInUse(
                    f"Port {port} is in use by another program.", fix=f"Stop that, or use --port {port + 1}."
                ) from None
            raise SettingsInvalid(f"Can't listen on {host} port {port}: {error.strerror or error}.") from None
        self.host = host
        self.port: int = self.socket.getsockname()[1]

    @property
    def url(self) -> str:
        """An address that a browser on this machine can open."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)  # noqa: S104 - read, not bound
        return f"http://{f'[{host}]' if ':' in host and not host.startswith('[') else host}:{self.port}"

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class Server(uvicorn.Server):
    """uvicorn's, but SIGTERM and Ctrl-C end it as a success, after its lifespan has put everything away."""

    def __init__(self, app: ASGIApp, *, proxied: bool = False, on_start: Callable[[], None] | None = None) -> None:
        self._on_start = on_start
        super().__init__(
            uvicorn.Config(
                app,
                loop="uvloop",
                http=BoundedProtocol,
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=proxied,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=GRACE_S,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        gc.collect()
        gc.freeze()  # what was made by now stays; to look through it again and again would hold up every stream
        if self.started and self._on_start is not None:
            self._on_start()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        signals = (signal.SIGINT, signal.SIGTERM)
        for number in signals:
            loop.add_signal_handler(number, self._stop, number)
        try:
            yield
        finally:
            for number in signals:
                loop.remove_signal_handler(number)

    def _stop(self, number: signal.Signals) -> None:
        if self.should_exit and number == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True


def serve(
    app: ASGIApp, listener: Listener, *, proxied: bool = False, on_start: Callable[[], None] | None = None
) -> None:
    """Serve until a signal comes: then streams have 10 s to end, the rest get an error event.

    `proxied` believes X-Forwarded-For from a proxy on this machine. `on_start` is called once, when requests can come.
    """
    server = Server(app, proxied=proxied, on_start=on_start)
    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        runner.run(server.serve(sockets=[listener.socket]))
