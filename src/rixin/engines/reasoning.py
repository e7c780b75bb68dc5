"""Tells a model's thinking (`<think>…</think>` before the answer) from its answer, while it is being written."""

from typing import Literal

OPEN, CLOSE = "<think>", "</think>"
SPACE = " \t\r\n"


class ReasoningSplitter:
    """`opened` means that the prompt already ends inside the thinking, so the model only writes the closing mark.

    Blank space next to the marks belongs to them. A `<think>` that is not the first thing written is just text.
    """

    def __init__(self, *, opened: bool = False) -> None:
        self._state: Literal["start", "thinking", "answer"] = "thinking" if opened else "start"
        self._rest = ""
        self._trim = opened

    def feed(self, text: str) -> tuple[str, str]:
        """(new thinking, new answer), the thinking being the earlier of the two."""
        if self._state == "answer" and not self._trim:
            return "", text
        self._rest += text
        if self._state == "start" and not self._leave_start():
            return "", ""
        thinking = self._take_thinking() if self._state == "thinking" else ""
        if self._state != "answer":
            return thinking, ""
        answer, self._rest = self._trimmed(self._rest), ""
        return thinking, answer

    def finish(self) -> tuple[str, str]:
        """What was held back; the thinking of a model that never closed it stays thinking."""
        rest, self._rest = self._rest, ""
        if self._state == "thinking":
            return self._trimmed(rest).rstrip(SPACE), ""
        return "", rest

    def _leave_start(self) -> bool:
        written = self._rest.lstrip(SPACE)
        if written.startswith(OPEN):
            self._rest, self._state, self._trim = written[len(OPEN) :], "thinking", True
            return True
        if OPEN.startswith(written):
            return False
        self._state = "answer"
        return True

    def _take_thinking(self) -> str:
        inside, closed, behind = self._rest.partition(CLOSE)
        if closed:
            thinking = self._trimmed(inside).rstrip(SPACE)
            self._rest, self._state, self._trim = behind, "answer", True
            return thinking
        held = next((n for n in range(len(CLOSE) - 1, 0, -1) if inside.endswith(CLOSE[:n])), 0)
        shown = inside[: len(inside) - held].rstrip(SPACE)
        self._rest = inside[len(shown) :]
        return self._trimmed(shown)

    def _trimmed(self, text: str) -> str:
        if self._trim:
            text = text.lstrip(SPACE)
            self._trim = not text
        return text


def splitter_for(template_source: str, prompt: str) -> ReasoningSplitter | None:
    """The splitter for an answer to this rendered prompt; None if the template knows no thinking."""
    if CLOSE not in template_source:
        return None
    return ReasoningSplitter(opened=prompt.rstrip(SPACE).endswith(OPEN))
