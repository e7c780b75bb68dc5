"""The page on a real model."""

import re

from playwright.sync_api import expect
from steps import Opener, answers, ask, finished

from served import Served


def test_smollm2_answers_on_the_page(open_page: Opener, smollm2_server: Served) -> None:
    page = open_page(at=smollm2_server)
    ask(page, "Count from one to twenty in words.")
    expect(answers(page).last).to_contain_text(re.compile(r"\w+ \w+ \w+"), timeout=60_000)
    page.reload()
    expect(answers(page).last).to_have_attribute("aria-busy", "false", timeout=120_000)
    answer = finished(page)
    expect(answer).to_contain_text(re.compile(r"tokens/s"))
    conversation = page.url.rsplit("/", 1)[1]
    kept = page.evaluate("id => fetch(`/api/conversations/${id}`).then((answer) => answer.json())", conversation)
    words = re.findall(r"[A-Za-z]+", kept["messages"][-1]["content"])
    assert len(words) > 3
    assert re.findall(r"[A-Za-z]+", answer.locator(".ant-bubble-content").inner_text()) == words
