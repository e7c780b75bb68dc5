"""The HTML form of a Report, opened from a file in a real Chromium."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from conftest import Watched
from reports import HOSTILE, make_report, make_samples
from rixin.evaluation import Presentation, Sample, write_presentation
from rixin.evaluation.compare import compare
from rixin.evaluation.gate import decide, parse_gate

GATE = '[[primary]]\ntask = "sums"\nmetric = "right"\n'
MAX_BYTES = 5_000_000
Opens = Callable[..., Page]


@pytest.fixture
def open_file(chromium: Browser) -> Iterator[Opens]:
    """Open a file with its samples unpacked; it asks for nothing, breaks no rule of its policy and says no error."""
    watched = Watched()
    contexts: list[BrowserContext] = []

    def opened(path: Path, **options: Any) -> Page:
        context = chromium.new_context(**{"locale": "en-GB", "viewport": {"width": 1280, "height": 800}, **options})
        contexts.append(context)
        watched.watch(context, path.parent.as_uri())
        page = context.new_page()
        page.goto(path.as_uri())
        page.locator("html[data-ready]").wait_for(state="attached")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert watched.problems == []


def written(path: Path, samples: Sequence[Sample]) -> Path:
    report = make_report("small", samples)
    write_presentation(Presentation("report", [report], [samples], f"rixin eval report {report.id}"), path)
    return path


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("small") / "report.html", make_samples(120))


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Path:
    before, after = make_samples(120), make_samples(120, seed=5, right=0.9)
    a, b = make_report("before", before), make_report("after", after)
    found = compare(a, b, before, after)
    decision = decide(parse_gate(GATE, "gate.toml"), "ab" * 32, found)
    path = tmp_path_factory.mktemp("comparison") / "report.html"
    presentation = Presentation("comparison", [a, b], [before, after], "rixin eval report", [found], decision)
    write_presentation(presentation, path)
    return path


def rows(page: Page) -> Any:
    return page.locator("#list button[data-at]")


def test_ten_thousand_samples_open_from_one_small_file_and_each_is_found_by_search(
    open_file: Opens, tmp_path: Path
) -> None:
    samples = make_samples(10_000)
    path = written(tmp_path / "report.html", samples)
    assert path.stat().st_size < MAX_BYTES
    page = open_file(path)
    expect(page.locator("#count")).to_have_text("10,000 of 10,000 samples")
    assert rows(page).count() == 50
    page.locator("#search").fill("item-9876")
    expect(page.locator("#count")).to_have_text("1 of 10,000 samples")
    rows(page).first.click()
    wanted = next(one for one in samples if one.item == "item-9876")
    expect(page.get_by_role("region", name="Answer small")).to_have_text(wanted.answer)
    expect(page.get_by_role("region", name="Prompt")).to_have_text(wanted.prompt, use_inner_text=False)
    page.locator("#search").fill(" ".join(wanted.answer.upper().split()[:12]))
    expect(page.locator("#list mark").first).to_be_visible()


def test_a_hostile_answer_is_shown_and_does_nothing(open_file: Opens, small: Path) -> None:
    page = open_file(small)
    page.locator("#search").fill("onerror")
    rows(page).first.click()
    expect(page.get_by_role("region", name="Answer small")).to_have_text(HOSTILE)
    assert page.locator("main img").count() == 0
    assert page.title() == "small – Office <b>questions</b>"


def test_samples_are_filtered_by_task_verdict_and_contamination(open_file: Opens, small: Path) -> None:
    page = open_file(small)
    samples = make_samples(120)
    page.get_by_role("combobox", name="task").select_option("sums")
    expect(page.locator("#count")).to_have_text("60 of 120 samples")
    page.get_by_role("combobox", name="verdict").select_option("wrong")
    wrong = sum(one.task == "sums" and not one.scores["right"] for one in samples)
    expect(page.locator("#count")).to_have_text(f"{wrong} of 120 samples")
    page.get_by_role("combobox", name="verdict").select_option("")
    page.get_by_label("only contaminated items").check()
    expect(page.locator("#count")).to_have_text("3 of 120 samples")
    page.locator("#search").fill("no such words anywhere")
    expect(page.get_by_text("Nothing matches.")).to_be_visible()


def test_the_page_is_used_by_keyboard_alone(open_file: Opens, small: Path) -> None:
    page = open_file(small)
    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_focused()
    page.keyboard.type("item-1")
    rows(page).first.focus()
    page.keyboard.press("Enter")
    expect(rows(page).first).to_have_attribute("aria-expanded", "true")
    expect(rows(page).first).to_be_focused()
    page.locator("#search").fill("")
    page.get_by_role("button", name="Next").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Page 2 of 3")).to_be_visible()
    expect(rows(page).first).to_be_focused()


def test_a_comparison_shows_the_decision_and_what_changed_first(open_file: Opens, comparison: Path) -> None:
    page = open_file(comparison)
    expect(page.locator("#decision")).to_contain_text("at least")
    page.locator("#language").click()
    expect(page.locator("#decision")).to_contain_text("的把握至少")
    page.locator("#language").click()
    expect(page.get_by_role("table", name="Differences")).to_contain_text("sums / right")
    expect(page.locator("#list tbody tr").first).to_contain_text("gained")
    page.get_by_label("B beside A").select_option("lost")
    rows(page).first.click()
    answers = page.locator(".answers > div")
    expect(answers.nth(0)).to_contain_text("before")
    expect(answers.nth(1)).to_contain_text("after")
    expect(answers.nth(1)).to_contain_text("wrong")


def test_the_page_speaks_the_browsers_language_and_switches(open_file: Opens, small: Path) -> None:
    page = open_file(small, locale="zh-CN")
    expect(page.get_by_role("heading", name="得分")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", name="Scores")).to_be_visible()
    expect(page.locator("#count")).to_have_text("120 of 120 samples")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_everybody_can_use_it_in_any_light_and_width(
    open_file: Opens, comparison: Path, scheme: str, width: int
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    # The checker is a script of its own, which the page's policy would refuse.
    page = open_file(comparison, color_scheme=scheme, viewport={"width": width, "height": 800}, bypass_csp=True)
    rows(page).first.click()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_the_theme_is_switched_by_hand(open_file: Opens, small: Path) -> None:
    page = open_file(small, color_scheme="light")
    page.get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.get_by_role("button", name="Light").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
