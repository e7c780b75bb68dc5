"""What travels over a worker's pipes: a 4-byte little-endian length, then one msgpack message."""

import threading
from collections.abc import Iterator
from typing import BinaryIO, Literal

import msgspec
from msgspec import Struct

from rixin import errors
from rixin.engines.protocol import Capabilities, Embeddings, GenerateEvent, GenerateRequest, Score, ScoreRequest
from rixin.errors import RixinError

LENGTH_BYTES = 4


class Load(Struct, frozen=True, kw_only=True, tag="load"):
    """The first message: what to run. `threads` and `kv_cache_bytes` 0 let the worker choose."""

    kind: Literal["openvino", "embedder", "reranker"]
    folder: str = ""
    threads: int = 0
    kv_cache_bytes: int = 0
    max_parallel: int = 1


class Generate(Struct, frozen=True, tag="generate"):
    request: GenerateRequest


class Cancel(Struct, frozen=True, tag="cancel"):
    id: str


class Tokenize(Struct, frozen=True, tag="tokenize"):
    id: str
    text: str


class ScoreAll(Struct, frozen=True, tag="score"):
    id: str
    requests: tuple[ScoreRequest, ...]


class Embed(Struct, frozen=True, tag="embed"):
    id: str
    texts: tuple[str, ...]


class Rank(Struct, frozen=True, tag="rank"):
    """The answer is a vector of one number for each passage."""

    id: str
    question: str
    passages: tuple[str, ...]


Command = Load | Generate | Cancel | Tokenize | ScoreAll | Embed | Rank


class Loaded(Struct, frozen=True, tag="loaded"):
    capabilities: Capabilities


class Events(Struct, frozen=True, tag="events"):
    """Everything that one step brought, for all requests in one message."""

    items: list[tuple[str, GenerateEvent]]


class Failed(Struct, frozen=True, kw_only=True, tag="failed"):
    """Request `id` failed with the error class of this name; "" is the load itself."""

    id: str
    error: str
    message: str
    where: str | None = None
    fix: str | None = None
    param: str | None = None


class Tokens(Struct, frozen=True, tag="tokens"):
    id: str
    tokens: tuple[int, ...]


class Scores(Struct, frozen=True, tag="scores"):
    id: str
    scores: tuple[Score, ...]


class Vectors(Struct, frozen=True, tag="vectors"):
    id: str
    embeddings: Embeddings


Reply = Loaded | Events | Failed | Tokens | Scores | Vectors

_encoder = msgspec.msgpack.Encoder()
_commands: msgspec.msgpack.Decoder[Command] = msgspec.msgpack.Decoder(Command)
_replies: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply)
decode_reply = _replies.decode


def frame(message: Command | Reply) -> bytes:
    """The bytes of one message on the pipe."""
    body = _encoder.encode(message)
    return len(body).to_bytes(LENGTH_BYTES, "little") + body


def read_commands(pipe: BinaryIO) -> Iterator[Command]:
    """Every command until the other side closes the pipe, or dies: also in the middle of a message."""
    try:
        while len(header := pipe.read(LENGTH_BYTES)) == LENGTH_BYTES:
            length = int.from_bytes(header, "little")
            body = pipe.read(length)
            if len(body) < length:
                return
            yield _commands.decode(body)
    except ConnectionResetError:
        return


class Outbox:
    """The worker's way out; any thread may send."""

    def __init__(self, pipe: BinaryIO) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()

    def send(self, reply: Reply) -> None:
        data = frame(reply)
        with self._lock:
            self._pipe.write(data)
            self._pipe.flush()


def failed(id: str, error: RixinError) -> Failed:
    """The message for `error`."""
    return Failed(
        id=id,
        error=type(error).__name__,
        message=error.message,
        where=error.where,
        fix=error.fix,
        param=error.param,
    )


def raised(reply: Failed) -> RixinError:
    """The error that `reply` tells of, of its own class again."""
    kind = getattr(errors, reply.error, None)
    if not (isinstance(kind, type) and issubclass(kind, RixinError)):
        kind = errors.EngineUnavailable
    return kind(reply.message, where=reply.where, fix=reply.fix, param=reply.param)
