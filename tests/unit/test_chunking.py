"""Chunks are the document's own text: nothing lost, nothing invented, nothing twice, no sentence cut in two."""

import re

from hypothesis import given
from hypothesis import strategies as st

from rixin.knowledge import Block, Document
from rixin.knowledge.chunking import chunk, indexed_text

KINDS = ("heading", "paragraph", "list", "table", "code")
texts = st.one_of(
    st.text(max_size=60),
    st.lists(st.sampled_from([*"甲乙丙，。；\n|- .a", "第三条 ", "第一章 总则\n", "word ", "3.14 "]), max_size=60).map(
        "".join
    ),
)
blocks = st.builds(
    Block,
    kind=st.sampled_from(KINDS),
    text=texts,
    level=st.integers(0, 4),
    page=st.sampled_from([None, 1, 2]),
    metadata=st.sampled_from([{}, {"a": "1"}, {"a": "2", "b": "3"}]),
)
documents = st.builds(
    Document,
    title=st.just("T"),
    blocks=st.lists(blocks, max_size=8).map(tuple),
    media_type=st.just("text/plain"),
    metadata=st.sampled_from([{}, {"b": "0"}]),
)


def document(*parts: Block, **facts: dict[str, str]) -> Document:
    return Document(title="T", blocks=parts, media_type="text/plain", **facts)


def heading(text: str, level: int = 1) -> Block:
    return Block(kind="heading", text=text, level=level)


def paragraph(text: str, **facts: object) -> Block:
    return Block(kind="paragraph", text=text, **facts)


@given(documents, st.integers(1, 40))
def test_every_character_of_the_content_is_in_exactly_one_chunk(given: Document, limit: int) -> None:
    chunks = chunk(given, len, limit)
    covered = [0] * len(given.text)
    for one in chunks:
        assert one.text == given.text[one.start : one.stop]
        assert one.text.strip() == one.text != ""
        for at in range(one.start, one.stop):
            covered[at] += 1
    assert max(covered, default=0) <= 1
    for block, start in zip(given.blocks, given.starts(), strict=True):
        if block.kind != "heading":
            wanted = range(start, start + len(block.text))
            assert all(covered[at] == 1 for at in wanted if not given.text[at].isspace())


@given(documents, st.integers(1, 40))
def test_every_heading_is_in_a_path_or_a_chunk_of_its_own(given: Document, limit: int) -> None:
    chunks = chunk(given, len, limit)
    shown = {heading for one in chunks for heading in one.heading_path}
    alone = {" ".join(one.text.split()) for one in chunks if one.kind == "heading"}
    for block in given.blocks:
        if block.kind == "heading" and block.text.strip():
            assert " ".join(block.text.split()) in shown | alone


@given(documents, st.integers(1, 40))
def test_chunks_stay_within_the_limit_and_in_order(given: Document, limit: int) -> None:
    chunks = chunk(given, len, limit)
    assert [one.start for one in chunks] == sorted(one.start for one in chunks)
    for one in chunks:
        gaps = sum(map(len, re.findall(r"\s+", one.text)))  # what stands between two blocks is not counted
        assert len(one.text) - gaps <= limit or one.kind == "heading"


@given(documents, st.integers(1, 40))
def test_a_chunk_has_the_metadata_of_its_blocks(given: Document, limit: int) -> None:
    for one in chunk(given, len, limit):
        for block, start in zip(given.blocks, given.starts(), strict=True):
            if block.text.strip() and start < one.stop and one.start < start + len(block.text):
                assert one.metadata == {**given.metadata, **block.metadata}


def test_small_neighbours_under_one_heading_are_one_chunk() -> None:
    made = chunk(
        document(heading("A"), paragraph("one."), paragraph("two."), heading("B"), paragraph("three.")), len, 20
    )
    assert [(one.heading_path, one.text) for one in made] == [(("A",), "one.\n\ntwo."), (("B",), "three.")]


def test_a_long_paragraph_is_cut_between_sentences() -> None:
    made = chunk(document(paragraph("房东卖房，租客优先。" * 3 + "Pi is 3.14 or so. It is. ")), len, 25)
    assert [one.text for one in made] == [
        "房东卖房，租客优先。房东卖房，租客优先。",
        "房东卖房，租客优先。",
        "Pi is 3.14 or so. It is.",
    ]


def test_a_sentence_that_is_too_long_is_cut_at_commas() -> None:
    made = chunk(document(paragraph("甲方应当付款，乙方应当交货，丙方不管")), len, 8)
    assert [one.text for one in made] == ["甲方应当付款，", "乙方应当交货，", "丙方不管"]


def test_articles_in_plain_text_are_chunks_with_their_number_in_the_path() -> None:
    law = "第一章 总则\n第一条 为了保护，制定本法。\n根据第二条，无效。\n第二条之一 租金。\n第二节 其他\n第三条 完。"
    made = chunk(document(heading("民法典"), paragraph(law)), len, 100)
    assert [(one.heading_path, one.text) for one in made] == [
        (("民法典", "第一章 总则", "第一条"), "第一章 总则\n第一条 为了保护，制定本法。\n根据第二条，无效。"),
        (("民法典", "第一章 总则", "第二条之一"), "第二条之一 租金。"),
        (("民法典", "第一章 总则", "第二节 其他", "第三条"), "第二节 其他\n第三条 完。"),
    ]


def test_rows_of_a_long_table_are_indexed_with_its_head_and_cited_without() -> None:
    table = "| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |\n| 5 | 6 |"
    made = chunk(document(Block(kind="table", text=table)), len, 32)
    assert [one.text for one in made] == [
        "| a | b |\n|---|---|\n| 1 | 2 |",
        "| 3 | 4 |\n| 5 | 6 |",
    ]
    assert indexed_text("T", made[1]) == "T\n| a | b |\n|---|---|\n| 3 | 4 |\n| 5 | 6 |"


def test_headings_with_nothing_under_them_are_kept() -> None:
    made = chunk(document(heading("A"), heading("B", 2), heading("C"), paragraph("x")), len, 9)
    assert [(one.heading_path, one.text) for one in made] == [(("A",), "B"), (("C",), "x")]


def test_blocks_of_different_metadata_are_never_merged() -> None:
    made = chunk(
        document(paragraph("a", metadata={"no": "1"}), paragraph("b", metadata={"no": "2"}), metadata={"law": "L"}),
        len,
        100,
    )
    assert [one.metadata for one in made] == [{"law": "L", "no": "1"}, {"law": "L", "no": "2"}]
