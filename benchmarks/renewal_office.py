"""An office at work: `rixin up` in a Workspace of its own, people who ask and say what they think, and its Cycles."""

import asyncio
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, Unpack

import httpx2

import rixin
from rixin.data import pull_dataset
from rixin.models import install
from rixin.renewal import Cycle
from rixin.workspace import Workspace

CACHE = Path(__file__).parents[1] / ".cache"
BASE_HOME = CACHE / "benchmark-renewal-home"
ADMIN = "office"
AT_ONCE = 16
PATIENCE_S = 3600.0


class Sampled(TypedDict, total=False):
    """How an answer is drawn; left out, greedily, and of at most 320 tokens."""

    temperature: float
    max_tokens: int


@dataclass(frozen=True)
class Answered:
    """An answer in a conversation."""

    conversation_id: str
    message_id: str
    content: str


class Person:
    """Somebody who has logged in."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self._client = client

    async def ask(self, prompt: str, **sampled: Unpack[Sampled]) -> Answered:
        """A question in a conversation of its own, and the answer once it is whole."""
        begun = await self._post("/api/conversations", {"model": "chat"})
        body = {"parent_id": None, "content": prompt, "temperature": 0.0, "max_tokens": 320, **sampled}
        asked = await self._post(f"/api/conversations/{begun['id']}/messages", body)
        return await self._whole(begun["id"], asked["answer"]["id"])

    async def ask_again(self, before: Answered, **sampled: Unpack[Sampled]) -> Answered:
        """Another answer to the same question."""
        where = f"/api/conversations/{before.conversation_id}/messages/{before.message_id}/regenerate"
        made = await self._post(where, {"model": "chat", **sampled})
        return await self._whole(before.conversation_id, made["answer"]["id"])

    async def say(self, body: Mapping[str, object]) -> None:
        """Feedback on an answer."""
        await self._post("/api/feedback", body)

    async def prefer(self, first: Answered, second: Answered, preferred: str) -> None:
        """Which of two answers is the better one."""
        pair = {"message_id": first.message_id, "other_message_id": second.message_id, "preferred": preferred}
        await self._post("/api/feedback/preference", pair)

    async def agree(self) -> None:
        """What this person says may be learned from."""
        (await self._client.put("/api/feedback/consent", json={"given": True})).raise_for_status()

    async def _whole(self, conversation_id: str, message_id: str) -> Answered:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            reply = await self._client.get(f"/api/conversations/{conversation_id}")
            reply.raise_for_status()
            message = next(one for one in reply.json()["messages"] if one["id"] == message_id)
            if message["status"] != "generating":
                return Answered(conversation_id, message_id, message["content"])
            await asyncio.sleep(0.3)
        raise TimeoutError(f"{message_id} was not answered")

    async def _post(self, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        reply = await self._client.post(path, json=body)
        reply.raise_for_status()
        found: dict[str, Any] = reply.json()
        return found


@dataclass(frozen=True)
class Office:
    """`house` is the Workspace, which the server at `url` executes; `people` in the order of their names."""

    house: Workspace
    people: Sequence[Person]
    names: Sequence[str]

    def suite(self, name: str) -> Path:
        """Where a Suite of this Workspace lies."""
        return self.house.settings.home / "suites" / name

    async def cycle(self, plan: str) -> Cycle:
        """One turn of the loop as `renewal.toml` says, until it has ended. Raises what it failed of."""
        (self.house.settings.home / "renewal.toml").write_text(plan, encoding="utf-8")
        begun = self.house.cycles.create(self.house.cycles.plan("chat"))
        said = 0
        while not (cycle := self.house.cycles.get(begun.id)).ended:
            for step in [one for one in cycle.steps if one.finished_at is not None][said:]:
                tell(f"  {step.name} ({step.seconds:.0f} s): {step.said.en}")
                said += 1
            await asyncio.sleep(1)
        if cycle.status == "failed":
            raise self.house.cycles.failure(cycle)
        tell(f"  {cycle.outcome}: {cycle.reason.en if cycle.reason else ''} ({cycle.seconds:.0f} s)")
        return cycle


def base_home(model: str, *datasets: str) -> Path:
    """A Workspace with the model and the datasets, made once; each office begins as a copy of it."""
    with rixin.open(BASE_HOME) as house:
        version = install(house.models, model)
        house.models.set_alias(house.default_alias, version.id)
        for name in datasets:
            pull_dataset(house.datasets, name, npm_endpoint=house.settings.npm_endpoint, report=lambda _: None)
    return BASE_HOME


@asynccontextmanager
async def office(name: str, model: str, *, people: int = 10) -> AsyncIterator[Office]:
    """An office in a new Workspace of this name, with its server, until the block ends."""
    home = _copied(BASE_HOME, CACHE / "benchmark-renewal" / name)
    with rixin.open(home) as house:
        house.models.set_alias(house.default_alias, house.models.resolve(model).id)
        password = secrets.token_urlsafe(12)
        house.accounts.redeem_setup(house.accounts.create_setup_token(), ADMIN, password)
        names = [f"u_{number:02}" for number in range(people)]
        for one in names:
            house.accounts.create_user(one, password, "member")
        with _server(home) as url:
            clients = [await _logged_in(url, one, password) for one in names]
            persons = [Person(client) for client in clients]
            for person in persons:
                await person.agree()
            try:
                yield Office(house, persons, names)
            finally:
                for client in clients:
                    await client.aclose()


async def _logged_in(url: str, name: str, password: str) -> httpx2.AsyncClient:
    client = httpx2.AsyncClient(base_url=url, timeout=120)
    reply = await client.post("/api/session", json={"name": name, "password": password})
    reply.raise_for_status()
    client.headers["x-csrf-token"] = reply.json()["csrf"]
    return client


@contextmanager
def _server(home: Path) -> Iterator[str]:
    """`rixin up` as anyone starts it; ended with the block."""
    command = [sys.executable, "-m", "rixin", "up", "--port", "0"]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "RIXIN_HOME": str(home)}
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        url = ""
        for line in process.stdout:
            url = line.split()[-1] if "Rixin is at " in line else url
            if "is ready" in line:
                break
        else:
            raise RuntimeError("rixin up ended before it was ready")
        yield url
    finally:
        process.stdin.close()
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _copied(base: Path, home: Path) -> Path:
    """A copy of a Workspace that nothing executes; what never changes is the same files."""
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    never = shutil.ignore_patterns(
        "runs", "reports", "backups", "locks", "partial", "*-wal", "*-shm", "suites", "*.lock"
    )
    for part in base.iterdir():
        if part.name in ("models", "blobs"):
            shutil.copytree(part, home / part.name, copy_function=os.link, ignore=never)
        elif part.name == "cache":
            shutil.copytree(part, home / part.name)
        elif part.name.startswith("rixin.db"):
            shutil.copy(part, home)
    return home


async def gathered(work: Sequence[Any]) -> list[Any]:
    """The results of coroutines of which at most `AT_ONCE` are under way."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(job: Any) -> Any:
        async with gate:
            return await job

    return list(await asyncio.gather(*map(one, work)))


def tell(sentence: str) -> None:
    """To standard error."""
    print(sentence, file=sys.stderr, flush=True)
