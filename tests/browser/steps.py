"""What a person does on the page, in words."""

from collections.abc import Callable

from playwright.sync_api import Locator, Page, expect

Opener = Callable[..., Page]
"""`open_page(path, role=…, at=…, **context options)`: see conftest.py."""


def composer(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Your message")


def ask(page: Page, text: str) -> None:
    """Write a message and send it with Enter."""
    composer(page).fill(text)
    composer(page).press("Enter")


def answers(page: Page) -> Locator:
    return page.get_by_role("article", name="Answer")


def questions(page: Page) -> Locator:
    return page.get_by_role("article", name="You said")


def finished(page: Page) -> Locator:
    """The last answer, once it is whole."""
    last = answers(page).last
    expect(last).to_have_attribute("aria-busy", "false")
    return last


def chats(page: Page) -> Locator:
    """The links of the list of conversations."""
    return page.get_by_role("navigation", name="Chats").get_by_role("link")


def everybody_can_use(page: Page) -> None:
    """Axe finds nothing that would keep out who does not see it, or uses no mouse."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page)
    assert found.violations_count == 0, f"{page.url}\n{found.generate_report()}"
