"""Answers made in the background: they go on whether or not anyone listens, and are never lost on the way."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from typing import TypeVar

from msgspec import Struct

from rixin.assistants.drafts import LEASE_S, Drafts
from rixin.assistants.given import Given
from rixin.assistants.grounded import AskEvent, ToolUse
from rixin.assistants.messages import Message, MessageError, Status
from rixin.assistants.progress import Progress
from rixin.errors import Conflict, EngineDied, EngineUnavailable, RixinError
from rixin.store import Database

SAVE_EVERY_S = 1.0
FOLLOW_EVERY_S = 0.25

T = TypeVar("T")

log = logging.getLogger(__name__)


class Snapshot(Struct, frozen=True, kw_only=True):
    """The answer so far: always the first thing that a listener gets. `tools` are the calls made for it by then."""

    content: str
    status: Status
    tools: tuple[ToolUse, ...] = ()


class TextDelta(Struct, frozen=True):
    """Text that follows what came before, without gap or overlap."""

    text: str


class Done(Struct, frozen=True):
    """The whole answer, at its end: always the last thing that a listener gets."""

    message: Message


AnswerEvent = Snapshot | TextDelta | ToolUse | Done


class Answers:
    """All answers that this process makes. `start` and `close` bracket its life; use it from one event loop.

    One keeper task saves what is new, about once a second and when an answer ends, in one transaction for all.
    A database that is full or busy delays the saving, not the answers.
    """

    def __init__(self, database: Database, *, save_every_s: float = SAVE_EVERY_S) -> None:
        self._drafts = Drafts(database)
        self._save_every_s = save_every_s
        self._making: dict[str, Progress] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._stopping: set[str] = set()
        self._ended = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._closing = False

    async def start(self) -> None:
        """Mark what dead processes left behind as `interrupted`, and begin to save."""
        await asyncio.to_thread(self._drafts.interrupt_abandoned)
        self._keeper = asyncio.create_task(self._keep(), name="answers keeper")

    def begin(self, answer: Message, events: AsyncGenerator[AskEvent], given: Given | None = None) -> None:
        """Make `answer` (from `Conversations.ask` or `regenerate`) of an engine's or an assistant's events.

        `given` is what an engine gets, kept with the answer; an assistant's events tell it themselves.
        It goes on in the background. An error that `events` raises becomes the answer's status `failed`. Raises
        Conflict if it is being made already, EngineUnavailable after `close`.
        """
        if self._closing:
            raise EngineUnavailable("The server is shutting down.", fix="Try again in a moment.")
        if answer.id in self._making:
            raise Conflict(f"The answer {answer.id!r} is being made already.")
        progress = self._making[answer.id] = Progress(answer, given)
        task = asyncio.create_task(_make(progress, events), name=f"answer {answer.id}")
        self._tasks[answer.id] = task
        task.add_done_callback(lambda task: self._settle(progress, task))

    async def stop(self, message_id: str) -> Message:
        """End an answer where it is, and give it back. One that has ended stays as it is. Raises NotFound."""
        progress = self._making.get(message_id)
        if progress is None:
            await asyncio.to_thread(self._drafts.stop, message_id)
            return await asyncio.to_thread(self._drafts.get, message_id)
        self._cancel(message_id)
        return await progress.last()

    async def subscribe(self, message_id: str) -> AsyncGenerator[AnswerEvent]:
        """One Snapshot, then TextDeltas and ToolUses, then one Done. The caller checks first whose answer it is.

        Of a call there is a ToolUse when it begins, and one when it has ended. A listener that is slow gets more text
        at once. An answer that another process makes, or that has not begun yet, is followed in the database, which
        does not tell of calls. Raises NotFound, also when it is deleted meanwhile.
        """
        progress = self._making.get(message_id)
        if progress is None:
            message = await asyncio.to_thread(self._drafts.get, message_id)
            yield Snapshot(content=message.content, status=message.status)
            told = len(message.content)
            while message.status == "generating" and (progress := self._making.get(message_id)) is None:
                await asyncio.sleep(FOLLOW_EVERY_S)
                message = await asyncio.to_thread(self._drafts.get, message_id)
                if text := message.content[told:]:
                    told += len(text)
                    yield TextDelta(text)
            if progress is None:
                yield Done(message)
                return
            text, place = progress.text[told:], len(progress.pieces)
            if text:
                yield TextDelta(text)
            for use in progress.uses:
                yield use
        else:
            place = len(progress.pieces)
            yield Snapshot(content=progress.text, status=progress.message().status, tools=progress.uses)
        while True:
            pieces, place = await progress.more(place)
            if not pieces:
                break
            for piece in pieces:
                yield TextDelta(piece) if isinstance(piece, str) else piece
        yield Done(progress.message())

    async def close(self, *, grace_s: float = 0.0) -> None:
        """Take no more answers, give the running ones `grace_s` to end, and mark the rest `interrupted`."""
        self._closing = True
        if self._tasks and grace_s > 0:
            await asyncio.wait(self._tasks.values(), timeout=grace_s)
        for task in self._tasks.values():
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks.values())
        self._ended.set()
        if self._keeper is not None:
            await self._keeper

    def _cancel(self, message_id: str) -> None:
        if task := self._tasks.get(message_id):
            self._stopping.add(message_id)
            task.cancel()

    def _settle(self, progress: Progress, task: asyncio.Task[None]) -> None:
        message_id = progress.answer.id
        del self._tasks[message_id]
        stopped = message_id in self._stopping
        self._stopping.discard(message_id)
        if task.cancelled():
            progress.end("stopped" if stopped else "interrupted")
        elif error := task.exception():
            progress.end("failed", _told(error, message_id))
        elif progress.finish_reason is not None:
            progress.end("complete")
        elif stopped:
            progress.end("stopped")
        else:
            progress.end("failed", MessageError(message="The engine ended in mid-answer.", code=EngineDied.code))
        self._ended.set()

    async def _keep(self) -> None:
        swept = time.monotonic()
        while not (self._closing and not self._tasks):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), self._save_every_s)
            self._ended.clear()
            await self._save()
            if time.monotonic() - swept > LEASE_S:
                swept = time.monotonic()
                await self._in_database(lambda: self._drafts.interrupt_abandoned(list(self._making)))
        await self._save()

    async def _save(self) -> None:
        making = [progress for progress in self._making.values() if progress.ending or progress.needs_saving()]
        if not making:
            return
        ended = {progress.answer.id: progress.ending for progress in making if progress.ending}
        partial = {progress.answer.id: progress.text for progress in making if not progress.ending}
        places = {progress.answer.id: len(progress.pieces) for progress in making}
        unwanted = await self._in_database(lambda: self._drafts.save(partial, ended))
        for progress in making:
            message_id = progress.answer.id
            if message_id in ended:
                progress.close()
            if unwanted is None:
                continue
            progress.saved(places[message_id])
            if message_id in ended:
                del self._making[message_id]
            elif message_id in unwanted:
                self._cancel(message_id)

    async def _in_database(self, work: Callable[[], T]) -> T | None:
        """Run `work` in a thread; a database that can't just now is logged, and asked again at the next turn."""
        try:
            return await asyncio.to_thread(work)
        except RixinError as error:
            log.warning("Answers could not be saved, and stay in memory until they can: %s", error)
        except Exception:  # the keeper must outlive any fault; nothing would be saved without it
            log.exception("Answers could not be saved, and stay in memory until they can.")
        return None


async def _make(progress: Progress, events: AsyncGenerator[AskEvent]) -> None:
    async with aclosing(events):
        async for event in events:
            progress.take(event)


def _told(error: BaseException, message_id: str) -> MessageError:
    if isinstance(error, RixinError):
        return MessageError(message=str(error), code=error.code)
    log.error("The answer %s failed.", message_id, exc_info=error)
    return MessageError(message="Something went wrong in the server; its log says what.", code="internal_error")
