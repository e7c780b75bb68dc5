"""`rixin ask` and `rixin chat` as a person runs them; their model is `remote`, and behind it Rixin's own server."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from rixin.models import NewModel, NewVersion
from rixin.workspace import open_workspace
from served import Served

RIXIN = [sys.executable, "-c", "from rixin.cli import main; main()"]


@pytest.fixture
def environment(tmp_path: Path, server: Served) -> Mapping[str, str]:
    """A Workspace of the person's own, with the running server's model as its model `chat`."""
    home = tmp_path / "home"
    with open_workspace(home) as workspace:
        version = workspace.models.register(
            NewModel(name="upstream", title="Upstream"),
            NewVersion(
                id="v_0123456789ab",
                source="remote:test",
                engine="remote",
                format="none",
                licence="none",
                context_length=4096,
                config={"base_url": f"{server.url}/v1", "model": "chat", "key_variable": "UPSTREAM_KEY"},
            ),
        )
        workspace.models.set_alias("chat", version.id)
    return {**os.environ, "RIXIN_HOME": str(home), "UPSTREAM_KEY": server.key, "PYTHONWARNINGS": "error"}


def run(environment: Mapping[str, str], *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*RIXIN, *arguments], env=environment, input=typed, capture_output=True, text=True, timeout=60, check=False
    )


def test_ask_prints_the_answer_plainly_to_a_pipe(environment: Mapping[str, str], server: Served) -> None:
    done = run(environment, "ask", "What renews itself?", "--system", "Be brief.", "--max-tokens", "5")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "The river renews itself every\n"
    (asked,) = server.engine.requests
    assert [(turn.role, turn.content) for turn in asked.prompt.messages] == [  # type: ignore[union-attr]
        ("system", "Be brief."),
        ("user", "What renews itself?"),
    ]
    assert asked.sampling.max_tokens == 5


def test_ask_reads_a_pipe_and_speaks_json(environment: Mapping[str, str], server: Served) -> None:
    done = run(environment, "ask", "-", "--json", "--temperature", "0", typed="日日新?\n")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["content"] == server.engine.reply
    assert (answer["model"], answer["version"], answer["finish_reason"]) == ("chat", "v_0123456789ab", "stop")
    assert answer["usage"]["completion_tokens"] > 10
    assert server.engine.requests[0].sampling.temperature == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["ask", " "], "The question is empty"),
        (["ask", "Hi", "--model", "nope"], "There is no model 'nope'"),
        (["ask", "Hi", "--temperature", "3"], "--temperature is from 0 to 2"),
    ],
)
def test_ask_says_in_one_line_what_is_wrong(environment: Mapping[str, str], arguments: list[str], says: str) -> None:
    done = run(environment, *arguments)
    assert done.returncode == 1
    assert done.stdout == ""
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


def test_chat_keeps_the_conversation_and_obeys_its_commands(
    environment: Mapping[str, str], server: Served, tmp_path: Path
) -> None:
    saved = tmp_path / "talk.md"
    typed = f"""One?
/nope
\"\"\"
Two
lines?\"\"\"
/system Be kind.
/save {saved}
/model upstream
/reset
Three?
/exit
"""
    done = run(environment, "chat", typed=typed)
    assert done.returncode == 0, done.stderr
    assert "There is no command /nope." in done.stdout
    assert "\x1b" not in done.stdout
    first, second, third = (request.prompt.messages for request in server.engine.requests)  # type: ignore[union-attr]
    assert [turn.content for turn in first] == ["One?"]
    assert [turn.content for turn in second] == ["One?", server.engine.reply, "\nTwo\nlines?".strip()]
    assert [turn.content for turn in third] == ["Be kind.", "Three?"]
    assert saved.read_text().startswith("**You**\n\nOne?\n\n**chat**\n\nThe river")


class Terminal:
    """A program in a pseudo-terminal."""

    def __init__(self, environment: Mapping[str, str], *arguments: str) -> None:
        self._master, slave = pty.openpty()
        # Whoever starts these tests in the background may have them ignore Ctrl-C, and a child inherits that.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        self.process = subprocess.Popen(
            [*RIXIN, *arguments], env=environment, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        )
        signal.signal(signal.SIGINT, before)
        os.close(slave)
        self.seen = ""

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def wait_for(self, pattern: str, timeout_s: float = 60) -> str:
        deadline = time.monotonic() + timeout_s
        while (found := re.search(pattern, self.seen)) is None:
            assert time.monotonic() < deadline, f"{pattern!r} did not come: {self.seen!r}"
            try:
                self.seen += os.read(self._master, 4096).decode()
            except OSError:
                self.process.wait()
                raise AssertionError(f"it ended before {pattern!r}: {self.seen!r}") from None
        self.seen = self.seen[found.end() :]
        return found[0]

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._master)


@pytest.fixture
def terminal(environment: Mapping[str, str]) -> Iterator[Terminal]:
    made = Terminal({**environment, "TERM": "xterm"}, "chat")
    yield made
    made.close()


def test_ctrl_c_stops_the_answer_and_not_the_program(terminal: Terminal, server: Served) -> None:
    server.engine.reply = "Look: `code` " + "and more " * 1200
    server.engine.token_s = 0.05
    terminal.wait_for("> ")
    terminal.type("Go on\n")
    terminal.wait_for("\x1b\\[36m`code")
    os.kill(terminal.process.pid, signal.SIGINT)
    terminal.wait_for("stopped.*\n.*> ")
    deadline = time.monotonic() + 30
    while not server.engine.abandoned and time.monotonic() < deadline:
        time.sleep(0.02)
    assert server.engine.abandoned, "the server still works on the answer"
    server.engine.reply, server.engine.token_s = "Short.", 0.0
    terminal.type("Again\n")
    terminal.wait_for("Short\\.")
    terminal.wait_for("tokens, first after .*\n.*> ")
    terminal.type("\x04")
    assert terminal.process.wait(60) == 0
