"""What a route takes and gives, for the OpenAPI document: msgspec Structs are its schemas, as they are the code's."""

from typing import Any

import msgspec
from fastapi import FastAPI
from starlette.routing import BaseRoute

from rixin.http.errors import ErrorObject

REF = "#/components/schemas/{name}"

_structs: dict[type, None] = {ErrorObject: None}

# Any route can give these: a body or a parameter that can't be used, no key, a limit, a bug, an engine that is down.
_ERRORS = {
    "400": "The request can't be used; `param` names the field.",
    "401": "No valid key or session.",
    "403": "Not allowed.",
    "404": "No such thing.",
    "409": "In conflict with what is there.",
    "413": "The body is too large.",
    "415": "The body is not JSON, or packed in an unknown way.",
    "429": "Too many requests.",
    "default": "Any other failure.",
}


def describe(
    *,
    body: type | None = None,
    answer: type | None = None,
    status: int = 200,
    stream: str | None = None,
    events: tuple[type, ...] = (),
    public: bool = False,
) -> dict[str, Any]:
    """An operation's `openapi_extra`. `stream` says what the event stream of the same route
    carries, `events` are the types in it."""
    content: dict[str, Any] = {}
    if answer is not None:
        content["application/json"] = {"schema": _ref(answer)}
    if stream is not None:
        content["text/event-stream"] = {"schema": {"type": "string", "description": stream}}
    for one in events:
        _structs[one] = None
    success: dict[str, Any] = {"description": "Done.", **({"content": content} if content else {})}
    failures = {
        code: {"description": text, "content": {"application/json": {"schema": _ref(ErrorObject)}}}
        for code, text in _ERRORS.items()
    }
    operation: dict[str, Any] = {"responses": {str(status): success, **failures}}
    if body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": _ref(body)}}}
    operation["security"] = [] if public else [{"key": []}, {"session": []}]
    return operation


def _ref(struct: type) -> dict[str, str]:
    _structs[struct] = None
    return {"$ref": REF.format(name=struct.__name__)}


def openapi_document(app: FastAPI) -> dict[str, Any]:
    """The document of the whole API, FastAPI's own guesses about bodies and errors replaced by `describe`'s facts."""
    if app.openapi_schema is not None:
        return app.openapi_schema
    from fastapi.openapi.utils import get_openapi

    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=_described(app.routes)
    )
    for methods in document["paths"].values():
        for operation in methods.values():
            operation["responses"].pop("422", None)
    _, schemas = msgspec.json.schema_components(list(_structs), ref_template=REF)
    document["components"] = {
        "schemas": {name: schemas[name] for name in sorted(schemas)},
        "securitySchemes": {
            "key": {"type": "http", "scheme": "bearer", "description": "An API key, `rx-…`."},
            "session": {"type": "apiKey", "in": "cookie", "name": "rixin_session"},
        },
    }
    app.openapi_schema = document
    return document


def _described(routes: list[BaseRoute]) -> list[BaseRoute]:
    return [route for route in routes if getattr(route, "include_in_schema", False)]
