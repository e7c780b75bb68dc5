"""Arguments of a call against the tool's JSON Schema, offline and in linear time, since a schema may be hostile."""

import functools
import json
from typing import TYPE_CHECKING

from rixin.assistants.tools.tool import Arguments
from rixin.errors import InvalidRequest

if TYPE_CHECKING:
    import jsonschema_rs

MAX_ARGUMENTS = 64 << 10


def read_arguments(text: str, parameters: str) -> Arguments:
    """The object that a model wrote. Raises InvalidRequest saying where it does not fit the schema."""
    if len(text) > MAX_ARGUMENTS:
        raise InvalidRequest(f"The arguments pass {MAX_ARGUMENTS} characters.", param="arguments")
    try:
        value = json.loads(text or "{}", parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"The arguments are not valid JSON: {str(error)[:200]}.", param="arguments") from None
    if not isinstance(value, dict):
        raise InvalidRequest("The arguments must be a JSON object.", param="arguments")
    try:
        wrong = next(iter(validator(parameters).iter_errors(value)), None)
    except ValueError:  # nested deeper than it follows
        raise InvalidRequest("The arguments are nested too deep.", param="arguments") from None
    if wrong is not None:
        place = ".".join(str(part) for part in wrong.instance_path) or "arguments"
        raise InvalidRequest(f"{wrong.message[:300]}.", where=place, param="arguments")
    return value


@functools.lru_cache(512)
def validator(parameters: str) -> "jsonschema_rs.Validator":
    """Raises InvalidRequest if this is no JSON Schema of an object, or points outside itself."""
    import jsonschema_rs

    try:
        schema = json.loads(parameters)
        if not isinstance(schema, dict) or schema.get("type", "object") != "object":
            raise InvalidRequest("A tool's parameters are the JSON Schema of an object.", param="parameters")
        return jsonschema_rs.validator_for(schema, offline=True, pattern_options=jsonschema_rs.RegexOptions())
    except (ValueError, RecursionError, jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError) as error:
        raise InvalidRequest(
            f"The parameters are no JSON Schema: {str(error).splitlines()[0][:300]}.", param="parameters"
        ) from None


def canonical(arguments: Arguments) -> str:
    """One text for all ways to write the same arguments."""
    return json.dumps(arguments, ensure_ascii=False, sort_keys=True, separators=(", ", ": "))


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")
