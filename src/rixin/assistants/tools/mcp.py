"""Tools of MCP servers. A server that dies, hangs or floods fails its own calls; it is started again for the next.

Source: Model Context Protocol 2025-06-18 and 2026-07-28, by the official SDK.
"""

import asyncio
import json
import logging
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec

from rixin.assistants.tools.arguments import validator
from rixin.assistants.tools.configured import McpServer
from rixin.assistants.tools.naming import MAX_PARAMETERS, tool_description, tool_name
from rixin.assistants.tools.tool import Arguments, ToolContext, ToolResult
from rixin.errors import InvalidRequest, RixinError, ToolFailed
from rixin.outgoing import Outgoing

if TYPE_CHECKING:
    from mcp import Client
    from mcp.client._transport import TransportStreams
    from mcp.types import CallToolResult

START_S = 20.0
AGAIN_S = 5.0  # a server that could not be reached is not tried more often than this
MAX_TOOLS = 64
MAX_TEXT = 1 << 20

log = logging.getLogger(__name__)


class McpTool(msgspec.Struct, frozen=True, kw_only=True):
    """One tool of a server, as it was listed. `remote` is its name there."""

    server: "McpConnection"
    remote: str
    name: str
    description: str
    parameters: str
    side_effects: bool

    async def call(self, arguments: Arguments, context: ToolContext) -> ToolResult:  # noqa: ARG002
        return await self.server.call(self.remote, arguments)


class McpServers:
    """All servers of `tools.toml`. Each is started when its tools are first asked for; `close` ends them."""

    def __init__(self, servers: Sequence[McpServer]) -> None:
        self._connections = [McpConnection(server) for server in servers]

    async def tools(self) -> list[McpTool]:
        """What the servers offer now. One that can't be reached is logged and left out; `problems` says why."""
        found = await asyncio.gather(*(connection.tools() for connection in self._connections), return_exceptions=True)
        tools: list[McpTool] = []
        for connection, result in zip(self._connections, found, strict=True):
            if isinstance(result, RixinError):
                log.warning("The MCP server %s offers nothing: %s", connection.name, result)
            elif isinstance(result, BaseException):
                raise result
            else:
                tools += result
        return tools

    def problems(self) -> dict[str, str]:
        """By the server's name, why it could not be reached when it was last tried."""
        return {one.name: str(one.problem) for one in self._connections if one.problem is not None}

    async def close(self) -> None:
        await asyncio.gather(*(connection.close() for connection in self._connections))


class McpConnection:
    """The line to one server. It lives in a task of its own, since the SDK must be left where it was entered."""

    def __init__(self, server: McpServer) -> None:
        self.name = server.name
        self.problem: ToolFailed | None = None
        self._server = server
        self._lock = asyncio.Lock()
        self._client: Client | None = None
        self._task: asyncio.Task[None] | None = None
        self._leave = asyncio.Event()
        self._failed_at = -AGAIN_S
        self._listed: list[McpTool] | None = None

    async def tools(self) -> list[McpTool]:
        """Raises ToolFailed."""
        client = await self._connected()
        if self._listed is None:
            try:
                async with asyncio.timeout(self._server.seconds):
                    self._listed = await self._list(client)
            except Exception as error:
                raise await self._failed(error) from None
        return self._listed

    async def call(self, tool: str, arguments: Arguments) -> ToolResult:
        """Raises ToolFailed where the server died, hangs, or breaks the protocol; the line is then cut."""
        client = await self._connected()
        try:
            async with asyncio.timeout(self._server.seconds):
                result = await client.call_tool(tool, dict(arguments))
        except Exception as error:
            raise await self._failed(error) from None
        return _result(result)

    async def close(self) -> None:
        task, self._client = self._task, None
        self._leave.set()
        if task is not None:
            await asyncio.wait([task], timeout=10)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self._task = None

    async def _connected(self) -> "Client":
        async with self._lock:
            if self._client is not None and self._task is not None and not self._task.done():
                return self._client
            if self.problem is not None and time.monotonic() - self._failed_at < AGAIN_S:
                raise self.problem
            await self.close()
            self._leave, self._listed = asyncio.Event(), None
            ready: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
            self._task = asyncio.create_task(self._live(ready, self._leave), name=f"MCP server {self.name}")
            try:
                async with asyncio.timeout(START_S):
                    self._client = await asyncio.shield(ready)
            except Exception as error:
                failure = await self._failed(error)
                self.problem, self._failed_at = failure, time.monotonic()
                raise failure from None
            self.problem = None
            return self._client

    async def _live(self, ready: "asyncio.Future[Client]", leave: asyncio.Event) -> None:
        from mcp import Client

        try:
            async with Client(self._transport(), cache=None, read_timeout_seconds=START_S) as client:
                ready.set_result(client)
                await leave.wait()
        except BaseException as error:
            if ready.done():
                log.info("The MCP server %s is left: %r", self.name, error)
            else:
                ready.set_exception(error if isinstance(error, Exception) else ToolFailed("Stopped.", where=self.name))
                ready.exception()  # whoever asked may have given up already
            if isinstance(error, asyncio.CancelledError):
                raise

    @asynccontextmanager
    async def _transport(self) -> "AsyncGenerator[TransportStreams]":
        if self._server.url is None:
            from rixin.assistants.tools.mcp_process import stdio

            async with stdio(self._server.command, self._server.env, self.name) as streams:
                yield streams
            return
        from mcp.client.streamable_http import streamable_http_client

        url = self._server.url
        private = (url,) if self._server.private else ()
        async with Outgoing(private=private, read_s=self._server.seconds) as outgoing:
            outgoing.client.headers.update(self._server.headers)
            async with streamable_http_client(url, http_client=outgoing.client) as streams:
                yield streams

    async def _list(self, client: "Client") -> list[McpTool]:
        tools: list[McpTool] = []
        taken: set[str] = set()
        cursor: str | None = None
        while True:
            page = await client.list_tools(cursor=cursor)
            for tool in page.tools:
                parameters = json.dumps(tool.input_schema, ensure_ascii=False)
                if self._server.tools is not None and tool.name not in self._server.tools:
                    continue
                try:
                    if len(parameters) > MAX_PARAMETERS:
                        raise InvalidRequest(f"Its schema passes {MAX_PARAMETERS} characters.")
                    validator(parameters)
                except InvalidRequest as error:
                    log.warning("The tool %r of the MCP server %s is left out: %s", tool.name[:64], self.name, error)
                    continue
                tools.append(
                    McpTool(
                        server=self,
                        remote=tool.name,
                        name=tool_name(self.name, tool.name, taken),
                        description=tool_description(tool.description or tool.name),
                        parameters=parameters,
                        side_effects=not {"*", tool.name} & set(self._server.read_only),
                    )
                )
            cursor = page.next_cursor
            if cursor is None or len(tools) >= MAX_TOOLS:
                return tools[:MAX_TOOLS]

    async def _failed(self, error: Exception) -> ToolFailed:
        """What happened, in a sentence. The line is cut: what comes late must not be taken for the next answer."""
        from mcp import MCPError

        error = _first(error)
        if isinstance(error, MCPError) and error.code in (-32602, -32601):  # its own refusal; it lives on
            return ToolFailed(f"The server refused: {error.message[:500]}.", where=self.name)
        await self.close()
        if isinstance(error, ToolFailed):
            return error
        if isinstance(error, TimeoutError) or (isinstance(error, MCPError) and error.code == -32001):
            return ToolFailed(f"The server did not answer within {self._server.seconds:g} seconds.", where=self.name)
        said = error.message if isinstance(error, RixinError) else f"{type(error).__name__}: {error}"[:500]
        return ToolFailed(f"The server failed ({said.rstrip('.')}).", where=self.name)


def _first(error: Exception) -> Exception:
    """Of a group of errors the one that began it."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


def _result(result: "CallToolResult") -> ToolResult:
    texts = []
    for block in result.content:
        text = getattr(block, "text", None)
        texts.append(text if isinstance(text, str) else f"({block.type}: not shown)")
    if not texts and result.structured_content is not None:
        texts.append(json.dumps(result.structured_content, ensure_ascii=False))
    text = "\n".join(texts)[:MAX_TEXT]
    return ToolResult(text=text, error="The server says that the call failed." if result.is_error else None)
