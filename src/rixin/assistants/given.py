"""What a model was given for an answer, kept with the answer: to learn from it, it must be known word for word.

A plain conversation's prompt is its turns; only how it was sampled is kept. An assistant's prompt has instructions and
passages too, and depends on what was found, so it is kept whole, deflated.
"""

import zlib
from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec
from msgspec import Struct

from rixin.assistants.storable import storable
from rixin.assistants.tools.running import Generate
from rixin.engines.protocol import ChatPrompt, Delta, GenerateEvent, GenerateRequest, Message, Sampling, Tool


class Given(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The last prompt that the answer was made from.

    `messages` None: the turns above the answer, as they are. `opening` is how the answer's own turn was begun for the
    model: what it wrote follows directly. `written` is that, where what was shown may be something else (citations are
    checked, and what rests on nothing is taken out).
    """

    sampling: Sampling = Sampling()
    messages: tuple[Message, ...] | None = None
    opening: str = ""
    tools: tuple[Tool, ...] = ()
    written: str | None = None


class Recording:
    """Stands before an engine, and remembers the last request it got, and what it wrote for that.

    It is the event, too, by which an answer's readers get to know it, while it still grows.
    """

    def __init__(self, generate: Generate, request: GenerateRequest) -> None:
        """`request` is what holds as long as the engine was not asked."""
        self._generate = generate
        self._request = request
        self._written: list[str] = []

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[GenerateEvent]:
        self._request, self._written = request, []
        async with aclosing(self._generate(request)) as events:
            async for event in events:
                if isinstance(event, Delta):
                    self._written.append(event.text)
                yield event

    def given(self) -> Given:
        """The last request, and what was written for it."""
        return msgspec.structs.replace(given_of(self._request), written=storable("".join(self._written)))


def given_of(request: GenerateRequest) -> Given:
    """The request of a conversation; all text as a database can keep it."""
    prompt = request.prompt
    assert isinstance(prompt, ChatPrompt), "what is kept was asked in a conversation"
    messages = tuple(msgspec.structs.replace(one, content=storable(one.content)) for one in prompt.messages)
    return Given(
        sampling=request.sampling,
        messages=messages[:-1] if prompt.continue_final else messages,
        opening=messages[-1].content if prompt.continue_final else "",
        tools=prompt.tools,
    )


def pack_given(given: Given) -> bytes:
    """For a column; `unpack_given` gives it back."""
    return zlib.compress(msgspec.json.encode(given))


def unpack_given(packed: bytes) -> Given:
    """What `pack_given` made."""
    return msgspec.json.decode(zlib.decompress(packed), type=Given)
