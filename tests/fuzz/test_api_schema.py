"""The API against its own description: odd requests get only the answers that the OpenAPI document promises."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from rixin.http.app import routes
from rixin.http.describe import openapi_document
from served import Served

DOCUMENT = Path(__file__).parents[2] / "docs" / "openapi.json"


def test_the_committed_document_is_the_one_the_code_makes() -> None:
    made = openapi_document(routes(None))
    assert json.loads(DOCUMENT.read_text(encoding="utf-8")) == made, "python -m rixin.http.openapi > docs/openapi.json"


def test_the_server_gives_out_the_same_document(server: Served) -> None:
    with server.program() as program:
        assert program.get("/openapi.json").json() == openapi_document(routes(None))


@pytest.fixture(scope="session")
def administrator(fake_server: Served) -> Iterator[httpx2.Client]:
    with fake_server.browser() as client:
        yield client


schema = schemathesis.openapi.from_path(str(DOCUMENT))
# Each of these has its own tests: readyz says 503 on purpose, a login 429 after a few wrong passwords, and a stream
# ends with its answer.
tested = schema.exclude(path_regex="/(session|setup|password|stream|readyz)$")


@tested.parametrize()
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_every_route_keeps_to_its_description(
    case: schemathesis.Case, fake_server: Served, administrator: httpx2.Client
) -> None:
    if case.path.startswith("/v1/"):
        headers, cookies = {"authorization": f"Bearer {fake_server.key}"}, {}
    else:
        headers, cookies = {"x-csrf-token": administrator.headers["x-csrf-token"]}, dict(administrator.cookies)
    case.call_and_validate(
        base_url=fake_server.url,
        headers=headers,
        cookies=cookies,
        checks=[
            not_a_server_error,
            status_code_conformance,
            content_type_conformance,
            negative_data_rejection,
            response_schema_conformance,
            unsupported_method,
        ],
    )
