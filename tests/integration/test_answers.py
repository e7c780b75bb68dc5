"""Answers are made in the background, saved as they grow, and told whole to whoever listens, from wherever."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

import rixin.assistants.answers as answers_module
from rixin.assistants import AnswerEvent, Answers, Conversations, Done, Message, Snapshot, TextDelta
from rixin.assistants.drafts import LEASE_S
from rixin.engines.fake import REPLY, FakeEngine
from rixin.engines.protocol import (
    ChatPrompt,
    Delta,
    Finished,
    GenerateEvent,
    GenerateRequest,
    Started,
)
from rixin.engines.protocol import Message as Turn
from rixin.errors import Conflict, ContextLengthExceeded, EngineDied, EngineUnavailable, NotEnoughDisk, NotFound
from rixin.store import Database, MessageRow, UserRow, now

ME = "usr_me"
REQUEST = GenerateRequest(id="r", prompt=ChatPrompt(messages=(Turn(role="user", content="What is a river?"),)))

BEGIN_AND_HANG = """
import asyncio, sys
from rixin.assistants import Answers, Conversations
from rixin.engines.protocol import Delta, Started
from rixin.store import Database

async def hang():
    yield Started(prompt_tokens=1)
    yield Delta(text="half an ans", tokens=3)
    await asyncio.sleep(1000)

async def main():
    with Database.open(sys.argv[1]) as database:
        conversations, answers = Conversations(database), Answers(database, save_every_s=0.05)
        await answers.start()
        conversation = conversations.create("usr_me")
        _, answer = conversations.ask("usr_me", conversation.id, parent_id=None, content="?", model="chat")
        answers.begin(answer, hang())
        while not conversations.message("usr_me", conversation.id, answer.id).content:
            await asyncio.sleep(0.02)
        print(answer.id, conversation.id, flush=True)
        await asyncio.sleep(1000)

asyncio.run(main())
"""


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


@pytest.fixture
def room(database: Database) -> Room:
    return Room(database)


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


def test_an_answer_is_made_whether_or_not_anyone_listens(room: Room) -> None:
    async def main() -> None:
        async with room.running() as answers:
            answer = room.ask()
            answers.begin(answer, FakeEngine(token_s=0.002, prefill_s=0.05).generate(REQUEST))
            ended = await room.eventually(answer, lambda stored: stored.status != "generating")
        assert (ended.status, ended.content, ended.finish_reason, ended.error) == ("complete", REPLY, "stop", None)
        usage = ended.usage
        assert usage is not None
        assert usage.prompt_tokens > 0
        assert usage.cached_tokens == usage.prompt_tokens // 2
        assert usage.completion_tokens > 10
        assert usage.first_token_ms is not None
        assert 50 <= usage.first_token_ms < usage.duration_ms
        assert usage.tokens_per_second is not None
        expected = (usage.completion_tokens - 1) / (usage.duration_ms - usage.first_token_ms) * 1000
        assert usage.tokens_per_second == pytest.approx(expected, rel=0.05)

    run(main)


def test_a_listener_hears_it_whole_whenever_it_comes(room: Room) -> None:
    async def main() -> None:
        async with room.running() as answers:
            answer = room.ask()
            answers.begin(answer, words(60, 0.005))
            listeners = []
            for _ in range(20):
                listeners.append(asyncio.create_task(listen(answers, answer)))
                await asyncio.sleep(0.02)
            heard = [told(events) for events in await asyncio.gather(*listeners)]
            heard.append(told(await listen(answers, answer)))
        assert heard == ["".join(f"{number} " for number in range(60))] * 21

    run(main)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    pieces=st.lists(st.text(max_size=3), max_size=12),
    pauses=st.lists(st.integers(0, 2), min_size=12, max_size=12),
    arrivals=st.lists(st.integers(0, 14), max_size=5),
)
def test_no_listener_ever_misses_or_repeats_a_piece(
    room: Room, pieces: list[str], pauses: list[int], arrivals: list[int]
) -> None:
    async def say() -> AsyncGenerator[GenerateEvent]:
        yield Started(prompt_tokens=1)
        for piece, pause in zip(pieces, pauses, strict=False):
            for _ in range(pause):
                await asyncio.sleep(0)
            yield Delta(text=piece, tokens=1)
        yield Finished(reason="stop", completion_tokens=len(pieces))

    async def come(answers: Answers, answer: Message, turn: int) -> str:
        for _ in range(turn):
            await asyncio.sleep(0)
        return told(await listen(answers, answer))

    async def main() -> None:
        room.answers = Answers(room.database, save_every_s=0.05)
        async with room.running() as answers:
            answer = room.ask()
            answers.begin(answer, say())
            heard = await asyncio.gather(*(come(answers, answer, turn) for turn in arrivals))
            (last,) = set(heard) | {told(await listen(answers, answer))}
        plain = "".join(pieces).replace("\0", "\ufffd")
        assert last == room.stored(answer).content == plain

    run(main)


def test_partial_text_is_saved_on_the_way(room: Room) -> None:
    async def main() -> None:
        async with room.running() as answers:
            answer = room.ask()
            answers.begin(answer, forever())
            stored = await room.eventually(answer, lambda stored: stored.content != "")
            assert (stored.status, stored.content) == ("generating", "half an ans")

    run(main)


def test_the_event_loop_does_not_wait_for_the_database(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with room.running() as answers:
            real = answers._drafts.save

            def slow(*args: object) -> set[str]:
                time.sleep(0.3)
                return real(*args)  # type: ignore[arg-type]

            monkeypatch.setattr(answers._drafts, "save", slow)
            answer = room.ask()
            answers.begin(answer, words(200, 0.002))
            longest, last = 0.0, time.monotonic()
            async for event in answers.subscribe(answer.id):
                if isinstance(event, TextDelta):
                    longest, last = max(longest, time.monotonic() - last), time.monotonic()
        assert longest < 0.2

    run(main)


def test_stop_ends_the_answer_keeps_its_text_and_frees_the_engine(room: Room) -> None:
    async def main() -> None:
        engine = FakeEngine(token_s=0.01)
        async with room.running() as answers:
            answer = room.ask()
            answers.begin(answer, engine.generate(REQUEST))
            listener = asyncio.create_task(listen(answers, answer))
            await room.eventually(answer, lambda stored: stored.content != "")
            stopped = await answers.stop(answer.id)
            assert engine.abandoned == ["r"]
            assert not engine.active
            assert stopped.status == "stopped"
            assert 0 < len(stopped.content) < len(REPLY)
            assert stopped.usage is not None
            assert stopped.usage.completion_tokens > 0
            assert room.stored(answer) == stopped
            assert told(await listener) == stopped.content
            assert await answers.stop(answer.id) == stopped

    run(main)


def test_an_answer_can_be_stopped_before_its_first_step(room: Room) -> None:
    async def main() -> None:
        async with room.running() as answers:
            answer = room.ask()
            answers.begin(answer, forever())
            assert (await answers.stop(answer.id)).status == "stopped"
            never_begun = room.ask()
            assert (await answers.stop(never_begun.id)).status == "stopped"
            answers.begin(never_begun, forever())
            stored = await room.eventually(never_begun, lambda _: never_begun.id not in answers._making)
            assert stored.status == "stopped"
            ended = room.ask()
            answers.begin(ended, words(3))
            await listen(answers, ended)
            assert (await answers.stop(ended.id)).status == "complete"
            with pytest.raises(NotFound):
                await answers.stop("msg_missing")

    run(main)


@pytest.mark.parametrize(
    ("failure", "fail_after", "code"),
    [
        (ContextLengthExceeded("The prompt has 9,000 tokens.", fix="Shorten it."), None, "context_length_exceeded"),
        (EngineDied("The engine's process ended. \0 \ud800"), 3, "engine_died"),
    ],
)
def test_an_error_of_the_engine_becomes_the_answer_s(
    room: Room, failure: EngineDied, fail_after: int | None, code: str
) -> None:
    async def main() -> None:
        async with room.running() as answers:
            answer = room.ask()
            answers.begin(answer, FakeEngine(generate_failure=failure, fail_after=fail_after).generate(REQUEST))
            events = await listen(answers, answer)
        stored = room.stored(answer)
        assert stored.status == "failed"
        assert stored.error is not None
        assert stored.error.code == code
        assert stored.error.message.startswith(failure.message[:20])
        assert told(events) == stored.content
        assert bool(stored.content) == (fail_after is not None)

    run(main)


def test_a_fault_of_ours_is_logged_and_told_without_its_inside(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    async def broken() -> AsyncGenerator[GenerateEvent]:
        yield Started(prompt_tokens=1)
        raise KeyError("inside")

    async def cut_short() -> AsyncGenerator[GenerateEvent]:
        yield Started(prompt_tokens=1)

    async def main() -> None:
        async with room.running() as answers:
            first, second = room.ask(), room.ask()
            answers.begin(first, broken())
            answers.begin(second, cut_short())
            await asyncio.gather(listen(answers, first), listen(answers, second))
        errors = [room.stored(answer).error for answer in (first, second)]
        assert [error and error.code for error in errors] == ["internal_error", "engine_died"]
        assert "inside" not in str(errors)
        assert "inside" in caplog.text

    run(main)


def test_a_slow_listener_neither_blocks_nor_piles_up_memory(room: Room) -> None:
    async def main() -> None:
        async with room.running() as answers:
            answer = room.ask()
            answers.begin(answer, words(5000))
            slow = answers.subscribe(answer.id)
            events = [await anext(slow)]
            ended = await room.eventually(answer, lambda stored: stored.status == "complete")
            events += [event async for event in slow]
        assert told(events) == ended.content
        assert len(events) <= 3, "what it missed comes at once"

    run(main)


def test_a_listener_that_leaves_changes_nothing(room: Room) -> None:
    async def main() -> None:
        async with room.running() as answers:
            answer = room.ask()
            answers.begin(answer, words(50, 0.002))
            leaver = asyncio.create_task(listen(answers, answer))
            await asyncio.sleep(0.02)
            leaver.cancel()
            assert told(await listen(answers, answer)).endswith("49 ")

    run(main)


def test_an_answer_that_has_not_begun_or_is_made_elsewhere_is_followed(room: Room) -> None:
    async def main() -> None:
        elsewhere = Answers(room.database, save_every_s=0.05)
        await elsewhere.start()
        async with room.running() as answers:
            answer = room.ask()
            early, far = (asyncio.create_task(listen(one, answer)) for one in (answers, elsewhere))
            await asyncio.sleep(0.05)
            answers.begin(answer, words(60, 0.01))
            heard = await asyncio.gather(early, far)
            assert {told(events) for events in heard} == {room.stored(answer).content}
            with pytest.raises(NotFound):
                await anext(answers.subscribe("msg_missing"))
        await elsewhere.close()

    run(main)


def test_an_answer_can_be_stopped_from_another_process(room: Room) -> None:
    async def main() -> None:
        elsewhere = Answers(room.database, save_every_s=0.05)
        async with room.running() as answers:
            answer = room.ask()
            answers.begin(answer, words(10_000, 0.01))
            await room.eventually(answer, lambda stored: stored.content != "")
            assert (await elsewhere.stop(answer.id)).status == "stopped"
            events = await listen(answers, answer)
            assert isinstance(events[-1], Done)
            assert events[-1].message.status == "stopped"
            assert room.stored(answer).content == told(events)

    run(main)


def test_deleting_the_conversation_ends_its_answers(room: Room) -> None:
    async def main() -> None:
        engine = FakeEngine(token_s=0.05)
        async with room.running() as answers:
            answer = room.ask()
            answers.begin(answer, engine.generate(REQUEST))
            await room.eventually(answer, lambda stored: stored.content != "")
            room.conversations.delete(ME, room.conversation.id)
            await listen(answers, answer)
            assert engine.abandoned == ["r"]

    run(main)


def test_what_is_being_made_can_not_begin_twice_nor_after_the_close(room: Room) -> None:
    async def main() -> None:
        async with room.running() as answers:
            answer = room.ask()
            answers.begin(answer, forever())
            with pytest.raises(Conflict):
                answers.begin(answer, forever())
        with pytest.raises(EngineUnavailable):
            answers.begin(room.ask(), forever())

    run(main)


def test_shutdown_lets_short_answers_end_and_marks_the_rest_interrupted(room: Room) -> None:
    async def main() -> None:
        async with room.running(grace_s=0.5) as answers:
            short, endless = room.ask(), room.ask()
            answers.begin(short, words(20, 0.005))
            answers.begin(endless, forever())
            listener = asyncio.create_task(listen(answers, endless))
            await asyncio.sleep(0.05)
        assert room.stored(short).status == "complete"
        assert (room.stored(endless).status, room.stored(endless).content) == ("interrupted", "half an ans")
        assert told(await listener) == "half an ans"

    run(main)


def test_a_full_disk_delays_saving_and_loses_nothing(
    room: Room, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with room.running() as answers:
            answer = room.ask()
            real = answers._drafts.save

            def full(*_: object) -> set[str]:
                raise NotEnoughDisk("full")

            monkeypatch.setattr(answers._drafts, "save", full)
            answers.begin(answer, words(20))
            events = await listen(answers, answer)
            assert told(events).endswith("19 ")
            assert isinstance(events[-1], Done)
            assert events[-1].message.status == "complete"
            assert room.stored(answer).status == "generating"
            assert told(await listen(answers, answer)) == told(events)
            monkeypatch.setattr(answers._drafts, "save", real)
            stored = await room.eventually(answer, lambda stored: stored.status == "complete")
            assert stored.content == told(events)
        assert answers._making == {}
        assert "stay in memory" in caplog.text

    run(main)


def test_sixty_four_answers_at_once_are_all_whole(room: Room) -> None:
    async def main() -> None:
        async with room.running() as answers:
            made = [room.ask() for _ in range(64)]
            for number, answer in enumerate(made):
                answers.begin(answer, words(20 + number, 0.002))
            heard = [told(events) for events in await asyncio.gather(*(listen(answers, one) for one in made))]
        assert heard == ["".join(f"{word} " for word in range(20 + number)) for number in range(64)]
        assert [room.stored(answer).content for answer in made] == heard

    run(main)


def test_what_a_killed_process_was_making_is_interrupted_at_the_next_start(room: Room, database_url: str) -> None:
    maker = subprocess.Popen([sys.executable, "-c", BEGIN_AND_HANG, database_url], stdout=subprocess.PIPE, text=True)
    assert maker.stdout is not None
    message_id, conversation_id = maker.stdout.readline().split()

    def stored() -> Message:
        return room.conversations.message(ME, conversation_id, message_id)

    async def main() -> None:
        async with room.running():
            assert stored().status == "generating", "its process lives"
        maker.send_signal(signal.SIGKILL)
        maker.wait()
        room.answers = Answers(room.database)
        async with room.running():
            assert (stored().status, stored().content) == ("interrupted", "half an ans")

    run(main)
    maker.stdout.close()


def test_a_writer_that_is_silent_for_too_long_is_given_up_but_may_come_back(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        monkeypatch.setattr(answers_module, "LEASE_S", 0.05)
        elsewhere = Answers(room.database, save_every_s=0.02)
        await elsewhere.start()
        async with room.running() as answers:
            answer, lost = room.ask(), room.ask()
            answers.begin(answer, words(200, 0.01))
            long_ago = now() - timedelta(seconds=LEASE_S + 1)
            with room.database.write() as session:
                session.execute(update(MessageRow).where(MessageRow.id == lost.id).values(saved_at=long_ago))
            assert (await room.eventually(lost, lambda stored: stored.status != "generating")).status == "interrupted"
            assert room.stored(answer).status == "generating"
            with room.database.write() as session:
                session.execute(update(MessageRow).where(MessageRow.id == answer.id).values(status="interrupted"))
            assert told(await listen(answers, answer)).endswith("199 ")
            assert room.stored(answer).status == "complete"
        await elsewhere.close()

    run(main)
