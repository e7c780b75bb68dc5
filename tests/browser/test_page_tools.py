"""Tools on the page: what an answer used, and the word that a call with consequences waits for."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect
from steps import Opener, ask, finished

from rixin.assistants import Assistant
from rixin.assistants.assistant import Title
from rixin.knowledge import MACHINE
from served import Served, serve_fake
from tool_callers import HIRE, Caller, Office, office_at


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("tools")
    with office_at(home), serve_fake(home, Caller(calls=[HIRE], reply="")) as served:
        clerk = Assistant(name="clerk", title=Title(zh="文员", en="Clerk"), tools=("people",))
        served.workspace.assistants.save(clerk, reader=MACHINE)
        yield served


@pytest.mark.parametrize(("word", "told"), [("Allow", "was used"), ("Refuse", "was not allowed")])
def test_a_call_with_consequences_waits_for_a_word(open_page: Opener, house: Served, word: str, told: str) -> None:
    Office.hired.clear()
    page = open_page(at=house)
    page.get_by_role("combobox", name="Model").click()
    page.get_by_title("Clerk").click()
    ask(page, "Hire Eve.")
    card = page.get_by_role("alert").filter(has_text="May people__hire be run with this?")
    expect(card).to_contain_text('{"name": "Eve"}')
    assert Office.hired == []
    card.get_by_role("button", name=word).click()
    answer = finished(page)
    expect(answer.locator("summary")).to_contain_text(told)
    assert Office.hired == (["Eve"] if word == "Allow" else [])
    page.reload()
    expect(page.get_by_text(told)).to_be_visible()
