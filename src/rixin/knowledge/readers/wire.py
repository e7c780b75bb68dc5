"""What goes between `Reading` and its worker process: a length, then msgpack; after a question the file's bytes."""

import msgspec
from msgspec import Struct

from rixin.knowledge.documents import Document

LENGTH_BYTES = 4
ALIVE = bytes(LENGTH_BYTES)  # an answer of no bytes: the worker is getting on with it


class Ask(Struct, frozen=True):
    """Read the `size` bytes that follow, which people know by `name`."""

    name: str
    ocr: bool
    size: int


class Answer(Struct, frozen=True, tag=True):
    """`last`: the worker ends after it, since it has grown too large."""

    document: Document
    last: bool = False


class Refusal(Struct, frozen=True, tag=True):
    """An UnreadableDocument in the worker."""

    message: str
    reason: str
    fix: str | None = None
    last: bool = False


Reply = Answer | Refusal

decode_ask = msgspec.msgpack.Decoder(Ask).decode
decode_reply = msgspec.msgpack.Decoder(Reply).decode
_encode = msgspec.msgpack.Encoder().encode


def frame(message: Ask | Reply) -> bytes:
    body = _encode(message)
    return len(body).to_bytes(LENGTH_BYTES, "little") + body
