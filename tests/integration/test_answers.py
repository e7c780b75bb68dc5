"""Answers are made in the background, saved as they grow, and told whole to whoever listens, from wherever."""

import asyncio
import time
from collections.abc import AsyncGenerator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from answer_room import ME, REQUEST, Room, forever, listen, run, told, words
from rixin.assistants import Answers, Done, Message, TextDelta
from rixin.engines.fake import REPLY, FakeEngine
from rixin.engines.protocol import Delta, Finished, GenerateEvent, Started
from rixin.errors import Conflict, ContextLengthExceeded, EngineDied, EngineUnavailable, NotFound
from rixin.store import Database


@pytest.fixture
def room(database: Database) -> Room:
    return Room(database)


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
