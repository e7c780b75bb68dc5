"""A Workspace that answers in a terminal: its event loop has a thread, so that waiting for a person stops nothing."""

import queue
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import ExitStack, aclosing, asynccontextmanager
from types import TracebackType
from typing import Self, TypeVar

from anyio.from_thread import BlockingPortal, start_blocking_portal
from msgspec import Struct

from rixin.assistants import TEMPERATURE, TOP_P, AskEvent, Assistant, Grounded, Question, ask
from rixin.assistants.tools import Ask, refuse
from rixin.engines import (
    ChatPrompt,
    Delta,
    Engine,
    Finished,
    GenerateEvent,
    GenerateRequest,
    Message,
    Sampling,
    Started,
)
from rixin.evaluation import Asker
from rixin.knowledge import MACHINE
from rixin.models import Version
from rixin.store import new_id
from rixin.workspace import Workspace

E = TypeVar("E")


class Talk:
    """Asks models of a Workspace and gives their events as they come."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._stack = ExitStack()
        self._portal: BlockingPortal | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._portal = stack.enter_context(start_blocking_portal())
            stack.enter_context(self._portal.wrap_async_context_manager(self._workspace.running()))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, traceback)

    def _running(self) -> BlockingPortal:
        assert self._portal is not None, "use Talk as a context manager"
        return self._portal

    def load(self, version: Version) -> None:
        """Load the model now. Raises what its engine raises."""
        self._running().call(self._workspace.engines.load, version)

    def asker(self, version: Version) -> Asker:
        """The model as an evaluation asks it."""
        return Asker(self._running(), lambda: self._workspace.engines.lease(version))

    def exact(self, version: Version) -> Asker:
        """The version's weights as they are, loaded now. Raises InvalidRequest, ModelNotFound, MalformedModel."""
        engine = self._workspace.exact(version)
        portal = self._running()
        self._stack.callback(portal.call, engine.close)
        portal.call(engine.start)

        @asynccontextmanager
        async def lease() -> AsyncGenerator[Engine]:
            yield engine

        return Asker(portal, lease)

    def answer(self, version: Version, request: GenerateRequest) -> Generator[GenerateEvent]:
        """The events of one answer; closing the generator (or Ctrl-C) stops the engine's work on it."""

        async def generated() -> AsyncGenerator[GenerateEvent]:
            async with (
                self._workspace.engines.lease(version) as engine,
                aclosing(engine.generate(request)) as made,
            ):
                async for event in made:
                    yield event

        return self._told(generated())

    def ask(
        self, assistant: Assistant, version: Version, question: Question, *, consent: Ask = refuse
    ) -> Generator[AskEvent]:
        """The events of an assistant's answer, made by `version`, asked with all that this machine may read."""
        house = self._workspace
        return self._told(
            ask(
                assistant,
                question,
                reader=MACHINE,
                searcher=house.libraries,
                lease=lambda: house.engines.lease(version),
                acting=house.acting(assistant, consent=consent),
            )
        )

    def _told(self, made: AsyncGenerator[E]) -> Generator[E]:
        events: queue.SimpleQueue[E | None] = queue.SimpleQueue()

        async def tell() -> None:
            try:
                async with aclosing(made):
                    async for event in made:
                        events.put(event)
            finally:
                events.put(None)

        working = self._running().start_task_soon(tell)
        try:
            while (event := events.get()) is not None:
                yield event
        except BaseException:
            working.cancel()
            raise
        working.result()


class Usage(Struct, frozen=True, kw_only=True):
    """What an answer took."""

    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int


def question(
    turns: Sequence[Message],
    *,
    system: str | None = None,
    max_tokens: int | None = None,
    temperature: float | None = None,
) -> GenerateRequest:
    """The request of a conversation, sampled as the page does."""
    said = (Message(role="system", content=system), *turns) if system else tuple(turns)
    sampling = Sampling(
        max_tokens=max_tokens, temperature=TEMPERATURE if temperature is None else temperature, top_p=TOP_P
    )
    return GenerateRequest(id=new_id("cli"), prompt=ChatPrompt(messages=said), sampling=sampling)


class Answer:
    """What came of one answer so far."""

    def __init__(self) -> None:
        self.text = ""
        self.reasoning = ""
        self.finish_reason: str | None = None
        self.usage = Usage(prompt_tokens=0, cached_tokens=0, completion_tokens=0)
        self.grounded: Grounded | None = None

    def add(self, event: AskEvent) -> None:
        if isinstance(event, Delta):
            self.text += event.text
            self.reasoning += event.reasoning
        elif isinstance(event, Grounded):
            self.grounded = event
        elif isinstance(event, Started):
            self.usage = Usage(
                prompt_tokens=event.prompt_tokens, cached_tokens=event.cached_tokens, completion_tokens=0
            )
        elif isinstance(event, Finished):
            self.finish_reason = event.reason
            self.usage = Usage(
                prompt_tokens=event.prompt_tokens or self.usage.prompt_tokens,
                cached_tokens=event.cached_tokens or self.usage.cached_tokens,
                completion_tokens=event.completion_tokens,
            )
