"""Single fields of a row: whether there is anything in them, and what."""

from collections.abc import Mapping

from rixin.data.json_text import decode_json
from rixin.data.problems import Fault


def present(value: object) -> bool:
    """Whether a field says anything: null, empty text and empty lists don't."""
    return value is not None and value != "" and value != [] and value != {}


def text_in(value: object, field: str) -> str:
    """The field's text. Raises Fault for anything else."""
    if isinstance(value, str):
        return value
    kinds = {"NoneType": "missing", "list": "a list", "dict": "an object", "bool": "true or false", "bytes": "bytes"}
    found = kinds.get(type(value).__name__, "a number" if isinstance(value, int | float) else type(value).__name__)
    raise Fault(f"This must be text and is {found}.", "Write it as text.", field)


def as_json(value: object, *, only_messages: bool = False) -> object:
    """A cell of a table may hold JSON as text: the value of that, if it is a list or an object.

    With `only_messages` only what has messages in it: an answer may well be JSON itself.
    """
    if not isinstance(value, str) or not value.lstrip().startswith(("[", "{")):
        return value
    try:
        decoded = decode_json(value)
    except Fault:
        return value
    if only_messages:
        items = decoded if isinstance(decoded, list) else [decoded]
        if not items or not all(isinstance(item, Mapping) and ("role" in item or "from" in item) for item in items):
            return value
    return decoded
