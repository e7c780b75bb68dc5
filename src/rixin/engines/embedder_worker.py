"""What an embedder's process does: takes turns between requests, so that a long one holds up no short one."""

import queue
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from rixin.engines.protocol import Capabilities, Embeddings
from rixin.engines.wire import Cancel, Command, Embed, Generate, Load, Loaded, Outbox, Vectors, failed
from rixin.errors import InvalidRequest, RixinError

TURN_TOKENS = 4096  # about 0.1 s on one core
FLOAT_BYTES = 4


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


@dataclass
class _Job:
    """One request. Its texts are taken by their length, since those that go together are padded to the longest."""

    id: str
    tokens: list[list[int]]
    done: int = 0
    rows: dict[int, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._order = sorted(range(len(self.tokens)), key=lambda at: len(self.tokens[at]))

    def turn(self, encoder: Encoder) -> bool:
        """Embed the next few texts; whether that was the last of them."""
        end, budget = self.done, TURN_TOKENS
        while end < len(self.tokens) and (budget > 0 or end == self.done):
            budget -= len(self.tokens[self._order[end]])
            end += 1
        places = self._order[self.done : end]
        made = encoder.vectors([self.tokens[at] for at in places])
        size = encoder.dimensions * FLOAT_BYTES
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
    encoder = _encoder(load)
    arrived: queue.SimpleQueue[Command | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(commands, arrived), daemon=True).start()
    outbox.send(Loaded(Capabilities(embed=True, dimensions=encoder.dimensions, context_length=encoder.max_tokens)))
    jobs: deque[_Job] = deque()
    while True:
        while not jobs or not arrived.empty():
            command = arrived.get()
            if command is None:
                return
            if isinstance(command, Cancel):
                jobs = deque(job for job in jobs if job.id != command.id)
            elif job := _begun(command, encoder, outbox):
                jobs.append(job)
        job = jobs.popleft()
        if job.turn(encoder):
            outbox.send(job.result(encoder.dimensions))
        else:
            jobs.append(job)


def _encoder(load: Load) -> Encoder:
    if load.folder:
        from rixin.engines.openvino_encoder import OpenVinoEncoder

        return OpenVinoEncoder(Path(load.folder), load.threads)
    from rixin.engines.sentence_encoder import SentenceEncoder

    return SentenceEncoder()


def _read(commands: Iterator[Command], arrived: "queue.SimpleQueue[Command | None]") -> None:
    try:
        for command in commands:
            arrived.put(command)
    finally:
        arrived.put(None)


def _begun(command: Command, encoder: Encoder, outbox: Outbox) -> _Job | None:
    if isinstance(command, Load | Cancel):
        return None
    id = command.request.id if isinstance(command, Generate) else command.id
    try:
        if not isinstance(command, Embed):
            raise InvalidRequest("This model makes embeddings only.", param="model")
        return _Job(id, encoder.tokens(command.texts))
    except RixinError as error:
        outbox.send(failed(id, error))
        return None
