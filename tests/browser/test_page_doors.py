"""Who comes in, what they may do, and what no text can do."""

import re
from pathlib import Path

import httpx2
from playwright.sync_api import Page, expect
from steps import Opener, answers, ask, chats, composer, finished

from rixin.engines.fake import FakeEngine
from rixin.settings import Settings
from rixin.workspace import Workspace
from served import NAME, PASSWORD, Served, serve_workspace

HOSTILE = """<script>window.pwned = 1</script>

<img src=x onerror="window.pwned = 1"> <svg onload="window.pwned = 1"></svg> <iframe src="javascript:parent.pwned = 1">

[click me](javascript:window.pwned=1) [or me](data:text/html,<script>window.pwned=1</script>) [not yours](/api/keys)

![a picture](https://pictures.example/track.png) <style>* { display: none }</style>

```html"><img src=x onerror="window.pwned=1">
<script>window.pwned = 1</script>
```

| <img src=x onerror="window.pwned = 1"> |
|---|
| <a href="javascript:window.pwned=1">cell</a> |
"""


def test_the_setup_link_makes_the_first_administrator(open_page: Opener, tmp_path: Path) -> None:
    with Workspace(Settings.model_validate({"home": tmp_path})) as workspace:
        token = workspace.accounts.create_setup_token()
        with serve_workspace(workspace, "", FakeEngine()) as served:
            page = open_page(f"/setup#token={token}", role=None, at=served)
            page.get_by_label("Name").fill("grace")
            page.get_by_label("Password", exact=True).fill("a long password")
            assert token not in page.url
            page.get_by_label("Password again").fill("another one")
            page.get_by_role("button", name="Create and sign in").click()
            expect(page.get_by_text("The two passwords are not the same.")).to_be_visible()
            page.get_by_label("Password again").fill("a long password")
            page.get_by_role("button", name="Create and sign in").click()
            expect(page.get_by_role("heading", name="What is on your mind?")).to_be_visible()
            page.goto("/settings/users")
            expect(page.get_by_role("listitem").filter(has_text="grace")).to_be_visible()
            stranger = open_page(f"/setup#token={token}", role=None, at=served)
            expect(stranger.get_by_text("This server is already set up.")).to_be_visible()


def test_a_new_server_without_the_link_tells_where_it_is(open_page: Opener, tmp_path: Path) -> None:
    with (
        Workspace(Settings.model_validate({"home": tmp_path})) as workspace,
        serve_workspace(workspace, "", FakeEngine()) as served,
    ):
        page = open_page("/", role=None, at=served)
        expect(page.get_by_text("Open the link that the server printed")).to_be_visible()
        expect(page.get_by_role("textbox")).to_have_count(0)


def test_signing_in_and_out(open_page: Opener) -> None:
    page = open_page("/", role=None)
    page.get_by_label("Name").fill(NAME)
    page.get_by_label("Password", exact=True).fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_have_text("Name or password is not right.")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="What is on your mind?")).to_be_visible()
    page.get_by_role("button", name=NAME).click()
    page.get_by_role("menuitem", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_session_that_ended_elsewhere_leads_to_the_door_and_back(page: Page, server: Served) -> None:
    ask(page, "Before")
    finished(page)
    address = page.url
    page.context.clear_cookies()
    ask(page, "After")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert page.url == address


def test_a_key_is_shown_once(open_page: Opener, server: Served) -> None:
    page = open_page("/settings/keys")
    page.get_by_role("button", name="New key").first.click()
    dialog = page.get_by_role("dialog", name="New key")
    dialog.get_by_label("What it is for").fill("nightly report")
    dialog.get_by_role("button", name="New key").click()
    shown = page.get_by_role("textbox", name="Your new key")
    secret = shown.input_value()
    assert re.fullmatch(r"rx-\S{20,}", secret)
    page.keyboard.press("Escape")
    expect(shown).to_be_visible()
    page.get_by_role("button", name="I have copied it").click()
    expect(shown).to_have_count(0)
    expect(page.get_by_text("nightly report")).to_be_visible()
    assert secret not in page.content()
    page.reload()
    expect(page.get_by_text("nightly report")).to_be_visible()
    assert secret not in page.content()
    program = {"authorization": f"Bearer {secret}"}
    assert httpx2.get(f"{server.url}/v1/models", headers=program).status_code == 200
    page.get_by_role("button", name="Revoke").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("No keys yet.")).to_be_visible()
    assert httpx2.get(f"{server.url}/v1/models", headers=program).status_code == 401


def test_an_administrator_lets_somebody_in(open_page: Opener) -> None:
    page = open_page("/settings/users", role="admin")
    page.get_by_role("button", name="Add a person").click()
    dialog = page.get_by_role("dialog", name="Add a person")
    dialog.get_by_label("Name").fill("Lin")
    dialog.get_by_label("Password").fill("eight letters")
    dialog.get_by_role("button", name="Add a person").click()
    expect(page.get_by_text("Lin can sign in now.")).to_be_visible()
    lin = open_page("/settings/users", role=None)
    lin.get_by_label("Name").fill("Lin")
    lin.get_by_label("Password", exact=True).fill("eight letters")
    lin.get_by_role("button", name="Sign in").click()
    expect(lin.get_by_role("tab", name="API keys")).to_be_visible()
    expect(lin.get_by_role("tab", name="People")).to_have_count(0)


def test_a_password_is_changed(open_page: Opener) -> None:
    page = open_page("/settings/account")
    page.get_by_label("Current password").fill("not this")
    page.get_by_label("New password").fill("a new password")
    page.get_by_role("button", name="Change password").click()
    expect(page.get_by_role("alert")).to_have_text("The current password is not right.")
    page.get_by_label("Current password").fill(PASSWORD)
    page.get_by_role("button", name="Change password").click()
    expect(page.get_by_text("Password changed.")).to_be_visible()


def test_no_answer_can_run_anything_or_call_anywhere(page: Page, server: Served) -> None:
    """`open_page` also fails the test for any request to another host and for anything that the CSP had to stop."""
    server.engine.reply = HOSTILE
    ask(page, HOSTILE)
    answer = finished(page)
    expect(answer).to_contain_text("<script>window.pwned = 1</script>")
    expect(answer).to_contain_text("Image not loaded: a picture")
    for text in ("click me", "or me", "not yours"):
        expect(answer.get_by_text(text)).to_be_visible()
        expect(answer.get_by_role("link", name=text)).to_have_count(0)
    assert answer.locator("img, script, iframe, style").count() == 0
    page.reload()
    finished(page)
    assert page.evaluate("window.pwned") is None


def test_no_title_can_run_anything(page: Page) -> None:
    title = '<img src=x onerror="window.pwned = 1">'
    ask(page, title)
    finished(page)
    expect(chats(page)).to_have_text([title])
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    page.get_by_role("button", name=re.compile("^Actions for")).click()
    page.get_by_role("menuitem", name="Delete").click()
    expect(page.get_by_role("dialog")).to_contain_text(title)
    assert page.evaluate("window.pwned") is None


def test_a_refusal_is_said_in_words(page: Page, server: Served) -> None:
    server.engine.context_length = 8
    ask(page, "far too many words for such a small model to read at once")
    expect(page.get_by_role("alert")).to_contain_text("longer than the model can read")
    expect(answers(page)).to_have_count(1)
    expect(composer(page)).to_be_enabled()
