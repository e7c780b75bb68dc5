"""What a model learns from: five kinds of example, and the one way that each is written down.

An example says nothing of the format that it came from. Its canonical line is the same whatever file it was read
from, so that the same rows are the same dataset.
"""

import hashlib
from collections.abc import Sequence
from typing import ClassVar, Literal

import msgspec
from msgspec import Struct

from rixin.engines import Message, Tool

Kind = Literal["chat", "preference", "labelled", "text", "task"]
KINDS: tuple[Kind, ...] = ("chat", "preference", "labelled", "text", "task")


class Turn(Message, frozen=True, kw_only=True, omit_defaults=True):
    """A message of a conversation. An assistant's turn with `learn` off is read, but not learned."""

    learn: bool = True


class Example(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind"):
    """What all kinds have. `source` is where it was read, `file:line`; it is no part of the example itself."""

    kind: ClassVar[Kind]
    source: str = ""

    def line(self) -> bytes:
        """The canonical JSON of this example, without a line break."""
        return _encoder.encode(msgspec.structs.replace(self, source=""))

    @property
    def id(self) -> str:
        """16 hex digits of the SHA-256 of the canonical line: the same example always has the same."""
        return id_of_line(self.line())


class ChatExample(Example, frozen=True, kw_only=True, omit_defaults=True, tag="chat"):
    """A conversation; the assistant's turns are what is learned."""

    kind: ClassVar[Kind] = "chat"
    messages: tuple[Turn, ...]
    tools: tuple[Tool, ...] = ()


class PreferenceExample(Example, frozen=True, kw_only=True, omit_defaults=True, tag="preference"):
    """Two continuations of one prompt, of which `chosen` is the better. Both begin with an assistant's turn."""

    kind: ClassVar[Kind] = "preference"
    prompt: tuple[Turn, ...]
    chosen: tuple[Turn, ...]
    rejected: tuple[Turn, ...]
    tools: tuple[Tool, ...] = ()


class LabelledExample(Example, frozen=True, kw_only=True, omit_defaults=True, tag="labelled"):
    """A prompt, its completion, and whether that is a good one (KTO's label)."""

    kind: ClassVar[Kind] = "labelled"
    prompt: tuple[Turn, ...]
    completion: tuple[Turn, ...]
    label: bool
    tools: tuple[Tool, ...] = ()


class TextExample(Example, frozen=True, kw_only=True, omit_defaults=True, tag="text"):
    """Plain text, learned from its first character to its last."""

    kind: ClassVar[Kind] = "text"
    text: str


class TaskExample(Example, frozen=True, kw_only=True, omit_defaults=True, tag="task"):
    """A prompt and what tells a right answer from a wrong one; at least one of the four is there.

    `answer` is what must come out, `regex` what must match, `schema` a JSON Schema as JSON text, `tests` Python code
    that fails unless the answer's code is right.
    """

    kind: ClassVar[Kind] = "task"
    prompt: tuple[Turn, ...]
    answer: str | None = None
    regex: str | None = None
    schema: str | None = None
    tests: str | None = None
    tools: tuple[Tool, ...] = ()


AnyExample = ChatExample | PreferenceExample | LabelledExample | TextExample | TaskExample

_encoder = msgspec.json.Encoder(order="deterministic")
_decoder: msgspec.json.Decoder[AnyExample] = msgspec.json.Decoder(AnyExample)


def id_of_line(line: bytes) -> str:
    """The id of the example whose canonical line this is."""
    return hashlib.sha256(line).hexdigest()[:16]


def parse_line(line: bytes, source: str = "") -> AnyExample:
    """The example of a canonical line. Raises msgspec.DecodeError for anything else."""
    example: AnyExample = msgspec.structs.replace(_decoder.decode(line), source=source)
    return example


def texts(example: AnyExample) -> Sequence[str]:
    """Every text in an example that a person would read, in its order."""
    if isinstance(example, TextExample):
        return (example.text,)
    if isinstance(example, ChatExample):
        turns = example.messages
    elif isinstance(example, PreferenceExample):
        turns = (*example.prompt, *example.chosen, *example.rejected)
    elif isinstance(example, LabelledExample):
        turns = (*example.prompt, *example.completion)
    else:
        turns = example.prompt
    written = [part for turn in turns for part in (turn.content, *(call.arguments for call in turn.tool_calls)) if part]
    return [*written, example.answer] if isinstance(example, TaskExample) and example.answer else written
