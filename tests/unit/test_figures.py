"""Figures of a text: the same however they are written, and what an answer must have from its source."""

from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rixin.assistants.citations import CitedText
from rixin.assistants.figures import figures
from rixin.assistants.passages import Passage
from rixin.knowledge import Hit

PROBATION = "劳动合同期限一年以上不满三年的，试用期不得超过二个月。同一用人单位与同一劳动者只能约定一次试用期。"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("五年", "5 years"),
        ("两个月", "2个月"),
        ("百分之二十五", "25%"),
        ("五千万元", "50,000,000元"),
        ("一亿五千万元", "1.5亿元"),
        ("一万二千元", "12000块"),
        ("三十日", "３０天"),
        ("十二周岁", "12岁"),
        ("二〇二六年", "2026年"),
        ("十五年", "fifteen years"),
        ("五千万元", "50 million yuan"),
        ("二十五万元", "two hundred and fifty thousand yuan"),
        ("百分之二十五", "twenty-five percent"),
        ("十周岁", "ten-year-old"),
        ("一年", "12个月"),
        ("半年", "六个月"),
        ("双倍", "两倍"),
    ],
)
def test_a_figure_is_the_same_however_it_is_written(one: str, other: str) -> None:
    assert figures(one) == figures(other) != frozenset()


def test_figures_without_a_unit_are_none() -> None:
    assert figures("第七百零五条 [1] 一届 2026") == frozenset()
    assert figures("三个月，不是三年") == {(Fraction(3), "month"), (Fraction(36), "month")}
    assert figures("someone often weighs it") == frozenset()


@given(st.text(alphabet="〇一二三十百千万亿半0123456789.,%年月日个元倍百分之 双onetwhundrmily-", max_size=40))
def test_no_text_is_too_odd(text: str) -> None:
    assert all(value >= 0 for value, _ in figures(text))


@given(st.integers(0, 10**12))
def test_digits_mean_what_they_say(number: int) -> None:
    assert figures(f"{number:,}元") == figures(f"{number}元") == {(Fraction(number), "yuan")}


def passage(text: str) -> Passage:
    hit = Hit(
        chunk_id="c1", document_id="d1", library="law", title="劳动合同法", heading_path=(), text=text, start=0,
        stop=len(text), page=None, score=1, confidence=1, lexical_rank=1, vector_rank=1, metadata={},
    )  # fmt: skip
    return Passage(number=1, hit=hit)


def test_a_mark_is_dropped_where_the_source_has_another_figure() -> None:
    cited = CitedText([passage(PROBATION)], language="zh")
    shown = cited.feed("试用期不得超过六个月[1]。") + cited.finish()
    assert shown == "试用期不得超过六个月（资料中找不到依据）。"
    assert [note.kind for note in cited.notes] == ["unsupported_mark"]


def test_a_figure_that_the_person_gave_needs_no_source() -> None:
    cited = CitedText([passage(PROBATION)], said="合同签两年，试用期写了半年", language="zh")
    shown = cited.feed("两年的合同，试用期不得超过2个月[1]。") + cited.finish()
    assert shown == "两年的合同，试用期不得超过2个月[1]。"


def test_the_cited_passage_follows_word_for_word_with_its_mark() -> None:
    cited = CitedText([passage(PROBATION)], language="zh")
    shown = cited.feed("试用期不得超过二个月[1]。") + cited.finish()
    shown += cited.grounds("依据：")
    assert shown.endswith(f"\n\n依据：\n> 劳动合同法：{PROBATION}[1]")
    for one in cited.annotations:
        assert shown[one.start : one.stop] == "[1]"


def test_what_else_was_found_follows_without_a_mark_and_only_of_this_question() -> None:
    second = msgspec.structs.replace(passage("第二十条　试用期的工资不得低于最低工资标准。"), number=2)
    third = msgspec.structs.replace(passage("第二十一条　试用期中不得任意解除劳动合同。"), number=3)
    passages = [
        msgspec.structs.replace(one, hit=msgspec.structs.replace(one.hit, chunk_id=f"c{one.number}"))
        for one in (passage(PROBATION), second, third)
    ]
    cited = CitedText(passages, language="zh")
    shown = cited.feed("试用期不得超过二个月[1]。") + cited.finish()
    assert (
        cited.close_by("另见：", "试用期", 1, after=0)
        == f"\n\n另见：\n> 劳动合同法：{second.hit.text.replace('　', ' ')}"
    )
    assert (
        cited.close_by("另见：", "试用期", 2, after=2)
        == f"\n\n另见：\n> 劳动合同法：{third.hit.text.replace('　', ' ')}"
    )
    assert len(cited.annotations) == 1
    assert shown == "试用期不得超过二个月[1]。"


def test_nothing_follows_where_nothing_is_cited() -> None:
    cited = CitedText([passage(PROBATION)], language="zh")
    cited.feed("天气很好。")
    cited.finish()
    assert cited.grounds("依据：") == ""
