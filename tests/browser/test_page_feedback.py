"""What people say about answers on the page: thumbs, reasons, better answers, two answers beside each other."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect
from steps import Opener, answers, ask, everybody_can_use, finished, questions

from served import Served, serve_fake

PHONE = {"viewport": {"width": 390, "height": 780}, "has_touch": True, "is_mobile": True}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve_fake(tmp_path_factory.mktemp("feedback")) as served:
        yield served


def thumb(answer: Locator, name: str) -> Locator:
    return answer.get_by_role("button", name=name, exact=True)


def corner(element: Locator) -> tuple[float, float]:
    """Where it begins: from the left, from the top."""
    box = element.bounding_box()
    assert box is not None
    return box["x"], box["y"]


def settled(page: Page) -> None:
    """What was said has reached the server."""
    page.wait_for_load_state("networkidle")


def test_a_thumb_its_reasons_and_a_comment_stay_after_a_reload(open_page: Opener, house: Served) -> None:
    page = open_page(at=house)
    ask(page, "How long is the notice?")
    answer = finished(page)
    expect(thumb(answer, "Good answer")).to_have_attribute("aria-pressed", "false")
    thumb(answer, "Poor answer").click()
    panel = answer.get_by_role("region", name="Your feedback")
    expect(panel.get_by_role("heading")).to_have_text("What is wrong with it?")
    panel.get_by_role("button", name="Not true").click()
    panel.get_by_role("button", name="Too long").click()
    panel.get_by_role("textbox").fill("It is thirty days.")
    panel.get_by_role("button", name="Done").click()
    expect(panel).to_be_hidden()
    settled(page)
    page.reload()
    answer = finished(page)
    expect(thumb(answer, "Poor answer")).to_have_attribute("aria-pressed", "true")
    answer.get_by_role("button", name="Your feedback").click()
    expect(panel.get_by_role("button", name="Not true")).to_have_attribute("aria-pressed", "true")
    expect(panel.get_by_role("textbox")).to_have_value("It is thirty days.")
    # The other thumb asks for other reasons, and the same one twice takes all of it back.
    thumb(answer, "Good answer").click()
    expect(panel.get_by_role("button", name="Helpful")).to_have_attribute("aria-pressed", "false")
    expect(panel.get_by_role("button", name="Not true")).to_have_count(0)
    thumb(answer, "Good answer").click()
    expect(panel).to_be_hidden()
    settled(page)
    page.reload()
    expect(thumb(finished(page), "Good answer")).to_have_attribute("aria-pressed", "false")


def test_a_better_answer_is_written_over_the_given_one_and_kept(open_page: Opener, house: Served) -> None:
    house.engine.reply = "Notice is **ten** days."
    page = open_page(at=house)
    ask(page, "How long is the notice?")
    answer = finished(page)
    thumb(answer, "Poor answer").click()
    answer.get_by_role("button", name="Write a better answer").click()
    box = answer.get_by_role("textbox", name="A better answer")
    expect(box).to_have_value("Notice is **ten** days.")
    expect(box).to_be_focused()
    save = answer.get_by_role("button", name="Save")
    expect(save).to_be_disabled()
    box.fill("Notice is **thirty** days.")
    answer.get_by_text("Preview").click()
    expect(answer.locator("strong", has_text="thirty")).to_be_visible()
    save.click()
    own = answer.get_by_text("Your better answer")
    expect(own).to_be_visible()
    page.reload()
    answer = finished(page)
    own.click()
    expect(answer.locator("strong", has_text="thirty")).to_be_visible()
    expect(answer.locator("strong", has_text="ten")).to_be_visible()  # the given one stays
    answer.get_by_role("button", name="Edit").click()
    answer.get_by_role("button", name="Take it back").click()
    expect(own).to_have_count(0)


def test_two_answers_are_compared_and_the_chosen_one_goes_on(open_page: Opener, house: Served) -> None:
    house.engine.reply = "The first answer."
    page = open_page(at=house)
    ask(page, "Say something")
    finished(page)
    house.engine.reply, house.engine.token_s = f"The second answer{' and on' * 60}.", 0.01
    page.get_by_role("button", name="Compare with another answer").click()
    pair = page.get_by_role("region", name="Two answers")
    first, second = pair.get_by_role("article", name="First answer"), pair.get_by_role("article", name="Second answer")
    expect(second).to_have_attribute("aria-busy", "true")
    better = pair.get_by_role("button", name="The second is better")
    expect(better).to_be_disabled()
    expect(first).to_contain_text("The first answer.")
    expect(second).to_have_attribute("aria-busy", "false")
    (left, top), (right, other_top) = corner(first), corner(second)
    assert left < right
    assert top == other_top
    house.engine.token_s = 0
    better.click()
    expect(pair).to_have_count(0)
    expect(answers(page)).to_have_count(1)
    expect(answers(page)).to_contain_text("The second answer")
    expect(answers(page)).to_contain_text("2 / 2")
    ask(page, "And then?")
    expect(answers(page)).to_have_count(2)
    finished(page)
    prompt = house.engine.requests[-1].prompt
    assert prompt.messages[1].content.startswith("The second answer")  # type: ignore[union-attr]
    with house.browser(_name(page)) as client:
        [said] = client.get("/api/feedback", params={"mine": True}).json()["data"]
    assert (said["kind"], said["preferred"]) == ("preference", "second")
    assert said["answer"] == "The first answer."


def test_on_a_phone_two_answers_stand_below_each_other_and_one_may_stay_silent(
    open_page: Opener, house: Served
) -> None:
    house.engine.reply, house.engine.token_s = "The first answer.", 0
    page = open_page(at=house, **PHONE)
    page.get_by_role("textbox", name="Your message").fill("Say something")
    page.get_by_role("button", name="Send").tap()
    finished(page)
    house.engine.reply = "The second answer."
    page.get_by_role("button", name="Compare with another answer").tap()
    pair = page.get_by_role("region", name="Two answers")
    first, second = pair.get_by_role("article", name="First answer"), pair.get_by_role("article", name="Second answer")
    expect(second).to_contain_text("The second answer.")
    (left, top), (other_left, lower) = corner(first), corner(second)
    assert left == other_left
    assert top < lower
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    pair.get_by_role("button", name="Don't say").tap()
    expect(answers(page)).to_contain_text("The first answer.")


def test_who_was_not_asked_is_asked_once_and_decides_in_the_settings(open_page: Opener, house: Served) -> None:
    page = open_page(at=house)
    ask(page, "Anything")
    answer = finished(page)
    thumb(answer, "Good answer").click()
    asked = answer.get_by_role("group", name="Learning from your feedback")
    expect(asked).to_contain_text("May the models here learn from")
    asked.get_by_role("button", name="Later").click()
    expect(asked).to_have_count(0)
    page.evaluate("sessionStorage.clear()")
    page.reload()
    answer = finished(page)
    answer.get_by_role("button", name="Say why").click()
    asked.get_by_role("button", name="Yes").click()
    expect(asked).to_have_count(0)
    page.goto("/settings")
    switch = page.get_by_role("switch", name=re.compile("may learn from my feedback"))
    expect(switch).to_be_checked()
    switch.click()
    expect(switch).not_to_be_checked()
    page.get_by_role("button", name="Withdraw everything I gave").click()
    page.get_by_role("dialog").get_by_role("button", name="Withdraw everything I gave").click()
    expect(page.get_by_text("One piece of feedback deleted.")).to_be_visible()
    page.goto("/")
    page.get_by_role("link", name="Anything").click()
    expect(thumb(finished(page), "Good answer")).to_have_attribute("aria-pressed", "false")


def test_copying_an_answer_is_told_and_nobody_waits_for_it(open_page: Opener, house: Served) -> None:
    page = open_page(at=house)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    ask(page, "Copy me")
    answer = finished(page)
    page.route("**/api/feedback/signal", lambda route: route.abort())
    answer.get_by_role("button", name="Copy").click()
    expect(answer.get_by_role("button", name="Copied")).to_be_visible()
    page.unroute("**/api/feedback/signal")
    with page.expect_request("**/api/feedback/signal") as sent:
        answer.get_by_role("button", name=re.compile("Cop")).click()
    assert (sent.value.post_data_json or {})["signal"] == "copied"
    response = sent.value.response()
    assert response is not None
    assert response.status == 204


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_feedback_can_be_given_with_the_keyboard_and_read_aloud(open_page: Opener, house: Served, scheme: str) -> None:
    house.engine.reply, house.engine.token_s = "An answer.", 0
    page = open_page(at=house, color_scheme=scheme)
    ask(page, "By keyboard")
    answer = finished(page)
    thumb(answer, "Poor answer").focus()
    page.keyboard.press("Enter")
    panel = answer.get_by_role("region", name="Your feedback")
    panel.get_by_role("button", name="Incomplete").focus()
    page.keyboard.press("Space")
    expect(panel.get_by_role("button", name="Incomplete")).to_have_attribute("aria-pressed", "true")
    everybody_can_use(page)
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    answer.get_by_role("button", name="Your feedback").click()
    panel.get_by_role("button", name="Write a better answer").click()
    everybody_can_use(page)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Compare with another answer").click()
    expect(page.get_by_role("button", name="Both are good")).to_be_enabled()
    everybody_can_use(page)
    expect(questions(page)).to_have_count(1)


def _name(page: Page) -> str:
    return page.get_by_role("button", name=re.compile("person-")).inner_text().split()[-1]
