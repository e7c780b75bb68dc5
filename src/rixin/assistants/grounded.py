"""What an answer from documents tells beside its text: what was found, cited and changed, and what it took."""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from rixin.assistants.budget import Budget
from rixin.assistants.citations import Annotation, Note
from rixin.assistants.given import Recording
from rixin.assistants.passages import Passage
from rixin.assistants.storable import storable
from rixin.assistants.tools.running import Asked, Called, Outcome
from rixin.engines.protocol import GenerateEvent

SHOWN_CHARACTERS = 2000  # of a call's arguments, and of what it gave


class Source(Struct, frozen=True, kw_only=True):
    """A passage that the model was shown, under the number by which the answer may cite it."""

    number: int
    title: str
    url: str
    text: str
    library: str
    document_id: str
    chunk_id: str
    confidence: float
    metadata: dict[str, str]


class Sources(Struct, frozen=True, kw_only=True):
    """What was searched for, and what was found: always the first event of an answer."""

    query: str
    confidence: float
    sources: tuple[Source, ...]


class ToolUse(Struct, frozen=True, kw_only=True):
    """A call of a tool. `asking` waits for the person's consent, `started` is under way; else it is how it ended.

    `arguments` are JSON; `text` is what the tool gave. Of both the beginning is kept.
    """

    id: str
    tool: str
    arguments: str
    outcome: Outcome | Literal["asking"]
    milliseconds: int = 0
    text: str = ""


class Grounding(Struct, frozen=True, kw_only=True):
    """What an answer rests on, kept with it. `assistant` is the version's id.

    `refused`: the documents do not settle the question, and the answer says so. `notes` say what was changed in it,
    `tools` which tools were called for it.
    """

    assistant: str
    query: str
    confidence: float
    refused: bool
    budget: Budget
    sources: tuple[Source, ...]
    notes: tuple[Note, ...]
    tools: tuple[ToolUse, ...] = ()


class Grounded(Struct, frozen=True, kw_only=True):
    """The whole answer, before its Finished: what the deltas said, its citations, and what it rests on."""

    content: str
    annotations: tuple[Annotation, ...]
    grounding: Grounding


class SteppedIn(Struct, frozen=True, kw_only=True):
    """From here on another version answers than the one that was asked: the engine of that one failed."""

    version_id: str


AskEvent = Sources | Recording | GenerateEvent | Asked | Called | Grounded | SteppedIn


def sources_of(passages: Sequence[Passage]) -> tuple[Source, ...]:
    """The passages as an answer's reader sees them."""
    return tuple(
        Source(
            number=passage.number,
            title=passage.label(),
            url=passage.url(),
            text=passage.hit.text,
            library=passage.hit.library,
            document_id=passage.hit.document_id,
            chunk_id=passage.hit.chunk_id,
            confidence=passage.hit.confidence,
            metadata=passage.hit.metadata,
        )
        for passage in passages
    )


def asked_of(event: Asked) -> ToolUse:
    """A call that is about to be made, or waits for consent."""
    return ToolUse(
        id=event.id,
        tool=event.tool,
        arguments=_beginning(event.arguments),
        outcome="asking" if event.side_effects else "started",
    )


def called_of(event: Called, begun: ToolUse | None) -> ToolUse:
    """A call that has ended; `begun` is what it was before, None for one that did not even fit its tool."""
    return ToolUse(
        id=event.id,
        tool=_beginning(event.tool),
        arguments=begun.arguments if begun is not None else "",
        outcome=event.outcome,
        milliseconds=event.milliseconds,
        text=_beginning(event.text),
    )


def _beginning(text: str) -> str:
    return storable(text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…")
