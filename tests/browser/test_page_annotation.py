"""The page of annotation: a row at a time, by mouse and by keys."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect
from steps import Opener, composer, everybody_can_use

from rixin.data.annotation import Definition, Task
from rixin.data.examples import TextExample
from rixin.store import AnnotationItemRow, AnnotationLabelRow
from served import Served, serve_fake

SCHEMA = {
    "type": "object",
    "properties": {
        "party": {"type": "string", "description": "The whole name"},
        "amount": {"type": ["number", "null"]},
        "kind": {"enum": ["sale", "lease"]},
        "duties": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["party", "amount", "kind", "duties"],
    "additionalProperties": False,
}


@pytest.fixture
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve_fake(tmp_path_factory.mktemp("annotation")) as served:
        yield served


def make(house: Served, definition: Definition, *texts: str) -> Task:
    datasets = house.workspace.datasets
    version = datasets.add_examples(
        f"{definition.name}-rows", [TextExample(text=text) for text in texts], source="test"
    )
    return house.workspace.annotations.create(definition, version)


def labels(house: Served) -> list[AnnotationLabelRow]:
    with house.workspace.database.read() as session:
        rows = session.query(AnnotationLabelRow).order_by(AnnotationLabelRow.at).all()
        session.expunge_all()
        return rows


def moods(house: Served, count: int = 3) -> Task:
    definition = Definition(
        name="mood",
        title="How guests felt",
        kind="classify",
        labels=("good", "bad", "unclear"),
        instructions="Read to the end first.",
        people=("*",),
    )
    return make(house, definition, *(f"Guest number {number} was content." for number in range(count)))


def test_rows_are_labelled_with_number_keys_until_there_are_none(open_page: Opener, house: Served) -> None:
    moods(house)
    page = open_page(at=house)
    page.get_by_role("link", name="Annotation").click()
    card = page.get_by_role("listitem").filter(has_text="How guests felt")
    expect(card).to_contain_text("3 not looked at yet")
    card.get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("How guests felt")
    expect(page.get_by_text("Read to the end first.")).to_be_visible()
    row = page.get_by_role("region", name=re.compile("^Row"))
    expect(row).to_be_focused()
    save = page.get_by_role("button", name="Save and next")
    expect(save).to_be_disabled()
    page.keyboard.press("2")
    expect(row.get_by_role("button", name="bad")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("1")
    expect(row.get_by_role("button", name="bad")).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 of 3 rows are settled")).to_be_visible()
    expect(row).to_be_focused()
    row.get_by_role("button", name="unclear").click()
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("2 of 3 rows are settled · 2 rows done by you just now")).to_be_visible()
    page.get_by_role("button", name="Skip").click()
    expect(page.get_by_text("Nothing to do at present.")).to_be_visible()
    given = labels(house)
    assert [label.value for label in given] == [{"label": "good"}, {"label": "unclear"}, None]
    assert all(label.seconds is not None and 0 < label.seconds < 60 for label in given[:2])


def test_an_object_is_corrected_in_a_form_or_as_json(open_page: Opener, house: Served) -> None:
    definition = Definition(name="deals", kind="extract", schema=SCHEMA, instructions="Take it out.", people=("*",))
    task = make(house, definition, "Acme sells a boat for 900 and delivers it.", "Nobody leases anything.")
    with house.workspace.database.write() as session:
        for item in session.query(AnnotationItemRow).filter_by(task_id=task.id):
            item.state = "queued"
            item.value = {"party": "Acne", "amount": 900, "kind": "lease", "duties": ["deliver"]}
    page = open_page(f"/annotate/{task.id}", at=house)
    expect(page.get_by_text("A model proposed this.")).to_be_visible()
    page.get_by_role("textbox", name="party").fill("Acme")
    page.get_by_role("textbox", name="amount").fill("nine")
    expect(page.get_by_text("A number, please.")).to_be_visible()
    expect(page.get_by_role("button", name="Save and next")).to_be_disabled()
    page.get_by_role("textbox", name="amount").fill("")
    page.get_by_role("combobox", name="kind").click()
    page.get_by_title("sale").click()
    page.get_by_role("button", name="Add to duties").click()
    page.get_by_role("textbox", name="duties 2").fill("sail")
    page.get_by_role("button", name="Save and next").click()
    expect(page.get_by_text("1 of 2 rows are settled")).to_be_visible()
    page.get_by_role("button", name="As JSON").click()
    box = page.get_by_role("textbox", name="JSON")
    box.fill('{"party": "Nobody",')
    expect(page.get_by_role("alert")).to_contain_text("This is not JSON")
    box.fill('{"party": "Nobody", "amount": null, "kind": "gift", "duties": []}')
    page.get_by_role("button", name="Save and next").click()
    expect(page.get_by_role("alert")).to_contain_text("This is not what was asked for")
    box.fill('{"party": "Nobody", "amount": null, "kind": "lease", "duties": []}')
    page.get_by_role("button", name="As a form").click()
    expect(page.get_by_role("textbox", name="party")).to_have_value("Nobody")
    page.get_by_role("button", name="Save and next").click()
    expect(page.get_by_text("Nothing to do at present.")).to_be_visible()
    first, second = (label.value for label in labels(house))
    assert first == {"party": "Acme", "amount": None, "kind": "sale", "duties": ["deliver", "sail"]}
    assert second == {"party": "Nobody", "amount": None, "kind": "lease", "duties": []}


def test_texts_ratings_and_several_labels_are_given(open_page: Opener, house: Served) -> None:
    everybody = ("*",)
    make(house, Definition(name="plain", kind="rewrite", instructions="Plainly.", people=everybody), "Heretofore.")
    make(house, Definition(name="grade", kind="rate", instructions="Grade it.", people=everybody), "An answer.")
    topics = ("food", "price", "noise")
    make(house, Definition(name="topics", kind="label", labels=topics, instructions="All.", people=everybody), "Dear!")
    page = open_page("/annotate", at=house)
    page.get_by_role("link", name=re.compile("plain")).click()
    page.get_by_role("textbox", name="Your answer").fill("Until now. 2 s")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("Nothing to do at present.")).to_be_visible()
    page.get_by_role("button", name="All annotation").click()
    page.get_by_role("link", name=re.compile("grade")).click()
    expect(page.get_by_role("region", name=re.compile("^Row"))).to_be_focused()
    page.keyboard.press("4")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Nothing to do at present.")).to_be_visible()
    page.get_by_role("button", name="All annotation").click()
    page.get_by_role("link", name=re.compile("topics")).click()
    expect(page.get_by_role("region", name=re.compile("^Row"))).to_be_focused()
    page.keyboard.press("3")
    page.keyboard.press("1")
    page.get_by_role("button", name="Save and next").click()
    expect(page.get_by_text("Nothing to do at present.")).to_be_visible()
    said = [label.value for label in labels(house)]
    assert said == [{"text": "Until now. 2 s"}, {"rating": 4}, {"labels": ["food", "noise"]}]


def test_annotation_is_shown_to_those_who_may_work_on_it(open_page: Opener, house: Served) -> None:
    definition = Definition(
        name="secret", kind="rewrite", instructions="Only for some.", people=("somebody-else",), title="Some only"
    )
    task = make(house, definition, "Text.")
    page = open_page(at=house)
    composer(page).wait_for()
    page.wait_for_load_state("networkidle")
    expect(page.get_by_role("link", name="Annotation")).to_have_count(0)
    page.goto(f"/annotate/{task.id}")
    expect(page.get_by_text("There is no such annotation, or you may not work on it.")).to_be_visible()
    page.goto("/annotate")
    expect(page.get_by_text("There is nothing to annotate.")).to_be_visible()
    administrator = open_page(role="admin", at=house)
    expect(administrator.get_by_role("link", name="Annotation")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_annotation_can_be_read_aloud(open_page: Opener, house: Served, scheme: str) -> None:
    mood = moods(house, 1)
    deals = make(
        house, Definition(name="deals", kind="extract", schema=SCHEMA, instructions="Out.", people=("*",)), "A."
    )
    page = open_page("/annotate", at=house, color_scheme=scheme)
    for place in ("/annotate", f"/annotate/{mood.id}", f"/annotate/{deals.id}"):
        page.goto(place)
        page.wait_for_load_state("networkidle")
        everybody_can_use(page)


def test_on_a_phone_nothing_is_cut(open_page: Opener, house: Served) -> None:
    long = make(
        house,
        Definition(name="long", kind="label", labels=("x" * 60, "y"), instructions="z" * 200, people=("*",)),
        "w" * 300,
    )
    page: Page = open_page(
        f"/annotate/{long.id}", at=house, viewport={"width": 390, "height": 780}, has_touch=True, is_mobile=True
    )
    expect(page.get_by_role("button", name="Save and next")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("(box => box.scrollWidth <= box.clientWidth)(document.querySelector('main'))")
