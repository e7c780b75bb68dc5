"""A real server on loopback, in a thread: uvicorn, the whole application, and the engine that a test brings."""

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import openai

from rixin.engines import EngineKind
from rixin.engines.fake import FakeEngine
from rixin.http import Listener, create_app
from rixin.http.server import Server
from rixin.models import Version, ensure_embedder
from rixin.settings import Settings
from rixin.store import AliasRow, ModelRow, VersionRow
from rixin.workspace import Workspace, engine_kinds

NAME, PASSWORD = "ada", "correct horse battery"
FAKE_VERSION = "v_fa4e00000000"


@dataclass
class Served:
    """A server that runs, an administrator's key to it, and the engine behind its model `chat`."""

    url: str
    workspace: Workspace
    key: str
    server: Server
    engine: FakeEngine
    clients: list[openai.OpenAI] = field(default_factory=list)

    def client(self, *, retries: int = 0) -> openai.OpenAI:
        """The official client; it is closed with the server."""
        made = openai.OpenAI(base_url=f"{self.url}/v1", api_key=self.key, max_retries=retries)
        self.clients.append(made)
        return made

    def async_client(self) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(base_url=f"{self.url}/v1", api_key=self.key, max_retries=0)

    def program(self) -> httpx2.Client:
        """A plain client with the key."""
        return httpx2.Client(base_url=self.url, headers={"authorization": f"Bearer {self.key}"}, timeout=30)

    def browser(self, name: str = NAME, password: str = PASSWORD) -> httpx2.Client:
        """A client that has logged in: it has the cookie, and sends the CSRF token."""
        answer = httpx2.post(f"{self.url}/api/session", json={"name": name, "password": password}, timeout=30)
        assert answer.status_code == 200, answer.text
        headers = {"x-csrf-token": answer.json()["csrf"]}
        return httpx2.Client(base_url=self.url, timeout=30, headers=headers, cookies=dict(answer.cookies))


@contextmanager
def serve_workspace(workspace: Workspace, key: str, engine: FakeEngine) -> Iterator[Served]:
    """The Workspace on a free port, until the block ends; then as SIGTERM would end it."""
    listener = Listener("127.0.0.1", 0)
    started = threading.Event()
    server = Server(create_app(workspace), on_start=started.set)

    def run() -> None:
        with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
            runner.run(server.serve(sockets=[listener.socket]))

    thread = threading.Thread(target=run, name="server")
    thread.start()
    try:
        assert started.wait(20), "the server did not start"
        served = Served(listener.url, workspace, key, server, engine)
        yield served
        for client in served.clients:
            client.close()
    finally:
        server.should_exit = True
        thread.join(30)
        listener.close()
        assert not thread.is_alive(), "the server did not stop"


@contextmanager
def serve_home(home: Path, **settings: object) -> Iterator[Served]:
    """The Workspace at `home`, with the engines that Rixin has."""
    made = Settings.model_validate({"home": home, **settings})
    with Workspace(made) as workspace:
        ensure_embedder(workspace.models)
        with serve_workspace(workspace, first_key(workspace), FakeEngine()) as served:
            yield served


@contextmanager
def serve_fake(
    home: Path, engine: FakeEngine | None = None, *, set_up: bool = True, **settings: object
) -> Iterator[Served]:
    """A new Workspace in `home` whose alias `chat` is the model `fake`; not `set_up`: without an administrator."""
    engine = engine or FakeEngine()
    made = Settings.model_validate({"home": home, **settings})
    kinds: Mapping[str, EngineKind[Version]] = {
        "fake": EngineKind(lambda _: engine),
        "embedder": engine_kinds(made)["embedder"],
    }
    with Workspace(made, kinds=kinds) as workspace:
        with workspace.database.write() as session:
            session.add(ModelRow(name="fake", title="Fake", languages=["en"]))
            session.flush()
            session.add(
                VersionRow(
                    id=FAKE_VERSION,
                    model_name="fake",
                    source="file:fake",
                    engine="fake",
                    format="none",
                    licence="Apache-2.0",
                    context_length=engine.context_length,
                )
            )
            session.flush()
            session.add(AliasRow(name="chat", version_id=FAKE_VERSION))
        with serve_workspace(workspace, first_key(workspace) if set_up else "", engine) as served:
            yield served


def first_key(workspace: Workspace) -> str:
    """Make the first administrator, `ada`, and a key of theirs."""
    accounts = workspace.accounts
    login = accounts.redeem_setup(accounts.create_setup_token(), NAME, PASSWORD)
    return workspace.keys.create(login.session.user.id, "tests").secret
