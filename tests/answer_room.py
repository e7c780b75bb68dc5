"""A conversation in which answers are made, and what a listener has heard of them."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager

from rixin.assistants import AnswerEvent, Answers, Conversations, Done, Message, Snapshot, TextDelta
from rixin.engines.protocol import ChatPrompt, Delta, Finished, GenerateEvent, GenerateRequest, Started
from rixin.engines.protocol import Message as Turn
from rixin.store import Database, UserRow

ME = "usr_me"
REQUEST = GenerateRequest(id="r", prompt=ChatPrompt(messages=(Turn(role="user", content="What is a river?"),)))


class Room:
    """A database with one person and one conversation, in which `answer` begins answers."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.conversations = Conversations(database)
        with database.write() as session:
            session.add(UserRow(id=ME, name=ME, name_key=ME, password_hash="-", role="admin"))
        self.conversation = self.conversations.create(ME)
        self.answers = Answers(database, save_every_s=0.05)

    @asynccontextmanager
    async def running(self, grace_s: float = 0.0) -> AsyncGenerator[Answers]:
        await self.answers.start()
        try:
            yield self.answers
        finally:
            await self.answers.close(grace_s=grace_s)

    def ask(self, content: str = "?") -> Message:
        _, answer = self.conversations.ask(ME, self.conversation.id, parent_id=None, content=content, model="chat")
        return answer

    def stored(self, answer: Message) -> Message:
        return self.conversations.message(ME, self.conversation.id, answer.id)

    async def eventually(self, answer: Message, wanted: Callable[[Message], bool]) -> Message:
        deadline = time.monotonic() + 10
        while not wanted(stored := self.stored(answer)):
            assert time.monotonic() < deadline, stored
            await asyncio.sleep(0.02)
        return stored


def told(events: list[AnswerEvent]) -> str:
    """The text that a listener has at the end, having checked that it heard it whole and in order."""
    first, *deltas, last = events
    assert isinstance(first, Snapshot)
    assert isinstance(last, Done)
    text = first.content
    for delta in deltas:
        assert isinstance(delta, TextDelta)
        assert delta.text
        text += delta.text
    assert text == last.message.content
    return text


async def listen(answers: Answers, answer: Message) -> list[AnswerEvent]:
    return [event async for event in answers.subscribe(answer.id)]


def run(main: Callable[[], Coroutine[object, object, None]]) -> None:
    asyncio.run(asyncio.wait_for(main(), 30))


async def forever(text: str = "half an ans") -> AsyncGenerator[GenerateEvent]:
    yield Started(prompt_tokens=4, cached_tokens=1)
    yield Delta(text=text, tokens=3)
    await asyncio.sleep(1000)


async def words(count: int, pause_s: float = 0.0) -> AsyncGenerator[GenerateEvent]:
    yield Started(prompt_tokens=4)
    for number in range(count):
        await asyncio.sleep(pause_s)
        yield Delta(text=f"{number} ", tokens=1)
    yield Finished(reason="length", completion_tokens=count)
