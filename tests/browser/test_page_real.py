"""The page on a real model."""

import contextlib
import re

from playwright.sync_api import TimeoutError as PlaywrightTimeout
from playwright.sync_api import expect
from steps import Opener, answers, ask, finished

from served import Served


def test_smollm2_answers_on_the_page(open_page: Opener, smollm2_server: Served) -> None:
    page = open_page(at=smollm2_server)
    ask(page, "Count from one to twenty in words.")
    # What so small a model says is up to chance, and so is its length: a long answer is stopped.
    expect(answers(page).last).not_to_contain_text("Thinking…", timeout=60_000)
    page.reload()
    expect(answers(page).last).to_be_visible(timeout=60_000)
    stop = page.get_by_role("button", name="Stop")
    with contextlib.suppress(PlaywrightTimeout):
        stop.click(timeout=5_000)
    answer = finished(page)
    conversation = page.url.rsplit("/", 1)[1]
    kept = page.evaluate("id => fetch(`/api/conversations/${id}`).then((answer) => answer.json())", conversation)
    message = kept["messages"][-1]
    assert message["status"] in ("complete", "stopped")
    assert message["content"]
    text = answer.locator(".ant-bubble-content").inner_text().replace("Stopped.", "")
    assert re.findall(r"[A-Za-z]+", text) == re.findall(r"[A-Za-z]+", message["content"])
