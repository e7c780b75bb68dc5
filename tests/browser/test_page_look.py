"""Languages, looks, sizes, and that it can be used by everybody."""

import re

import pytest
from playwright.sync_api import Page, expect
from steps import Opener, ask, everybody_can_use, finished

from served import Served

PHONE = {"viewport": {"width": 390, "height": 780}, "has_touch": True, "is_mobile": True}
DARK = re.compile(r"^dark$")


def test_the_browser_s_language_comes_first_and_a_switch_is_remembered(open_page: Opener) -> None:
    page = open_page(locale="zh-CN")
    expect(page.get_by_role("heading", name="今天想聊些什么？")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    page.get_by_role("button", name=re.compile("person-")).click()
    page.get_by_role("menuitem", name="English").click()
    expect(page.get_by_role("heading", name="What is on your mind?")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.reload()
    expect(page.get_by_role("heading", name="What is on your mind?")).to_be_visible()


def test_the_system_s_look_comes_first_and_a_switch_is_remembered(open_page: Opener) -> None:
    page = open_page(color_scheme="dark")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.emulate_media(color_scheme="light")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    page.goto("/settings")
    page.get_by_text("Dark", exact=True).click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload(wait_until="commit")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert _lightness(page) < 60


def _lightness(page: Page) -> float:
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    numbers = [float(number) for number in re.findall(r"[\d.]+", colour)[:3]]
    return sum(numbers) / 3


def test_on_a_phone_the_list_is_a_drawer_and_nothing_is_cut(open_page: Opener, server: Served) -> None:
    server.engine.reply = f"| {' | '.join('abcdefgh')} |\n|{'---|' * 8}\n\n`{'x' * 300}`"
    page = open_page(**PHONE)
    expect(page.get_by_role("navigation", name="Chats")).to_have_count(0)
    page.get_by_role("textbox", name="Your message").fill("From a phone")
    page.get_by_role("button", name="Send").tap()
    finished(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("(box => box.scrollWidth <= box.clientWidth)(document.querySelector('[class*=scroller]'))")
    page.get_by_role("button", name="Show chats").tap()
    expect(page.get_by_role("link", name="From a phone")).to_be_visible()
    page.get_by_role("link", name="New chat").tap()
    expect(page.get_by_role("heading", name="What is on your mind?")).to_be_visible()
    expect(page.get_by_role("link", name="From a phone")).to_be_hidden()


def test_on_a_touch_keyboard_enter_makes_a_line(open_page: Opener) -> None:
    page = open_page(**PHONE)
    box = page.get_by_role("textbox", name="Your message")
    box.fill("one")
    box.press("Enter")
    expect(box).to_have_value("one\n")


def test_the_list_can_be_put_away_and_stays_away(page: Page) -> None:
    page.get_by_role("button", name="Hide chats").click()
    expect(page.get_by_role("navigation", name="Chats")).to_have_count(0)
    page.reload()
    page.get_by_role("button", name="Show chats").click()
    expect(page.get_by_role("navigation", name="Chats")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_can_be_used_with_the_keyboard_and_read_aloud(open_page: Opener, server: Served, scheme: str) -> None:
    server.engine.reply = "## Head\n\n- one\n- two\n\n```python\nx = 1  # note\n```\n\n| a |\n|---|\n| 1 |\n\n[a link](https://example.com)"
    page = open_page(role="admin", color_scheme=scheme)
    ask(page, "Everything at once")
    finished(page)
    places = [page.url, "/", "/settings/account", "/settings/keys", "/settings/users"]
    for place in places:
        page.goto(place)
        page.wait_for_load_state("networkidle")
        everybody_can_use(page)


def test_for_who_asked_for_less_motion_what_is_moved_is_there_at_once(page: Page) -> None:
    """Menus are moved to be measured: under a transition, however short, they would be measured where they were."""
    assert page.evaluate("matchMedia('(prefers-reduced-motion: reduce)').matches")
    moved = """() => {
      const box = document.createElement("div");
      box.style.cssText = "position: fixed; top: 0; left: -500px; width: 10px; height: 10px";
      document.body.append(box);
      const before = box.getBoundingClientRect().left;
      box.style.left = "20px";
      const after = box.getBoundingClientRect().left;
      box.remove();
      return [before, after];
    }"""
    assert page.evaluate(moved) == [-500, 20]
