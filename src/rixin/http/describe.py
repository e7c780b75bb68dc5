"""What a route takes and gives, for the OpenAPI document: msgspec Structs are its schemas, as they are the code's."""

from typing import Any

import msgspec
from fastapi import FastAPI

from rixin.http.errors import ErrorObject

REF = "#/components/schemas/{name}"

_bodies: list[type] = []
_answers: list[type] = [ErrorObject]


def describe(
    *,
    body: type | None = None,
    answer: type | None = None,
    status: int = 200,
    stream: str | None = None,
    events: tuple[type, ...] = (),
    public: bool = False,
    unready: bool = False,
) -> dict[str, Any]:
    """An operation's `openapi_extra`. `stream` says what the event stream of the same route
    carries, `events` are the types in it. An `unready` route
    gives the same answer with status 503."""
    content: dict[str, Any] = {}
    if answer is not None:
        _answers.append(answer)
        content["application/json"] = {"schema": _ref(answer)}
    if stream is not None:
        content["text/event-stream"] = {"schema": {"type": "string", "description": stream}}
    _answers.extend(events)
    success: dict[str, Any] = {"description": "Done.", **({"content": content} if content else {})}
    failure = {"description": "Any failure.", "content": {"application/json": {"schema": _ref(ErrorObject)}}}
    operation: dict[str, Any] = {"responses": {str(status): success, "default": failure}}
    if unready:
        operation["responses"]["503"] = {**success, "description": "Not now."}
    if body is not None:
        _bodies.append(body)
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": _ref(body)}}}
    operation["security"] = [] if public else [{"key": []}, {"session": []}]
    return operation


def _ref(struct: type) -> dict[str, str]:
    return {"$ref": REF.format(name=struct.__name__)}


def _schemas() -> dict[str, Any]:
    """All schemas. What an answer has a default for is in every answer; in a body it may be left out."""
    _, bodies = msgspec.json.schema_components(_bodies, ref_template=REF)
    _, answers = msgspec.json.schema_components(_answers, ref_template=REF)
    for schema in answers.values():
        properties: dict[str, dict[str, Any]] = schema.get("properties", {})
        always = [name for name, property in properties.items() if "default" in property]
        for name in always:
            del properties[name]["default"]
        schema["required"] = [*schema.get("required", []), *always]
    return dict(sorted({**bodies, **answers}.items()))


def openapi_document(app: FastAPI) -> dict[str, Any]:
    """The document of the whole API, FastAPI's own guesses about bodies and errors replaced by `describe`'s facts."""
    if app.openapi_schema is not None:
        return app.openapi_schema
    from fastapi.openapi.utils import get_openapi

    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    for methods in document["paths"].values():
        for operation in methods.values():
            operation["responses"].pop("422", None)
    document["components"] = {
        "schemas": _schemas(),
        "securitySchemes": {
            "key": {"type": "http", "scheme": "bearer", "description": "An API key, `rx-…`."},
            "session": {"type": "apiKey", "in": "cookie", "name": "rixin_session"},
        },
    }
    app.openapi_schema = document
    return document
