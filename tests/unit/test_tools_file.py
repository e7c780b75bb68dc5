"""`tools.toml`: what is wrong in it is said with its line, and an assistant gets what it lists."""

import asyncio
import logging
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rixin.assistants.tools import Toolbox
from rixin.assistants.tools.configured import McpServer, read_tools_file
from rixin.assistants.tools.naming import tool_name
from rixin.errors import NotFound, SettingsInvalid

GOOD = """
[[mcp]]
name = "files"
command = ["files-server", "--root", "/srv"]
env = { TOKEN = "x" }
read_only = ["*"]

[[mcp]]
name = "tickets"
url = "https://tickets.example.org/mcp"
headers = { authorization = "Bearer x" }

[[openapi]]
name = "people"
document = "people.yaml"
server = "http://10.0.0.5:8080"
private = true
"""


def read(home: Path, text: str) -> object:
    (home / "tools.toml").write_text(text)
    return read_tools_file(home)


def test_a_file_says_which_servers_there_are(tmp_path: Path) -> None:
    assert read_tools_file(tmp_path).mcp == ()
    read(tmp_path, GOOD)
    found = read_tools_file(tmp_path)
    assert found.mcp[0] == McpServer(
        name="files", command=("files-server", "--root", "/srv"), env={"TOKEN": "x"}, read_only=("*",)
    )
    assert found.mcp[1].url == "https://tickets.example.org/mcp"
    assert found.openapi[0].private


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ('name = "tickets"', 'name = "Tickets!"', r":9 name: Expected `str` matching"),
        ('name = "tickets"', 'name = "files"', r":9 name: The name 'files' is taken"),
        ('url = "https', 'command = ["x"]\nurl = "https', r":10 command: A server has either"),
        ('url = "https', 'url = "gopher', r":10 url: An address begins"),
        ("https://tickets", "http://tickets", r":10 url: Headers would go"),
        ("https://tickets", "https://me:secret@tickets", r":10 url: .*user or password"),
        ("private = true", "privat = true", r":17 privat: Object contains unknown field"),
        ("private = true", 'private = "yes"', r":17 private: Expected `bool`"),
        ("private = true", "seconds = 1e9", r":17 seconds: Expected `float`"),
        ("private = true", "private =", r":17: This is no TOML"),
        ("Bearer x", "Bearer x\\r\\nx: y", r":11 headers: The header 'authorization' can't be sent"),
        ("[[openapi]]", "[[opnapi]]", r"opnapi: Object contains unknown field"),
        ('name = "people"\n', "", r":13.*missing required field `name`"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, old: str, new: str, place: str) -> None:
    with pytest.raises(SettingsInvalid, match=place) as caught:
        read(tmp_path, GOOD.replace(old, new, 1))
    assert "secret" not in str(caught.value)


@given(st.lists(st.text(min_size=1), max_size=20))
def test_offered_names_are_unique_and_those_that_models_know(names: list[str]) -> None:
    taken: set[str] = set()
    made = [tool_name("files", name * 9, taken) for name in names]
    assert len(set(made)) == len(made)
    assert all(len(name) <= 64 and name.replace("-", "_").isidentifier() and name.isascii() for name in made)


def test_an_assistant_gets_what_it_lists_and_one_broken_server_breaks_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    (tmp_path / "tools.toml").write_text(
        f'[[mcp]]\nname = "gone"\ncommand = ["{sys.executable}", "-c", "1"]\n'
        '[[openapi]]\nname = "api"\ndocument = "api.yaml"\n[[openapi]]\nname = "missing"\ndocument = "no.yaml"\n'
    )
    (tmp_path / "api.yaml").write_text(
        "openapi: 3.1.0\nservers: [{url: https://api.example.org}]\n"
        "paths: {/a: {get: {operationId: one}}, /b: {get: {operationId: two}}}\n"
    )

    async def work() -> None:
        box = Toolbox(tmp_path)
        try:
            assert "calculator" in box.names()
            assert "api" in box.names()
            listed = await box.tools(["calculator", "gone", "missing", "api__two", "date"])
            assert [tool.name for tool in listed] == ["calculator", "api__two", "date"]
            assert [tool.name for tool in await box.tools(["api"])] == ["api__one", "api__two"]
            assert set(box.problems()) == {"gone", "missing"}
            with pytest.raises(NotFound, match="no tool 'shell'"):
                await box.tools(["shell"])
        finally:
            await box.close()

    asyncio.run(work())
