"""`tools.toml` in RIXIN_HOME: the servers and interfaces that the administrator lets assistants use."""

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from rixin.errors import InvalidRequest, SettingsInvalid
from rixin.outgoing import parsed

TOOLS_FILE: Final = "tools.toml"
MAX_BYTES = 1 << 20

Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
Seconds = Annotated[float, Meta(gt=0, le=300)]
_AT = re.compile(r" - at `\$(?:\.(?P<table>\w+))?(?:\[(?P<number>\d+|\.\.\.)\])?(?:\.(?P<field>\w+))?")
_TABLE = re.compile(r"^\s*\[\[\s*(?P<name>\w+)\s*\]\]")


class McpServer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An MCP server: a `command` with its arguments, or a `url` (streamable HTTP).

    Its tools ask for consent, but for those named in `read_only` (`*` for all): what a server says of itself does not
    count. `tools` are those that are offered; without it all are. `env` and `headers` may hold secrets, and go to this
    server only. `private` allows the url's origin although its address is not public.
    """

    name: Name
    command: tuple[str, ...] = ()
    url: str | None = None
    env: dict[str, str] = {}
    headers: dict[str, str] = {}
    private: bool = False
    tools: tuple[str, ...] | None = None
    read_only: tuple[str, ...] = ()
    seconds: Seconds = 30.0


class OpenApiSource(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An OpenAPI 3 document (a file, relative to RIXIN_HOME) whose operations become tools.

    `server` replaces the document's own. Of the operations those in `operations` are offered, by operationId; without
    it all are. `headers` go with every call, to the server's origin only.
    """

    name: Name
    document: str
    server: str | None = None
    headers: dict[str, str] = {}
    private: bool = False
    operations: tuple[str, ...] | None = None
    seconds: Seconds = 30.0


class ToolsFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of `tools.toml`."""

    mcp: tuple[McpServer, ...] = ()
    openapi: tuple[OpenApiSource, ...] = ()


def read_tools_file(home: Path) -> ToolsFile:
    """The file of this RIXIN_HOME; one that isn't there is empty. Raises SettingsInvalid naming the line."""
    path = home / TOOLS_FILE
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise SettingsInvalid(f"The file passes {MAX_BYTES} bytes.", where=str(path))
        text = data.decode()
        content = tomllib.loads(text)
    except FileNotFoundError:
        return ToolsFile()
    except OSError as error:
        raise SettingsInvalid(f"The file can't be read: {error.strerror}.", where=str(path)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        line = re.search(r"at line (\d+)", str(error))
        raise SettingsInvalid(f"This is no TOML: {error}.", where=f"{path}:{line[1]}" if line else str(path)) from None
    try:
        found = msgspec.convert(content, ToolsFile)
    except msgspec.ValidationError as error:
        raise SettingsInvalid(
            f"{str(error).partition(' - at')[0]}.", where=_place(path, text, content, error)
        ) from None
    _check(found, path, text)
    return found


def _place(path: Path, text: str, content: dict[str, object], error: msgspec.ValidationError) -> str:
    """`file:line field`; msgspec says `[...]` of a list's item, which is then the first that fails by itself."""
    at = _AT.search(str(error))
    table, field = (at["table"] or "", at["field"]) if at else ("", None)
    number = _failing(content.get(table), McpServer if table == "mcp" else OpenApiSource)
    if field is None and (unknown := re.search(r"unknown field `(\w+)`", str(error))):
        field = unknown[1]
    return f"{path}:{_line(text, table, number, field)}" + (f" {field}" if field else "")


def _failing(items: object, kind: type[McpServer] | type[OpenApiSource]) -> int:
    if not isinstance(items, list):
        return 0
    for number, item in enumerate(items):
        try:
            msgspec.convert(item, kind)
        except msgspec.ValidationError:
            return number
    return 0


def _line(text: str, table: str, number: int, field: str | None) -> int:
    """Where the field of the table's item `number` stands; else where the item begins."""
    begun, seen = 1, -1
    for at, line in enumerate(text.splitlines(), 1):
        if header := _TABLE.match(line):
            if seen == number:
                break
            if header["name"] == table:
                seen, begun = seen + 1, at
        elif (seen == number or not table) and field and re.match(rf"\s*[\"']?{re.escape(field)}[\"']?\s*[=.]", line):
            return at
    return begun


def _check(file: ToolsFile, path: Path, text: str) -> None:
    """What the types alone do not say. Raises SettingsInvalid."""

    def wrong(table: str, number: int, field: str, said: str) -> SettingsInvalid:
        return SettingsInvalid(said, where=f"{path}:{_line(text, table, number, field)} {field}")

    names: set[str] = set()
    entries: Sequence[tuple[str, int, McpServer | OpenApiSource]] = [
        *(("mcp", number, server) for number, server in enumerate(file.mcp)),
        *(("openapi", number, source) for number, source in enumerate(file.openapi)),
    ]
    for table, number, entry in entries:
        if entry.name in names:
            raise wrong(table, number, "name", f"The name {entry.name!r} is taken already.")
        names.add(entry.name)
        if isinstance(entry, McpServer):
            if bool(entry.command) == (entry.url is not None):
                raise wrong(table, number, "command", "A server has either a command or a url.")
            if entry.command and not entry.command[0]:
                raise wrong(table, number, "command", "The command is empty.")
            if (entry.env and not entry.command) or (entry.headers and not entry.url):
                raise wrong(table, number, "env", "`env` is for a command, `headers` are for a url.")
        url = entry.url if isinstance(entry, McpServer) else entry.server
        field = "url" if isinstance(entry, McpServer) else "server"
        if url is not None:
            try:
                scheme = parsed(url).scheme
            except InvalidRequest as error:
                raise wrong(table, number, field, error.message) from None
            if entry.headers and scheme != "https" and not entry.private:
                raise wrong(table, number, field, "Headers would go over the open network unencrypted; use https.")
        for key, value in entry.headers.items():
            if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", key) or not value.isprintable() or not value.isascii():
                raise wrong(table, number, "headers", f"The header {key!r} can't be sent.")
