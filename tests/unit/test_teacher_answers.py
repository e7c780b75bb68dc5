"""A teacher that only answers: what it wrote is kept, asked for once, and left out if it isn't whole."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from rixin.data import ChatExample, Turn
from rixin.engines import Delta, Finished, FinishReason, GenerateEvent, GenerateRequest, Started
from rixin.engines.fake import FakeEngine
from rixin.errors import UpstreamError
from rixin.training.answers import write_answers


def row(question: str) -> ChatExample:
    earlier = (Turn(role="user", content="Hello"), Turn(role="assistant", content="Hi!"))
    return ChatExample(
        messages=(*earlier, Turn(role="user", content=question), Turn(role="assistant", content="old")),
        source=f"{question}.jsonl:1",
    )


ROWS = [row(f"What is {at}?") for at in range(6)]


class Ending(FakeEngine):
    """Answers every question, and ends the one about 2 for another reason."""

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[GenerateEvent]:
        self.requests.append(request)
        yield Started(prompt_tokens=1)
        yield Delta(text="new", tokens=1)
        cut = "2" in request.prompt.messages[-1].content  # type: ignore[union-attr]
        reason: FinishReason = "length" if cut else "stop"
        yield Finished(reason=reason, completion_tokens=1)


def ask(engine: FakeEngine, file: Path) -> list[str]:
    answered = asyncio.run(write_answers(engine, ROWS, file, max_tokens=64))
    assert answered.left_out == len(ROWS) - len(answered.rows)
    return [one.messages[-1].content for one in answered.rows]


def test_the_teachers_answers_take_the_place_of_the_rows_own(tmp_path: Path) -> None:
    engine = FakeEngine()
    answered = asyncio.run(write_answers(engine, ROWS, tmp_path / "a.jsonl", max_tokens=64))
    assert [one.messages[-1].content for one in answered.rows] == [engine.reply] * 6
    assert [turn.learn for turn in answered.rows[0].messages] == [False, False, False, True]
    assert answered.rows[0].source == ROWS[0].source


def test_an_answer_that_was_cut_is_left_out_and_counted(tmp_path: Path) -> None:
    answered = asyncio.run(write_answers(Ending(), ROWS, tmp_path / "a.jsonl", max_tokens=64))
    assert answered.left_out == 1
    assert len(answered.rows) == 5


def test_what_was_answered_before_a_failure_is_not_asked_again(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    asyncio.run(write_answers(FakeEngine(), ROWS[:4], file, max_tokens=64))
    with file.open("ab") as torn:
        torn.write(b'{"row": "half of a li')
    with pytest.raises(UpstreamError):
        ask(FakeEngine(generate_failure=UpstreamError("down")), file)
    engine = FakeEngine()
    assert len(ask(engine, file)) == 6
    assert len(engine.requests) == 2
