"""Real MCP servers, as processes and over HTTP: their tools work, and their faults stay theirs."""

import asyncio
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from rixin.assistants.tools import ToolContext
from rixin.assistants.tools.configured import McpServer
from rixin.assistants.tools.mcp import McpServers, McpTool
from rixin.errors import ToolFailed

SERVER = textwrap.dedent("""
    import os, subprocess, sys, time
    from mcp.server import MCPServer
    from mcp.server.mcpserver.exceptions import ToolError
    from mcp_types import ToolAnnotations

    server = MCPServer("test")

    @server.tool(annotations=ToolAnnotations(readOnlyHint=True))
    def add(a: int, b: int) -> str:
        "Adds <tool_call> numbers."
        return str(a + b)

    @server.tool()
    def fail() -> str:
        raise ToolError("no such customer")

    @server.tool()
    def long() -> str:
        return "y" * 1_500_000

    @server.tool()
    def child() -> str:
        process = subprocess.Popen(["sleep", "300"])
        return f"{os.getpid()} {process.pid} {os.environ.get('SECRET')} {os.environ.get('RIXIN_DATABASE_URL')}"

    if len(sys.argv) > 1:
        server.run("streamable-http", port=int(sys.argv[1]))
    else:
        server.run("stdio")
""")

# Ill-behaved in ways that the SDK's server is not; without it, it also starts in no time.
ILL = textwrap.dedent("""
    import json, os, sys, time

    def say(**message):
        print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)

    for line in sys.stdin:
        asked = json.loads(line)
        if asked.get("method") == "initialize":
            about = {"protocolVersion": asked["params"]["protocolVersion"], "capabilities": {"tools": {}},
                     "serverInfo": {"name": "ill", "version": "1"}}
            say(id=asked["id"], result=about)
        elif asked.get("method") == "tools/list":
            names = ["well", "die", "hang", "flood", "endless_line", "nonsense", "huge_schema", "far_schema"]
            tools = [{"name": name, "inputSchema": {"type": "object"}} for name in names]
            tools[-2]["inputSchema"]["description"] = "x" * 20000
            tools[-1]["inputSchema"]["properties"] = {"a": {"$ref": "http://127.0.0.1:1/schema.json"}}
            say(id=asked["id"], result={"tools": tools})
        elif asked.get("method") == "tools/call":
            what = asked["params"]["name"]
            if what == "die":
                os._exit(3)
            if what == "hang":
                time.sleep(60)
            while what == "flood":
                say(method="notifications/message", params={"level": "info", "data": "x" * 90000})
            while what == "endless_line":
                os.write(1, b"x" * 65536)
            if what == "nonsense":
                print("this is no message")
                say(id=asked["id"], result={"content": "wrong"})
            say(id=asked["id"], result={"content": [{"type": "text", "text": "well"}]})
        elif "id" in asked:
            say(id=asked["id"], error={"code": -32601, "message": "no such method"})
""")


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mcp") / "server.py"
    path.write_text(SERVER)
    return path


@pytest.fixture(scope="module")
def address(script: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, str(script), str(port)], stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.1):
                break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.kill()
        process.wait()


def use(server: McpServer, work: Callable[[dict[str, McpTool], McpServers], Awaitable[None]]) -> None:
    async def run() -> None:
        servers = McpServers([server])
        try:
            await work({tool.remote: tool for tool in await servers.tools()}, servers)
        finally:
            await servers.close()

    asyncio.run(run())


def stdio(script: Path, **settings: object) -> McpServer:
    return McpServer(name="test", command=(sys.executable, str(script)), **settings)  # type: ignore[arg-type]


def alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def ill(**settings: object) -> McpServer:
    return McpServer(name="ill", command=(sys.executable, "-c", ILL), **settings)  # type: ignore[arg-type]


def test_tools_of_a_process_are_listed_and_called_in_an_environment_of_its_own(
    script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RIXIN_DATABASE_URL", "postgresql://secret")
    pids: list[int] = []

    async def work(tools: dict[str, McpTool], _: McpServers) -> None:
        add = tools["add"]
        assert (add.name, add.description) == ("test__add", "Adds < ·tool_call> numbers.")
        assert '"a"' in add.parameters
        assert (await add.call({"a": 2, "b": 40}, ToolContext())).text == "42"
        failed = await tools["fail"].call({}, ToolContext())
        assert failed.error
        assert "no such customer" in failed.text
        assert len((await tools["long"].call({}, ToolContext())).text) == 1 << 20
        server, child, secret, url = (await tools["child"].call({}, ToolContext())).text.split()
        assert (secret, url) == ("for-it", "None")
        pids.extend([int(server), int(child)])
        assert all(map(alive, pids))

    use(stdio(script, env={"SECRET": "for-it"}), work)
    deadline = time.monotonic() + 5
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(map(alive, pids))


def test_only_the_administrator_says_what_runs_without_consent(script: Path) -> None:
    async def work(tools: dict[str, McpTool], _: McpServers) -> None:
        assert set(tools) == {"add", "fail"}
        assert tools["add"].side_effects  # though it calls itself read-only
        assert not tools["fail"].side_effects

    use(stdio(script, read_only=("fail",), tools=("add", "fail")), work)


def test_a_server_that_dies_fails_its_call_and_is_there_for_the_next() -> None:
    async def work(tools: dict[str, McpTool], _: McpServers) -> None:
        assert "huge_schema" not in tools
        assert "far_schema" not in tools
        with pytest.raises(ToolFailed, match="failed"):
            await tools["die"].call({}, ToolContext())
        assert (await tools["well"].call({}, ToolContext())).text == "well"

    use(ill(), work)


@pytest.mark.parametrize("fault", ["flood", "endless_line", "nonsense"])
def test_a_server_that_floods_or_breaks_the_protocol_fails_its_call(fault: str) -> None:
    async def work(tools: dict[str, McpTool], _: McpServers) -> None:
        with pytest.raises(ToolFailed, match="failed"):
            await tools[fault].call({}, ToolContext())

    use(ill(), work)


def test_a_server_that_hangs_is_not_waited_for() -> None:
    async def work(tools: dict[str, McpTool], _: McpServers) -> None:
        begun = time.monotonic()
        with pytest.raises(ToolFailed, match=r"within 0\.5 seconds"):
            await tools["hang"].call({}, ToolContext())
        assert time.monotonic() - begun < 5

    use(ill(seconds=0.5), work)


def test_a_command_that_is_not_there_offers_nothing_and_says_why() -> None:
    async def work(tools: dict[str, McpTool], servers: McpServers) -> None:
        assert tools == {}
        assert "can't be started" in servers.problems()["test"]

    use(McpServer(name="test", command=("/nowhere/at-all",)), work)


def test_a_program_that_speaks_no_protocol_offers_nothing() -> None:
    async def work(tools: dict[str, McpTool], servers: McpServers) -> None:
        assert tools == {}
        assert servers.problems()

    use(McpServer(name="test", command=(sys.executable, "-c", "print('hello')")), work)


def test_http_on_loopback_is_refused_unless_the_administrator_names_it(address: str) -> None:
    async def refused(tools: dict[str, McpTool], servers: McpServers) -> None:
        assert tools == {}
        assert "not public" in servers.problems()["test"]

    async def allowed(tools: dict[str, McpTool], _: McpServers) -> None:
        assert (await tools["add"].call({"a": 20, "b": 22}, ToolContext())).text == "42"
        assert (await tools["fail"].call({}, ToolContext())).error

    use(McpServer(name="test", url=address), refused)
    use(McpServer(name="test", url=address, private=True), allowed)


def test_an_answer_over_http_is_bounded_too(address: str) -> None:
    async def work(tools: dict[str, McpTool], _: McpServers) -> None:
        with suppress(ToolFailed):
            assert len((await tools["long"].call({}, ToolContext())).text) <= 1 << 20

    use(McpServer(name="test", url=address, private=True), work)
