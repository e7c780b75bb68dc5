"""Colours for Markdown that is still being written: code, headings and bold; the text itself stays as it is."""

import re

RESET, BOLD, DIM, CODE, RED = "\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[36m", "\x1b[31m"
TOKEN = re.compile(r"```|`|\*\*|\n|[^`*\n]+|\*")
UNDECIDED = re.compile(r"(?:(?<!`)`{1,2}|(?<!\*)\*)\Z")
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def printable(text: str) -> str:
    """Without control characters: a model must not be able to command the terminal."""
    return CONTROLS.sub("", text)


class Painter:
    """Feed it pieces of any size. Without the colours, what comes out is what went in, less control characters."""

    def __init__(self) -> None:
        self._held = ""
        self._line = ""  # of the current line, what decides about fences and headings
        self._fence = self._code = self._bold = self._heading = False

    def feed(self, text: str) -> str:
        """What can be shown now."""
        text = self._held + printable(text)
        undecided = UNDECIDED.search(text)
        self._held = undecided[0] if undecided else ""
        return self._paint(text[: len(text) - len(self._held)])

    def finish(self) -> str:
        """What was held back, and an end to every colour."""
        held, self._held = self._held, ""
        return self._paint(held) + RESET

    def _paint(self, text: str) -> str:
        return "".join(map(self._token, TOKEN.findall(text)))

    def _token(self, mark: str) -> str:
        if mark == "\n":
            self._line = ""
            ended = self._code or self._bold or self._heading
            self._code = self._bold = self._heading = False
            return f"{RESET}\n" if ended else "\n"
        at_start = not self._line.strip()
        self._line += mark
        if mark == "```" and (at_start or self._fence):
            self._fence = not self._fence
            return f"{CODE}{mark}" if self._fence else f"{mark}{RESET}"
        if self._fence:
            return mark
        if mark == "`":
            self._code = not self._code
            return f"{CODE}{mark}" if self._code else f"{mark}{RESET}{self._bold * BOLD}"
        if mark == "**" and not self._code:
            self._bold = not self._bold
            return f"{BOLD}{mark}" if self._bold else f"{mark}{RESET}"
        if at_start and mark.startswith("#"):
            self._heading = True
            return f"{BOLD}{mark}"
        return mark
