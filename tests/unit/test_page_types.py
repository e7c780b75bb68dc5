"""The page is compiled against this server's own API."""

import json
from pathlib import Path

from rixin.http.app import routes
from rixin.http.describe import openapi_document

WEB = Path(__file__).parents[2] / "web"


def test_the_page_s_types_are_made_from_this_api() -> None:
    """`npm run check` in web/ goes on from here: src/api/schema.d.ts must be what this document generates."""
    known = json.loads((WEB / "openapi.json").read_text("utf-8"))
    assert known == json.loads(json.dumps(openapi_document(routes(None)))), (
        "The API changed. Run `python -m rixin.http.openapi > web/openapi.json && npm --prefix web run types`."
    )
