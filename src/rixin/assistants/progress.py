"""One answer while it is made: its text so far, its times and counts, and those who wait for more."""

import asyncio
import time

import msgspec

from rixin.assistants.drafts import HEARTBEAT_S, Ending
from rixin.assistants.given import Given, Recording
from rixin.assistants.grounded import AskEvent, Grounded, SteppedIn, ToolUse, asked_of, called_of
from rixin.assistants.messages import Message, MessageError, Status, Usage
from rixin.assistants.storable import storable
from rixin.assistants.tools.running import Asked, Called
from rixin.engines.protocol import Delta, Finished, Started


class Progress:
    """Listeners keep a place in `pieces` instead of a queue, so a slow one costs nothing and misses nothing."""

    def __init__(self, answer: Message, given: Given | None) -> None:
        """`given` is what the model gets, where an assistant doesn't tell that in its events."""
        self.answer = answer
        self._given = given
        self._recording: Recording | None = None
        self.pieces: list[str | ToolUse] = []
        self.ending: Ending | None = None
        self.closed = False  # the ending was saved, or at least tried to be
        self.saved_pieces = 0
        self.saved_at = time.monotonic()
        self._changed = asyncio.Event()
        self._began = time.monotonic()
        self._first_token: float | None = None
        self._prompt_tokens = 0
        self._cached_tokens = 0
        self._completion_tokens = 0
        self.finish_reason: str | None = None
        self._grounded: Grounded | None = None
        self._stepped_in: str | None = None
        self._uses: dict[str, ToolUse] = {}

    @property
    def text(self) -> str:
        return "".join(piece for piece in self.pieces if isinstance(piece, str))

    @property
    def uses(self) -> tuple[ToolUse, ...]:
        """The calls of tools so far, each as it is now."""
        return tuple(self._uses.values())

    def needs_saving(self) -> bool:
        """Whether there is new text, or it is time for a sign of life."""
        return len(self.pieces) > self.saved_pieces or time.monotonic() - self.saved_at > HEARTBEAT_S

    def saved(self, pieces: int) -> None:
        """The first `pieces` pieces are in the database now."""
        self.saved_pieces = pieces
        self.saved_at = time.monotonic()

    def take(self, event: AskEvent) -> None:
        """Take one event of the engine, or of the assistant, in."""
        match event:
            case Recording():
                self._recording = event
            case Grounded():
                self._grounded = event
            case SteppedIn():
                self._stepped_in = event.version_id
            case Asked():
                self._use(asked_of(event))
            case Called():
                self._use(called_of(event, self._uses.get(event.id)))
            case Started():
                self._prompt_tokens = event.prompt_tokens
                self._cached_tokens = event.cached_tokens
            case Delta(index=0):
                if self._first_token is None and (event.tokens or event.text):
                    self._first_token = time.monotonic()
                self._completion_tokens += event.tokens
                if event.text:
                    self.pieces.append(storable(event.text))
                    self._wake()
            case Finished(index=0):
                self.finish_reason = event.reason
                self._completion_tokens = event.completion_tokens
                if event.prompt_tokens is not None:
                    self._prompt_tokens = event.prompt_tokens
                if event.cached_tokens is not None:
                    self._cached_tokens = event.cached_tokens

    def end(self, status: Status, error: MessageError | None = None) -> None:
        """No more events come."""
        self.ending = Ending(
            status=status,
            content=self.text,
            version=self._stepped_in,
            error=error and MessageError(message=storable(error.message), code=error.code),
            finish_reason=self.finish_reason,
            usage=self._usage(time.monotonic()),
            grounded=self._grounded,
            given=self._given if self._recording is None else self._recording.given(),
        )

    def close(self) -> None:
        """Let the listeners see the end."""
        self.closed = True
        self._wake()

    async def more(self, since: int) -> tuple[list[str | ToolUse], int]:
        """The pieces from `since` on, texts joined, and the place after them; waits for some, none at the end."""
        while len(self.pieces) <= since and not self.closed:
            await self._changed.wait()
        found: list[str | ToolUse] = []
        for piece in self.pieces[since:]:
            if found and isinstance(found[-1], str) and isinstance(piece, str):
                found[-1] += piece
            else:
                found.append(piece)
        return found, len(self.pieces)

    async def last(self) -> Message:
        """The whole answer, when it is closed."""
        while not self.closed:
            await self._changed.wait()
        return self.message()

    def message(self) -> Message:
        """The answer as it is now."""
        if self.ending is None:
            return msgspec.structs.replace(self.answer, content=self.text)
        grounded = self.ending.grounded
        return msgspec.structs.replace(
            self.answer,
            content=self.ending.content,
            version=self.ending.version or self.answer.version,
            status=self.ending.status,
            error=self.ending.error,
            finish_reason=self.ending.finish_reason,
            usage=self.ending.usage,
            annotations=list(grounded.annotations) if grounded else None,
            grounding=grounded.grounding if grounded else None,
        )

    def _usage(self, ended: float) -> Usage:
        first = self._first_token
        after_first = self._completion_tokens - 1
        speed = after_first / (ended - first) if first is not None and after_first > 0 and ended > first else None
        return Usage(
            prompt_tokens=self._prompt_tokens,
            cached_tokens=self._cached_tokens,
            completion_tokens=self._completion_tokens,
            first_token_ms=None if first is None else round((first - self._began) * 1000, 1),
            duration_ms=round((ended - self._began) * 1000, 1),
            tokens_per_second=None if speed is None else round(speed, 1),
        )

    def _use(self, use: ToolUse) -> None:
        self._uses[use.id] = use
        self.pieces.append(use)
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
