"""An Assistant: what a person talks to, as a file that can be read, checked, exported and imported."""

import hashlib
import json
import re
import tomllib
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from rixin.errors import InvalidRequest

ASSISTANT_FILE = "assistant.toml"
PREFIX = "assistant:"
MAX_FILE_BYTES = 1 << 20

Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}\Z")]
ShortText = Annotated[str, Meta(min_length=1, max_length=200)]
Share = Annotated[float, Meta(ge=0, le=1)]


class Title(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What it is called on the page, by language."""

    zh: ShortText
    en: ShortText


class AnswerPolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How sure an answer must be.

    Below the confidence `refuse_below` (0 to 1) of a search the model is not even asked, unless question and passages
    are in two scripts. With `refuse_when_unsure` the model first says whether the passages answer the question, and
    where its "yes" is less likely than `unsure_below`, the answer is refused (at 0.3 one of 1.5B kept 79% of those of
    76 questions of law that have an answer, and refused 71% of the others); and an answer of which no passage supports
    a single claim is taken back behind it. `quotes`: `check` removes quotations that are in no source, `keep` leaves
    them. With `quote_sources` the cited passages follow the answer, word for word, and those that the search put first.
    """

    refuse_when_unsure: bool = True
    refuse_below: Share = 0.2
    unsure_below: Share = 0.3
    quote_sources: bool = False
    quotes: Literal["check", "keep"] = "check"


class Limits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Tokens of a prompt: all of it, its passages, its earlier turns, and those kept free for the answer."""

    context_tokens: Annotated[int, Meta(ge=512, le=1 << 20)] = 4096
    passage_tokens: Annotated[int, Meta(ge=64, le=1 << 20)] = 1200
    history_tokens: Annotated[int, Meta(ge=0, le=1 << 20)] = 800
    answer_tokens: Annotated[int, Meta(ge=16, le=1 << 17)] = 512
    passages: Annotated[int, Meta(ge=1, le=50)] = 6


class Assistant(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An alias, instructions, Libraries, tools and policy. `filters` narrow every search: metadata that must match."""

    name: Name
    title: Title
    model: Annotated[str, Meta(min_length=1, max_length=512)] = "chat"
    instructions: Annotated[str, Meta(max_length=20_000)] = ""
    libraries: Annotated[tuple[Name, ...], Meta(max_length=32)] = ()
    filters: dict[str, str] = {}
    tools: Annotated[tuple[ShortText, ...], Meta(max_length=64)] = ()
    temperature: Annotated[float, Meta(ge=0, le=2)] = 0.0
    policy: AnswerPolicy = AnswerPolicy()
    limits: Limits = Limits()

    @property
    def version(self) -> str:
        """`a_` and 12 hex digits of the hash of all that it is."""
        canonical = json.dumps(msgspec.to_builtins(self), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return "a_" + hashlib.sha256(canonical.encode()).hexdigest()[:12]


def read_assistant(path: Path) -> Assistant:
    """The assistant in a file. Raises InvalidRequest naming the file, the line and the field."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise InvalidRequest(f"It is larger than {MAX_FILE_BYTES >> 20} MiB.", where=str(path))
        text = path.read_text("utf-8")
    except OSError as error:
        raise InvalidRequest(f"The assistant can't be read: {error.strerror}.", where=str(path)) from None
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"The assistant is not UTF-8: {error}.", where=str(path)) from None
    return parse_assistant(text, str(path))


def parse_assistant(text: str, where: str = ASSISTANT_FILE) -> Assistant:
    """As `read_assistant`, of text; `where` is how its place is called."""
    try:
        made = msgspec.convert(tomllib.loads(text), Assistant)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InvalidRequest(f"The assistant is not TOML: {error}.", where=where) from None
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at `$")
        field = path.strip("`.")
        unknown = re.search(r"unknown field `(.*)`", reason)
        key = f"{field}.{unknown[1]}".strip(".") if unknown else field
        missing = re.search(r"required field `(.*)`", reason)
        raise InvalidRequest(
            f"`{key}`: {reason}." if key else f"{reason}.",
            where=place_of(text, key, where),
            fix=_FIX if missing else None,
            param=key or (missing[1] if missing else None),
        ) from None
    check(made, where)
    return made


_FIX = 'The least that it needs: name = "…" and title = { zh = "…", en = "…" }.'


def check(assistant: Assistant, where: str = ASSISTANT_FILE) -> None:
    """What types can't say. Raises InvalidRequest."""
    limits = assistant.limits
    needed = limits.passage_tokens + limits.history_tokens + limits.answer_tokens
    if needed > limits.context_tokens:
        raise InvalidRequest(
            f"`limits`: passages, history and answer take {needed} tokens together, and `context_tokens` is "
            f"{limits.context_tokens}.",
            where=where,
            fix="Raise `context_tokens`, or lower the others.",
            param="limits.context_tokens",
        )
    if assistant.name.startswith("a_"):
        raise InvalidRequest("`name`: it must not begin with a_.", where=where, param="name")
    for text in (assistant.instructions, *assistant.filters.values()):
        if "\0" in text:
            raise InvalidRequest("Text must not contain the character U+0000.", where=where, param="instructions")


def place_of(text: str, key: str, where: str) -> str:
    """`where:line` of a dotted key in TOML text, or `where` alone if it isn't found."""
    *tables, last = re.sub(r"\[[^\]]*\]|\[\.\.\.\]", "", key).split(".") if key else [""]
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[+\s*([^\]]+?)\s*\]+", line):
            table = header[1].replace('"', "")
            if table == ".".join([*tables, last]):
                return f"{where}:{number}"
        if last and table == ".".join(tables) and re.match(rf"\s*\"?{re.escape(last)}\"?\s*=", line):
            return f"{where}:{number}"
        if tables and not table and re.match(rf"\s*\"?{re.escape(tables[0])}\"?\s*=", line):
            return f"{where}:{number}"
    return where


def assistant_toml(assistant: Assistant) -> str:
    """The assistant as TOML, which `parse_assistant` reads back to the same."""
    values = msgspec.to_builtins(assistant)
    tables = {name: value for name, value in values.items() if isinstance(value, dict)}
    lines = [f"{name} = {_toml(value)}" for name, value in values.items() if name not in tables]
    for name, table in tables.items():
        if table:
            lines += ["", f"[{name}]", *(f"{_key(key)} = {_toml(value)}" for key, value in table.items())]
    return "\n".join(lines) + "\n"


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _json(key)


def _json(value: object) -> str:
    # JSON's text, numbers and lists are TOML's too; DEL alone must be escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _toml(value: object) -> str:
    """A value; text of several lines is easier to edit in lines."""
    if isinstance(value, str) and "\n" in value:
        body = value.replace("\\", "\\\\").replace('"""', '""\\"')
        body = re.sub(r"[\x00-\x08\x0b-\x1f\x7f]", lambda found: f"\\u{ord(found[0]):04x}", body)
        return f'"""\n{body[:-1]}\\"' + '"""' if body.endswith('"') else f'"""\n{body}"""'
    return _json(value)
