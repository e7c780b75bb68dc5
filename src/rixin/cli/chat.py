"""`rixin chat`: a conversation in the terminal, on this machine and without a server."""

import contextlib
import os
import select
import sys
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from rixin.cli.paint import BOLD, DIM, RED, RESET, Painter, printable
from rixin.cli.talk import Answer, Talk, question
from rixin.engines import Delta, Message
from rixin.errors import InvalidRequest, RixinError
from rixin.models import Version
from rixin.workspace import Workspace, open_workspace

FENCE = '"""'
PASTE_S = 0.03  # lines of one paste follow each other faster than anyone types
HELP = f"""\
/help           this list
/model [NAME]   which model answers; with a name, change it
/system [TEXT]  the instructions; with a text, change them; `/system -` removes them
/reset          forget the conversation
/save FILE      write the conversation as Markdown
/exit           leave (also Ctrl-D)
Several lines: paste them, or begin and end with {FENCE}. Ctrl-C stops the answer."""


def chat(*, model: str | None = None, system: str | None = None, temperature: float | None = None) -> None:
    """Talk with a model; `/help` lists what else can be typed.

    Parameters
    ----------
    model
        The model, version or alias to talk with; the alias `chat` if left out.
    system
        Instructions that go before the conversation.
    temperature
        0 gives the likeliest answer, higher values vary more (0 to 2).
    """
    if temperature is not None and not 0 <= temperature <= 2:
        raise InvalidRequest("--temperature is from 0 to 2.")
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  # gives input() its history and editing
    with open_workspace() as workspace, Talk(workspace) as talk:
        conversation = Conversation(workspace, talk, model or workspace.default_alias, system, temperature)
        conversation.load()
        print(f"{conversation.paint(DIM)}{conversation.name}. /help lists the commands.{conversation.paint(RESET)}")
        while conversation.turn():
            pass


class Conversation:
    """The turns so far, and what the person set."""

    def __init__(
        self, workspace: Workspace, talk: Talk, name: str, system: str | None, temperature: float | None
    ) -> None:
        self.name = name
        self._workspace = workspace
        self._talk = talk
        self._version: Version = workspace.models.resolve(name)
        self._system = system
        self._temperature = temperature
        self._turns: list[Message] = []
        self._colours = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self._commands: dict[str, Callable[[str], None]] = {
            "help": lambda _: print(HELP),
            "model": self._model,
            "system": self._set_system,
            "reset": self._reset,
            "save": self._save,
        }

    def paint(self, colour: str) -> str:
        """The colour, where there are colours."""
        return colour if self._colours else ""

    def load(self) -> None:
        with Console(stderr=True).status(f"Loading {self.name} …"):
            self._talk.load(self._version)

    def turn(self) -> bool:
        """Read what the person types and do it; False at the end."""
        try:
            text = _read(self._prompt()).strip()
        except EOFError:
            print()
            return False
        except KeyboardInterrupt:
            print("  (/exit leaves)")
            return True
        if text in ("/exit", "/quit"):
            return False
        try:
            if text.startswith("/"):
                self._command(text)
            elif text:
                self._ask(text)
        except RixinError as error:
            print(f"{self.paint(RED)}{error}{self.paint(RESET)}")
        return True

    def _prompt(self) -> str:
        # \x01 and \x02 tell readline that what is between them takes no room.
        return f"\x01{BOLD}\x02> \x01{RESET}\x02" if self._colours else "> "

    def _command(self, text: str) -> None:
        name, _, rest = text[1:].partition(" ")
        command = self._commands.get(name)
        if command is None:
            raise InvalidRequest(f"There is no command /{name}.", fix="/help lists them.")
        command(rest.strip())

    def _ask(self, text: str) -> None:
        turns = [*self._turns, Message(role="user", content=text)]
        request = question(turns, system=self._system, temperature=self._temperature)
        answer, painter = Answer(), Painter()
        began, first = time.monotonic(), 0.0
        events = self._talk.answer(self._version, request)
        stopped = False
        try:
            for event in events:
                answer.add(event)
                if isinstance(event, Delta) and (event.text or event.reasoning):
                    first = first or time.monotonic()
                    self._show(event, painter)
        except KeyboardInterrupt:
            stopped = True
        finally:
            events.close()
            sys.stdout.write(painter.finish() if self._colours else "")
        print("" if answer.text.endswith("\n") else "\n", end="")
        self._turns = [*turns, Message(role="assistant", content=answer.text)]
        self._footer(answer, stopped, first - began, time.monotonic() - first)

    def _show(self, event: Delta, painter: Painter) -> None:
        if event.reasoning:
            sys.stdout.write(f"{self.paint(DIM)}{printable(event.reasoning)}{self.paint(RESET)}")
        sys.stdout.write(painter.feed(event.text) if self._colours else printable(event.text))
        sys.stdout.flush()

    def _footer(self, answer: Answer, stopped: bool, first_s: float, rest_s: float) -> None:
        tokens = answer.usage.completion_tokens
        parts = ["stopped"] if stopped else [f"{tokens} tokens", f"first after {first_s:.2f} s"]
        if tokens > 1 and rest_s > 0:
            parts.append(f"{(tokens - 1) / rest_s:.0f} tokens/s")
        if answer.finish_reason == "length":
            parts.append("cut at the longest answer")
        print(f"{self.paint(DIM)}{', '.join(parts)}{self.paint(RESET)}")

    def _model(self, name: str) -> None:
        if not name:
            others = ", ".join(self._workspace.models.names())
            print(f"{self.name} answers. There are: {others}.")
            return
        self._version = self._workspace.models.resolve(name)
        self.name = name
        self.load()
        print(f"{name} answers now.")

    def _set_system(self, text: str) -> None:
        if text:
            self._system = None if text == "-" else text
        print(f"The instructions are: {self._system}" if self._system else "There are no instructions.")

    def _reset(self, _: str) -> None:
        self._turns = []
        print("The conversation is forgotten.")

    def _save(self, name: str) -> None:
        if not name:
            raise InvalidRequest("Which file?", fix="/save FILE")
        people = {"user": "You", "assistant": self.name}
        parts = [f"**{people[turn.role]}**\n\n{turn.content.strip()}\n" for turn in self._turns]
        path = Path(name).expanduser()
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write("\n".join(parts))
        except FileExistsError:
            raise InvalidRequest(f"{path} is there already; nothing was written.") from None
        except OSError as error:
            raise InvalidRequest(f"{path} can't be written: {error.strerror}.") from None
        print(f"Saved {len(self._turns)} messages to {path}.")


def _read(prompt: str) -> str:
    """One message: a line, the lines of a paste, or what stands between two fences."""
    text = input(prompt)
    if text.lstrip().startswith(FENCE):
        text = text.lstrip().removeprefix(FENCE)
        while not text.rstrip().endswith(FENCE):
            text += "\n" + input("… ")
        return text.rstrip().removesuffix(FENCE)
    while sys.stdin.isatty() and select.select([sys.stdin], [], [], PASTE_S)[0]:
        text += "\n" + input()
    return text
