"""The web app as files: hashed assets for ever, the page always fresh, and no way out of the folder."""

import asyncio
from pathlib import Path

import httpx2
import pytest

from rixin.http.app import routes
from rixin.http.pages import Pages


@pytest.fixture
def static(tmp_path: Path) -> Path:
    folder = tmp_path / "static"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>page</title>")
    (folder / "icon.svg").write_text("<svg/>")
    (folder / "assets" / "index-B1x.js").write_text("1")
    (tmp_path / "secret.txt").write_text("secret")
    return folder


def get(folder: Path, path: str, method: str = "GET") -> httpx2.Response:
    app = routes(None)
    app.router.default = Pages(folder)

    async def ask() -> httpx2.Response:
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://localhost") as client:
            return await client.request(method, path)

    return asyncio.run(ask())


def test_hashed_assets_are_kept_for_ever(static: Path) -> None:
    answer = get(static, "/assets/index-B1x.js")
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-type"].startswith("text/javascript")
    assert get(static, "/icon.svg").headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("path", ["/", "/index.html", "/setup", "/c/cnv_1", "/settings/keys"])
def test_the_apps_own_addresses_give_its_page(static: Path, path: str) -> None:
    answer = get(static, path)
    assert answer.status_code == 200
    assert "<title>page" in answer.text
    assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path",
    [
        "/assets/index-old.js",
        "/favicon.ico",
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/assets/..%2f..%2fsecret.txt",
        "/v1/x",
        "/api",
    ],
)
def test_what_is_not_there_is_a_404_and_never_the_page(static: Path, path: str) -> None:
    answer = get(static, path)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"


def test_pages_are_only_read(static: Path) -> None:
    answer = get(static, "/setup", "POST")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"


def test_a_page_that_is_not_built_says_so(tmp_path: Path) -> None:
    answer = get(tmp_path / "none", "/")
    assert answer.status_code == 200
    assert "make web" in answer.text
    assert get(tmp_path / "none", "/setup").status_code == 503
