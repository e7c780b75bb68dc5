"""What is nearly the same is found, and is on one side of the split, which holds when rows are added."""

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rixin.data import ChatExample, TextExample, Turn, check, language_of, split
from rixin.data.near import Nearness, groups, likeness, near_duplicates, signatures
from rixin.errors import InvalidRequest

WORDS = [f"word{number}" for number in range(400)]
SIGNS = [chr(0x4E00 + number) for number in range(2000)]


def made(seed: int, words: list[str], length: int, between: str) -> str:
    return between.join(random.Random(seed).choices(words, k=length))


def changed(text: str, between: str) -> str:
    """One word in forty is another."""
    parts = text.split(between) if between else list(text)
    parts[len(parts) // 2] = "另" if not between else "other"
    return between.join(parts)


def chat(question: str, answer: str) -> ChatExample:
    return ChatExample(messages=(Turn(role="user", content=question), Turn(role="assistant", content=answer)))


def overlap(one: str, other: str, between: str) -> float:
    """The true share of common runs of three: what the signatures estimate."""

    def runs(text: str) -> set[tuple[str, ...]]:
        parts = text.split(between) if between else list(text)
        return {tuple(parts[at : at + 3]) for at in range(len(parts) - 2)}

    return len(runs(one) & runs(other)) / len(runs(one) | runs(other))


@pytest.mark.parametrize(("words", "between"), [(WORDS, " "), (SIGNS, "")])
def test_near_duplicates_are_found_among_many_others(words: list[str], between: str) -> None:
    texts = [made(seed, words, 40, between) for seed in range(300)]
    close = [changed(text, between) for text in texts[:100]]
    assert min(overlap(*pair, between) for pair in zip(texts, close, strict=False)) > 0.8
    group = near_duplicates([*texts, *close])
    found = group[300:] == np.arange(100)
    assert found.sum() >= 98
    assert (group[:300] == np.arange(300)).all()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(SIGNS[:40]), min_size=5, max_size=120).map("".join),
    st.lists(st.sampled_from(SIGNS[:40]), min_size=5, max_size=120).map("".join),
    st.integers(0, 120),
)
def test_signatures_estimate_the_true_share_of_common_runs(one: str, other: str, shared: int) -> None:
    """The estimate of 512 hashes is within five of its standard deviations of Jaccard's index by sets."""
    how = Nearness(0.8, 64, 8, 5)
    other = one[:shared] + other
    made = signatures([one, other], how)
    found = likeness(made, np.array([[0, 1]]))[0]
    runs = [{text[at : at + 5] for at in range(len(text) - 4)} for text in (one, other)]
    true = len(runs[0] & runs[1]) / len(runs[0] | runs[1])
    assert abs(found - true) <= 5 * (true * (1 - true) / 512) ** 0.5 + 0.01


def test_case_marks_and_widths_make_no_difference() -> None:
    texts = [
        "The cat sat on the mat.",
        "the CAT, sat on the mat",
        "床前明月光，疑是地上霜。",
        "床前明月光 疑是地上霜",
        "ＡＢＣ１２３ de f",
        "abc123 de f",
    ]
    assert near_duplicates(texts).tolist() == [0, 0, 2, 2, 4, 4]


def test_short_and_empty_texts_are_only_like_themselves() -> None:
    texts = ["", "a", "a b", "b a", "...", "", "a b", "。。。", "...", " ", "🙂", "🙃"]
    assert near_duplicates(texts).tolist() == [0, 1, 2, 3, 4, 0, 2, 7, 4, 9, 10, 11]
    assert near_duplicates([]).tolist() == []


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=30), max_size=8))
def test_any_texts_have_groups_and_copies_share_them(texts: list[str]) -> None:
    group = near_duplicates([*texts, *texts])
    assert (group[len(texts) :] == group[: len(texts)]).all()
    assert all(first <= at for at, first in enumerate(group))


@given(st.integers(1, 30), st.lists(st.tuples(st.integers(0, 29), st.integers(0, 29)), max_size=40))
def test_groups_are_what_pairs_join(count: int, pairs: list[tuple[int, int]]) -> None:
    pairs = [(a, b) for a, b in pairs if a < count and b < count]
    found = groups(count, np.array(pairs, np.int64).reshape(-1, 2))
    labels = list(range(count))
    for _ in range(count):
        for a, b in pairs:
            labels[a] = labels[b] = min(labels[a], labels[b])
    assert found.tolist() == labels


def test_a_split_has_its_share_and_stays_when_rows_are_added() -> None:
    rows = [TextExample(text=made(seed, WORDS, 20, " ")) for seed in range(2000)]
    whole = split(rows, 0.1)
    assert sorted(whole.train + whole.validation) == list(range(2000))
    assert 150 < len(whole.validation) < 250
    before = split(rows[:1000], 0.1)
    assert before.validation == [row for row in whole.validation if row < 1000]
    shuffled = random.Random(1).sample(rows, 2000)
    again = split(shuffled, 0.1)
    assert {shuffled[row].id for row in again.validation} == {rows[row].id for row in whole.validation}


def test_copies_and_questions_asked_again_are_on_one_side() -> None:
    rows = [TextExample(text=made(seed, SIGNS, 40, "")) for seed in range(300)]
    close = [TextExample(text=changed(row.text, "")) for row in rows]
    found = split([*rows, *close], 0.2)
    held = set(found.validation)
    apart = [at for at in range(300) if (at in held) != (at + 300 in held)]
    assert len(apart) <= 6  # what MinHash misses
    asked = [chat(f"question {at % 50}?", made(at, WORDS, 30, " ")) for at in range(500)]
    held = set(split(asked, 0.2).validation)
    assert all((at in held) == (at % 50 in held) for at in range(500))


def test_a_form_that_all_rows_have_is_no_question() -> None:
    rows = [chat("Write a poem.", made(seed, SIGNS, 40, "")) for seed in range(500)]
    assert 50 < len(split(rows, 0.2).validation) < 150


@pytest.mark.parametrize("count", [2, 3, 10])
def test_neither_side_is_empty(count: int) -> None:
    for share in (0.0001, 0.9999):
        for text in ("all the same text here", None):
            rows = [TextExample(text=text or made(seed, WORDS, 20, " ")) for seed in range(count)]
            found = split(rows, share)
            assert len(found.train) + len(found.validation) == count
            if text is None:
                assert found.train
                assert found.validation
    assert split(rows, 0).validation == []
    with pytest.raises(InvalidRequest, match="from 0 to 1"):
        split(rows, 1)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("床前明月光 with a few words", "zh"),
        ("A text with 一 sign", "latin"),
        ("これは日本の文です", "ja"),
        ("한국어 문장", "ko"),
        ("русский", "cyrillic"),
        ("123 ...", "other"),
    ],
)
def test_the_language_is_told_by_the_script(text: str, language: str) -> None:
    assert language_of(text) == language


def test_a_check_counts_what_is_wrong_and_what_is_repeated(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    line = '{"prompt": "What is the name of the cat?", "completion": "The name of the cat is Tom%s"}\n'
    path.write_text(
        line % "" + line % "" + line % "." + "{}\n" * 30_000 + '{"prompt": "二", "completion": "三四五六"}\n'
    )
    report = check([path, path.with_name("b.jsonl")], measure=lambda example: len(example.line()), context=100)
    assert (report.rows, report.wrong, len(report.problems)) == (4, 30_001, 10_000)
    assert (report.duplicates, report.near_duplicates) == (1, 1)
    assert report.near_sources == (("a.jsonl:2", "a.jsonl:1"), ("a.jsonl:3", "a.jsonl:1"))
    assert report.languages == {"latin": 0.75, "zh": 0.25}
    assert report.lengths is not None
    assert (report.lengths.cut, report.lengths.cut_sources[0]) == (4, "a.jsonl:1")
    assert [(one.rows, one.wrong, one.format) for one in report.files] == [(4, 30_000, "jsonl"), (0, 1, None)]
