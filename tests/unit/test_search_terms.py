"""What full-text search compares."""

from hypothesis import given
from hypothesis import strategies as st

from rixin.knowledge.terms import LONGEST, index_terms, query_terms


def test_chinese_is_pairs_of_characters_and_the_rest_is_words() -> None:
    assert query_terms("房东卖房 iPhone15 在 e-mail") == "房东 东卖 卖房 iphone15 在 e mail"


def test_an_index_has_single_characters_too_so_that_one_can_be_asked_for() -> None:
    assert index_terms("租金") == "租金 租 金"


def test_traditional_and_simplified_and_wide_forms_meet() -> None:
    assert query_terms("優先購買權 ＡＢＣ１２") == query_terms("优先购买权 abc12")


@given(st.text(max_size=80))
def test_the_terms_of_any_question_are_found_in_the_same_text(text: str) -> None:
    terms = query_terms(text).split()
    assert set(terms) <= set(index_terms(text).split())
    assert all(len(term) <= LONGEST for term in terms)
