"""Talking: everything that happens between a question and its answer."""

import re

from playwright.sync_api import Page, expect
from steps import answers, ask, chats, composer, finished, questions

from rixin.errors import EngineDied
from served import Served

LONG = " ".join(f"word{number}" for number in range(400))
SCROLLER = "document.querySelector('[class*=scroller]')"


def test_a_question_is_sent_and_its_answer_streams_in(page: Page, server: Served) -> None:
    server.engine.reply, server.engine.token_s = LONG, 0.004
    ask(page, "Tell me about rivers")
    answer = answers(page).last
    expect(answer).to_contain_text("word5")
    expect(answer).to_have_attribute("aria-busy", "true")
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    expect(finished(page)).to_contain_text("word399")
    expect(questions(page)).to_have_text(["Tell me about rivers"])
    expect(composer(page)).to_have_value("")
    expect(composer(page)).to_be_focused()
    expect(page).to_have_url(re.compile(r"/c/[\w-]+$"))
    expect(page).to_have_title(re.compile("Tell me about rivers"))
    expect(chats(page)).to_have_text(["Tell me about rivers"])
    expect(answer).to_contain_text(re.compile(r"\d+ tokens/s"))


def test_the_model_hears_the_conversation_so_far(page: Page, server: Served) -> None:
    server.engine.reply = "Yes."
    ask(page, "first")
    finished(page)
    ask(page, "second")
    expect(answers(page)).to_have_count(2)
    finished(page)
    prompt = server.engine.requests[-1].prompt
    assert [message.content for message in prompt.messages] == ["first", "Yes.", "second"]  # type: ignore[union-attr]


def test_shift_enter_makes_a_line_and_enter_sends(page: Page) -> None:
    composer(page).press_sequentially("one")
    composer(page).press("Shift+Enter")
    composer(page).press_sequentially("two")
    expect(composer(page)).to_have_value("one\ntwo")
    composer(page).press("Enter")
    expect(questions(page)).to_have_text(["one\ntwo"])


def test_an_input_method_s_enter_does_not_send(page: Page) -> None:
    composer(page).focus()
    keyboard = page.context.new_cdp_session(page)
    keyboard.send("Input.imeSetComposition", {"text": "rixin", "selectionStart": 5, "selectionEnd": 5})
    expect(composer(page)).to_have_value("rixin")
    # What Chromium sends for the Enter that picks a word: the key code of "an input method has this key".
    enter = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 229}
    keyboard.send("Input.dispatchKeyEvent", {"type": "rawKeyDown", **enter})
    keyboard.send("Input.insertText", {"text": "日新"})
    keyboard.send("Input.dispatchKeyEvent", {"type": "keyUp", **enter})
    expect(composer(page)).to_have_value("日新")
    expect(questions(page)).to_have_count(0)
    composer(page).press("Enter")
    expect(questions(page)).to_have_text(["日新"])


def test_stop_ends_the_answer_where_it_is(page: Page, server: Served) -> None:
    server.engine.reply, server.engine.token_s = LONG, 0.02
    ask(page, "Go on for ever")
    expect(answers(page).last).to_contain_text("word5")
    page.get_by_role("button", name="Stop").click()
    answer = finished(page)
    expect(answer).to_contain_text("Stopped.")
    expect(answer).not_to_contain_text("word399")
    expect(page.get_by_role("button", name="Send")).to_be_visible()
    assert not server.engine.active


def test_another_answer_stands_beside_the_first(page: Page, server: Served) -> None:
    server.engine.reply = "The first answer."
    ask(page, "Say something")
    finished(page)
    server.engine.reply = "The second answer."
    page.get_by_role("button", name="Answer again").click()
    expect(answers(page)).to_have_count(1)
    expect(finished(page)).to_contain_text("The second answer.")
    expect(answers(page)).to_contain_text("2 / 2")
    page.get_by_role("button", name="Previous version").click()
    expect(answers(page)).to_contain_text("The first answer.")
    page.get_by_role("button", name="Next version").click()
    expect(answers(page)).to_contain_text("The second answer.")


def test_an_edited_question_begins_a_branch(page: Page, server: Served) -> None:
    server.engine.reply = "About cats."
    ask(page, "cats")
    finished(page)
    ask(page, "more")
    expect(answers(page)).to_have_count(2)
    finished(page)
    server.engine.reply = "About dogs."
    questions(page).first.hover()
    questions(page).first.get_by_role("button", name="Edit").click()
    box = page.get_by_role("textbox", name="Edit your message")
    expect(box).to_have_value("cats")
    box.fill("dogs")
    box.press("Enter")
    expect(questions(page)).to_have_count(1)
    expect(questions(page)).to_contain_text("dogs")
    expect(finished(page)).to_contain_text("About dogs.")
    page.get_by_role("button", name="Previous version").click()
    expect(questions(page)).to_have_count(2)
    expect(answers(page).first).to_contain_text("About cats.")


def test_escape_leaves_a_message_as_it_was(page: Page) -> None:
    ask(page, "keep me")
    finished(page)
    questions(page).hover()
    page.get_by_role("button", name="Edit").click()
    page.get_by_role("textbox", name="Edit your message").fill("changed")
    page.keyboard.press("Escape")
    expect(questions(page)).to_have_text(["keep me"])


def test_a_reload_in_the_middle_of_an_answer_shows_the_whole(page: Page, server: Served) -> None:
    server.engine.reply, server.engine.token_s = LONG, 0.005
    ask(page, "Keep going")
    expect(answers(page).last).to_contain_text("word20")
    page.reload()
    expect(answers(page).last).to_have_attribute("aria-busy", "true")
    expect(finished(page)).to_contain_text("word0")
    assert page.locator("article[aria-busy] p").inner_text() == LONG
    assert len(server.engine.requests) == 1


def test_an_answer_goes_on_while_another_chat_is_read(page: Page, server: Served) -> None:
    server.engine.reply, server.engine.token_s = LONG, 0.005
    ask(page, "A long one")
    expect(answers(page).last).to_contain_text("word5")
    page.get_by_role("link", name="New chat").click()
    expect(page.get_by_role("heading", name="What is on your mind?")).to_be_visible()
    chats(page).first.click()
    expect(finished(page)).to_contain_text("word399")


def test_a_lost_connection_is_said_and_mended(page: Page, server: Served) -> None:
    server.engine.reply, server.engine.token_s = LONG, 0.01
    ask(page, "Through a tunnel")
    expect(answers(page).last).to_contain_text("word5")
    page.context.set_offline(True)
    expect(page.get_by_text("The server can't be reached")).to_be_visible()
    page.context.set_offline(False)
    expect(page.get_by_text("The server can't be reached")).to_be_hidden()
    expect(finished(page)).to_contain_text("word399")


def test_what_could_not_be_sent_stays_in_the_box(page: Page) -> None:
    page.context.set_offline(True)
    ask(page, "Do not lose me")
    expect(page.get_by_text("The server can't be reached.").first).to_be_visible()
    expect(composer(page)).to_have_value("Do not lose me")
    page.context.set_offline(False)
    page.reload()
    expect(composer(page)).to_have_value("Do not lose me")
    composer(page).press("Enter")
    expect(questions(page)).to_have_text(["Do not lose me"])


def test_a_failed_answer_says_why_and_can_be_tried_again(page: Page, server: Served) -> None:
    server.engine.generate_failure, server.engine.fail_after = EngineDied("The engine ended."), 3
    ask(page, "Fail, please")
    failure = page.get_by_role("alert")
    expect(failure).to_contain_text("The model stopped while it was answering.")
    server.engine.generate_failure = None
    failure.get_by_role("button", name="Try again").click()
    expect(finished(page)).to_contain_text("renews itself")
    expect(page.get_by_role("alert")).to_have_count(0)


def test_the_reader_is_not_pulled_down_while_reading(page: Page, server: Served) -> None:
    server.engine.reply = "\n\n".join(f"Paragraph {number}." for number in range(150))
    server.engine.token_s = 0.012
    ask(page, "A long text")
    expect(page.get_by_text("Paragraph 40.", exact=True)).to_be_attached()
    assert page.evaluate(f"({SCROLLER}).scrollTop") > 400  # it follows the end
    page.mouse.move(700, 300)
    page.mouse.wheel(0, -600)
    to_latest = page.get_by_role("button", name="To the latest")
    expect(to_latest).to_be_visible()
    before = page.evaluate(f"({SCROLLER}).scrollTop")
    expect(finished(page)).to_contain_text("Paragraph 149.")
    assert page.evaluate(f"({SCROLLER}).scrollTop") == before
    to_latest.click()
    expect(page.get_by_text("Paragraph 149.", exact=True)).to_be_in_viewport()
    expect(to_latest).to_be_hidden()


def test_text_that_shrinks_while_it_is_written_does_not_let_go_of_the_end(page: Page, server: Served) -> None:
    # A link stands there letter by letter until its last mark comes, and is one short word then.
    link = f"[link](https://example.com/{'日' * 400})"
    paragraphs = [f"Paragraph {number}." for number in range(20)]
    server.engine.reply = "\n\n".join([*paragraphs, link, *paragraphs, "The end."])
    server.engine.token_s = 0.002
    ask(page, "Shrink")
    finished(page)
    expect(page.get_by_text("The end.", exact=True)).to_be_in_viewport()


def test_a_starter_prompt_is_put_into_the_box(page: Page) -> None:
    page.get_by_role("button", name=re.compile("^Explain")).click()
    expect(composer(page)).to_have_value(re.compile("hash function"))
    expect(composer(page)).to_be_focused()


def test_code_is_coloured_and_copied_as_it_was_written(page: Page, server: Served) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    server.engine.reply = "Look:\n\n```python\ndef f():\n    return 1  # one\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |"
    ask(page, "Code, please")
    answer = finished(page)
    expect(answer.locator(".hljs-keyword").first).to_have_text("def")
    answer.get_by_role("button", name="Copy code").click()
    expect(answer.get_by_role("button", name="Copy code")).to_contain_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == "def f():\n    return 1  # one"
    expect(answer.get_by_role("cell")).to_have_text(["1", "2"])
    answer.get_by_role("button", name="Copy", exact=True).click()
    page.wait_for_function(
        "text => navigator.clipboard.readText().then((held) => held === text)", arg=server.engine.reply
    )
