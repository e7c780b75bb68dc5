"""Citations: marks lead to a passage that says what is claimed, quotations are in the source, however text is cut."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rixin.assistants.citations import CitedText
from rixin.assistants.evidence import plain
from rixin.assistants.passages import Passage
from rixin.knowledge import Hit

RETURNS = "第二十五条　经营者采用网络等方式销售商品，消费者有权自收到商品之日起七日内退货，且无需说明理由。"
WAGES = "第五十条　工资应当以货币形式按月支付给劳动者本人。不得克扣或者无故拖欠劳动者的工资。"
LEAVE = "Employees are entitled to twenty days of paid annual leave. Unused leave expires on 31 March."


def passage(number: int, text: str, title: str = "消费者权益保护法", **metadata: str) -> Passage:
    hit = Hit(
        chunk_id=f"c{number}", document_id=f"d{number}", library="law", title=title, heading_path=(title,), text=text,
        start=100, stop=100 + len(text), page=None, score=1.0, confidence=0.9, lexical_rank=1, vector_rank=1,
        metadata=metadata,
    )  # fmt: skip
    return Passage(number=number, hit=hit)


PASSAGES = [
    passage(1, RETURNS, article_no="第二十五条"),
    passage(2, WAGES, "劳动法", article_no="第五十条"),
    passage(3, LEAVE, "Handbook"),
]


def checked(text: str, *, said: str = "", language: str = "zh", passages: list[Passage] = PASSAGES) -> CitedText:
    cited = CitedText(passages, said=said, language=language)
    cited.feed(text)
    cited.finish()
    return cited


def marks(cited: CitedText) -> list[tuple[int, str]]:
    return [(one.number, one.by) for one in cited.annotations]


@pytest.mark.parametrize("mark", ["[1]", "【1】", "［1］", "[资料1]", "[来源 1]", "[1][1]", "[1, 1]", "[1-1]"])
def test_a_mark_is_read_in_every_way_that_models_write_it(mark: str) -> None:
    cited = checked(f"消费者可以在七日内退货，无需说明理由{mark}。")
    assert cited.text == "消费者可以在七日内退货，无需说明理由[1]。"
    assert marks(cited) == [(1, "model")]


def test_a_mark_after_the_full_stop_belongs_to_the_sentence_before_it() -> None:
    assert checked("消费者七日内退货无需说明理由。[1]").text == "消费者七日内退货无需说明理由[1]。"
    assert checked("消费者七日内退货无需说明理由。[1] 工资按月支付。[2]").text == (
        "消费者七日内退货无需说明理由[1]。 工资按月支付[2]。"
    )


def test_a_mark_for_a_passage_that_is_not_there_is_removed_and_noted() -> None:
    cited = checked("天气很好[7]。")
    assert (cited.text, cited.annotations) == ("天气很好。", [])
    assert [(note.kind, note.text) for note in cited.notes] == [("unknown_mark", "[7]")]


def test_a_mark_whose_passage_says_nothing_of_the_claim_gives_way_to_words_that_say_so() -> None:
    cited = checked("我们明天去看一场精彩的足球比赛[2]。工资应当按月支付[2]。")
    assert cited.text == "我们明天去看一场精彩的足球比赛（资料中找不到依据）。工资应当按月支付[2]。"
    assert marks(cited) == [(2, "model")]
    assert [note.kind for note in cited.notes] == ["unsupported_mark"]
    english = checked("Two litres of water a day are healthy [3].", language="en")
    assert english.text == "Two litres of water a day are healthy  (not found in the documents)."


def test_a_sentence_that_something_supports_is_not_called_unsupported() -> None:
    cited = checked("我们看足球[2]，消费者自收到商品之日起七日内可以退货。")
    assert cited.text == "我们看足球，消费者自收到商品之日起七日内可以退货[1]。"


def test_a_wrong_mark_gives_way_to_the_passage_that_says_it() -> None:
    cited = checked("工资应当以货币形式按月支付给劳动者本人[1]。")
    assert cited.text == "工资应当以货币形式按月支付给劳动者本人[2]。"
    assert marks(cited) == [(2, "match")]


def test_a_sentence_without_a_mark_gets_the_passage_that_says_it() -> None:
    cited = checked("消费者自收到商品之日起七日内可以退货。您好！")
    assert cited.text == "消费者自收到商品之日起七日内可以退货[1]。您好！"
    assert marks(cited) == [(1, "match")]
    english = checked("You have twenty days of paid annual leave.", language="en")
    assert (english.text, marks(english)) == ("You have twenty days of paid annual leave[3].", [(3, "match")])


def test_each_claim_of_a_sentence_keeps_its_own_mark() -> None:
    cited = checked("网购七日内可以无需说明理由退货[1]，工资按月支付给本人[2]。")
    assert cited.text == "网购七日内可以无需说明理由退货[1]，工资按月支付给本人[2]。"
    assert marks(cited) == [(1, "model"), (2, "model")]


def test_a_mark_that_stands_for_the_source_moves_to_the_claim() -> None:
    cited = checked("根据[1]，消费者七日内可以退货。")
    assert cited.text == "根据资料，消费者七日内可以退货[1]。"


def test_a_source_named_in_mid_sentence_is_cited_for_what_comes_behind_it() -> None:
    cited = checked("老板说要等下个月，这是根据[2]的规定，工资应当以货币形式按月支付。")
    assert cited.text == "老板说要等下个月，这是根据资料的规定，工资应当以货币形式按月支付[2]。"
    assert marks(cited) == [(2, "model")]


def test_a_translation_keeps_the_models_mark_unless_its_figures_are_others() -> None:
    cited = checked("Goods can be returned within seven days without a reason [1].", language="en")
    assert marks(cited) == [(1, "model")]
    wrong = checked("Goods can be returned within twenty days without a reason [1].", language="en")
    assert marks(wrong) == []


def test_a_quotation_that_is_in_no_source_is_removed_and_marked() -> None:
    cited = checked("法律说：“消费者可以在三十日内退回任何商品。”[1]")
    assert "三十日" not in cited.text
    assert "找不到" in cited.text
    assert [note.text for note in cited.notes if note.kind == "quote_removed"] == [
        "“消费者可以在三十日内退回任何商品。”"
    ]


@pytest.mark.parametrize(
    "quote",
    [
        "“工资应当以货币形式按月支付给劳动者本人”",
        "「不得克扣或者 无故拖欠劳动者的工资」",
        '"工资应当以货币形式……支付给劳动者本人"',
    ],
)
def test_a_quotation_that_is_in_a_source_stays(quote: str) -> None:
    cited = checked(f"法律规定{quote}[2]。")
    assert cited.text == f"法律规定{quote}[2]。"
    assert not cited.notes


def test_what_the_person_wrote_may_be_quoted() -> None:
    said = "包工头让我写‘出了事自己负责到底与公司无关’"
    cited = checked("您写的“出了事自己负责到底与公司无关”没有效力。", said=said)
    assert "出了事" in cited.text


def test_a_fence_of_the_prompt_that_the_model_copies_is_a_mark() -> None:
    cited = checked("<passage 2 | 劳动法>\n工资应当以货币形式按月支付。\n</passage 2>")
    assert cited.text == "\n工资应当以货币形式按月支付[2]。\n"
    assert checked("a < b，<p>x</p>").text == "a < b，<p>x</p>"


def test_code_is_left_alone() -> None:
    code = '```python\nx[1] = "a string that is long"\n```\n用 `y[2]` 取值'
    assert checked(code).text == code


def test_an_annotation_leads_to_the_sentence_that_says_it() -> None:
    [one] = checked("不得克扣或者无故拖欠工资[2]。").annotations
    assert one.quote == "不得克扣或者无故拖欠劳动者的工资。"
    start = 100 + WAGES.index("不得")
    assert one.url == f"/library/law/documents/d2#{start}-{start + len(one.quote)}"
    assert one.metadata == {"article_no": "第五十条"}


def test_an_annotation_leads_to_the_sentence_with_the_figure() -> None:
    """Of two sentences about the same, the one with the claim's period is the source."""
    text = "第三十五条　旅行社不得通过安排购物获取不正当利益。旅游者有权在行程结束后三十日内，要求旅行社办理退货。"
    [one] = checked("旅行社安排购物的，期限为30天[1]。", passages=[passage(1, text, "旅游法")]).annotations
    assert one.quote == "旅游者有权在行程结束后三十日内，要求旅行社办理退货。"


WORDS = st.sampled_from(
    ["足球比赛很精彩", "，根据",
     "消费者七日内退货", "工资按月支付", "。", "；", "\n", "[1]", "[2]", "【3】", "[9]", "[", "]", "“", "”", '"', "`",
     "```", " ", ".", "Employees are entitled to twenty days", "annual leave", "根据", "［1, 2］", "[资料2]", "1.",
     "（", "）", "不得克扣或者无故拖欠劳动者的工资", "|", "#", "…", "<passage 1>", "</passage", "<"]
)  # fmt: skip
TEXTS = st.one_of(st.lists(WORDS, max_size=25).map("".join), st.text(max_size=60))


@given(text=TEXTS, cuts=st.lists(st.integers(0, 400), max_size=12))
@settings(max_examples=300, deadline=None)
def test_streaming_in_any_split_gives_the_same_as_all_at_once(text: str, cuts: list[int]) -> None:
    whole = checked(text)
    pieces = CitedText(PASSAGES, language="zh")
    shown, at = "", 0
    for cut in [*sorted({min(cut, len(text)) for cut in cuts}), len(text)]:
        shown += pieces.feed(text[at:cut])
        at = cut
    shown += pieces.finish()
    assert shown == pieces.text == whole.text
    assert pieces.annotations == whole.annotations
    assert pieces.notes == whole.notes


@given(text=TEXTS)
@settings(max_examples=300, deadline=None)
def test_positions_point_at_their_own_mark_and_places_at_the_source(text: str) -> None:
    cited = checked(text)
    for one in cited.annotations:
        assert cited.text[one.start : one.stop] == f"[{one.number}]"
        source = next(passage for passage in PASSAGES if passage.hit.chunk_id == one.chunk_id)
        start, stop = (int(part) - source.hit.start for part in one.url.partition("#")[2].split("-"))
        assert source.hit.text[start:stop] == one.quote
    assert all(0 <= note.at <= len(cited.text) for note in cited.notes)


@given(text=st.text(alphabet=st.characters(exclude_characters='[【［“「『"`'), max_size=80))
def test_text_without_marks_or_quotations_is_not_changed_where_there_is_nothing_to_cite(text: str) -> None:
    assert checked(text, passages=[]).text == text
    assert plain(checked(text).text.replace("[1]", "").replace("[2]", "").replace("[3]", "")) == plain(text)
