"""What an embedder's or a reranker's process does: takes turns between requests, so that none holds up a short one."""

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence, Sized
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from rixin.engines.protocol import Capabilities, Embeddings
from rixin.engines.wire import Cancel, Command, Embed, Generate, Load, Loaded, Outbox, Rank, Vectors, failed
from rixin.errors import InvalidRequest, RixinError

if TYPE_CHECKING:
    from rixin.engines.openvino_reranker import Pair

TURN_TOKENS = 4096  # about 0.1 s on one core
FLOAT_BYTES = 4
Tokens = TypeVar("Tokens", bound=Sized)


class Encoder(Protocol):
    """Turns texts into vectors. Tokens come first, so that a long request can be cut into turns."""

    @property
    def dimensions(self) -> int: ...

    @property
    def max_tokens(self) -> int: ...

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Raises InvalidRequest for a text without a word, ContextLengthExceeded for one that is too long."""
        ...

    def vectors(self, tokens: Sequence[list[int]]) -> bytes:
        """float32 little-endian rows of length 1."""
        ...


@dataclass(frozen=True)
class _Work(Generic[Tokens]):
    """What the model does: `taken` has the tokens of each text of a request, `made` float32 rows for some of them.

    `taken` raises InvalidRequest for what the model does not do, or can't.
    """

    capabilities: Capabilities
    dimensions: int
    taken: Callable[[Command], list[Tokens]]
    made: Callable[[Sequence[Tokens]], bytes]


@dataclass
class _Job(Generic[Tokens]):
    """One request. Its texts are taken by their length, since those that go together are padded to the longest."""

    id: str
    tokens: list[Tokens]
    done: int = 0
    rows: dict[int, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._order = sorted(range(len(self.tokens)), key=lambda at: len(self.tokens[at]))

    def turn(self, work: _Work[Tokens]) -> bool:
        """Take the next few texts; whether that was the last of them."""
        end, budget = self.done, TURN_TOKENS
        while end < len(self.tokens) and (budget > 0 or end == self.done):
            budget -= len(self.tokens[self._order[end]])
            end += 1
        places = self._order[self.done : end]
        made = work.made([self.tokens[at] for at in places])
        size = work.dimensions * FLOAT_BYTES
        for number, at in enumerate(places):
            self.rows[at] = made[number * size : (number + 1) * size]
        self.done = end
        return end == len(self.tokens)

    def result(self, dimensions: int) -> Vectors:
        count = sum(map(len, self.tokens))
        vectors = b"".join(self.rows[at] for at in range(len(self.tokens)))
        return Vectors(self.id, Embeddings(vectors=vectors, dimensions=dimensions, tokens=count))


def serve(load: Load, commands: Iterator[Command], outbox: Outbox) -> None:
    """Answer until the commands end."""
    if load.kind == "reranker":
        _serve(_reranking(load), commands, outbox)
    else:
        _serve(_embedding(load), commands, outbox)


def _serve(work: _Work[Tokens], commands: Iterator[Command], outbox: Outbox) -> None:
    arrived: queue.SimpleQueue[Command | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(commands, arrived), daemon=True).start()
    outbox.send(Loaded(work.capabilities))
    jobs: deque[_Job[Tokens]] = deque()
    while True:
        while not jobs or not arrived.empty():
            command = arrived.get()
            if command is None:
                return
            if isinstance(command, Cancel):
                jobs = deque(job for job in jobs if job.id != command.id)
            elif job := _begun(command, work, outbox):
                jobs.append(job)
        job = jobs.popleft()
        if job.turn(work):
            outbox.send(job.result(work.dimensions))
        else:
            jobs.append(job)


def _embedding(load: Load) -> _Work[list[int]]:
    encoder = _encoder(load)

    def taken(command: Command) -> list[list[int]]:
        if not isinstance(command, Embed):
            raise InvalidRequest("This model makes embeddings only.", param="model")
        return encoder.tokens(command.texts)

    capabilities = Capabilities(embed=True, dimensions=encoder.dimensions, context_length=encoder.max_tokens)
    return _Work(capabilities, encoder.dimensions, taken, encoder.vectors)


def _encoder(load: Load) -> Encoder:
    if load.folder:
        from rixin.engines.openvino_encoder import OpenVinoEncoder

        return OpenVinoEncoder(Path(load.folder), load.threads)
    from rixin.engines.sentence_encoder import SentenceEncoder

    return SentenceEncoder()


def _reranking(load: Load) -> "_Work[Pair]":
    from rixin.engines.openvino_reranker import OpenVinoReranker

    reranker = OpenVinoReranker(Path(load.folder), load.threads)

    def taken(command: Command) -> "list[Pair]":
        if not isinstance(command, Rank):
            raise InvalidRequest("This model says how well passages fit a question, and nothing else.", param="model")
        return reranker.pairs(command.question, command.passages)

    return _Work(Capabilities(rerank=True, context_length=reranker.max_tokens), 1, taken, reranker.scores)


def _read(commands: Iterator[Command], arrived: "queue.SimpleQueue[Command | None]") -> None:
    try:
        for command in commands:
            arrived.put(command)
    finally:
        arrived.put(None)


def _begun(command: Command, work: _Work[Tokens], outbox: Outbox) -> _Job[Tokens] | None:
    if isinstance(command, Load | Cancel):
        return None
    id = command.request.id if isinstance(command, Generate) else command.id
    try:
        return _Job(id, work.taken(command))
    except RixinError as error:
        outbox.send(failed(id, error))
        return None
