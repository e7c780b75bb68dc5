"""Tools of an OpenAPI document: one an operation, called by the hardened client."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, urlencode

from msgspec import Struct

from rixin.assistants.tools.arguments import validator
from rixin.assistants.tools.configured import OpenApiSource
from rixin.assistants.tools.naming import MAX_PARAMETERS, tool_description, tool_name
from rixin.assistants.tools.openapi_document import MAX_TEXT, Operation, Parameter, read_interface
from rixin.assistants.tools.tool import Arguments, ToolContext, ToolResult
from rixin.errors import InvalidRequest, MalformedData, SettingsInvalid
from rixin.outgoing import Outgoing, parsed

MAX_BYTES = 1 << 20

log = logging.getLogger(__name__)


class OpenApiTool(Struct, frozen=True, kw_only=True):
    """One operation; what is not a GET has side effects. `headers` are the administrator's."""

    operation: Operation
    server: str
    headers: Mapping[str, str]
    outgoing: Outgoing
    name: str
    description: str
    parameters: str
    side_effects: bool

    async def call(self, arguments: Arguments, context: ToolContext) -> ToolResult:  # noqa: ARG002
        """Raises what `Outgoing.fetch` does."""
        url, headers, body = request_of(self.operation, self.server, arguments)
        reply = await self.outgoing.fetch(self.operation.method, url, headers={**headers, **self.headers}, body=body)
        kind = reply.media_type
        if kind.startswith("text/") or kind.endswith(("json", "xml", "yaml")) or not reply.body:
            text = reply.body.decode(errors="replace")
        else:
            text = f"({len(reply.body)} bytes of {kind or 'unknown kind'}: not shown)"
        if reply.status >= 300:
            return ToolResult(text=text, error=f"The server answered {reply.status}.")
        return ToolResult(text=text or f"Done ({reply.status}).")


def openapi_tools(source: OpenApiSource, home: Path, *, outgoing: Outgoing | None = None) -> list[OpenApiTool]:
    """The tools of an entry of `tools.toml`; operations that can't be offered are logged and left out.

    Raises MalformedData for a document that can't be used, SettingsInvalid where it is not there or names no server.
    """
    path = home / source.document
    try:
        with path.open("rb") as file:
            text = file.read(4 * MAX_TEXT + 1).decode()
    except OSError as error:
        raise SettingsInvalid(f"The document can't be read: {error.strerror}.", where=str(path)) from None
    except UnicodeDecodeError:
        raise MalformedData("The document is not UTF-8.", where=str(path)) from None
    interface = read_interface(text, str(path), only=source.operations)
    server = source.server or interface.server
    if source.headers and source.server is None:
        raise SettingsInvalid(
            "Headers are sent to a server that tools.toml names, not to one of the document's choice.",
            where=source.name,
            fix=f'Add server = "{interface.server or "https://…"}".',
        )
    try:
        server = str(parsed(server or "")).rstrip("/")
    except InvalidRequest:
        raise SettingsInvalid(
            "The document names no server with a whole address.", where=source.name, fix='Add server = "https://…".'
        ) from None
    client = outgoing or Outgoing(
        private=(server,) if source.private else (), seconds=source.seconds, most_bytes=MAX_BYTES
    )
    left_out, taken, tools = dict(interface.left_out), set[str](), []
    for operation in interface.operations:
        try:
            if len(operation.schema) > MAX_PARAMETERS:
                raise InvalidRequest(f"its schema passes {MAX_PARAMETERS} characters")
            validator(operation.schema)
        except InvalidRequest as error:
            left_out[operation.id] = error.message
            continue
        tools.append(
            OpenApiTool(
                operation=operation,
                server=server,
                headers=source.headers,
                outgoing=client,
                name=tool_name(source.name, operation.id, taken),
                description=tool_description(operation.description),
                parameters=operation.schema,
                side_effects=operation.method != "GET",
            )
        )
    for name, reason in left_out.items():
        log.warning("The operation %r of %s is left out: %s", name[:64], source.name, reason)
    return tools


def request_of(operation: Operation, server: str, arguments: Arguments) -> tuple[str, dict[str, str], bytes | None]:
    """Address, headers and body of a call. No argument leaves its place: it can add no segment, query or header."""
    path, query, headers = operation.path, list[tuple[str, str]](), dict[str, str]()
    for parameter in operation.parameters:
        if parameter.name not in arguments:
            continue
        values = _values(arguments[parameter.name], parameter)
        if parameter.place == "query":
            query += [(parameter.key, value) for value in values]
        elif parameter.place == "path":
            value = ",".join(values)
            if not value or value in (".", ".."):
                raise InvalidRequest(f"{value!r} can't stand in a path.", param=parameter.name)
            path = path.replace(f"{{{parameter.key}}}", quote(value, safe="", errors="replace"))
        else:
            value = ",".join(values)
            if not value.isprintable() or not value.isascii():
                raise InvalidRequest("A header holds printable ASCII only.", param=parameter.name)
            headers[parameter.key] = value
    body = None
    if operation.has_body:
        fields = {name: arguments[name] for name in operation.body if name in arguments}
        content = arguments.get("body") if operation.whole_body else fields
        if content is not None:
            body = json.dumps(content, ensure_ascii=False).encode(errors="replace")
            headers["content-type"] = "application/json"
    return f"{server}{path}" + (f"?{urlencode(query, errors='replace')}" if query else ""), headers, body


def _values(value: object, parameter: Parameter) -> list[str]:
    values = [_text(item) for item in value] if isinstance(value, list) else [_text(value)]
    return values if parameter.explode or len(values) < 2 else [",".join(values)]


def _text(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)
