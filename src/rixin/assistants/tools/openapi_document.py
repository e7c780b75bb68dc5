"""Reads an OpenAPI 3 document into operations, and trusts nothing in it: sizes, depths and references are bounded.

Source: OpenAPI Specification 3.0.4 and 3.1.1.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Literal, cast
from urllib.parse import unquote

from msgspec import Struct

from rixin.errors import MalformedData

MAX_TEXT = 4 << 20
MAX_DEPTH = 64
MAX_OPERATIONS = 256
MAX_NODES = 4000  # of one operation's schema, its references resolved
METHODS = ("get", "post", "put", "patch", "delete")
# Where an operation asks for these, they are the administrator's to send, or the client's.
_OWN_HEADERS = {"authorization", "cookie", "host", "content-type", "content-length", "accept", "proxy-authorization"}
_KEPT = {
    *("type", "enum", "const", "default", "format", "pattern", "required", "title"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength"),
    *("minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties"),
}

Json = Mapping[str, object]
Place = Literal["path", "query", "header"]


class Parameter(Struct, frozen=True, kw_only=True):
    """Argument `name` of a call goes as `key` into the `place`; a list's items are joined, or repeated (`explode`)."""

    name: str
    key: str
    place: Place
    explode: bool


class Operation(Struct, frozen=True, kw_only=True):
    """One operation. `schema` is the JSON Schema of its arguments.

    The arguments in `body` make the body (a JSON object); with `whole_body` the argument `body` is all of it.
    """

    id: str
    method: str
    path: str
    description: str
    schema: str
    parameters: tuple[Parameter, ...]
    body: tuple[str, ...] = ()
    whole_body: bool = False
    has_body: bool = False


class Interface(Struct, frozen=True, kw_only=True):
    """What a document describes. `left_out` says of operations, by id, why they can't be offered."""

    title: str
    server: str | None
    operations: tuple[Operation, ...]
    left_out: dict[str, str]


def read_interface(text: str, where: str, *, only: Iterable[str] | None = None) -> Interface:
    """The operations of a document, JSON or YAML; `only` those with these operationIds, then the others are not
    looked into.

    Raises MalformedData naming the operation for what is no OpenAPI 3, too large or too deep, refers to itself or to
    outside, or has no operationId.
    """
    return _Reader(_parsed(text, where), where).interface(None if only is None else set(only))


class _CannotOffer(Exception):
    """The operation is sound, but needs what is not supported."""


class _Reader:
    def __init__(self, root: Json, where: str) -> None:
        self._root = root
        self._where = where
        self._at = ""
        self._nodes = 0

    def interface(self, only: set[str] | None) -> Interface:
        version = self._root.get("openapi")
        if not isinstance(version, str) or not re.match(r"3\.\d", version):
            said = "Swagger 2" if "swagger" in self._root else repr(version)[:40]
            raise self._wrong(f"An OpenAPI document of version 3 is needed, not {said}.")
        found: dict[str, Operation] = {}
        left_out: dict[str, str] = {}
        for method, path, item, operation in self._each():
            self._at, self._nodes = f"{method.upper()} {path}"[:200], 0
            name = operation.get("operationId")
            if not isinstance(name, str) or not name.strip() or len(name) > 200:
                raise self._wrong("The operation has no operationId, by which it could be named.")
            if only is not None and name not in only:
                continue
            if name in found or name in left_out:
                raise self._wrong(f"The operationId {name[:64]!r} is used twice.")
            if len(found) >= MAX_OPERATIONS:
                raise self._wrong(f"There are more than {MAX_OPERATIONS} operations.", fix="Name some in `operations`.")
            try:
                found[name] = self._operation(name, method, path, item, operation)
            except _CannotOffer as reason:
                left_out[name] = str(reason)
        self._at = ""
        if missing := (only or set()) - set(found) - set(left_out):
            raise self._wrong(f"There is no operation {min(missing)[:64]!r}.")
        title = _object(self._root.get("info")).get("title")
        return Interface(
            title=str(title or "")[:200], server=self._server(), operations=tuple(found.values()), left_out=left_out
        )

    def _each(self) -> Iterable[tuple[str, str, Json, Json]]:
        for path, item in _object(self._root.get("paths")).items():
            if not isinstance(path, str) or not path.startswith("/"):
                raise self._wrong(f"The path {str(path)[:100]!r} does not begin with a slash.")
            self._at = path[:200]
            resolved = self._followed(_object(item), ())[0]
            for method in METHODS:
                if method in resolved:
                    yield method, path, resolved, _object(resolved[method])

    def _server(self) -> str | None:
        servers = self._root.get("servers")
        first = _object(servers[0]) if isinstance(servers, list) and servers else {}
        url = first.get("url")
        if not isinstance(url, str):
            return None
        for name, variable in _object(first.get("variables")).items():
            url = url.replace(f"{{{name}}}", str(_object(variable).get("default", "")))
        return url

    def _operation(self, name: str, method: str, path: str, item: Json, operation: Json) -> Operation:
        properties: dict[str, object] = {}
        required: list[str] = []
        parameters: list[Parameter] = []
        for given in self._parameters(item, operation):
            self._add(given, properties, required, parameters)
        inside = {parameter.key for parameter in parameters if parameter.place == "path"}
        if set(re.findall(r"\{([^{}]*)\}", path)) != inside:
            raise self._wrong("The path's parameters are not those that are described.")
        body = self._followed(_object(operation.get("requestBody")), ())[0]
        names, whole = self._body(body, properties, required) if body else ((), False)
        schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
        said = [operation.get("summary"), operation.get("description")]
        return Operation(
            id=name,
            method=method.upper(),
            path=path,
            description=" ".join(part for part in said if isinstance(part, str)) or f"{method.upper()} {path}",
            schema=self._text(schema),
            parameters=tuple(parameters),
            body=names,
            whole_body=whole,
            has_body=bool(names) or whole,
        )

    def _text(self, schema: Json) -> str:
        try:
            return json.dumps(schema, ensure_ascii=False, allow_nan=False, default=str)
        except ValueError:
            raise self._wrong("A schema holds a number that JSON does not have.") from None

    def _parameters(self, item: Json, operation: Json) -> list[Json]:
        """The operation's own win over those of its path."""
        found: dict[tuple[str, str], Json] = {}
        for listed in (item.get("parameters"), operation.get("parameters")):
            for entry in listed if isinstance(listed, list) else ():
                parameter = self._followed(_object(entry), ())[0]
                found[str(parameter.get("name")), str(parameter.get("in"))] = parameter
        return list(found.values())

    def _add(
        self, given: Json, properties: dict[str, object], required: list[str], parameters: list[Parameter]
    ) -> None:
        key, place = given.get("name"), given.get("in")
        if not isinstance(key, str) or not key or len(key) > 200:
            raise self._wrong("A parameter has no name.")
        needed = given.get("required") is True or place == "path"
        if place == "header" and key.lower() in _OWN_HEADERS:
            return
        if place == "header" and not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", key):
            raise self._wrong(f"No header can be named {key[:64]!r}.")
        schema = self._schema(given.get("schema", {}), (), 0)
        if place not in ("path", "query", "header") or schema.get("type") == "object" or "content" in given:
            if needed:
                raise _CannotOffer(f"it needs the parameter {key!r}, of a form that is not supported")
            return
        name = key if key not in properties else f"{place}_{key}"
        if name in properties:
            raise self._wrong(f"Two parameters are named {key!r}.")
        description = given.get("description")
        properties[name] = schema | ({"description": description[:300]} if isinstance(description, str) else {})
        required += [name] if needed else []
        explode = given.get("explode", place == "query") is True
        parameters.append(Parameter(name=name, key=key, place=place, explode=explode))

    def _body(self, body: Json, properties: dict[str, object], required: list[str]) -> tuple[tuple[str, ...], bool]:
        """The body's fields join the parameters, unless it is no plain object or a name is taken."""
        needed = body.get("required") is True
        content = _object(body.get("content"))
        kind = next((kind for kind in content if re.match(r"application/(?:[\w.-]+\+)?json\b", str(kind))), None)
        if kind is None:
            if needed or not content:
                raise _CannotOffer(f"its body is {', '.join(map(str, content))[:100] or 'not described'}, not JSON")
            return (), False
        schema = self._schema(_object(content[kind]).get("schema", {}), (), 0)
        fields = _object(schema.get("properties"))
        plain = set(schema) <= {"type", "properties", "required", "description", "title"} and fields
        if plain and not set(fields) & set(properties):
            properties.update(fields)
            names = schema.get("required")
            required += [name for name in names if name in fields] if needed and isinstance(names, list) else []
            return tuple(fields), False
        if "body" in properties:
            raise _CannotOffer("a parameter is named `body`, as its body would be")
        properties["body"] = schema
        required += ["body"] if needed else []
        return (), True

    def _schema(self, given: object, path: tuple[str, ...], depth: int) -> dict[str, object]:
        """A schema with its references put in, in today's dialect, without what only readers need."""
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise self._wrong(f"The schema has more than {MAX_NODES} parts.", fix="Name others in `operations`.")
        if depth > MAX_DEPTH:
            raise self._wrong("The schema is nested too deep.")
        if given is True or given == {}:
            return {}
        schema, path = self._followed(_object(given), path)
        kept: dict[str, object] = {key: value for key, value in schema.items() if key in _KEPT}
        self._nodes += sum(len(value) for value in kept.values() if isinstance(value, list | dict))
        if isinstance(description := schema.get("description"), str):
            kept["description"] = description[:300]
        if isinstance(fields := schema.get("properties"), Mapping):
            kept["properties"] = {
                str(name): self._schema(field, path, depth + 1)
                for name, field in fields.items()
                if _object(field).get("readOnly") is not True
            }
            if isinstance(names := kept.get("required"), list):
                kept["required"] = [name for name in names if name in _object(kept["properties"])]
        for key in ("items", "not", "additionalProperties"):
            if isinstance(part := schema.get(key), Mapping):
                kept[key] = self._schema(part, path, depth + 1)
            elif isinstance(part, bool):
                kept[key] = part
        for key in ("allOf", "anyOf", "oneOf"):
            if isinstance(parts := schema.get(key), list):
                kept[key] = [self._schema(part, path, depth + 1) for part in parts]
        return _today(kept, nullable=schema.get("nullable") is True)

    def _followed(self, given: Json, path: tuple[str, ...]) -> tuple[Json, tuple[str, ...]]:
        """What a `$ref` points to, and the references gone through to here."""
        while "$ref" in given:
            target = given["$ref"]
            if not isinstance(target, str) or not target.startswith("#/"):
                raise self._wrong(f"The reference {str(target)[:100]!r} leads out of the document.")
            if target in path:
                raise self._wrong(
                    f"The reference {target[:100]!r} leads to itself.", fix="Name others in `operations`."
                )
            if len(path) >= MAX_DEPTH:
                raise self._wrong("References lead through too many others.")
            path = (*path, target)
            found: object = self._root
            for part in target[2:].split("/"):
                key = unquote(part).replace("~1", "/").replace("~0", "~")
                found = found.get(key) if isinstance(found, Mapping) else None
            if not isinstance(found, Mapping):
                raise self._wrong(f"The reference {target[:100]!r} leads nowhere.")
            given = found
        return given, path

    def _wrong(self, said: str, *, fix: str | None = None) -> MalformedData:
        return MalformedData(said, where=f"{self._where}: {self._at}" if self._at else self._where, fix=fix)


def _today(schema: dict[str, object], *, nullable: bool) -> dict[str, object]:
    """OpenAPI 3.0's own ways, in JSON Schema 2020-12."""
    for bound, strict in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if schema.get(strict) is True and bound in schema:
            schema[strict] = schema.pop(bound)
        elif isinstance(schema.get(strict), bool):
            del schema[strict]
    if nullable and isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
        if isinstance(values := schema.get("enum"), list) and None not in values:
            schema["enum"] = [*values, None]
    return schema


def _object(value: object) -> Json:
    return cast("Json", value) if isinstance(value, Mapping) else {}


def _parsed(text: str, where: str) -> Json:
    if len(text) > MAX_TEXT:
        raise MalformedData(f"The document passes {MAX_TEXT} characters.", where=where)
    try:
        value = json.loads(text) if text.lstrip()[:1] == "{" else _yaml(text, where)
    except RecursionError:
        raise MalformedData("The document is nested too deep.", where=where) from None
    except ValueError as error:
        raise MalformedData(f"The document is neither JSON nor YAML: {str(error)[:300]}.", where=where) from None
    if not isinstance(value, dict):
        raise MalformedData("The document is no object.", where=where)
    return value


def _yaml(text: str, where: str) -> object:
    """YAML's events are looked through first: an alias can blow a document up, and depth the loader's stack."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    depth = 0
    try:
        for event in yaml.parse(text, Loader=loader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent):
                raise MalformedData("Aliases of YAML are not read.", where=f"{where}:{event.start_mark.line + 1}")
            if depth > MAX_DEPTH:
                raise MalformedData("The document is nested too deep.", where=where)
        return cast("object", yaml.load(text, Loader=loader))  # noqa: S506 - a safe one
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None
