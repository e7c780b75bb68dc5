"""What a tool is: something a model may call by name with a JSON object, and that answers with text."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from rixin.assistants.passages import Passage
from rixin.engines.protocol import Tool as ToolDescription

NO_ARGUMENTS = '{"type":"object","properties":{}}'

Arguments = Mapping[str, object]


# Bound by the caller to who asks and to the assistant's Libraries, so that no argument of a model can widen them.
Search = Callable[[str, int], Awaitable[Sequence[Passage]]]


class Sheet(Struct, frozen=True, kw_only=True):
    """An uploaded table that a query knows as `name`, with a header in its first row: CSV (UTF-8), or a workbook.

    Of a workbook with several sheets each is a table of its own, named `name` and the sheet's name.
    """

    name: str
    path: Path


@dataclass(frozen=True, kw_only=True)
class ToolContext:
    """On whose behalf, and with what, tools of one answer are called. Without a `user_id` it is the machine's."""

    user_id: str | None = None
    assistant: str | None = None
    conversation_id: str | None = None
    search: Search | None = None
    sheets: Sequence[Sheet] = field(default_factory=tuple)


class ToolResult(Struct, frozen=True, kw_only=True):
    """What a call gave: text for the model, and the passages that it may cite. `error` says why there is none."""

    text: str = ""
    passages: tuple[Passage, ...] = ()
    error: str | None = None


class Tool(Protocol):
    """`parameters` is the JSON Schema of an object, as JSON text. `description` is for the model.

    `side_effects` is False only where a call can change nothing outside; all others ask for the person's consent.
    """

    @property
    def name(self) -> str: ...

    @property
    def description(self) -> str: ...

    @property
    def parameters(self) -> str: ...

    @property
    def side_effects(self) -> bool: ...

    async def call(self, arguments: Arguments, context: ToolContext) -> ToolResult:
        """Arguments fit the schema. A call that fails says so in `error`, or raises a RixinError; it may be cancelled
        at any time."""
        ...


def described(tool: Tool) -> ToolDescription:
    """The tool as an engine is told of it."""
    return ToolDescription(name=tool.name, description=tool.description, parameters=tool.parameters)
