"""The web app's files, as the server gives them out."""

import asyncio
import gzip
from pathlib import Path

import httpx2
import pytest

from rixin.http.pages import Pages

SCRIPT = b"console.log(1);\n" * 100


@pytest.fixture
def pages(tmp_path: Path) -> Pages:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html>")
    (tmp_path / "assets" / "index-abc.js").write_bytes(SCRIPT)
    (tmp_path / "assets" / "index-abc.js.gz").write_bytes(gzip.compress(SCRIPT))
    return Pages(tmp_path)


def get(pages: Pages, path: str, accepted: str) -> httpx2.Response:
    async def ask() -> httpx2.Response:
        transport = httpx2.ASGITransport(app=pages)
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get(path, headers={"accept-encoding": accepted})

    return asyncio.run(ask())


@pytest.mark.parametrize("accepted", ["gzip", "br, GZIP;q=0.5", "*"])
def test_a_packed_file_goes_to_who_can_read_it(pages: Pages, accepted: str) -> None:
    answer = get(pages, "/assets/index-abc.js", accepted)
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["vary"] == "accept-encoding"
    assert "immutable" in answer.headers["cache-control"]
    assert answer.content == SCRIPT


@pytest.mark.parametrize("accepted", ["identity", "br", "gzip;q=0", "gzip; q=0.0"])
def test_a_plain_file_goes_to_who_cannot(pages: Pages, accepted: str) -> None:
    answer = get(pages, "/assets/index-abc.js", accepted)
    assert "content-encoding" not in answer.headers
    assert answer.headers["vary"] == "accept-encoding"
    assert answer.content == SCRIPT


@pytest.mark.parametrize("path", ["/", "/setup", "/c/cnv_1", "/settings/keys"])
def test_the_page_s_own_addresses_give_the_page_always_fresh(pages: Pages, path: str) -> None:
    answer = get(pages, path, "gzip")
    assert answer.text == "<!doctype html>"
    assert answer.headers["cache-control"] == "no-cache"
