"""Which Versions are loaded: loads on demand, keeps at most so many, unloads the least recently used idle one."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

from rixin.engines.protocol import Engine
from rixin.errors import EngineUnavailable, RateLimited, RixinError, UnsupportedModel

EngineState = Literal["idle", "loading", "ready", "failed"]

RETRY_FAILED_AFTER_S = 10.0
WAIT_FOR_ROOM_S = 60.0

log = logging.getLogger(__name__)


class Loadable(Protocol):
    """What the pool must know of a Version."""

    @property
    def id(self) -> str: ...
    @property
    def engine(self) -> str: ...


V = TypeVar("V", bound=Loadable)


@dataclass(frozen=True)
class EngineKind(Generic[V]):
    """How engines of one name are made. `counted` ones hold weights in memory and share `max_engines`."""

    make: Callable[[V], Engine]
    counted: bool = True


@dataclass(frozen=True)
class EngineStatus:
    state: EngineState
    reason: str | None = None


class _Slot(Generic[V]):
    def __init__(self, version: V, kind: EngineKind[V]) -> None:
        self.version = version
        self.kind = kind
        self.engine: Engine | None = None
        self.loading: asyncio.Task[Engine] | None = None
        self.users = 0
        self.has_room = not kind.counted
        self.used_at = 0.0
        self.failure: RixinError | None = None
        self.failed_at = 0.0


class EnginePool(Generic[V]):
    """Versions by id → running Engines. Lives in one event loop; `close` ends every engine."""

    def __init__(self, kinds: Mapping[str, EngineKind[V]], *, max_engines: int) -> None:
        self._kinds = kinds
        self._max_engines = max_engines
        self._slots: dict[str, _Slot[V]] = {}
        self._room = asyncio.Condition()
        self._closed = False

    @asynccontextmanager
    async def lease(self, version: V) -> AsyncGenerator[Engine]:
        """The Version's engine, loaded, and not unloaded before the block ends.

        Raises what the engine's `start` raises (and again, without a new try, for 10 s), UnsupportedModel for an
        unknown engine, RateLimited when every place stays taken by a busy engine for a minute.
        """
        slot = self._slot(version)
        slot.users += 1
        try:
            yield await self._loaded(slot)
        finally:
            slot.users -= 1
            slot.used_at = time.monotonic()
            if slot.users == 0:
                async with self._room:
                    self._room.notify_all()

    async def load(self, version: V) -> None:
        """Load the Version now, so that the first question need not wait."""
        async with self.lease(version):
            pass

    def status(self, version_id: str) -> EngineStatus:
        slot = self._slots.get(version_id)
        if slot is None:
            return EngineStatus("idle")
        if slot.engine is not None:
            reason = slot.engine.failure()
            return EngineStatus("ready") if reason is None else EngineStatus("failed", reason)
        if slot.loading is not None:
            return EngineStatus("loading")
        if slot.failure is not None:
            return EngineStatus("failed", str(slot.failure))
        return EngineStatus("idle")

    async def unload(self, version_id: str) -> None:
        """Close the Version's engine, if it is loaded; questions under way are cut off with EngineUnavailable."""
        slot = self._slots.pop(version_id, None)
        if slot is not None:
            await self._end(slot)
        async with self._room:
            self._room.notify_all()

    async def release(self, version_id: str) -> None:
        """Close the Version's engine if nobody uses it just now."""
        slot = self._slots.get(version_id)
        if slot is not None and slot.users == 0:
            await self.unload(version_id)

    async def close(self) -> None:
        self._closed = True
        slots, self._slots = list(self._slots.values()), {}
        await asyncio.gather(*(self._end(slot) for slot in slots))

    def _slot(self, version: V) -> _Slot[V]:
        if self._closed:
            raise EngineUnavailable("The server is shutting down.")
        slot = self._slots.get(version.id)
        if slot is None:
            kind = self._kinds.get(version.engine)
            if kind is None:
                known = ", ".join(sorted(self._kinds))
                raise UnsupportedModel(f"Version {version.id} needs the engine {version.engine!r}; known: {known}.")
            slot = self._slots[version.id] = _Slot(version, kind)
        return slot

    async def _loaded(self, slot: _Slot[V]) -> Engine:
        if slot.engine is not None:
            return slot.engine
        if slot.loading is None:
            if slot.failure is not None and time.monotonic() < slot.failed_at + RETRY_FAILED_AFTER_S:
                raise slot.failure
            slot.loading = asyncio.create_task(self._load(slot))
            slot.loading.add_done_callback(_look_at_the_outcome)
        # Shielded: one client that leaves must not stop the loading that others wait for.
        loading = slot.loading
        try:
            return await asyncio.shield(loading)
        except asyncio.CancelledError:
            if loading.cancelled():
                raise EngineUnavailable("The model was unloaded while it was being loaded.") from None
            raise

    async def _load(self, slot: _Slot[V]) -> Engine:
        try:
            if not slot.has_room:
                await self._make_room(slot)
            slot.engine = await self._start(slot)
            return slot.engine
        finally:
            slot.loading = None
            if slot.engine is None:
                slot.has_room = not slot.kind.counted

    async def _start(self, slot: _Slot[V]) -> Engine:
        try:
            engine = slot.kind.make(slot.version)
            try:
                await engine.start()
            except BaseException:
                await engine.close()
                raise
        except RixinError as error:
            slot.failure, slot.failed_at = error, time.monotonic()
            raise
        slot.failure = None
        return engine

    async def _make_room(self, wanted: _Slot[V]) -> None:
        deadline = time.monotonic() + WAIT_FOR_ROOM_S
        async with self._room:
            while len(placed := [slot for slot in self._slots.values() if slot.kind.counted and slot.has_room]) >= (
                self._max_engines
            ):
                idle = [slot for slot in placed if slot.engine is not None and slot.users == 0]
                if idle:
                    oldest = min(idle, key=lambda slot: slot.used_at)
                    log.info("unloading %s to make room for %s", oldest.version.id, wanted.version.id)
                    del self._slots[oldest.version.id]
                    await self._end(oldest)
                    continue
                try:
                    async with asyncio.timeout(deadline - time.monotonic()):
                        await self._room.wait()
                except TimeoutError:
                    raise RateLimited(
                        f"All {self._max_engines} loaded models are busy.",
                        retry_after_s=10,
                        fix="RIXIN_MAX_ENGINES allows more, if the memory does.",
                    ) from None
            wanted.has_room = True

    @staticmethod
    async def _end(slot: _Slot[V]) -> None:
        if slot.loading is not None:
            slot.loading.cancel()
            await asyncio.wait([slot.loading])
        engine, slot.engine = slot.engine, None
        if engine is not None:
            await engine.close()


def _look_at_the_outcome(task: asyncio.Task[Engine]) -> None:
    """Every waiter may have left; without this look asyncio would call the failure unnoticed."""
    if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, RixinError):
        log.error("loading a model failed", exc_info=error)
