"""Answers where the process ends, the disk is full or another writer is silent: nothing of them is lost."""

import asyncio
import signal
import subprocess
import sys
from datetime import timedelta

import pytest
from sqlalchemy import update

import rixin.assistants.answers as answers_module
from answer_room import ME, Room, forever, listen, run, told, words
from rixin.assistants import Answers, Done, Message
from rixin.assistants.drafts import LEASE_S
from rixin.errors import NotEnoughDisk
from rixin.store import Database, MessageRow, now

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


@pytest.fixture
def room(database: Database) -> Room:
    return Room(database)


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
