"""Distillation from a model that only answers, such as a remote one: it writes the answers, the student learns them.

Source: Kim and Rush, Sequence-Level Knowledge Distillation, https://arxiv.org/abs/1606.07947, section 3.2.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec
from msgspec import Struct

from rixin.data import ChatExample, Turn
from rixin.engines import ChatPrompt, Delta, Engine, Finished, GenerateRequest, Sampling, ToolCall, ToolCallDelta
from rixin.training.stop import StopSignal

Progress = Callable[[int, int], None]


class _Written(Struct, frozen=True):
    """A line of the file: which row was answered, how it ended, and the answer."""

    row: str
    reason: str
    turn: Turn


@dataclass(frozen=True)
class Answered:
    """The rows with the teacher's answers; `left_out` were cut at the limit, refused or empty."""

    rows: list[ChatExample]
    left_out: int


class AskedToStop(Exception):
    """The run is to stop while the teacher still writes; the rest is asked when it goes on."""


def teach(engine: Engine, rows: Sequence[ChatExample], file: Path, *, max_tokens: int, stop: StopSignal) -> Answered:
    """`write_answers` from plain code, with an engine that is started and closed here. Raises AskedToStop too."""

    def look(_done: int, _of: int) -> None:
        if stop.reason is not None:
            raise AskedToStop(stop.reason)

    async def ask() -> Answered:
        await engine.start()
        try:
            return await write_answers(engine, rows, file, max_tokens=max_tokens, progress=look)
        finally:
            await engine.close()

    return asyncio.run(ask())


async def write_answers(
    engine: Engine,
    rows: Sequence[ChatExample],
    file: Path,
    *,
    max_tokens: int,
    temperature: float = 0.0,
    at_once: int = 16,
    progress: Progress | None = None,
) -> Answered:
    """Let `engine` answer the last question of every row; earlier turns are read, and not learned from.

    Each answer is a line of `file` as soon as it is there, so a run that is resumed asks only for the rest. Raises what
    the engine raises; what was answered until then is kept.
    """
    written = _read(file)
    missing = {row.id: row for row in rows if row.id not in written}
    waiting = iter(list(missing.values()))
    done = len(rows) - len(missing)

    async def work(to: BinaryIO) -> None:
        nonlocal done
        for row in waiting:
            answer = await _ask(engine, row, max_tokens, temperature)
            to.write(msgspec.json.encode(answer) + b"\n")
            to.flush()
            written[row.id] = answer
            done += 1
            if progress is not None:
                progress(done, len(rows))

    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("ab") as to:
        to.truncate(_whole(file))
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(at_once, len(missing))):
                    group.create_task(work(to))
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
    return _answered(rows, written)


def _answered(rows: Sequence[ChatExample], written: Mapping[str, _Written]) -> Answered:
    kept = []
    for row in rows:
        answer = written[row.id]
        if answer.reason in ("stop", "tool_calls") and (answer.turn.content or answer.turn.tool_calls):
            kept.append(msgspec.structs.replace(row, messages=(*_question(row), answer.turn)))
    return Answered(kept, len(rows) - len(kept))


async def _ask(engine: Engine, row: ChatExample, max_tokens: int, temperature: float) -> _Written:
    request = GenerateRequest(
        id=row.id,
        prompt=ChatPrompt(messages=_question(row), tools=row.tools),
        sampling=Sampling(max_tokens=max_tokens, temperature=temperature, seed=0),
    )
    text, reason = "", "length"
    calls: dict[int, ToolCall] = {}
    async for event in engine.generate(request):
        if isinstance(event, Delta):
            text += event.text
        elif isinstance(event, ToolCallDelta):
            known = calls.get(event.call, ToolCall(id=event.id or "", name=event.name or "", arguments=""))
            calls[event.call] = msgspec.structs.replace(known, arguments=known.arguments + event.arguments)
        elif isinstance(event, Finished):
            reason = event.reason
    turn = Turn(role="assistant", content=text, tool_calls=tuple(calls[at] for at in sorted(calls)))
    return _Written(row.id, reason, turn)


def _question(row: ChatExample) -> tuple[Turn, ...]:
    """The turns before the last answer; the answers among them are there to be read."""
    last = max((at for at, turn in enumerate(row.messages) if turn.role == "assistant"), default=len(row.messages))
    return tuple(msgspec.structs.replace(turn, learn=False) for turn in row.messages[:last])


def _whole(file: Path) -> int:
    """Where the last whole line ends: what a killed run had begun to write is dropped."""
    return file.read_bytes().rfind(b"\n") + 1 if file.exists() else 0


def _read(file: Path) -> dict[str, _Written]:
    if not file.exists():
        return {}
    lines = file.read_bytes()[: _whole(file)].splitlines()
    return {one.row: one for one in (msgspec.json.decode(line, type=_Written) for line in lines)}
