"""An MCP server as a process of ours: its lines bounded, its environment its own, and ended with all that it started.

The library's own transport reads a line of any length into memory, and takes as much as a server sends.
Source: Model Context Protocol, transports, stdio (2025-06-18).
"""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from rixin.errors import ToolFailed

if TYPE_CHECKING:
    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
    from mcp.shared.message import SessionMessage

MAX_LINE = 4 << 20
MAX_BETWEEN = 16 << 20  # bytes that a server may send between two messages of ours
GRACE_S = 0.5
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SYSTEMROOT")

log = logging.getLogger(__name__)


@asynccontextmanager
async def stdio(
    command: Sequence[str], env: Mapping[str, str], name: str
) -> AsyncGenerator[
    "tuple[MemoryObjectReceiveStream[SessionMessage | Exception], MemoryObjectSendStream[SessionMessage]]"
]:
    """A transport for `mcp.Client`. Raises ToolFailed if the command can't be started."""
    from mcp.shared.message import SessionMessage
    from mcp.types.jsonrpc import jsonrpc_message_adapter

    inherited = {key: value for key in _INHERITED if (value := os.environ.get(key)) is not None}
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=inherited | dict(env),
            limit=MAX_LINE,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise ToolFailed(f"The server can't be started: {error}.", where=name) from None
    to_session, from_server = anyio.create_memory_object_stream["SessionMessage | Exception"](0)
    to_server, from_session = anyio.create_memory_object_stream["SessionMessage"](0)
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    stdin, stdout, stderr = process.stdin, process.stdout, process.stderr
    received = 0

    async def read() -> None:
        nonlocal received
        async with to_session:
            while True:
                try:
                    line = await stdout.readuntil(b"\n")
                except (asyncio.IncompleteReadError, ConnectionError):
                    return None
                except asyncio.LimitOverrunError:
                    log.warning("The MCP server %s sent a line of more than %d bytes, and is ended.", name, MAX_LINE)
                    return _kill(process)
                received += len(line)
                if received > MAX_BETWEEN:
                    log.warning("The MCP server %s floods, and is ended.", name)
                    return _kill(process)
                try:
                    message = SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
                except ValueError:
                    continue  # not a message: programs print
                try:
                    await to_session.send(message)
                except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                    return None

    async def write() -> None:
        nonlocal received
        async with from_session:
            async for message in from_session:
                received = 0
                text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                try:
                    stdin.write(text.encode() + b"\n")
                    await stdin.drain()
                except (ConnectionError, RuntimeError):
                    return

    async def note() -> None:
        """What it says on its way goes to the log, a bounded piece at a time."""
        while piece := await stderr.read(4096):
            log.debug("MCP server %s: %s", name, piece.decode(errors="replace"))

    async with anyio.create_task_group() as group:
        for work in (read, write, note):
            group.start_soon(work)
        try:
            yield from_server, to_server
        finally:
            with anyio.CancelScope(shield=True):
                await _end(process)
                for stream in (from_server, to_server, to_session, from_session):
                    await stream.aclose()
            group.cancel_scope.cancel()


async def _end(process: asyncio.subprocess.Process) -> None:
    """Close its input, give it a moment, then kill it and whatever is in its session."""
    assert process.stdin is not None
    with contextlib.suppress(ConnectionError, RuntimeError):
        process.stdin.close()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(GRACE_S):
            await process.wait()
    _kill(process)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(GRACE_S):
            await process.wait()
    process._transport.close()  # type: ignore[attr-defined]  # a grandchild may hold its pipes open


def _kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
