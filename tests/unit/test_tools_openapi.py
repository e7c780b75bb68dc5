"""OpenAPI documents become tools; hostile ones are refused, and no argument leaves its place."""

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rixin.assistants.tools import ToolContext
from rixin.assistants.tools.arguments import validator
from rixin.assistants.tools.configured import OpenApiSource
from rixin.assistants.tools.openapi import OpenApiTool, openapi_tools, request_of
from rixin.assistants.tools.openapi_document import Operation, read_interface
from rixin.errors import InvalidRequest, MalformedData, PermissionDenied, SettingsInvalid

DOCUMENT = """
openapi: 3.0.3
info: {title: People}
servers: [{url: "https://{tenant}.example.org/v1", variables: {tenant: {default: acme}}}]
paths:
  /people/{id}:
    parameters:
      - {name: id, in: path, required: true, schema: {type: integer, minimum: 0, exclusiveMinimum: true}}
    get:
      operationId: getPerson
      summary: One person.
      parameters:
        - {name: field, in: query, schema: {type: array, items: {$ref: '#/components/schemas/Field'}}}
        - {name: Authorization, in: header, required: true, schema: {type: string}}
        - {name: X-Trace, in: header, schema: {type: string}}
    put:
      operationId: changePerson
      requestBody:
        required: true
        content: {application/json: {schema: {$ref: '#/components/schemas/Person'}}}
  /people:
    post:
      operationId: addPeople
      requestBody: {content: {application/json: {schema: {type: array, items: {$ref: '#/components/schemas/Person'}}}}}
  /photo:
    post:
      operationId: addPhoto
      requestBody: {required: true, content: {multipart/form-data: {schema: {type: object}}}}
components:
  schemas:
    Field: {type: string, enum: [name, phone]}
    Person:
      type: object
      required: [name, made]
      properties:
        name: {type: string, nullable: true, example: Ann}
        made: {type: string, readOnly: true}
        field: {$ref: '#/components/schemas/Field'}
"""


def read(text: str = DOCUMENT, **settings: object) -> dict[str, Operation]:
    return {one.id: one for one in read_interface(text, "doc", **settings).operations}  # type: ignore[arg-type]


def test_parameters_and_body_are_one_schema_in_todays_dialect() -> None:
    found = read()
    schema = json.loads(found["getPerson"].schema)
    assert schema == {
        "type": "object",
        "properties": {
            "id": {"type": "integer", "exclusiveMinimum": 0},
            "field": {"type": "array", "items": {"type": "string", "enum": ["name", "phone"]}},
            "X-Trace": {"type": "string"},
        },
        "required": ["id"],
        "additionalProperties": False,
    }
    assert json.loads(found["changePerson"].schema)["required"] == ["id", "name"]
    assert json.loads(found["changePerson"].schema)["properties"]["name"]["type"] == ["string", "null"]
    assert "made" not in found["changePerson"].schema
    assert json.loads(found["addPeople"].schema)["properties"]["body"]["type"] == "array"
    for operation in found.values():
        validator(operation.schema)
    whole = read_interface(DOCUMENT, "doc")
    assert whole.server == "https://acme.example.org/v1"
    assert list(whole.left_out) == ["addPhoto"]
    assert set(read(only=["addPeople"])) == {"addPeople"}


def test_a_call_puts_each_argument_in_its_place() -> None:
    found = read()
    url, headers, body = request_of(
        found["getPerson"], "https://h", {"id": 7, "field": ["name", "phone"], "X-Trace": "a"}
    )
    assert url == "https://h/people/7?field=name&field=phone"
    assert (headers, body) == ({"X-Trace": "a"}, None)
    _, headers, body = request_of(found["changePerson"], "https://h", {"id": 7, "name": "安"})
    assert body == '{"name": "安"}'.encode()
    assert headers == {"content-type": "application/json"}
    assert request_of(found["addPeople"], "https://h", {"body": []})[2] == b"[]"
    assert request_of(found["addPeople"], "https://h", {})[2] is None


OPEN = Operation(
    id="x",
    method="GET",
    path="/a/{p}/b",
    description="",
    schema="{}",
    parameters=read(DOCUMENT.replace("integer", "string").replace("id", "p"), only=["getPerson"])[
        "getPerson"
    ].parameters,
)


@given(st.text(), st.text())
def test_no_argument_leaves_its_place(path: str, query: str) -> None:
    try:
        url, _, _ = request_of(OPEN, "https://host.example", {"p": path, "field": [query]})
    except InvalidRequest:
        return
    parts = urlsplit(url)
    assert (parts.scheme, parts.netloc, parts.fragment) == ("https", "host.example", "")
    assert parts.path.count("/") == 3
    assert parts.path.startswith("/a/")
    assert parts.path.endswith("/b")
    assert set(parse_qs(parts.query, keep_blank_values=True)) == {"field"}


def paths(**operation: object) -> str:
    return json.dumps({"openapi": "3.1.0", "paths": {"/x": {"post": {"operationId": "x", **operation}}}})


def schemas(body: object, **others: object) -> str:
    content = {"content": {"application/json": {"schema": body}}}
    made = json.loads(paths(requestBody=content))
    return json.dumps({**made, "components": {"schemas": others}})


def ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def nested(depth: int) -> dict[str, object]:
    schema: dict[str, object] = {}
    for _ in range(depth):
        schema = {"items": schema}
    return schema


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("{", "neither JSON nor YAML"),
        ("[1]", "no object"),
        ("a: [", "neither JSON nor YAML"),
        ('{"swagger": "2.0"}', "not Swagger 2"),
        (paths(operationId=None), "no operationId"),
        (paths(parameters=[{"in": "query"}]), "no name"),
        (paths(parameters=[{"in": "header", "name": "a\r\nb"}]), "No header"),
        (paths(parameters=[{"$ref": "#/nowhere"}]), "leads nowhere"),
        (paths(parameters=[{"$ref": "http://169.254.169.254/x"}]), "out of the document"),
        (paths(parameters=[{"$ref": "file:///etc/passwd"}]), "out of the document"),
        (paths().replace('"/x"', '"/x/{id}"'), "not those that are described"),
        (paths().replace('"/x"', '"//evil"').replace('"//evil"', '"evil"'), "slash"),
        (schemas(ref("a"), a=ref("b"), b=ref("a")), "leads to itself"),
        (schemas(ref("a"), a={"properties": {"more": ref("a")}}), "leads to itself"),
        (schemas(ref("s0"), **{f"s{at}": ref(f"s{at + 1}") for at in range(100)}), "too many others"),
        (schemas(ref("s0"), **{f"s{at}": {"allOf": [ref(f"s{at + 1}")] * 9} for at in range(9)}, s9={}), "4000 parts"),
        (schemas(nested(200)), "too deep"),
        ("{" * 100_000, "neither JSON|too deep"),
        ('{"a":' * 100_000, "too deep|neither"),
        ("- " * 100_000, "too deep"),
        ("[" * 100_000, "too deep"),
        ("a: &x [1, 1]\nb: *x\n", "Aliases"),
        ("a: !!python/object/apply:os.system [ls]", "neither JSON nor YAML"),
        ("x" * (5 << 20), "passes"),
        (schemas({"maximum": float("inf")}), "number that JSON does not have"),
    ],
)
def test_what_is_hostile_or_broken_is_refused_with_the_reason(text: str, wrong: str) -> None:
    with pytest.raises(MalformedData, match=wrong):
        read(text)


JSONS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["#/components/schemas/A", "path"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *(
                        "operationId",
                        "parameters",
                        "requestBody",
                        "content",
                        "application/json",
                        "schema",
                        "$ref",
                        "name",
                    ),
                    *("in", "properties", "items", "allOf", "type", "required", "enum", "minimum", "exclusiveMinimum"),
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=25,
)


@given(JSONS, JSONS, JSONS)
def test_any_document_is_read_or_refused(operation: object, shared: object, item: object) -> None:
    base = operation if isinstance(operation, dict) else {}
    document = {
        "openapi": "3.1.0",
        "paths": {"/x": {"get": {"operationId": "x", **base}, "post": operation}, "/y": item},
        "components": {"schemas": {"A": shared}},
    }
    try:
        operations = read(json.dumps(document))
    except MalformedData as error:
        assert error.message  # noqa: PT017
        return
    for one in operations.values():
        assert json.loads(one.schema)["type"] == "object"


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    with pytest.raises(MalformedData):
        read(text)


class Answering(BaseHTTPRequestHandler):
    seen: list[tuple[str, str, dict[str, str], bytes]] = []  # noqa: RUF012

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.seen.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        if self.path.startswith("/people/404"):
            self.send_error(404)
        elif self.path.startswith("/people/302"):
            self.send_response(302)
            self.send_header("location", "http://127.0.0.1:1/secret")
            self.end_headers()
        elif self.path.startswith("/people/9"):
            self.send_response(200)
            self.send_header("content-type", "text/plain")
            self.end_headers()
            for _ in range(100):
                self.wfile.write(b"x" * 65536)
        else:
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(b'{"name": "Ann"}')

    do_GET = do_PUT = do_POST = answer  # noqa: N815

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def tools(home: Path, **settings: object) -> dict[str, OpenApiTool]:
    (home / "people.yaml").write_text(DOCUMENT)
    source = OpenApiSource(name="people", document="people.yaml", **settings)  # type: ignore[arg-type]
    return {tool.operation.id: tool for tool in openapi_tools(source, home)}


def test_tools_call_the_server_with_the_administrators_headers(tmp_path: Path, server: str) -> None:
    found = tools(tmp_path, server=server, private=True, headers={"authorization": "Bearer secret"})
    get, put = found["getPerson"], found["changePerson"]
    assert (get.name, get.side_effects, put.side_effects) == ("people__getPerson", False, True)

    async def work() -> None:
        assert (await get.call({"id": 3}, ToolContext())).text == '{"name": "Ann"}'
        assert (await put.call({"id": 3, "name": "Bo"}, ToolContext())).error is None
        assert (await get.call({"id": 404}, ToolContext())).error == "The server answered 404."
        with pytest.raises(PermissionDenied):
            await get.call({"id": 302}, ToolContext())
        with pytest.raises(Exception, match="passes 1048576 bytes"):
            await get.call({"id": 9}, ToolContext())
        await get.outgoing.close()

    asyncio.run(work())
    method, path, headers, body = Answering.seen[1]
    assert (method, path, body) == ("PUT", "/people/3", b'{"name": "Bo"}')
    assert headers["authorization"] == "Bearer secret"


def test_a_private_address_is_refused_unless_the_administrator_names_it(tmp_path: Path, server: str) -> None:
    tool = tools(tmp_path, server=server)["getPerson"]
    with pytest.raises(PermissionDenied, match="not public"):
        asyncio.run(tool.call({"id": 3}, ToolContext()))


def test_secrets_go_to_no_server_of_the_documents_choice(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="one of the document's choice"):
        tools(tmp_path, headers={"x-key": "secret"})
