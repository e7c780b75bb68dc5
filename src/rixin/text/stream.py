"""Bytes that arrive in pieces become text: whole characters only, and never a part of a stop string."""

from codecs import utf_8_decode


class Utf8Stream:
    """Incremental UTF-8 decoder: a character cut between two pieces is held back until the rest of it arrives.

    Invalid bytes become U+FFFD exactly as `bytes.decode("utf-8", "replace")` does on the whole.
    """

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> str:
        """The text that `data` completes."""
        if self._rest:
            data = self._rest + data
        text, used = utf_8_decode(data, "replace", False)
        self._rest = data[used:] if used != len(data) else b""
        return text

    def flush(self) -> str:
        """What is left at the end: U+FFFD for a character that was never completed, else nothing."""
        rest, self._rest = self._rest, b""
        return rest.decode("utf-8", "replace")


class StopFilter:
    """Ends a text before the first stop string in it, however the text is cut into pieces.

    The first is the one that is complete first; of those that end at the same place, the longest. That is the only
    choice that does not depend on the pieces. Stop strings are not empty.
    """

    __slots__ = ("_held", "_inner", "_longest", "_stops")

    def __init__(self, stop: tuple[str, ...]) -> None:
        self._stops = stop
        self._held = ""
        self._longest = max(map(len, stop), default=0)
        self._inner = frozenset("".join(one[:-1] for one in stop))

    def feed(self, text: str) -> tuple[str, str | None]:
        """(text that can be shown now, the stop string that ended it or None). Feed nothing after a stop."""
        if not self._stops:
            return text, None
        if self._held:
            text = self._held + text
            self._held = ""
        first: tuple[int, int, str] | None = None
        for stop in self._stops:
            start = text.find(stop)
            if start >= 0:
                found = (start + len(stop), start, stop)
                if first is None or found < first:
                    first = found
        if first is not None:
            return text[: first[1]], first[2]
        if not text or text[-1] not in self._inner:
            return text, None
        for start in range(max(0, len(text) - self._longest + 1), len(text)):
            tail = text[start:]
            if any(stop.startswith(tail) for stop in self._stops):
                self._held = tail
                return text[:start], None
        return text, None

    def flush(self) -> str:
        """The end has come: what was held back is text after all."""
        held, self._held = self._held, ""
        return held
