"""A real Chromium on a real server. Whatever a test does, the page must stay within the server and its own rules."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from steps import Opener, composer

from rixin.http.pages import STATIC
from served import PASSWORD, Served

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WATCH = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`CSP: ${event.violatedDirective} ${event.blockedURI}`));
"""
_names = count(1)

expect.set_options(timeout=10_000)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Not for the whole session: while it lives, no other test in this thread could run an event loop."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    assert program, "No Chromium: install Debian's package chromium."
    assert (STATIC / "index.html").is_file(), "The page is not built: run `make web`."
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield browser
        browser.close()


@dataclass
class Watched:
    """What a page did that no page of ours may do."""

    problems: list[str] = field(default_factory=list)

    def watch(self, context: BrowserContext, url: str) -> None:
        context.add_init_script(WATCH)
        context.on("request", lambda request: self._requested(request.url, url))
        context.on("console", lambda message: self._said(message.type, message.text))
        context.on("weberror", lambda error: self.problems.append(f"uncaught: {error.error}"))

    def _requested(self, address: str, own: str) -> None:
        if not address.startswith((f"{own}/", "data:")):
            self.problems.append(f"request to {address}")

    def _said(self, kind: str, text: str) -> None:
        # Chromium reports a refused or broken request by itself; tests provoke those.
        if kind == "error" and not text.startswith("Failed to load resource"):
            self.problems.append(f"console: {text}")


@pytest.fixture
def open_page(chromium: Browser, server: Served) -> Iterator[Opener]:
    """Open a page in a browser of its own, signed in as somebody new (`role=None`: as nobody)."""
    watched = Watched()
    contexts: list[BrowserContext] = []

    def opened(path: str = "/", *, role: str | None = "member", at: Served = server, **options: Any) -> Page:
        settings = {
            "locale": "en-GB",
            "viewport": {"width": 1280, "height": 800},
            "reduced_motion": "reduce",
            **options,
        }
        context = chromium.new_context(base_url=at.url, **settings)
        contexts.append(context)
        watched.watch(context, at.url)
        if role is not None:
            context.add_cookies([{"name": "rixin_session", "value": new_session(at, role), "url": at.url}])
        page = context.new_page()
        page.goto(path)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert watched.problems == []


@pytest.fixture
def page(open_page: Opener) -> Page:
    """The empty chat of somebody new, ready."""
    opened = open_page()
    composer(opened).wait_for()
    return opened


def new_session(server: Served, role: str) -> str:
    """The cookie of somebody new; their name is `person-N`."""
    name = f"person-{next(_names)}"
    server.workspace.accounts.create_user(name, PASSWORD, role)
    with server.browser(name) as client:
        return str(client.cookies["rixin_session"])
