"""A canary while people talk: conversations stay with their version, failures reach nobody, moves lose no stream."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import openai
import pytest

from rixin.assistants import Assistant
from rixin.assistants.assistant import Title
from rixin.engines import EngineKind
from rixin.engines.fake import FakeEngine
from rixin.errors import EngineDied, EngineUnavailable, RateLimited
from rixin.http.console.looking import Looking
from rixin.knowledge import MACHINE
from rixin.models import NewModel, NewVersion, Version, goes_to_canary
from rixin.renewal import CanaryRules
from rixin.settings import Settings
from rixin.workspace import Workspace
from served import Served, first_key, serve_home, serve_workspace
from tiny_runs import wait_until

A, B = "v_00000000000a", "v_00000000000b"
OLD, NEW = "The old answer, word for word, to its very end.", "A new answer, word for word, to its very end."


@contextmanager
def serve_two(home: Path) -> Iterator[tuple[Served, dict[str, FakeEngine]]]:
    """A server whose alias `chat` is A; B is there. Each has an engine of its own."""
    engines = {A: FakeEngine(reply=OLD), B: FakeEngine(reply=NEW)}
    made = Settings.model_validate({"home": home})

    def engine(version: Version) -> FakeEngine:
        return engines[version.id]

    with Workspace(made, kinds={"fake": EngineKind(engine)}) as workspace:
        for version_id in engines:
            workspace.models.register(
                NewModel(name="fake", title="Fake"),
                NewVersion(
                    id=version_id, source="file:fake", engine="fake", format="none", licence="MIT", context_length=4096
                ),
            )
        workspace.models.set_alias("chat", A)
        with serve_workspace(workspace, first_key(workspace), engines[A]) as served:
            yield served, engines


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[Served, dict[str, FakeEngine]]]:
    with serve_two(tmp_path / "home") as found:
        yield found


def asked(browser: httpx2.Client, conversation_id: str, content: str = "What is due?") -> dict[str, object]:
    """Ask in a conversation, and give the whole answer."""
    whole = browser.get(f"/api/conversations/{conversation_id}").json()
    parent = whole["messages"][-1]["id"] if whole["messages"] else None
    answer = browser.post(
        f"/api/conversations/{conversation_id}/messages", json={"content": content, "parent_id": parent}
    )
    assert answer.status_code == 201, answer.text
    message_id = answer.json()["answer"]["id"]
    for _ in range(200):
        messages = browser.get(f"/api/conversations/{conversation_id}").json()["messages"]
        found: dict[str, object] = next(one for one in messages if one["id"] == message_id)
        if found["status"] != "generating":
            return found
        time.sleep(0.02)
    raise AssertionError("the answer does not end")


def drawn(browser: httpx2.Client, canary_id: str, share: float) -> str:
    """A conversation that the canary answers."""
    while True:
        made: str = browser.post("/api/conversations", json={}).json()["id"]
        if goes_to_canary(canary_id, share, made):
            return made


def test_a_conversation_of_the_page_keeps_its_version(two: tuple[Served, dict[str, FakeEngine]]) -> None:
    served, _ = two
    canary = served.workspace.canaries.start("chat", B, share=0.5)
    with served.browser() as browser:
        for _ in range(8):
            made = browser.post("/api/conversations", json={}).json()["id"]
            expected = B if goes_to_canary(canary.id, 0.5, made) else A
            answers = [asked(browser, made) for _ in range(3)]
            assert [one["version"] for one in answers] == [expected] * 3
            assert {one["content"] for one in answers} == {NEW if expected == B else OLD}


def test_a_conversation_of_the_api_keeps_its_version(two: tuple[Served, dict[str, FakeEngine]]) -> None:
    served, _ = two
    served.workspace.canaries.start("chat", B, share=0.5)
    client = served.client()
    seen = set()
    for number in range(10):
        turns: list[dict[str, str]] = []
        versions = set()
        for turn in range(3):
            turns.append({"role": "user", "content": f"question {number}, turn {turn}"})
            answer = client.chat.completions.create(model="chat", messages=turns)  # type: ignore[arg-type]
            versions.add(answer.system_fingerprint)
            turns.append({"role": "assistant", "content": answer.choices[0].message.content or ""})
        assert len(versions) == 1
        by_name = {
            client.chat.completions.create(
                model="chat", messages=[{"role": "user", "content": f"{turn}"}], user=f"u{number}"
            ).system_fingerprint
            for turn in range(3)
        }
        assert len(by_name) == 1
        seen |= versions
    assert seen == {A, B}
    scored = client.completions.create(model="chat", prompt="x", max_tokens=1)
    assert scored.system_fingerprint == A, "raw text has no conversation: it is the alias's own version"


def test_an_engine_that_can_not_start_reaches_nobody(two: tuple[Served, dict[str, FakeEngine]]) -> None:
    served, engines = two
    engines[B].start_failure = EngineUnavailable("It does not fit the memory.")
    canary = served.workspace.canaries.start("chat", B, share=0.5)
    with served.browser() as browser:
        for _ in range(2):
            answer = asked(browser, drawn(browser, canary.id, 0.5))
            assert (answer["status"], answer["content"], answer["version"]) == ("complete", OLD, A)
        standing = served.workspace.canaries.look(canary.id)
        assert (standing.stepped_in, standing.b.failed) == (2, 2)
        asked(browser, drawn(browser, canary.id, 0.5))
    ended = served.workspace.canaries.get(canary.id)
    assert ended.outcome == "rolled_back"
    assert ended.reason is not None
    assert "It does not fit the memory." in ended.reason


def test_an_engine_that_dies_before_the_first_word_reaches_nobody(two: tuple[Served, dict[str, FakeEngine]]) -> None:
    served, engines = two
    engines[B].generate_failure = EngineDied("The engine's process ended.")
    canary = served.workspace.canaries.start("chat", B, share=1.0)
    with served.client().chat.completions.create(
        model="chat", messages=[{"role": "user", "content": "?"}], stream=True
    ) as chunks:
        told = list(chunks)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in told if chunk.choices) == OLD
    assert {chunk.system_fingerprint for chunk in told} == {A}
    assert served.workspace.canaries.look(canary.id).stepped_in == 1


def test_a_machine_without_room_for_the_second_engine_is_not_held_against_it(
    two: tuple[Served, dict[str, FakeEngine]],
) -> None:
    served, engines = two
    engines[B].start_failure = RateLimited("All 2 loaded models are busy.")
    canary = served.workspace.canaries.start("chat", B, share=1.0)
    answer = served.client().chat.completions.create(model="chat", messages=[{"role": "user", "content": "?"}])
    assert (answer.choices[0].message.content, answer.system_fingerprint) == (OLD, A)
    assert served.workspace.canaries.look(canary.id).stepped_in == 0


def test_an_engine_that_dies_in_mid_answer_fails_that_answer(two: tuple[Served, dict[str, FakeEngine]]) -> None:
    served, engines = two
    engines[B].generate_failure, engines[B].fail_after = EngineDied("The engine's process ended."), 3
    canary = served.workspace.canaries.start("chat", B, share=1.0)
    with served.browser() as browser:
        answer = asked(browser, browser.post("/api/conversations", json={}).json()["id"])
    assert (answer["status"], answer["version"]) == ("failed", B)
    standing = served.workspace.canaries.look(canary.id)
    assert (standing.stepped_in, standing.b.failed, standing.b.score) == (0, 1, 0.0)


def test_a_question_that_can_not_be_asked_is_held_against_nobody(two: tuple[Served, dict[str, FakeEngine]]) -> None:
    served, engines = two
    engines[B].context_length = 8
    canary = served.workspace.canaries.start("chat", B, share=1.0)
    with pytest.raises(openai.BadRequestError, match="context"):
        served.client().chat.completions.create(
            model="chat", messages=[{"role": "user", "content": "one two three four five six seven eight nine"}]
        )
    assert served.workspace.canaries.look(canary.id).stepped_in == 0


def test_an_assistants_conversations_keep_the_version_of_its_alias(two: tuple[Served, dict[str, FakeEngine]]) -> None:
    served, _ = two
    clerk = Assistant(name="clerk", title=Title(zh="文员", en="Clerk"), model="chat")
    served.workspace.assistants.save(clerk, reader=MACHINE, visibility="everyone")
    canary = served.workspace.canaries.start("chat", B, share=0.5)
    with served.browser() as browser:
        for canarys in (True, False):
            while True:
                made = browser.post("/api/conversations", json={"model": "assistant:clerk"}).json()["id"]
                if goes_to_canary(canary.id, 0.5, made) is canarys:
                    break
            answers = [asked(browser, made) for _ in range(2)]
            assert [one["version"] for one in answers] == [B if canarys else A] * 2
    standing = served.workspace.canaries.look(canary.id)
    assert (standing.a.answers, standing.b.answers) == (2, 2)


def test_a_server_decides_by_itself(two: tuple[Served, dict[str, FakeEngine]]) -> None:
    served, _ = two
    house = served.workspace
    canary = house.canaries.start("chat", B, rules=CanaryRules(longest_hours=1e-9))

    async def look() -> None:
        looking = asyncio.create_task(Looking(house, every_s=0.02).run())
        await asyncio.to_thread(wait_until, lambda: house.canaries.get(canary.id).outcome is not None)
        looking.cancel()

    asyncio.run(look())
    assert house.canaries.get(canary.id).outcome == "ended"


def test_an_alias_is_shown_and_goes_back_by_the_page(two: tuple[Served, dict[str, FakeEngine]]) -> None:
    served, _ = two
    canary = served.workspace.canaries.start("chat", B, share=0.25)
    served.workspace.canaries.decide_all()
    with served.browser() as browser:
        shown = browser.get("/api/aliases/chat").json()
        assert (shown["version_id"], shown["model"], shown["canary"]["version_id"]) == (A, "fake", B)
        assert shown["canary"]["standing"]["decision"] == "wait"
        assert browser.get("/api/aliases/nope").status_code == 404
        served.workspace.canaries.promote(canary.id, "better")
        moved = browser.get("/api/aliases/chat").json()
        assert (moved["version_id"], moved["canary"], moved["moves"][0]["why"]) == (B, None, "better")
        back = browser.post("/api/aliases/chat/rollback")
        assert (back.status_code, back.json()["version_id"]) == (200, A)
        assert browser.post("/api/aliases/chat/rollback").status_code == 409
        browser.headers.pop("x-csrf-token")
        assert browser.post("/api/aliases/chat/rollback").status_code == 403


async def talk(
    client: openai.AsyncOpenAI, number: int, begun: asyncio.Semaphore, *, endless: bool = False
) -> tuple[str, str, str]:
    """One stream of 48 tokens at most: its text, the version that it says, and why it ended."""
    stream = await client.chat.completions.create(
        model="chat",
        messages=[{"role": "user", "content": f"Count from {number}."}],
        stream=True,
        max_tokens=48,
        extra_body={"ignore_eos": endless},
    )
    text, versions, released, reason = "", set(), False, "cut off"
    async for chunk in stream:
        versions.add(chunk.system_fingerprint)
        if chunk.choices:
            text += chunk.choices[0].delta.content or ""
            reason = chunk.choices[0].finish_reason or reason
        if text and not released:
            begun.release()
            released = True
    [version] = versions
    return text, str(version), reason


def test_promotion_and_rollback_under_16_live_streams_lose_none(two: tuple[Served, dict[str, FakeEngine]]) -> None:
    served, engines = two
    for engine in engines.values():
        engine.token_s = 0.05
    models = served.workspace.models

    async def live() -> tuple[list[tuple[str, str, str]], list[str]]:
        begun = asyncio.Semaphore(0)
        moved = []
        async with served.async_client() as client:
            first = [asyncio.create_task(talk(client, at, begun)) for at in range(16)]
            for _ in first:
                await begun.acquire()
            canary = await asyncio.to_thread(lambda: served.workspace.canaries.start("chat", B))
            await asyncio.to_thread(served.workspace.canaries.promote, canary.id)
            second = [asyncio.create_task(talk(client, at, begun)) for at in range(16)]
            for _ in second:
                await begun.acquire()
            moved.append(models.resolve("chat").id)
            started = time.monotonic()
            await asyncio.to_thread(models.rollback, "chat")
            moved.append(models.resolve("chat").id)
            assert time.monotonic() - started < 2
            return [*await asyncio.gather(*first), *await asyncio.gather(*second)], moved

    told, moved = asyncio.run(live())
    assert moved == [B, A]
    assert told == [(OLD, A, "stop")] * 16 + [(NEW, B, "stop")] * 16


def test_a_real_model_is_promoted_under_16_live_streams(smollm2_home: Path) -> None:
    """Two Versions of one file, each with an engine of its own."""
    with serve_home(smollm2_home, max_parallel=16) as served:
        models = served.workspace.models
        before = models.resolve("chat")
        second = models.register(
            NewModel(name="smollm2-again", title="SmolLM2, again"),
            NewVersion(
                id="v_5ec0d0000000",
                source=before.source,
                engine=before.engine,
                format=before.format,
                licence=before.licence,
                context_length=before.context_length,
                folder=str((before.folder or Path()).relative_to(smollm2_home)),
            ),
        )

        async def live() -> list[tuple[str, str, str]]:
            begun = asyncio.Semaphore(0)
            async with served.async_client() as client:
                first = [asyncio.create_task(talk(client, at, begun, endless=True)) for at in range(16)]
                for _ in first:
                    await begun.acquire()
                await asyncio.to_thread(models.set_alias, "chat", second.id)
                later = await talk(client, 0, asyncio.Semaphore(0), endless=True)
                await asyncio.to_thread(models.rollback, "chat")
                assert models.resolve("chat").id == before.id
                return [*await asyncio.gather(*first), later]

        told = asyncio.run(live())
        assert [(version, reason) for _, version, reason in told] == [
            *[(before.id, "length")] * 16,
            (second.id, "length"),
        ]
        assert all(text for text, _, _ in told)
