"""The server's side of a worker process: starts it, speaks with it, and starts it again when it dies."""

import asyncio
import contextlib
import itertools
import logging
import socket
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import TypeVar

from msgspec import structs

from rixin.engines.protocol import (
    Capabilities,
    Embeddings,
    Finished,
    GenerateEvent,
    GenerateRequest,
    Score,
    ScoreRequest,
)
from rixin.engines.wire import (
    LENGTH_BYTES,
    Cancel,
    Command,
    Embed,
    Events,
    Failed,
    Generate,
    Load,
    Loaded,
    Reply,
    ScoreAll,
    Scores,
    Tokenize,
    Tokens,
    Vectors,
    decode_reply,
    frame,
    raised,
)
from rixin.errors import EngineDied, EngineUnavailable, InvalidRequest, RixinError

DEATHS_ALLOWED = 3
WITHIN_S = 60.0
CLOSE_S = 5.0

log = logging.getLogger(__name__)

Inbox = asyncio.Queue[GenerateEvent | RixinError]
R = TypeVar("R", Tokens, Scores, Vectors)


class WorkerClient:
    """One worker process as an Engine. Requests during a restart wait for it; three deaths in a minute end it."""

    def __init__(self, load: Load, *, name: str) -> None:
        self._load = load
        self._name = name
        self._ids = itertools.count()
        self._streams: dict[str, Inbox] = {}
        self._asked: dict[str, asyncio.Future[Reply]] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: asyncio.StreamWriter | None = None
        self._ready = asyncio.Event()
        self._capabilities: Capabilities | None = None
        self._reason: str | None = f"{name} has not been started."
        self._stopped: RixinError | None = None
        self._deaths: list[float] = []
        self._life: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the process and wait until it can answer. Raises what the load raised, or EngineUnavailable."""
        if self._life is None or self._life.done():
            self._stopped = None
            self._deaths.clear()
            self._life = asyncio.create_task(self._live(), name=f"worker of {self._name}")
        await self._until_ready()

    def capabilities(self) -> Capabilities:
        if self._capabilities is None:
            raise EngineUnavailable(f"{self._name} has not been started.")
        return self._capabilities

    def failure(self) -> str | None:
        return self._reason

    @property
    def pid(self) -> int | None:
        """The worker's process id; None while there is none."""
        return self._process.pid if self._process else None

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[GenerateEvent]:
        await self._until_ready()
        id = str(next(self._ids))
        inbox: Inbox = asyncio.Queue()
        self._streams[id] = inbox
        unfinished = request.n
        try:
            await self._send(Generate(structs.replace(request, id=id)))
            while unfinished:
                event = await inbox.get()
                if isinstance(event, RixinError):
                    unfinished = 0
                    raise event
                if isinstance(event, Finished):
                    unfinished -= 1
                yield event
        finally:
            del self._streams[id]
            if unfinished:
                self._send_soon(Cancel(id))

    async def tokenize(self, text: str) -> tuple[int, ...]:
        return (await self._ask(lambda id: Tokenize(id, text), Tokens)).tokens

    async def score(self, requests: Sequence[ScoreRequest]) -> list[Score]:
        return list((await self._ask(lambda id: ScoreAll(id, tuple(requests)), Scores)).scores)

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        return (await self._ask(lambda id: Embed(id, tuple(texts)), Vectors)).embeddings

    async def close(self) -> None:
        """End the process; requests still in flight get EngineUnavailable."""
        loading = not self._ready.is_set()
        self._stop(EngineUnavailable(f"{self._name} was closed."))
        life, process = self._life, self._process
        if self._pipe is not None and not self._pipe.is_closing():
            self._pipe.write_eof()
        if process is not None and not loading:  # one that loads hears nothing before it is done
            with contextlib.suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(process.wait, CLOSE_S)
        if life is not None:
            life.cancel()
            await asyncio.gather(life, return_exceptions=True)

    async def _ask(self, command: Callable[[str], Command], kind: type[R]) -> R:
        await self._until_ready()
        id = str(next(self._ids))
        answer = self._asked[id] = asyncio.get_running_loop().create_future()
        try:
            await self._send(command(id))
            reply = await answer
            assert isinstance(reply, kind)
            return reply
        finally:
            del self._asked[id]
            if not answer.done() or answer.cancelled():
                self._send_soon(Cancel(id))

    async def _until_ready(self) -> None:
        while not self._ready.is_set():
            if self._stopped is not None:
                raise self._stopped
            if self._life is None:
                raise EngineUnavailable(f"{self._name} has not been started.")
            waiting = asyncio.create_task(self._ready.wait())
            try:
                await asyncio.wait([waiting, self._life], return_when=asyncio.FIRST_COMPLETED)
            finally:
                waiting.cancel()

    def _send_soon(self, command: Command) -> None:
        if self._ready.is_set() and self._pipe is not None and not self._pipe.is_closing():
            self._pipe.write(frame(command))

    async def _send(self, command: Command) -> None:
        pipe = self._pipe
        try:
            if pipe is None or pipe.is_closing():  # uvloop's write then raises RuntimeError
                raise BrokenPipeError
            pipe.write(frame(command))
            await pipe.drain()
        except UnicodeEncodeError:
            raise InvalidRequest("The text has half of a surrogate pair, which is no character.") from None
        except ConnectionError:
            if pipe is self._pipe:  # the next request waits for the next life, though nobody has noticed this death yet
                self._ready.clear()
            raise EngineDied(f"{self._name} ended before it could take the request.", fix="Send it again.") from None

    async def _live(self) -> None:
        """Run the process, again after each death, until it may not be started any more."""
        while self._stopped is None:
            try:
                status = await self._one_life()
            except Exception as error:  # no process, or one that speaks nonsense: nobody may wait for it for ever
                log.exception("The process of %s can't be used", self._name)
                self._stop(EngineUnavailable(f"The process of {self._name} can't be used: {error}"))
                return
            if self._stopped is None:
                self._died(status)

    async def _one_life(self) -> int:
        # A socket pair and Popen, since cancelling asyncio's own start of a process can hang (cpython #103847).
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = process = _spawn(theirs.fileno())
            except OSError:
                ours.close()
                raise
        try:
            reader, self._pipe = await asyncio.open_connection(sock=ours)
            self._pipe.write(frame(self._load))
            # A write that finds the pipe broken ends the reader too, with the writer's error.
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    header = await reader.readexactly(LENGTH_BYTES)
                    self._receive(decode_reply(await reader.readexactly(int.from_bytes(header, "little"))))
            return await asyncio.to_thread(process.wait)
        finally:
            self._ready.clear()
            if self._pipe is not None:
                self._pipe.close()
            self._pipe = self._process = None
            if process.poll() is None:
                process.kill()
                process.wait()

    def _receive(self, reply: Reply) -> None:
        if isinstance(reply, Events):
            for id, event in reply.items:
                if inbox := self._streams.get(id):
                    inbox.put_nowait(event)
        elif isinstance(reply, Loaded):
            self._capabilities = reply.capabilities
            self._reason = None
            self._ready.set()
        elif isinstance(reply, Failed):
            error = raised(reply)
            if not reply.id and not self._ready.is_set():
                self._stop(error)  # it can't be loaded: to try again would end the same
            elif inbox := self._streams.get(reply.id):
                inbox.put_nowait(error)
            elif answer := self._waiting(reply.id):
                answer.set_exception(error)
        elif answer := self._waiting(reply.id):
            answer.set_result(reply)

    def _waiting(self, id: str) -> "asyncio.Future[Reply] | None":
        answer = self._asked.get(id)
        return None if answer is None or answer.done() else answer

    def _died(self, status: int | None) -> None:
        how = f"killed by signal {-status}" if status is not None and status < 0 else f"exit status {status}"
        now = time.monotonic()
        self._deaths = [death for death in self._deaths if now - death < WITHIN_S] + [now]
        log.error("The process of %s ended (%s); death %d within a minute.", self._name, how, len(self._deaths))
        if len(self._deaths) >= DEATHS_ALLOWED:
            self._stop(
                EngineUnavailable(
                    f"{self._name} died {DEATHS_ALLOWED} times in a minute (last: {how}), so it was stopped.",
                    fix="The server's log says why; start Rixin again, or choose another model.",
                )
            )
            return
        self._reason = f"{self._name} died ({how}) and is starting again."
        self._fail_all(EngineDied(f"{self._name} died while it answered ({how}).", fix="It restarts; ask again."))

    def _stop(self, error: RixinError) -> None:
        if self._stopped is None:
            self._stopped = error
            self._reason = error.message
        self._ready.clear()
        self._fail_all(error)

    def _fail_all(self, error: RixinError) -> None:
        for inbox in self._streams.values():
            inbox.put_nowait(error)
        for answer in self._asked.values():
            if not answer.done():
                answer.set_exception(error)


def _spawn(socket_number: int) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "rixin.engines.worker"]
    return subprocess.Popen(command, stdin=socket_number, stdout=socket_number)
