"""What is to be annotated: `annotation.toml`, read strictly."""

import re
import tomllib
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from rixin.errors import InvalidRequest

Kind = Literal["classify", "label", "rate", "extract", "rewrite", "answer"]

RATINGS = ("1", "2", "3", "4", "5")
MAX_LABELS = 200
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,95}")

Text = Annotated[str, Meta(min_length=1, max_length=20_000)]
Word = Annotated[str, Meta(min_length=1, max_length=200)]


class Definition(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What annotators are asked of each row of a dataset, and how sure the result has to be.

    `classify` chooses one of `labels`, `label` any number of them, `rate` gives 1 to 5, `extract` an object of
    `schema` (a JSON Schema), `rewrite` and `answer` a text; `answer` may look in the Library named.
    `annotators` are models by name. `people` are the names of those who may work on it beside administrators, `*` is
    everybody with an account; `per_item` of them look at each row that people are given.
    `accuracy` is the share of all rows that has to be right at the end, people's counted as right, and `confidence`
    the chance with which that has to be so. `two_person` rows need two people who agree: true for all, or the labels
    that make a row one of them as soon as anybody gives it. `gold_share` of what a person is given has an answer that
    is known; whoever is surely below `gold_floor` on those is not counted.
    """

    name: str
    kind: Kind
    instructions: Text
    title: Annotated[str, Meta(max_length=200)] = ""
    labels: tuple[Word, ...] = ()
    schema: dict[str, object] | None = None
    annotators: tuple[Word, ...] = ()
    library: Word | None = None
    people: tuple[Word, ...] = ()
    per_item: Annotated[int, Meta(ge=1, le=5)] = 1
    accuracy: Annotated[float, Meta(ge=0.5, le=1)] = 0.95
    confidence: Annotated[float, Meta(ge=0.5, le=0.999)] = 0.95
    two_person: bool | tuple[Word, ...] = False
    gold_share: Annotated[float, Meta(ge=0, le=0.5)] = 0.0
    gold_floor: Annotated[float, Meta(ge=0, le=1)] = 0.8

    @property
    def classes(self) -> tuple[str, ...]:
        """The answers there can be, where they are few and one excludes the others; empty where not."""
        if self.kind == "classify":
            return self.labels
        return RATINGS if self.kind == "rate" else ()

    def needs_two(self, labels: set[str]) -> bool:
        """Whether a row that was given these labels so far needs two people who agree."""
        return self.two_person if isinstance(self.two_person, bool) else not labels.isdisjoint(self.two_person)


def read_definition(path: Path) -> Definition:
    """The definition in a TOML file. Raises InvalidRequest naming the file and, where it can, the line."""
    try:
        text = path.read_text("utf-8")
        values = tomllib.loads(text)
    except OSError as error:
        raise InvalidRequest(f"The definition can't be read: {error.strerror}.", where=str(path)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"The definition is not TOML: {error}.", where=str(path)) from None
    try:
        return check_definition(msgspec.convert(values, Definition))
    except msgspec.ValidationError as error:
        reason, _, place = str(error).partition(" - at `$.")
        field = place.rstrip("`") or _named(reason)
        raise InvalidRequest(f"{reason}.", where=_place(path, text, field), param=field or None) from None
    except InvalidRequest as error:
        where = _place(path, text, error.param or "")
        raise InvalidRequest(error.message, where=where, fix=error.fix, param=error.param) from None


def check_definition(definition: Definition) -> Definition:
    """The definition, if its fields fit together. Raises InvalidRequest whose `param` is the one at fault."""
    if not _NAME.fullmatch(definition.name):
        raise InvalidRequest(
            f"{definition.name!r} can't be an annotation's name.",
            fix="Use small letters, digits, '.', '_' and '-', 96 at most.",
            param="name",
        )
    chosen = definition.kind in ("classify", "label")
    if chosen != bool(definition.labels):
        raise InvalidRequest(
            f"The kind {definition.kind} {'needs' if chosen else 'has no'} `labels`.",
            fix="`labels` are what `classify` and `label` choose from.",
            param="labels",
        )
    least = 2 if definition.kind == "classify" else 1
    if chosen and not least <= len(set(definition.labels)) == len(definition.labels) <= MAX_LABELS:
        raise InvalidRequest(f"`labels` are from {least} to {MAX_LABELS}, none of them twice.", param="labels")
    if (definition.kind == "extract") != (definition.schema is not None):
        raise InvalidRequest("`schema` is what `extract` extracts; no other kind has one.", param="schema")
    if definition.schema is not None:
        _check_schema(definition.schema)
    if definition.library is not None and definition.kind != "answer":
        raise InvalidRequest("Only the kind answer looks in a Library.", param="library")
    named = () if isinstance(definition.two_person, bool) else definition.two_person
    known = (*definition.labels, *definition.classes)
    if unknown := [label for label in named if label not in known]:
        raise InvalidRequest(f"`two_person` names {unknown[0]!r}, which is no label here.", param="two_person")
    return definition


def _check_schema(schema: dict[str, object]) -> None:
    import jsonschema_rs

    if schema.get("type") != "object":
        raise InvalidRequest('`schema` has to be one of an object: `type = "object"`.', param="schema")
    try:
        jsonschema_rs.meta.validate(schema)
    except (jsonschema_rs.ValidationError, ValueError) as error:
        raise InvalidRequest(f"`schema` is no JSON Schema: {str(error).splitlines()[0]}.", param="schema") from None


def _named(reason: str) -> str:
    found = re.search(r"field `([^`]*)`", reason)
    return found[1] if found else ""


def _place(path: Path, text: str, field: str) -> str:
    key = re.split(r"\W", field)[0] if field else ""
    for number, line in enumerate(text.splitlines(), 1):
        if key and re.match(rf"\s*\[?\"?{re.escape(key)}\"?\s*[\]=]", line):
            return f"{path}:{number}"
    return str(path)
