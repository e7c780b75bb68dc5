"""Every check against the library that the field uses, or against what was worked out by hand."""

import json
from collections.abc import Mapping

import msgspec
import numpy as np
import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st
from lm_eval.api.metrics import exact_match_hf_evaluate
from lm_eval.filters.extraction import RegexFilter
from sklearn.metrics import ndcg_score  # type: ignore[import-untyped]

from rixin.errors import InvalidRequest
from rixin.evaluation.checks import CheckSpec, judge, number_in
from rixin.evaluation.retrieval import ranking_scores


def score(answer: str, row: Mapping[str, object] | None = None, /, **check: object) -> float:
    spec: CheckSpec = msgspec.convert(check, CheckSpec)
    return judge([spec], answer, row or {}, "here")[0]["right"]


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        ("Paris", "Paris"),
        ("  paris ", "Paris"),
        ("Paris.", "paris"),
        ("PARIS!", "Paris"),
        ("Lyon", "Paris"),
        ("Paris, France", "Paris"),
        ("pariss", "Paris"),
        ("", "Paris"),
        ("42", "42"),
        ("42.5", "42.5"),
        ("42.5", "42"),
        ("北京", "北京"),
        ("北京。", "北京"),
        ("上海", "北京"),
    ],
)
def test_exact_match_is_lm_evals(answer: str, wanted: str) -> None:
    # lm-eval leaves white space and Chinese punctuation to the suite's filters.
    theirs = exact_match_hf_evaluate(
        [answer.strip().rstrip("。")], [wanted], ignore_case=True, regexes_to_ignore=[r"[.!]$"]
    )
    assert score(answer, kind="exact", answers=[wanted]) == theirs["exact_match"]


def test_exact_takes_any_of_its_answers_from_the_row() -> None:
    check = {"kind": "exact", "answers": ["{{one}}", "{{other}}"]}
    row: dict[str, object] = {"one": "colour", "other": "color"}
    assert score("Color", row, **check) == score("“colour”", row, **check) == 1
    assert score("colours", row, **check) == 0
    with pytest.raises(InvalidRequest, match="here"):
        score("x", {"one": 1}, **check)


STRICT = RegexFilter(r"#### (\-?[0-9\.\,]+)")
FLEXIBLE = RegexFilter(r"(-?[$0-9.,]{2,})|(-?[0-9]+)", group_select=-1)


def gsm8k(extract: RegexFilter, answer: str, wanted: str) -> float:
    """As lm-eval's own task judges it."""
    [[found]] = extract.apply([[answer]], [{}])
    return float(
        exact_match_hf_evaluate(
            [found], [wanted], ignore_case=True, regexes_to_ignore=[",", "\\$", "(?s).*#### ", "\\.$"]
        )["exact_match"]
    )


@pytest.mark.parametrize(
    "answer",
    [
        "She has 3 * 6 = <<3*6=18>>18 apples.\n#### 18",
        "2 + 16 = 18\n#### 18.",
        "#### 17\nQuestion",
        "#### 1,018",
        "#### -18",
        "The answer is 18",
        "The answer is $18.",
        "18 at first, then 20",
        "It takes 18 minutes, I think.",
        "I do not know",
    ],
)
def test_numbers_are_those_of_lm_evals_gsm8k(answer: str) -> None:
    ours = score(answer, kind="number", equals="18", after="####")
    extract = STRICT if "####" in answer else FLEXIBLE
    assert ours == gsm8k(extract, answer, "18")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1,234.50 in all", 1234.5),
        ("1,000,000", 1e6),
        ("minus −7", -7),
        ("from -3", -3),
        ("pages 3-5", 5),
        ("共12345元", 12345),
        ("none", None),
    ],
)
def test_a_number_is_found_in_a_text(text: str, number: float | None) -> None:
    assert number_in(text) == number


def test_a_number_has_its_tolerance() -> None:
    assert score("3.1416", kind="number", equals="3.14159", tolerance=1e-4) == 1
    assert score("3.15", kind="number", equals="3.14159", tolerance=1e-4) == 0


LAW: dict[str, object] = {"items": [["三十日", "30日"], "书面"]}


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("应当提前三十日以书面形式通知。", 1),
        ("提前 30 日,书面通知", 1),
        ("提前30日通知", 0),
        ("提前130日书面通知", 0),
        ("提前一百三十日书面通知", 0),
        ("三十日内书面", 1),
    ],
)
def test_contains_wants_every_item_and_no_longer_number(answer: str, right: float) -> None:
    assert score(answer, LAW, kind="contains", items="items") == right


def test_contains_takes_thousands_commas_and_width_as_written_otherwise() -> None:
    assert score("罚款 1,000 元", {"items": ["1000元"]}, kind="contains", items="items") == 1
    assert score("anything", {"items": []}, kind="contains", items="items") == 1


def test_a_regex_is_found_and_its_group_compared() -> None:
    check = {"kind": "regex", "pattern": r"answer is \(?([A-D])", "equals": "{{letter}}"}
    assert score("The answer is (C).", {"letter": "C"}, **check) == 1
    assert score("The answer is (B).", {"letter": "C"}, **check) == 0
    assert score("C", {"letter": "C"}, **check) == 0
    assert score("a" * 60 + "!", kind="regex", pattern=r"(a+)+$") == 0, "a pattern that never ends is ended"
    with pytest.raises(InvalidRequest, match="no regular expression"):
        score("x", kind="regex", pattern="(")


SCHEMA = json.dumps({"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]})


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ('{"age": 3}', 1),
        ('```json\n{"age": 3}\n```', 1),
        ('{"age": "3"}', 0),
        ("{}", 0),
        ('Sure: {"age": 3}', 0),
        ("[" * 100_000, 0),
    ],
)
def test_json_has_to_fit_its_schema(answer: str, right: float) -> None:
    assert score(answer, kind="json_schema", schema=SCHEMA) == right


def test_code_is_right_if_its_tests_pass_in_the_sandbox() -> None:
    row: dict[str, object] = {"prompt": "def add(a, b):\n", "test": "assert add(2, 3) == 5"}
    check = {"kind": "code", "before": "{{prompt}}", "tests": "{{test}}"}
    assert score("    return a + b\n", row, **check) == 1
    assert score("Here:\n```python\ndef add(a, b):\n    return a + b\n```\nDone.", row, **check) == 1
    assert score("    return a - b\n", row, **check) == 0
    assert score("    import os; os._exit(0)\n", row, **check) == 0, "an end before the tests is no pass"


@pytest.mark.parametrize(
    ("text", "unit", "count"),
    [
        ("one two  three", "words", 3),
        ("日新月异", "characters", 4),
        ("a\n\nb\n", "lines", 2),
        ("It is 3.5 km. Go! 好。", "sentences", 3),
        ("- a\n- b\n1. c\nd", "bullets", 3),
    ],
)
def test_length_counts_what_it_says(text: str, unit: str, count: int) -> None:
    assert score(text, kind="length", unit=unit, least=count, most=count) == 1
    assert score(text, kind="length", unit=unit, least=count + 1) == 0
    assert score(text, kind="length", unit=unit, most=count - 1) == 0


def test_the_language_is_that_of_most_letters() -> None:
    assert score("今天天气很好，我们去 Beijing。", kind="language", **{"is": "zh"}) == 1
    assert score("The weather is fine; 好.", kind="language", **{"is": "en"}) == 1
    assert score("The weather is fine.", kind="language", **{"is": "zh"}) == 0
    assert score("12345", kind="language", **{"is": "zh"}) == 0


def test_words_are_forbidden_and_beginnings_and_ends_wanted() -> None:
    assert score("A fine day", {"x": "sun"}, kind="forbids", words=["very", "{{x}}"]) == 1
    assert score("a VERY fine day", kind="forbids", words=["very"]) == 0
    assert score(" Dear Ada,", kind="begins", **{"with": "Dear"}) == 1
    assert score("Yours, Bob\n", kind="ends", **{"with": "Bob"}) == 1
    assert score("Yours, Bob!", kind="ends", **{"with": "Bob"}) == 0


@pytest.mark.parametrize(
    ("answer", "declines"),
    [
        ("I'm sorry, but I can't help with that.", True),
        ("抱歉，我无法提供这类信息。", True),
        ("The given articles do not say.", True),
        ("Whisk the eggs, then add the sugar.", False),
        ("可以。先把电源拔掉。", False),
        ("Whisk. " * 40 + "Sorry, that is all.", False),
    ],
)
def test_a_refusal_is_right_only_where_it_should_be(answer: str, declines: bool) -> None:
    for should in (True, False):
        assert score(answer, {"should": should}, kind="refuses", should="should") == (declines == should)


def test_a_refusal_may_have_words_of_its_own() -> None:
    own = {"kind": "refuses", "should": "should", "words": ["没有规定"]}
    assert score("公司的做法违法。", {"should": False}, **own) == 1
    assert score("条文 没有规定。", {"should": True}, **own) == 1


@pytest.mark.parametrize(
    ("answer", "gold", "precision", "recall"),
    [
        ("Thirty days [2].", [2], 1, 1),
        ("Thirty days [2][3].", [2], 1 / 2, 1),
        ("见【1,3】和[4]。", [1, 4], 2 / 3, 1),
        ("One [1].", [1, 2], 1, 1 / 2),
        ("Both [2] and again [2].", [2, 5], 1, 1 / 2),
        ("Wrong [7].", [1], 0, 0),
        ("None.", [1], 0, 0),
        ("None.", [], 1, 1),
        ("Made up [1].", [], 0, 0),
    ],
)
def test_citations_have_precision_and_recall(answer: str, gold: list[int], precision: float, recall: float) -> None:
    for of, expected in (("precision", precision), ("recall", recall)):
        assert score(answer, {"gold": gold}, kind="cites", gold="gold", of=of) == pytest.approx(expected)


@given(st.text(max_size=40), st.text(min_size=1, max_size=40))
def test_overlap_is_sacrebleus_chrf(answer: str, reference: str) -> None:
    expected = sacrebleu.sentence_chrf(answer, [reference]).score / 100
    assert score(answer, {"to": reference}, kind="overlap", to="{{to}}") == pytest.approx(expected)


def test_overlap_is_all_of_the_same_and_nothing_of_the_other() -> None:
    assert score("abc", {"to": "abc"}, kind="overlap", to="{{to}}") == pytest.approx(1)
    assert score("xyz", {"to": "abc"}, kind="overlap", to="{{to}}") == 0


def test_the_checks_of_a_row_all_have_to_pass() -> None:
    row: dict[str, object] = {
        "checks": [{"kind": "length", "unit": "words", "most": 3}, {"kind": "begins", "with": "A"}]
    }
    check = {"kind": "from_row", "checks": "checks"}
    assert score("A fine day", row, **check) == 1
    assert score("One fine day", row, **check) == 0
    assert score("A very fine day", row, **check) == 0
    with pytest.raises(InvalidRequest, match="checks"):
        score("x", {"checks": [{"kind": "unheard-of"}]}, **check)


def test_right_is_the_least_of_several_checks_and_each_has_its_score() -> None:
    checks = msgspec.convert(
        [{"kind": "cites", "gold": "gold"}, {"kind": "cites", "gold": "gold", "of": "recall"}], list[CheckSpec]
    )
    scores, said = judge(checks, "a [1] b [9]", {"gold": [1]}, "here")
    assert scores == {"right": 0.5, "citation_precision": 0.5, "citation_recall": 1.0}
    assert "1 is right" in said


@given(
    st.permutations([str(number) for number in range(15)]),
    st.sets(st.sampled_from([str(number) for number in range(15)]), min_size=1, max_size=6),
)
def test_rankings_score_as_scikit_learn_scores_them(order: list[str], gold: set[str]) -> None:
    found = ranking_scores(order[:10], gold)
    relevance = np.array([[float(name in gold) for name in order]])
    closeness = np.arange(len(order), 0, -1)[None, :].astype(float)
    assert found["ndcg_at_10"] == pytest.approx(ndcg_score(relevance, closeness, k=10))
    for k in (5, 10):
        assert found[f"recall_at_{k}"] == pytest.approx(len(gold & set(order[:k])) / len(gold))
    first = next((at for at, name in enumerate(order[:10], 1) if name in gold), None)
    assert found["mrr_at_10"] == pytest.approx(1 / first if first else 0)


TRUTH = {"name": "甲公司", "amounts": [200_000, 35.5], "dates": [], "who": {"role": "卖方", "seats": 3}}


def fields(answer: str, *names: str) -> float:
    return score(answer, {"truth": TRUTH}, kind="json_fields", equals="truth", fields=list(names or TRUTH))


def test_json_fields_are_scored_one_by_one() -> None:
    assert fields(json.dumps(TRUTH, ensure_ascii=False)) == 1
    assert fields(f"好的：\n```json\n{json.dumps(TRUTH, indent=2)}\n```\n以上。") == 1
    assert fields(json.dumps({**TRUTH, "name": "乙公司"})) == 3 / 4
    assert fields(json.dumps({"name": "甲公司"}), "name", "who") == 1 / 2
    assert fields(json.dumps({**TRUTH, "amounts": [35.5, 1]})) == (3 + 1 / 2) / 4
    assert fields(json.dumps({**TRUTH, "dates": ["2024-01-01"]})) == 3 / 4
    assert fields(json.dumps({**TRUTH, "dates": "没有"})) == 3 / 4


def test_json_fields_are_equal_however_they_are_written() -> None:
    written = {
        "who": {"seats": "3", "role": " 卖方"},
        "dates": [],
        "amounts": ["35.50", "200,000", 200000.0],
        "name": "甲 公司",
    }
    assert fields(json.dumps(written)) == 1
    assert fields(json.dumps({**TRUTH, "who": {"role": "卖方", "seats": 3, "more": None}})) == 3 / 4


@pytest.mark.parametrize(
    "answer", ["", "我不知道。", "{", '{"name": ', "[1, 2]", '{"a":' * 5000, '{"a": ' + "9" * 5000 + "}"]
)
def test_json_fields_of_no_object_are_wrong(answer: str) -> None:
    assert fields(answer) == 0


def test_json_fields_of_a_row_without_them_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="lacks date"):
        fields("{}", "date")
    with pytest.raises(InvalidRequest, match="is no object"):
        score("{}", {"truth": [1]}, kind="json_fields", equals="truth", fields=["a"])


@given(
    st.dictionaries(st.text(min_size=1), st.lists(st.integers() | st.text()) | st.text() | st.integers(), min_size=1)
)
def test_a_json_object_has_all_fields_of_itself(truth: dict[str, object]) -> None:
    answer = json.dumps(truth)
    assert score(answer, {"truth": truth}, kind="json_fields", equals="truth", fields=list(truth)) == 1
