"""The list of conversations."""

import re

from playwright.sync_api import Page, expect
from steps import Opener, ask, chats, finished, questions

from served import Served

OPTIONS = re.compile("^Actions for")


def test_a_chat_is_renamed(page: Page) -> None:
    ask(page, "An old name")
    finished(page)
    page.get_by_role("button", name=OPTIONS).click()
    page.get_by_role("menuitem", name="Rename").click()
    dialog = page.get_by_role("dialog", name="Rename this chat")
    dialog.get_by_role("textbox").fill("A new name")
    dialog.get_by_role("button", name="Save").click()
    expect(chats(page)).to_have_text(["A new name"])
    expect(page.get_by_role("heading", level=1)).to_have_text("A new name")
    page.reload()
    expect(chats(page)).to_have_text(["A new name"])


def test_a_chat_is_deleted_only_after_a_second_word(page: Page) -> None:
    ask(page, "Short-lived")
    finished(page)
    page.get_by_role("button", name=OPTIONS).click()
    page.get_by_role("menuitem", name="Delete").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Short-lived")
    dialog.get_by_role("button", name="Delete").click()
    expect(chats(page)).to_have_count(0)
    expect(questions(page)).to_have_count(0)
    expect(page).to_have_url(re.compile(r"/$"))


def test_older_chats_come_page_by_page(page: Page, server: Served) -> None:
    conversations = server.workspace.conversations
    owner = page.evaluate("fetch('/api/session').then((answer) => answer.json())")["user"]["id"]
    for number in range(45):
        made = conversations.create(owner)
        conversations.update(owner, made.id, title=f"Chat {number}")
    page.reload()
    expect(chats(page)).to_have_count(40)
    expect(chats(page).first).to_have_text("Chat 44")
    page.get_by_role("button", name="Show older chats").click()
    expect(chats(page)).to_have_count(45)
    expect(page.get_by_role("button", name="Show older chats")).to_have_count(0)


def test_somebody_else_s_chat_is_not_shown(page: Page, open_page: Opener) -> None:
    ask(page, "My secret")
    finished(page)
    other = open_page(page.url.removeprefix(page.evaluate("location.origin")))
    expect(other.get_by_text("This chat does not exist, or it is not yours.")).to_be_visible()
    expect(other.get_by_text("My secret")).to_have_count(0)
