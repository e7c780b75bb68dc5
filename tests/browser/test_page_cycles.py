"""The pages of Cycles: one is started, told as a story, ended, and taken back."""

import re
from collections.abc import Iterator

import msgspec
import pytest
from playwright.sync_api import Page, Route, expect
from steps import Opener, composer, everybody_can_use

from rixin.renewal.steps.values import Cleaned, Collected
from rixin.store import CycleRow, CycleStepRow, ModelRow, VersionRow, now
from served import Served, serve_home
from stories import story
from tiny_cycles import make_cycle_home, pointed

NEWER = "v_0123456789ab"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("cycles") / "home"
    make_cycle_home(home, tmp_path_factory.mktemp("cycles_model"))
    (home / "renewal.toml").write_text("guards = []\n")
    with serve_home(home) as served:
        yield served


def kept(house: Served, cycle_id: str, **fields: object) -> None:
    """A Cycle as an earlier server left it, its first steps done."""
    with house.workspace.database.write() as session:
        session.add(CycleRow(id=cycle_id, alias="chat", why="a test", plan={"alias": "chat", "guards": []}, **fields))
        session.flush()
        for position, (name, values) in enumerate(
            (("collect", Collected(items=3)), ("clean", Cleaned(rows=3, kept=3)))
        ):
            session.add(
                CycleStepRow(
                    cycle_id=cycle_id,
                    name=name,
                    position=position,
                    attempts=1,
                    seconds=1.5,
                    values=msgspec.to_builtins(values),
                    said=f"{name} was done.",
                    said_zh=f"{name} 已完成。",
                    finished_at=now(),
                )
            )


def test_a_cycle_is_started_and_says_that_there_is_nothing_to_learn(open_page: Opener, house: Served) -> None:
    page = open_page(role="admin", at=house)
    page.get_by_role("link", name="Cycles").click()
    expect(page.get_by_text("No Cycle yet.")).to_be_visible()
    page.get_by_role("button", name="Start a Cycle").click()
    page.get_by_role("dialog").get_by_role("button", name="Start a Cycle").click()
    expect(page).to_have_url(re.compile(r"/cycles/cyc_\w+$"))
    expect(page.get_by_role("heading", level=1)).to_have_text("A Cycle of “chat”")
    expect(page.get_by_role("main").get_by_text("Nothing to learn").first).to_be_visible(timeout=60_000)
    expect(page.get_by_role("list", name="Step by step").get_by_role("listitem")).to_have_count(10)
    expect(page.get_by_role("button", name="Pause")).to_have_count(0)
    page.get_by_role("button", name="All Cycles").click()
    entry = page.get_by_role("listitem").filter(has_text="asked for by")
    expect(entry).to_contain_text("Nothing to learn")
    with page.expect_download() as file:
        entry.get_by_role("link").click()
        page.get_by_role("link", name="As a file").click()
    assert file.value.suggested_filename.endswith("-en.html")


def test_a_paused_cycle_can_go_on_or_be_ended(open_page: Opener, house: Served) -> None:
    kept(house, "cyc_paused", status="paused", step="annotate")
    page = open_page("/cycles/cyc_paused", role="admin", at=house)
    expect(page.get_by_role("button", name="Go on")).to_be_visible()
    expect(page.get_by_role("list", name="Step by step")).to_contain_text("collect was done.")
    expect(page.get_by_role("button", name="Repeat from “Clean” on")).to_be_visible()
    page.get_by_role("button", name="End it").click()
    page.get_by_role("dialog").get_by_role("button", name="End it").click()
    expect(page.get_by_text("Ended early").first).to_be_visible()
    expect(page.get_by_role("button", name="Go on")).to_have_count(0)


def test_what_a_cycle_put_into_use_is_taken_back_with_one_button(open_page: Opener, house: Served) -> None:
    models = house.workspace.models
    before = pointed(models)
    with house.workspace.database.write() as session:
        session.add(ModelRow(name="newer", title="Newer", languages=["en"]))
        session.flush()
        session.add(
            VersionRow(
                id=NEWER,
                model_name="newer",
                source="file:newer",
                engine="remote",
                format="none",
                licence="Apache-2.0",
                context_length=512,
            )
        )
    models.set_alias("chat", NEWER)
    made = {"base": before, "version": NEWER}
    kept(house, "cyc_done", status="finished", outcome="promoted", made=made, finished_at=now())
    page = open_page("/cycles/cyc_done", role="admin", at=house)
    expect(page.get_by_text("in use now")).to_be_visible()
    page.get_by_role("button", name="Roll back").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Its newest change is taken back at once.")
    dialog.get_by_role("button", name="Roll back").click()
    expect(page.get_by_text("“chat” means tiny again.")).to_be_visible()
    expect(page.get_by_role("button", name="Roll back")).to_have_count(0)
    assert pointed(models) == before


def test_cycles_are_for_administrators(open_page: Opener, house: Served) -> None:
    page = open_page(at=house)
    composer(page).wait_for()
    expect(page.get_by_role("link", name="Cycles")).to_have_count(0)
    page.goto("/cycles")
    composer(page).wait_for()
    expect(page).to_have_url(re.compile(r"/$"))
    other = open_page("/cycles/cyc_nothing", role="admin", at=house)
    expect(other.get_by_text("There is no such Cycle.")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_whole_story_can_be_read_by_everybody(open_page: Opener, house: Served, scheme: str) -> None:
    page = told(open_page, house, color_scheme=scheme)
    expect(page.get_by_role("img", name="The circle: 10 of 10 steps done")).to_be_visible()
    expect(page.get_by_role("list", name="Why they were not content").get_by_role("listitem")).to_have_text(
        [re.compile("Not what I asked for.*71"), re.compile("Incomplete.*38"), re.compile("22"), re.compile("9")]
    )
    expect(page.get_by_text(re.compile("^kong: 15 of 21 corrections"))).to_be_visible()
    aim = page.get_by_role("listitem").filter(has_text="fields · f1")
    expect(aim).to_contain_text("+31.2 points")
    expect(aim).to_contain_text("(+25.1 … +37.3)")
    assert page.locator("main script").count() == 0
    everybody_can_use(page)


def test_on_a_phone_and_in_chinese_nothing_of_a_story_is_cut(open_page: Opener, house: Served) -> None:
    page = told(
        open_page, house, locale="zh-CN", viewport={"width": 390, "height": 780}, has_touch=True, is_mobile=True
    )
    expect(page.get_by_role("heading", name="好了多少")).to_be_visible()
    expect(page.get_by_text("chat 现在指向新版本。").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("(box => box.scrollWidth <= box.clientWidth)(document.querySelector('main'))")


def told(open_page: Opener, house: Served, **options: object) -> Page:
    """The page of a Cycle of which there is everything to tell, which would take half an hour to make here."""

    def answer(route: Route) -> None:
        route.fulfill(body=msgspec.json.encode(story()), content_type="application/json")

    page = open_page("/cycles", role="admin", at=house, **options)
    page.route("**/api/cycles/cyc_told", answer)
    page.goto("/cycles/cyc_told")
    page.get_by_role("img").first.wait_for()
    return page
