"""All tools of a Rixin by name: what an assistant's file may list, and what it gets for it."""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rixin.assistants.tools.builtin import Calculator, LibrarySearch, Python
from rixin.assistants.tools.configured import TOOLS_FILE, read_tools_file
from rixin.assistants.tools.dates import Dates
from rixin.assistants.tools.mcp import McpServers
from rixin.assistants.tools.openapi import OpenApiTool, openapi_tools
from rixin.assistants.tools.tables import TableQuery
from rixin.assistants.tools.tool import Tool
from rixin.errors import NotFound, RixinError

BUILT_IN: Final[tuple[Tool, ...]] = (Calculator(), Dates(), LibrarySearch(), TableQuery(), Python())

log = logging.getLogger(__name__)


class Toolbox:
    """The built-in tools and those of `tools.toml`, which is read once. Use it from one event loop; `close` ends it."""

    def __init__(self, home: Path) -> None:
        """Raises SettingsInvalid, naming the line, for a file that can't be used."""
        self._home = home
        file = read_tools_file(home)
        self._mcp = {server.name: McpServers([server]) for server in file.mcp}
        self._sources = {source.name: source for source in file.openapi}
        self._openapi: dict[str, list[OpenApiTool]] = {}
        self._problems: dict[str, str] = {}

    def names(self) -> list[str]:
        """What an assistant's file may list: built-in tools, and servers and interfaces for all that they offer."""
        return [*(tool.name for tool in BUILT_IN), *self._mcp, *self._sources]

    def check(self, names: Sequence[str]) -> None:
        """Raises NotFound for a name that neither is built in nor begins with an entry of tools.toml."""
        known = self.names()
        for name in names:
            owner = name.partition("__")[0]
            if name not in known and (owner not in self._mcp and owner not in self._sources):
                raise NotFound(
                    f"There is no tool {name!r}.",
                    fix=f"There are {', '.join(known)}; others are added in {TOOLS_FILE}.",
                    param="tools",
                )

    async def tools(self, names: Sequence[str]) -> list[Tool]:
        """The tools of these names: a built-in one, `server` for all of a server's, or `server__tool` for one of them.

        A server that can't be reached now offers nothing; `problems` says why. Raises NotFound as `check` does, and
        for a tool that its server, which can be reached, does not offer.
        """
        self.check(names)
        built_in = {tool.name: tool for tool in BUILT_IN}
        found: dict[str, Tool] = {}
        for name in names:
            owner, _, single = name.partition("__")
            if name in built_in:
                found[name] = built_in[name]
                continue
            offered = {tool.name: tool for tool in await self._of(owner)}
            if single and name not in offered and owner not in self.problems():
                raise NotFound(
                    f"{owner!r} offers no tool {single!r}.",
                    fix="`rixin tools list` shows those it offers.",
                    param="tools",
                )
            found |= {known: tool for known, tool in offered.items() if not single or known == name}
        return list(found.values())

    def problems(self) -> dict[str, str]:
        """By the entry's name, why it offers nothing; as of when it was last asked for."""
        problems = dict(self._problems)
        for server in self._mcp.values():
            problems |= server.problems()
        return problems

    async def close(self) -> None:
        """End the servers that were started."""
        clients = {id(tool.outgoing): tool.outgoing for tools in self._openapi.values() for tool in tools}
        await asyncio.gather(*(server.close() for server in self._mcp.values()))
        await asyncio.gather(*(client.close() for client in clients.values()))

    async def _of(self, owner: str) -> Sequence[Tool]:
        if owner in self._mcp:
            return await self._mcp[owner].tools()
        if owner not in self._openapi:
            try:
                self._openapi[owner] = await asyncio.to_thread(openapi_tools, self._sources[owner], self._home)
                self._problems.pop(owner, None)
            except RixinError as error:
                self._problems[owner] = str(error)
                log.warning("The interface %s offers nothing: %s", owner, error)
                return []
        return self._openapi[owner]
