"""What an annotator says of a row: checked against what was asked, and compared."""

import json

import msgspec
from msgspec import Struct

from rixin.data.annotation.definition import Definition
from rixin.errors import InvalidRequest

Value = dict[str, object]
"""`{"label": …}`, `{"labels": […]}`, `{"rating": 1…5}`, `{"text": …}`, or an object of the schema asked for."""

MAX_CHARACTERS = 100_000


class _One(Struct, forbid_unknown_fields=True):
    label: str


class _Some(Struct, forbid_unknown_fields=True):
    labels: list[str]


class _Rating(Struct, forbid_unknown_fields=True):
    rating: int


class _Text(Struct, forbid_unknown_fields=True):
    text: str


def check_value(definition: Definition, value: object) -> Value:
    """The value in the one way that it is written. Raises InvalidRequest saying what was asked for."""
    if not isinstance(value, dict) or len(json.dumps(value, ensure_ascii=False)) > MAX_CHARACTERS:
        raise _wrong(f"It is no JSON object of {MAX_CHARACTERS:,} characters at most.")
    try:
        if definition.kind == "classify":
            return {"label": _known(definition, msgspec.convert(value, _One).label)}
        if definition.kind == "label":
            said = {_known(definition, label) for label in msgspec.convert(value, _Some).labels}
            return {"labels": [label for label in definition.labels if label in said]}
        if definition.kind == "rate":
            rating = msgspec.convert(value, _Rating).rating
            if not 1 <= rating <= 5:
                raise _wrong("A rating is from 1 to 5.")
            return {"rating": rating}
        if definition.kind == "extract":
            return _extracted(definition, value)
        text = msgspec.convert(value, _Text).text.strip()
    except msgspec.ValidationError as error:
        raise _wrong(f"{error}.") from None
    if not text:
        raise _wrong("The text is empty.")
    return {"text": text}


def key_of(value: Value) -> str:
    """The same text for values that say the same."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def labels_in(value: Value) -> set[str]:
    """The labels that a value gives; a rating is one too."""
    if "label" in value:
        return {str(value["label"])}
    if "rating" in value:
        return {str(value["rating"])}
    labels = value.get("labels")
    return {str(label) for label in labels} if isinstance(labels, list) else set()


def class_of(value: Value) -> str:
    """The class of a value of `classify` or `rate`."""
    return str(value["label"] if "label" in value else value["rating"])


def value_of(definition: Definition, name: str) -> Value:
    """The value that says this class."""
    return {"label": name} if definition.kind == "classify" else {"rating": int(name)}


def answer_schema(definition: Definition) -> str:
    """The JSON Schema, as JSON text, that a model's answer has to match."""
    if definition.schema is not None:
        return json.dumps(definition.schema, ensure_ascii=False)
    field: dict[str, object]
    if definition.kind == "classify":
        field = {"label": {"enum": list(definition.labels)}}
    elif definition.kind == "label":
        labels = {"type": "array", "items": {"enum": list(definition.labels)}, "maxItems": len(definition.labels)}
        field = {"labels": labels}
    elif definition.kind == "rate":
        field = {"rating": {"enum": [1, 2, 3, 4, 5]}}
    else:
        field = {"text": {"type": "string", "minLength": 1}}
    asked = {"type": "object", "properties": field, "required": list(field), "additionalProperties": False}
    return json.dumps(asked, ensure_ascii=False)


def _known(definition: Definition, label: str) -> str:
    if label not in definition.labels:
        raise _wrong(f"There is no label {label[:80]!r}.", f"There are: {', '.join(definition.labels)}.")
    return label


def _extracted(definition: Definition, value: Value) -> Value:
    import jsonschema_rs

    assert definition.schema is not None, "the definition was checked"
    try:
        jsonschema_rs.validate(definition.schema, value)
    except jsonschema_rs.ValidationError as error:
        place = "/".join(map(str, error.instance_path))
        raise _wrong(f"{error.message}{f' (at {place})' if place else ''}.") from None
    return value


def _wrong(reason: str, fix: str | None = None) -> InvalidRequest:
    return InvalidRequest(f"This is not what was asked for: {reason}", fix=fix, param="value")
