"""A tokenizer made from a text."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from rixin.errors import InvalidRequest
from rixin.models import rule_for
from rixin.text import Tokens
from rixin.training.tokenizer import (
    END_OF_TEXT,
    LARGEST_VOCABULARY,
    PRE_TOKENIZER,
    SMALLEST_VOCABULARY,
    SPECIAL_TOKENS,
    save_tokenizer,
    thinned,
    train_tokenizer,
)

TEXTS = [
    f"春望 {number}\n國破山河在，城春草木深。\nThe state is broken; hills and rivers remain." for number in range(40)
]
VOCABULARY = 400


@pytest.fixture(scope="module")
def made() -> Tokenizer:
    return train_tokenizer(TEXTS, VOCABULARY)


def test_the_same_texts_give_the_same_tokenizer(made: Tokenizer) -> None:
    assert train_tokenizer(TEXTS, VOCABULARY).to_str() == made.to_str()


@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_comes_back(made: Tokenizer, text: str) -> None:
    for name in SPECIAL_TOKENS:  # written in a text they are themselves, and not text
        text = text.replace(name, "")
    ids = made.encode(text, add_special_tokens=False).ids
    assert made.decode(ids, skip_special_tokens=False) == text


def test_ids_have_no_holes_and_special_tokens_come_first(made: Tokenizer) -> None:
    ids = made.get_vocab(with_added_tokens=True)
    assert sorted(ids.values()) == list(range(len(ids)))
    assert len(ids) <= VOCABULARY
    assert [made.id_to_token(id) for id in range(len(SPECIAL_TOKENS))] == list(SPECIAL_TOKENS)


def test_a_text_stands_between_two_ends(made: Tokenizer, tmp_path: Path) -> None:
    save_tokenizer(made, tmp_path, context=128)
    tokens = Tokens(tmp_path)
    end = made.token_to_id(END_OF_TEXT)
    assert tokens.encode("春", add_bos=True)[0] == end == tokens.eos
    assert end in tokens.end_tokens


def test_a_question_is_continued_as_text(made: Tokenizer, tmp_path: Path) -> None:
    save_tokenizer(made, tmp_path, context=128)
    template = Tokens(tmp_path).template
    assert template is not None
    asked = template.render([{"role": "user", "content": "春望\n"}], add_generation_prompt=True)
    assert asked == f"{END_OF_TEXT}春望\n"
    answered = template.render(
        [{"role": "user", "content": "春望\n"}, {"role": "assistant", "content": "國破"}], add_generation_prompt=False
    )
    assert answered == f"{END_OF_TEXT}春望\n國破{END_OF_TEXT}"


def test_it_cuts_as_a_rule_that_llama_cpp_knows(made: Tokenizer) -> None:
    rule = rule_for(PRE_TOKENIZER, "here")
    assert not rule.normalises_to_nfc
    assert not rule.ignores_merges
    text = "城春草木深。\n感時花濺淚，恨別鳥驚心。 1234 it's"
    assert made.pre_tokenizer.pre_tokenize_str(text) == rule.pre_tokenizer.pre_tokenize_str(text)


@pytest.mark.parametrize("size", [0, SMALLEST_VOCABULARY - 1, LARGEST_VOCABULARY + 1])
def test_a_size_that_cannot_be_is_refused(size: int) -> None:
    with pytest.raises(InvalidRequest, match="not from"):
        train_tokenizer(TEXTS, size)


def test_no_text_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="no text"):
        train_tokenizer(["", ""], VOCABULARY)


def test_thinning_keeps_texts_from_everywhere() -> None:
    texts = [f"{number:04}" for number in range(1000)]
    kept = thinned(texts, 400)
    assert kept == texts[::10]
    assert thinned(texts, 10**9) == texts


def test_its_configuration_is_what_hugging_face_reads(made: Tokenizer, tmp_path: Path) -> None:
    save_tokenizer(made, tmp_path, context=128)
    config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    assert (config["model_max_length"], config["eos_token"]) == (128, END_OF_TEXT)
    assert json.loads((tmp_path / "generation_config.json").read_text())["eos_token_id"] == [0]
