"""Turns the text a model writes into tool calls while it is being written.

Three ways of writing a call are known, named for who made them common: `hermes`
(`<tool_call>{"name":…,"arguments":{…}}</tool_call>`, also Qwen), `llama` (an answer that is bare JSON with
`parameters`, or follows `<|python_tag|>`) and `mistral` (`[TOOL_CALLS][{…}, …]`). Models of all three also write bare
JSON, or JSON in a Markdown fence (Qwen2.5-Coder nearly always does): at the start of an answer that is a call too, if
it names a function that was offered.

A call is announced once its name and the opening of its arguments have been read; until then its text is held back,
and if it turns out to be no call it comes back as text, unchanged. Arguments then stream as the model writes them, so
a model that breaks off leaves a client with incomplete JSON, as the OpenAI API does.
"""

import json
import re
import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal

ToolFormat = Literal["hermes", "llama", "mistral"]

SPACE = " \t\r\n"
FENCE = "```"
FENCED = re.compile(r"```(?:json)?\s*(?=\{)")
MAY_BE_FENCED = re.compile(r"`{1,2}|```(?:j|js|jso|json)?|```(?:json)?\s+")
KEYS = ("name", "arguments", "parameters", "id", "type", "function")
LEAD = re.compile(r"[ \t\r\n]*\[?[ \t\r\n]*")
FIRST_KEY = re.compile(r'\{[ \t\r\n]*(?:"([^"]*)"|[^" \t\r\n])')
HEAD = re.compile(
    r'\{\s*"name"\s*:\s*"((?:[^"\\]|\\.)*)"\s*,\s*"(?:arguments|parameters)"\s*:\s*(?=\{)',
)
OUTSIDE_STRING = re.compile(r'["{}\[\]<]')
INSIDE_STRING = re.compile(r'["\\]')


@dataclass(frozen=True, slots=True)
class TextPiece:
    """Text of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolPiece:
    """A piece of call number `call`; `id` and `name` come with its first piece only."""

    call: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""


Piece = TextPiece | ToolPiece


@dataclass(frozen=True, slots=True)
class _Marks:
    """`open` starts a block of calls, `between` separates calls in it, `close` ends it ("" if nothing does)."""

    open: str
    between: re.Pattern[str]
    close: str


MARKS: dict[ToolFormat, _Marks] = {
    "hermes": _Marks("<tool_call>", re.compile(r"[\s,\]]*"), "</tool_call>"),
    "llama": _Marks("<|python_tag|>", re.compile(r"[\s;,]*"), ""),
    "mistral": _Marks("[TOOL_CALLS]", re.compile(r"[\s,]*"), "]"),
}


def detect_format(template_source: str) -> ToolFormat | None:
    """How a model with this chat template writes its calls; None if it was not taught any of the known ways."""
    if "[TOOL_CALLS]" in template_source:
        return None if "[ARGS]" in template_source else "mistral"
    if "<tool_call>" in template_source:  # Qwen3-Coder and GLM write XML inside the same mark
        return None if "<function=" in template_source or "<arg_key>" in template_source else "hermes"
    if '{"name": ' in template_source and '"parameters": ' in template_source:
        return "llama"
    return None


def kept_marks(format: ToolFormat) -> tuple[str, ...]:
    """Special tokens that a detokenizer must leave in the text for the parser."""
    marks = MARKS[format]
    return (marks.open, marks.close) if format == "hermes" else (marks.open,)


class _Brackets:
    """Finds where a JSON value ends, over any number of pieces."""

    __slots__ = ("_depth", "_escaped", "_in_string")

    def __init__(self, depth: int = 0) -> None:
        self._depth = depth
        self._in_string = False
        self._escaped = False

    def end(self, text: str, start: int) -> tuple[int, bool] | None:
        """(index just past the value, True), (index of a `<` that can't be JSON, False), or None: not yet."""
        at = start
        while at < len(text):
            if self._escaped:
                self._escaped = False
                at += 1
                continue
            found = (INSIDE_STRING if self._in_string else OUTSIDE_STRING).search(text, at)
            if found is None:
                return None
            at, mark = found.end(), found[0]
            if mark == "\\":
                self._escaped = True
            elif mark == '"':
                self._in_string = not self._in_string
            elif mark in "{[":
                self._depth += 1
            elif mark == "<":
                return at - 1, False
            else:
                self._depth -= 1
                if self._depth == 0:
                    return at, True
        return None


class ToolCallParser:
    """Feed it the answer's text in pieces of any size; it gives the same text and calls for every way to cut it.

    `names` are the functions offered: JSON without a mark is only a call if it names one of them, since it may as well
    be an answer. Blank space around calls is dropped. `complete` counts the calls whose arguments have ended.
    """

    def __init__(self, format: ToolFormat, names: Collection[str] = ()) -> None:
        self.complete = 0
        self._marks = MARKS[format]
        self._names = names
        self._may_be_bare = True  # only blank space, or a fence with a call, has been written
        self._bare = False  # the block being read has no mark
        self._close = ""  # what ends that block
        self._calls = 0
        self._rest = ""  # not yet given out
        self._body = 0  # in `_head`: where in the rest the JSON should begin
        self._scanned = 0
        self._brackets = _Brackets()
        self._pieces: list[Piece] = []
        self._step: Callable[[bool], bool] = self._text

    @property
    def calls(self) -> int:
        """Calls begun so far."""
        return self._calls

    def feed(self, text: str) -> list[Piece]:
        """What this piece of text brings."""
        self._rest += text
        return self._run(False)

    def finish(self) -> list[Piece]:
        """The answer has ended: what was held back."""
        return self._run(True)

    def _run(self, final: bool) -> list[Piece]:
        while self._step(final):
            pass
        pieces, self._pieces = self._pieces, []
        return pieces

    def _put_text(self, until: int) -> None:
        text, self._rest = self._rest[:until], self._rest[until:]
        if text:
            self._may_be_bare = False
            last = self._pieces[-1] if self._pieces else None
            if isinstance(last, TextPiece):
                self._pieces[-1] = TextPiece(last.text + text)
            else:
                self._pieces.append(TextPiece(text))

    # Each step below works off the front of the rest and says whether another step can follow at once.

    def _text(self, final: bool) -> bool:
        rest, mark = self._rest, self._marks.open
        if self._may_be_bare and (written := rest.lstrip(SPACE)):
            blank = len(rest) - len(written)
            if written[0] == "{":
                return self._enter_bare(blank, "")
            if fenced := FENCED.match(written):
                return self._enter_bare(blank + fenced.end(), FENCE)
            if not final and MAY_BE_FENCED.fullmatch(written):
                return False
            self._may_be_bare = False
        at = rest.find(mark)
        if at >= 0:
            self._put_text(len(rest[:at].rstrip(SPACE)))
            self._bare, self._close = False, self._marks.close
            return self._enter_head(len(self._rest) - len(rest) + at + len(mark))
        if final:
            if self._calls and not rest.strip(SPACE):
                self._rest = ""
            self._put_text(len(rest))
            return False
        self._put_text(len(rest[: len(rest) - _begun(rest, mark)].rstrip(SPACE)))
        return False

    def _enter_bare(self, body: int, close: str) -> bool:
        self._bare, self._close = True, close
        return self._enter_head(body)

    def _enter_head(self, body: int) -> bool:
        self._body = body
        self._scanned = -1
        self._step = self._head
        return True

    def _head(self, final: bool) -> bool:
        rest = self._rest
        start = _skip(LEAD, rest, self._body)
        if start == len(rest):
            return self._no_call() if final else False
        head = HEAD.match(rest, start)
        if head is not None:
            if not self._announce(head[1]):
                return self._no_call()
            self._rest = rest[head.end() :]
            self._brackets = _Brackets()
            self._step = self._arguments
            return True
        key = FIRST_KEY.match(rest, start)
        if rest[start] != "{" or (key is not None and key[1] not in KEYS):
            return self._no_call()
        if self._scanned < 0:
            self._scanned = start
            self._brackets = _Brackets()
        end = self._brackets.end(rest, self._scanned)
        self._scanned = len(rest)
        if end is None:
            return self._no_call() if final else False
        if not end[1] or not self._whole(rest[start : end[0]]):
            return self._no_call()
        self._rest = rest[end[0] :]
        self._step = self._after
        return True

    def _no_call(self) -> bool:
        self._step = self._text
        self._may_be_bare = False
        self._put_text(self._body)
        return True

    def _announce(self, name_as_json: str, arguments: str = "") -> bool:
        try:
            name = json.loads(f'"{name_as_json}"')
        except ValueError:
            return False
        if not name or (self._bare and name not in self._names):
            return False
        self._pieces.append(ToolPiece(self._calls, f"call_{secrets.token_hex(12)}", name, arguments))
        self._calls += 1
        self._may_be_bare = False
        return True

    def _whole(self, text: str) -> bool:
        """A complete object in another order of keys, with arguments as a string, or without any."""
        call = _read_call(text)
        if call is None or not self._announce(json.dumps(call[0])[1:-1], call[1]):
            return False
        self.complete += 1
        return True

    def _arguments(self, _final: bool) -> bool:
        end = self._brackets.end(self._rest, 0)
        until = len(self._rest) if end is None else end[0]
        if until:
            self._put_arguments(self._rest[:until])
            self._rest = self._rest[until:]
        if end is None:
            return False
        self.complete += 1
        self._step = self._tail if end[1] else self._after
        return True

    def _put_arguments(self, text: str) -> None:
        last = self._pieces[-1] if self._pieces else None
        if isinstance(last, ToolPiece) and last.call == self._calls - 1:
            self._pieces[-1] = ToolPiece(last.call, last.id, last.name, last.arguments + text)
        else:
            self._pieces.append(ToolPiece(self._calls - 1, arguments=text))

    def _tail(self, final: bool) -> bool:
        """Behind the arguments: the object's closing brace, perhaps after keys nobody asked for."""
        rest = self._rest.lstrip(SPACE)
        self._rest = rest
        if rest.startswith("}"):
            self._rest = rest[1:]
        elif rest.startswith(",") and (not rest[1:].strip(SPACE) or rest[1:].lstrip(SPACE).startswith('"')):
            end = _Brackets(1).end(rest, 0)
            if end is None and not final:
                return False
            if end is not None and end[1]:
                self._rest = rest[end[0] :]
        elif not rest and not final:
            return False
        self._step = self._after
        return True

    def _after(self, final: bool) -> bool:
        """Behind a call: another one of the same block, the mark that closes the block, or text."""
        rest, close = self._rest, self._close
        at = _skip(self._marks.between, rest, 0)
        if rest.startswith("{", at):
            return self._enter_head(at)
        if close and rest.startswith(close, at):
            self._rest = rest[at + len(close) :]
            self._may_be_bare = close == FENCE
        elif not final and (at == len(rest) or (close and close.startswith(rest[at:]))):
            return False
        self._step = self._text
        return True


def _skip(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at


def _begun(text: str, mark: str) -> int:
    """Length of the longest end of `text` that begins `mark`."""
    for length in range(min(len(mark) - 1, len(text)), 0, -1):
        if text.endswith(mark[:length]):
            return length
    return 0


def _read_call(text: str) -> tuple[str, str] | None:
    """(name, arguments as JSON text) of a complete call object, or None if it is not one."""
    try:
        call = json.loads(text)
    except (ValueError, RecursionError):
        return None
    inner = call.get("function")
    if isinstance(inner, dict):
        call = inner
    name = call.get("name")
    arguments = call.get("arguments", call.get("parameters"))
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except (ValueError, RecursionError):
            return None
    if arguments is None:
        arguments = {}
    if not isinstance(name, str) or not isinstance(arguments, dict):
        return None
    return name, json.dumps(arguments, ensure_ascii=False)
