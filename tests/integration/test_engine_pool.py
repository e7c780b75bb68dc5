"""Which models are loaded, and what happens when too many are wanted, or one can't be."""

import asyncio
from dataclasses import dataclass

import pytest

from rixin.engines import EngineKind, EnginePool
from rixin.engines.fake import FakeEngine
from rixin.errors import EngineUnavailable, RateLimited, UnsupportedModel


@dataclass(frozen=True)
class Build:
    id: str
    engine: str = "fake"


class House:
    """A pool of fake engines, each remembered by its version."""

    def __init__(self, max_engines: int = 2, **engine: object) -> None:
        self.made: dict[str, list[FakeEngine]] = {}
        self.fields = engine
        kinds = {"fake": EngineKind(self.make), "light": EngineKind(self.make, counted=False)}
        self.pool: EnginePool[Build] = EnginePool(kinds, max_engines=max_engines)

    def make(self, version: Build) -> FakeEngine:
        engine = FakeEngine(**self.fields)  # type: ignore[arg-type]
        self.made.setdefault(version.id, []).append(engine)
        return engine

    def states(self, *ids: str) -> list[str]:
        return [self.pool.status(id).state for id in ids]


def test_a_model_is_loaded_once_however_many_ask_at_the_same_time() -> None:
    async def run() -> None:
        house = House(load_s=0.05)
        assert house.states("a") == ["idle"]
        loads = [asyncio.create_task(house.pool.load(Build("a"))) for _ in range(10)]
        await asyncio.sleep(0.01)
        assert house.states("a") == ["loading"]
        await asyncio.gather(*loads)
        assert house.states("a") == ["ready"]
        assert [engine.started for engine in house.made["a"]] == [1]

    asyncio.run(run())


def test_the_least_recently_used_idle_model_makes_room() -> None:
    async def run() -> None:
        house = House()
        for id in ("a", "b", "a", "c"):
            await house.pool.load(Build(id))
        assert house.states("a", "b", "c") == ["ready", "idle", "ready"]
        assert house.made["b"][0].closed == 1

    asyncio.run(run())


def test_a_model_in_use_is_never_unloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rixin.engines.pool.WAIT_FOR_ROOM_S", 0.05)

    async def run() -> None:
        house = House(max_engines=1)
        async with house.pool.lease(Build("a")):
            with pytest.raises(RateLimited, match="busy"):
                await house.pool.load(Build("b"))
            assert house.states("a") == ["ready"]
        await house.pool.load(Build("b"))
        assert house.states("a", "b") == ["idle", "ready"]

    asyncio.run(run())


def test_who_waits_for_room_gets_it_when_the_busy_one_is_done() -> None:
    async def run() -> None:
        house = House(max_engines=1)
        async with house.pool.lease(Build("a")):
            waiting = asyncio.create_task(house.pool.load(Build("b")))
            await asyncio.sleep(0.02)
            assert not waiting.done()
        await asyncio.wait_for(waiting, 1)

    asyncio.run(run())


def test_two_new_models_at_once_do_not_wait_for_each_other() -> None:
    async def run() -> None:
        house = House(max_engines=1, load_s=0.02)
        await asyncio.wait_for(asyncio.gather(house.pool.load(Build("a")), house.pool.load(Build("b"))), 1)
        assert sorted(house.states("a", "b")) == ["idle", "ready"]

    asyncio.run(run())


def test_light_engines_take_no_place() -> None:
    async def run() -> None:
        house = House(max_engines=1)
        for build in (Build("a"), Build("r1", "light"), Build("r2", "light")):
            await house.pool.load(build)
        assert house.states("a", "r1", "r2") == ["ready", "ready", "ready"]

    asyncio.run(run())


def test_a_failure_is_told_to_all_and_tried_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        house = House(start_failure=EngineUnavailable("No weights."))
        outcomes = await asyncio.gather(*(house.pool.load(Build("a")) for _ in range(3)), return_exceptions=True)
        assert {str(outcome) for outcome in outcomes} == {"No weights."}
        assert house.pool.status("a").reason == "No weights."
        with pytest.raises(EngineUnavailable):
            await house.pool.load(Build("a"))
        assert len(house.made["a"]) == 1
        assert house.made["a"][0].closed == 1
        house.fields = {}
        monkeypatch.setattr("rixin.engines.pool.RETRY_FAILED_AFTER_S", 0)
        await house.pool.load(Build("a"))
        assert house.states("a") == ["ready"]

    asyncio.run(run())


def test_one_who_gives_up_does_not_stop_the_loading_of_others() -> None:
    async def run() -> None:
        house = House(load_s=0.05)
        first = asyncio.create_task(house.pool.load(Build("a")))
        second = asyncio.create_task(house.pool.load(Build("a")))
        await asyncio.sleep(0.01)
        first.cancel()
        await second
        assert house.states("a") == ["ready"]

    asyncio.run(run())


def test_a_closed_pool_closes_all_and_takes_nobody() -> None:
    async def run() -> None:
        house = House(load_s=0.05)
        await house.pool.load(Build("a"))
        loading = asyncio.create_task(house.pool.load(Build("b")))
        await asyncio.sleep(0.01)
        await house.pool.close()
        with pytest.raises(EngineUnavailable):
            await loading
        with pytest.raises(EngineUnavailable, match="shutting down"):
            await house.pool.load(Build("c"))
        assert [engine.closed for engines in house.made.values() for engine in engines] == [1, 1]

    asyncio.run(run())


def test_an_unknown_engine_is_named() -> None:
    with pytest.raises(UnsupportedModel, match="'tpu'; known: fake, light"):
        asyncio.run(House().pool.load(Build("a", "tpu")))
