"""The file of a Story: in both languages, whole, harmless, and with every part that there is to tell."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rixin.data.cleaning.report import Reason as DroppedReason
from rixin.errors import InvalidRequest
from rixin.renewal.opinions import PRAISE, Reason
from rixin.renewal.standing import Decision
from rixin.renewal.steps.values import STEPS
from rixin.renewal.story import ComplaintExample, StoryStep
from rixin.renewal.story_page import render, write_story
from rixin.renewal.story_words import DROPPED, OUTCOMES, STEP_NAMES, WORDS, Language
from rixin.renewal.wording import REASON_WORDS, STEP_WORDS, headline, next_steps
from stories import SAID, cycle, story

VOID = {"meta", "br", "rect", "circle", "line", "path"}


class Tags(HTMLParser):
    """What a browser would make of the page: every element closed, and the text between."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not any(name.startswith("on") or name in ("style", "src", "href") for name, _ in attrs)
        self.seen.add(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(page: str) -> Tags:
    tags = Tags()
    tags.feed(page)
    tags.close()
    assert tags.open == []
    return tags


@pytest.mark.parametrize("language", get_args(Language))
def test_the_page_tells_all_that_there_is_and_can_load_nothing(language: Language) -> None:
    told = story()
    page = render(told, language)
    tags = read(page)
    text = "".join(tags.text)
    for sentence in (told.headline, *told.summary):
        assert (sentence.said_zh if language == "zh" else sentence.said) in text
    for said in SAID.values():
        assert said[language == "zh"] in text
    for figure in ("kong", "15 / 21", "+31.2", "−9.0", "7.6 Wh", "v_3333bbbb4444", "e_0123456789ab"):
        assert figure in text
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy
    assert policy[1].startswith("default-src &#x27;none&#x27;; style-src &#x27;sha256-")
    assert "script" not in tags.seen
    assert "svg" in tags.seen
    assert len(page.encode()) < 60_000


def test_what_people_and_models_wrote_never_becomes_markup() -> None:
    text = "".join(read(render(story(), "en")).text)
    assert '<script>alert("nothing")</script>' in text  # as text


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_text_of_an_example_is_shown_as_it_is(question: str, name: str) -> None:
    told = story()
    assert told.complaints is not None
    example = ComplaintExample(question=f"[{question}]", answer=name, correction=None, reasons=(name or "x",))
    tags = read(render(story(complaints=msgspec.structs.replace(told.complaints, examples=(example,))), "zh"))
    assert tags.seen <= read(render(told, "zh")).seen


def test_a_cycle_that_has_only_begun_is_told_as_far_as_it_has_come() -> None:
    steps = tuple(StoryStep(name=name, state="running" if at == 0 else "waiting") for at, name in enumerate(STEPS))  # type: ignore[arg-type]
    told = story(
        status="running",
        outcome=None,
        steps=steps,
        complaints=None,
        learned=None,
        scores=(),
        gate=None,
        canary=None,
        versions=(),
    )
    text = "".join(read(render(told, "en")).text)
    assert "What got better" not in text
    assert "under way" in text


@pytest.mark.parametrize(
    ("changes", "said", "said_zh"),
    [
        ({"outcome": "kept"}, "stays as it was", "没有证据"),
        ({"outcome": "rolled_back"}, "was rolled back", "已退回"),
        ({"outcome": "nothing"}, "nothing new to learn", "没有新的内容"),
        ({"outcome": None, "status": "failed", "error": {"message": "Disk full."}}, "Disk full.", "Disk full."),
        ({"outcome": None, "status": "running", "step": "train"}, "under way: training", "训练"),
        ({"outcome": None, "status": "cancelled"}, "nothing was changed", "没有任何改动"),
        ({"outcome": None, "status": "paused"}, "is paused", "已暂停"),
    ],
)
def test_every_end_has_its_sentence(changes: dict[str, object], said: str, said_zh: str) -> None:
    of = cycle(**changes)
    made = headline(of)
    assert said in made.said
    assert said_zh in made.said_zh
    told = story(status=of.status, outcome=of.outcome)
    assert next_steps(told, of) or of.status in ("running", "cancelled")


def test_every_id_that_can_come_has_words() -> None:
    assert set(STEP_NAMES) == set(STEP_WORDS) == set(STEPS)
    assert set(REASON_WORDS) == set(get_args(Reason)) - PRAISE
    assert set(DROPPED) == set(get_args(DroppedReason))
    assert set(get_args(Decision)) == {"promote", "roll_back", "keep", "wait"}
    for table in (WORDS, STEP_NAMES, OUTCOMES, DROPPED, REASON_WORDS):
        assert all(english and chinese for english, chinese in table.values())


def test_the_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    place = tmp_path / "kept" / "cycle.html"
    write_story(story(), place, "zh")
    assert place.read_text("utf-8").startswith("<!doctype html>")
    assert list(place.parent.iterdir()) == [place]
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidRequest, match="can't be written"):
        write_story(story(), tmp_path / "file" / "cycle.html", "zh")
