"""What an answer from documents tells beside its text: what was found, cited and changed, and what it took."""

from collections.abc import Sequence

from msgspec import Struct

from rixin.assistants.budget import Budget
from rixin.assistants.citations import Annotation, Note
from rixin.assistants.passages import Passage
from rixin.engines.protocol import GenerateEvent


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


class Grounding(Struct, frozen=True, kw_only=True):
    """What an answer rests on, kept with it. `assistant` is the version's id.

    `refused`: the documents do not settle the question, and the answer says so. `notes` say what was changed in it.
    """

    assistant: str
    query: str
    confidence: float
    refused: bool
    budget: Budget
    sources: tuple[Source, ...]
    notes: tuple[Note, ...]


class Grounded(Struct, frozen=True, kw_only=True):
    """The whole answer, before its Finished: what the deltas said, its citations, and what it rests on."""

    content: str
    annotations: tuple[Annotation, ...]
    grounding: Grounding


AskEvent = Sources | GenerateEvent | Grounded


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
