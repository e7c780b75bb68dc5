"""JSON from strangers: values cut out of a stream in bounded memory, and decoded without a surprise."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from rixin.data.files import MAX_ROW_BYTES, text_of, too_long
from rixin.data.problems import Fault, Misplaced

MAX_DEPTH = 64
MAX_DIGITS = 400
_CHUNK = 64 << 10  # the rest of it is copied at every row
_BOM = b"\xef\xbb\xbf"
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)
_OUTSIDE = re.compile(rb'["{}\[\],]')
_INSIDE = re.compile(rb'["\\]')
_SPACE = b" \t\r\n"


def decode_json(text: str) -> object:
    """The value of a JSON text. Raises Fault for what is no JSON, repeats a key, nests too deep or has no number."""
    if text.count("[") + text.count("{") > MAX_DEPTH:
        _check_depth(text)
    try:
        return json.loads(
            text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_float, parse_int=_integer
        )
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}" if "\n" in text.strip() else f"column {error.colno}"
        raise Fault(
            f"This is not valid JSON: {error.msg} at {place}.", "Write it with a JSON library rather than by hand."
        ) from None
    except RecursionError:
        raise _too_deep() from None


def _check_depth(text: str) -> None:
    depth = 0
    for match in _BRACKETS.finditer(text):
        mark = match[0]
        depth += 1 if mark in "[{" else -1 if mark in "]}" else 0
        if depth > MAX_DEPTH:
            raise _too_deep()


def _too_deep() -> Fault:
    return Fault(f"The JSON is nested deeper than {MAX_DEPTH} levels.", "Flatten it.")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise Fault(f"The key {twice[:60]!r} is there twice.", "Keep one of the two.", field=twice[:60])
    return found


def _constant(name: str) -> object:
    raise Fault(f"{name} is no JSON.", "Write null or a number.")


def _float(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise Fault(f"The number {text[:40]} is too large.", "Write it as text.")
    return value


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise Fault(f"A number has {len(text)} digits.", "Write it as text.")
    return int(text)


@dataclass(frozen=True)
class Value:
    """The bytes of one value of a JSON stream; `line` is where it begins, `offset` its place in the file."""

    line: int
    offset: int
    data: bytes

    def decode(self) -> object:
        """The value. Raises Fault."""
        return decode_json(text_of(self.data, self.offset))


def values(file: BinaryIO) -> Iterator[Value]:
    """The elements of a JSON array, or the values of a stream of them, one after another.

    Raises Misplaced where the brackets don't fit: what follows can't be found.
    """
    return _Splitter(file).run()


class _Splitter:
    """Holds the piece of the file that is looked at: never more than the longest row and a chunk."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._buffer = b""
        self._offset = 0  # of the buffer's first byte
        self._line = 1

    def run(self) -> Iterator[Value]:
        self._more()
        if self._buffer.startswith(_BOM):
            self._drop(len(_BOM))
        in_array = self._next() == b"["
        self._drop(in_array)
        first = True
        while mark := self._next():
            if in_array and mark == b"]":
                self._drop(1)
                if self._next():
                    raise self._misplaced("Something follows the end of the array.", "Make it one array.")
                return
            if in_array and not first:
                if mark != b",":
                    raise self._misplaced("A comma is missing between two rows.", "Put one there.")
                self._drop(1)
                self._next()
            yield self._value()
            first = False
        if in_array:
            raise self._misplaced("The file ends within the array.", "It seems cut off: copy it again.")

    def _value(self) -> Value:
        end = self._end()
        data = self._buffer[:end].strip(_SPACE)
        if not data:
            raise self._misplaced("A row is missing here.", "Remove the comma or bracket that is too many.")
        value = Value(self._line, self._offset, data)
        self._drop(end)
        return value

    def _end(self) -> int:
        """Where in the buffer the value ends that begins it."""
        depth, at = 0, 0
        while True:
            found = _OUTSIDE.search(self._buffer, at)
            if found is None:
                at = len(self._buffer)
                if self._more():
                    continue
                if depth:
                    raise self._unended()
                return at
            mark, at = found[0], found.end()
            if mark == b'"':
                at = self._string_end(at)
            elif mark in b"{[":
                depth += 1
            elif mark == b",":
                if depth == 0:
                    return at - 1
            else:
                depth -= 1
                if depth <= 0:
                    return at + depth

    def _string_end(self, at: int) -> int:
        while True:
            found = _INSIDE.search(self._buffer, at)
            if found is None:
                at = len(self._buffer)
                if not self._more():
                    raise self._unended()
                continue
            if found[0] == b'"':
                return found.end()
            at = found.end() + 1
            while at > len(self._buffer):
                if not self._more():
                    raise self._unended()

    def _next(self) -> bytes:
        """The next byte that is not blank, which is then the buffer's first; none at the end."""
        while True:
            rest = self._buffer.lstrip(_SPACE)
            self._drop(len(self._buffer) - len(rest))
            if rest:
                return rest[:1]
            if not self._more():
                return b""

    def _more(self) -> bool:
        if len(self._buffer) > MAX_ROW_BYTES:
            raise Misplaced(too_long(), self._line)
        data = self._file.read(_CHUNK)
        self._buffer += data
        return bool(data)

    def _drop(self, amount: int) -> None:
        self._line += self._buffer.count(b"\n", 0, amount)
        self._offset += amount
        self._buffer = self._buffer[amount:]

    def _unended(self) -> Misplaced:
        return Misplaced(
            Fault("This row has no end.", "A bracket or quotation mark is missing, or the file is cut off."), self._line
        )

    def _misplaced(self, message: str, fix: str) -> Misplaced:
        return Misplaced(Fault(message, fix), self._line)
