"""What happens to requests, and to the engine, when its process dies, can't start, or loses its server."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop

from engine_talk import Heard, hear, question, with_template
from engine_talk import request as asking
from rixin.engines import worker_client
from rixin.engines.openvino import OpenVinoEngine
from rixin.engines.protocol import Delta, ScoreRequest
from rixin.engines.wire import LENGTH_BYTES, Generate, Load, Loaded, decode_reply, frame
from rixin.engines.worker_client import WorkerClient
from rixin.errors import EngineDied, EngineUnavailable, MalformedModel, RixinError
from rixin.models.importer import prepare
from tiny_gguf import write_tiny_gguf

ENDLESS = asking("Once upon a time", max_tokens=None, ignore_eos=True)
SHORT = asking("Once upon a time", max_tokens=3)
LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of one layer, whose answers make no sense and never need to end: it starts in a second."""
    made = tmp_path_factory.mktemp("tiny")
    prepare(write_tiny_gguf(made / "tiny.gguf"), made / "model")
    config = json.loads((made / "model" / "config.json").read_text())
    (made / "model" / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 100_000}))
    return made / "model"


@pytest.fixture(scope="module")
def real(smollm2_folder: Path) -> Path:
    return smollm2_folder


def run(work: Coroutine[Any, Any, None], loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None) -> None:
    async def limited() -> None:
        async with asyncio.timeout(120):
            await work

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(limited())


@asynccontextmanager
async def running(folder: Path, *, kv_cache_bytes: int = 0) -> AsyncIterator[OpenVinoEngine]:
    engine = OpenVinoEngine(folder, name="smollm2", kv_cache_bytes=kv_cache_bytes)
    try:
        await engine.start()
        yield engine
    finally:
        await engine.close()


async def until(condition: Callable[[], bool]) -> None:
    while True:
        if condition():
            return
        await asyncio.sleep(0.01)


async def speaking(engine: WorkerClient, told: list[str]) -> None:
    """An endless answer; each of its texts is put into `told`."""
    async for event in engine.generate(ENDLESS):
        told += [event.text] if isinstance(event, Delta) else []


def kill(engine: WorkerClient) -> None:
    assert engine.pid is not None
    os.kill(engine.pid, signal.SIGKILL)


async def failure_of(work: Awaitable[object]) -> BaseException | None:
    try:
        await work
    except RixinError as error:
        return error
    return None


@pytest.mark.parametrize(
    ("model", "loop_factory"), [("real", LOOPS[1]), ("tiny", LOOPS[0])], ids=["smollm2-uvloop", "tiny-asyncio"]
)
def test_every_request_in_flight_hears_of_the_death_and_the_next_is_answered(
    request: pytest.FixtureRequest, model: str, loop_factory: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    folder: Path = request.getfixturevalue(model)

    async def scenario() -> None:
        async with running(folder) as engine:
            told: list[list[str]] = [[] for _ in range(5)]
            streams = [asyncio.create_task(speaking(engine, one)) for one in told]
            await until(lambda: all(len(one) > 2 for one in told))
            scoring = asyncio.create_task(
                engine.score([ScoreRequest(context=(5,) * 100, continuation=(6,) * 5000)] * 20)
            )
            await asyncio.sleep(0)
            first = engine.pid
            kill(engine)
            for error in await asyncio.gather(*streams, scoring, return_exceptions=True):
                assert isinstance(error, EngineDied), error
                assert "signal 9" in error.message
                assert error.fix == "It restarts; ask again."
            # It may not be up again yet: then the request waits for it.
            assert (await hear(engine, SHORT)).tokens == 3
            assert engine.pid not in (None, first)
            assert engine.failure() is None
            assert not engine._streams
            assert not engine._asked

    run(scenario(), loop_factory)


@pytest.mark.parametrize("loop_factory", LOOPS, ids=["asyncio", "uvloop"])
def test_requests_that_come_at_the_moment_of_death_are_answered_or_told(
    tiny: Path, loop_factory: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """Also in the moment when the pipe is broken and nobody has noticed yet."""

    async def scenario() -> None:
        async with running(tiny) as engine:
            asked: list[asyncio.Task[Heard]] = []
            kill(engine)
            for _ in range(40):
                asked.append(asyncio.create_task(hear(engine, SHORT)))
                await asyncio.sleep(0.002)
            for outcome in await asyncio.gather(*asked, return_exceptions=True):
                assert isinstance(outcome, Heard | EngineDied), outcome

    run(scenario(), loop_factory)


@pytest.mark.parametrize("loop_factory", LOOPS, ids=["asyncio", "uvloop"])
def test_a_request_that_finds_the_pipe_broken_is_a_death_like_any_other(
    tiny: Path, loop_factory: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def scenario() -> None:
        async with running(tiny) as engine:
            dead = engine.pid
            assert dead is not None
            kill(engine)
            os.waitid(os.P_PID, dead, os.WEXITED | os.WNOWAIT)  # noqa: ASYNC222 – the loop must not turn here
            # No turn of the loop lies between the death and this write: the write is what meets it first.
            assert isinstance(await failure_of(hear(engine, SHORT)), EngineDied)
            assert (await hear(engine, SHORT)).tokens == 3
            assert engine.failure() is None

    run(scenario(), loop_factory)


def test_three_deaths_in_a_minute_stop_it_with_the_reason(tiny: Path) -> None:
    async def scenario() -> None:
        async with running(tiny) as engine:
            for death in (1, 2):
                kill(engine)
                await until(lambda: engine.failure() is not None)
                assert "died (killed by signal 9) and is starting again" in str(engine.failure())
                assert (await hear(engine, SHORT)).tokens == 3, death
            told: list[str] = []
            last = asyncio.create_task(speaking(engine, told))
            await until(lambda: bool(told))
            kill(engine)
            why = "died 3 times in a minute (last: killed by signal 9), so it was stopped"
            with pytest.raises(EngineUnavailable, match="died 3 times"):
                await last
            assert why in str(engine.failure())
            for ask in (hear(engine, SHORT), engine.tokenize("x"), engine.score([])):
                error = await failure_of(ask)
                assert isinstance(error, EngineUnavailable)
                assert why in error.message
            assert engine.pid is None
            await engine.start()  # a person may start it again
            assert (await hear(engine, SHORT)).tokens == 3

    run(scenario())


def test_deaths_that_lie_apart_do_not_stop_it(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_client, "WITHIN_S", 0.0)

    async def scenario() -> None:
        async with running(tiny) as engine:
            for _ in range(4):
                kill(engine)
                await until(lambda: engine.failure() is not None)
                await engine.tokenize("x")

    run(scenario())


def broken(folder: Path, target: Path, name: str, content: bytes | None) -> Path:
    with_template(folder, target, "{{ messages }}")
    (target / name).unlink()
    if content is not None:
        (target / name).write_bytes(content)
    return target


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("openvino_model.xml", None),
        ("openvino_model.xml", b"<net"),
        ("openvino_model.bin", b"\0" * 1000),
        ("openvino_model.bin", None),
        ("config.json", b"{}"),
        ("config.json", b"[1]"),
        ("config.json", b'{"max_position_embeddings": true}'),
        ("config.json", b"\xff\xfe"),
        ("tokenizer.json", b"{"),
        ("tokenizer.json", None),
        ("tokenizer_config.json", b"{"),
    ],
)
def test_a_folder_that_can_not_be_loaded_says_so_at_once_and_once(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes | None
) -> None:
    folder = broken(tiny, tmp_path / "model", name, content)
    started = []
    spawn = worker_client._spawn

    def counted(number: int) -> "subprocess.Popen[bytes]":
        started.append(spawn(number))
        return started[-1]

    monkeypatch.setattr(worker_client, "_spawn", counted)

    async def scenario() -> None:
        engine = OpenVinoEngine(folder)
        with pytest.raises(MalformedModel) as failed:
            await engine.start()
        assert name.partition(".")[0] in str(failed.value) or name == "openvino_model.bin"
        assert engine.failure() == failed.value.message
        assert isinstance(await failure_of(hear(engine, SHORT)), MalformedModel)
        await engine.close()
        assert len(started) == 1

    run(scenario())


def test_a_hostile_template_ends_its_request_and_nothing_else(tiny: Path, tmp_path: Path) -> None:
    template = (
        "{% if messages[0].content == 'loop' %}{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}"
        "{% endfor %}{% elif messages[0].content == 'escape' %}{{ ''.__class__.__mro__ }}"
        "{% elif messages[0].content == 'grow' %}{{ 'x' * 99999999999 }}{% else %}{{ messages[0].content }}{% endif %}"
    )

    async def scenario() -> None:
        async with running(with_template(tiny, tmp_path / "model", template)) as engine:
            pid = engine.pid
            for text in ("loop", "escape", "grow"):
                error = await failure_of(hear(engine, asking(question(text))))
                assert type(error).__name__ == "TemplateError", (text, error)
            assert (await hear(engine, asking(question("Hello")))).tokens > 0
            assert engine.pid == pid

    run(scenario())


def test_closing_ends_the_process_and_every_request(tiny: Path) -> None:
    async def scenario() -> None:
        engine = OpenVinoEngine(tiny, name="smollm2")
        await engine.start()
        pid = engine.pid
        told: list[str] = []
        streams = [asyncio.create_task(speaking(engine, told)) for _ in range(3)]
        await until(lambda: len(told) > 5)
        await engine.close()
        for error in await asyncio.gather(*streams, return_exceptions=True):
            assert isinstance(error, EngineUnavailable)
            assert error.message == "smollm2 was closed."
        assert pid is not None
        assert not alive(pid)
        assert isinstance(await failure_of(hear(engine, SHORT)), EngineUnavailable)
        await engine.close()

    run(scenario())


def test_a_start_that_is_cancelled_leaves_no_process(tiny: Path) -> None:
    async def scenario() -> None:
        engine = OpenVinoEngine(tiny)
        starting = asyncio.create_task(engine.start())
        await until(lambda: engine.pid is not None)
        pid = engine.pid
        assert pid is not None
        await asyncio.sleep(0.3)
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        await engine.close()
        assert not alive(pid)
        assert engine.pid is None

    run(scenario())


def test_who_waits_while_it_loads_hears_that_it_was_closed(tiny: Path) -> None:
    async def scenario() -> None:
        engine = OpenVinoEngine(tiny)
        starting = asyncio.create_task(engine.start())
        await until(lambda: engine.pid is not None)
        asking = asyncio.create_task(hear(engine, SHORT))
        await asyncio.sleep(0)
        await engine.close()
        for task in (starting, asking):
            assert isinstance(await failure_of(task), EngineUnavailable)

    run(scenario())


def test_no_process_at_all_is_an_error_and_not_a_wait(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(_: int) -> "subprocess.Popen[bytes]":
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(worker_client, "_spawn", no_memory)

    async def scenario() -> None:
        engine = OpenVinoEngine(tiny, name="smollm2")
        with pytest.raises(EngineUnavailable, match="Cannot allocate memory"):
            await engine.start()
        assert "Cannot allocate memory" in str(engine.failure())
        await engine.close()

    run(scenario())


def test_a_process_that_speaks_nonsense_is_ended(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    processes: list[subprocess.Popen[bytes]] = []

    def babble(number: int) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-c", "import time; print('\\x05\\0\\0\\0hello', flush=True); time.sleep(60)"]
        processes.append(subprocess.Popen(command, stdin=number, stdout=number))
        return processes[-1]

    monkeypatch.setattr(worker_client, "_spawn", babble)

    async def scenario() -> None:
        engine = OpenVinoEngine(tiny, name="smollm2")
        with pytest.raises(EngineUnavailable, match="can't be used"):
            await engine.start()
        await engine.close()
        assert processes[0].poll() is not None

    run(scenario())


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until_gone(pid: int) -> None:
    until_s = time.monotonic() + 30
    while alive(pid):
        assert time.monotonic() < until_s, "the worker outlives its server"
        time.sleep(0.02)


SERVER = """
import asyncio, sys
from pathlib import Path
sys.path[:0] = {paths!r}
from engine_talk import request
from rixin.engines.openvino import OpenVinoEngine
from rixin.engines.protocol import Delta

async def main():
    engine = OpenVinoEngine(Path({folder!r}))
    await engine.start()
    async for event in engine.generate(request("Once upon a time", max_tokens=None, ignore_eos=True)):
        if isinstance(event, Delta):
            print(engine.pid, flush=True)

asyncio.run(main())
"""


def test_the_worker_ends_when_its_server_is_killed(tiny: Path) -> None:
    """In the middle of an answer, when both directions of the pipe are in use."""
    program = SERVER.format(paths=[str(Path(__file__).parents[1])], folder=str(tiny))
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        worker = int(server.stdout.readline())
        assert alive(worker)
        server.kill()
        server.wait()
        wait_until_gone(worker)


def started_by_hand(folder: Path) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """A worker that has loaded the folder, and our end of its pipe."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "rixin.engines.worker"],
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
            stderr=subprocess.PIPE,
        )
    ours.settimeout(60)
    ours.sendall(frame(Load(kind="openvino", folder=str(folder))))
    header = ours.recv(LENGTH_BYTES, socket.MSG_WAITALL)
    body = ours.recv(int.from_bytes(header, "little"), socket.MSG_WAITALL)
    assert isinstance(decode_reply(body), Loaded)
    return process, ours


@pytest.mark.parametrize("cut", ["between messages", "in a length", "in a message", "with replies unread"])
def test_a_worker_whose_pipe_breaks_ends_without_a_traceback(tiny: Path, cut: str) -> None:
    process, ours = started_by_hand(tiny)
    message = frame(Generate(ENDLESS))
    ours.sendall(
        {"in a length": message[:2], "in a message": message[:-3], "with replies unread": message}.get(cut, b"")
    )
    if cut == "with replies unread":
        assert ours.recv(1)
    ours.close()
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0
    assert b"Traceback" not in said, said.decode()


def test_hundreds_of_requests_leave_no_memory_behind(tiny: Path) -> None:
    def resident(pid: int) -> int:
        return int(Path(f"/proc/{pid}/status").read_text().partition("VmRSS:")[2].split()[0]) * 1024

    async def scenario() -> None:
        async with running(tiny, kv_cache_bytes=4 << 20) as engine:
            assert engine.pid is not None

            async def round_of_requests() -> None:
                asked = [
                    *(asking(f"{number} is a number", max_tokens=4, n=1 + number % 2) for number in range(40)),
                    *(asking(f"{number}", max_tokens=2, echo=True, logprobs=3) for number in range(10)),
                    *(asking("x", max_tokens=6, json_schema='{"type":"object"}') for _ in range(5)),
                ]
                await asyncio.gather(*(hear(engine, one) for one in asked))
                left = asyncio.create_task(hear(engine, asking("x", max_tokens=5000, ignore_eos=True)))
                await asyncio.sleep(0.02)
                left.cancel()
                await asyncio.gather(left, return_exceptions=True)

            for _ in range(3):  # buffers grow to their size
                await round_of_requests()
            before = resident(engine.pid)
            for _ in range(5):
                await round_of_requests()
            assert resident(engine.pid) - before < 24 << 20

    run(scenario())
