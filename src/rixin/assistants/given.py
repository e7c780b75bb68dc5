"""What a model was given for an answer, kept with the answer: to learn from it, it must be known word for word.

A plain conversation's prompt is its turns; only how it was sampled is kept. An assistant's prompt has instructions and
passages too, and depends on what was found, so it is kept whole, deflated: about 40% of its bytes.
"""

import zlib

import msgspec
from msgspec import Struct

from rixin.engines.protocol import ChatPrompt, Message, Sampling, Tool


class Given(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The last prompt that the answer was made from.

    `messages` None: the turns above the answer, as they are. `opening` is how the answer's own turn was begun for the
    model: what it wrote follows directly.
    """

    sampling: Sampling = Sampling()
    messages: tuple[Message, ...] | None = None
    opening: str = ""
    tools: tuple[Tool, ...] = ()


def given_of(prompt: ChatPrompt, sampling: Sampling) -> Given:
    """A prompt as an engine gets it."""
    messages, opening = prompt.messages, ""
    if prompt.continue_final:
        *before, last = messages
        messages, opening = tuple(before), last.content
    return Given(messages=messages, opening=opening, tools=prompt.tools, sampling=sampling)


def pack_given(given: Given) -> bytes:
    """For a column; `unpack_given` gives it back."""
    return zlib.compress(msgspec.json.encode(given))


def unpack_given(packed: bytes) -> Given:
    """What `pack_given` made."""
    return msgspec.json.decode(zlib.decompress(packed), type=Given)
