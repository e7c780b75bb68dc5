"""What the dial makes of a text and of the time there is."""

from hypothesis import given
from hypothesis import strategies as st

from rixin.training.sizing import (
    HEAD_SIZE,
    MOST_EPOCHS,
    Corpus,
    Dial,
    Given,
    Sizes,
    batch_tokens,
    learning_rate,
    operations_of,
    size,
)

CHARACTERS = st.integers(1_000, 10**10)
MINUTES = st.floats(0.1, 10_000)
POEMS = Corpus(23_000_000, 66_000_000, 325)


def corpus(characters: int, bytes_each: float = 1.0) -> Corpus:
    return Corpus(characters, round(characters * bytes_each), 2_000)


def sized(minutes: float, characters: int) -> Sizes:
    return size(corpus(characters), Dial(operations=operations_of(minutes, 800)))


@given(MINUTES, CHARACTERS, st.floats(1, 100))
def test_more_time_never_makes_a_smaller_model(minutes: float, characters: int, more: float) -> None:
    short, long = sized(minutes, characters), sized(minutes * more, characters)
    assert long.shape.parameters >= short.shape.parameters
    assert long.shape.layers >= short.shape.layers


@given(MINUTES, CHARACTERS, st.integers(1, 100))
def test_more_text_never_means_more_repetition(minutes: float, characters: int, more: int) -> None:
    # Sizes are steps: where two are as good, the larger vocabulary of more text can tip it to the smaller one.
    assert sized(minutes, characters * more).epochs <= sized(minutes, characters).epochs * 1.1


@given(MINUTES, CHARACTERS)
def test_no_more_than_the_time_and_the_text_are_worth(minutes: float, characters: int) -> None:
    sizes = sized(minutes, characters)
    assert sizes.epochs <= MOST_EPOCHS * 1.001
    assert sizes.tokens * 6 * sizes.shape.parameters <= operations_of(minutes, 800) * 1.001


@given(MINUTES, CHARACTERS, st.floats(1, 3))
def test_every_size_is_one_that_engines_and_exports_take(minutes: float, characters: int, bytes_each: float) -> None:
    shape = size(corpus(characters, bytes_each), Dial(operations=operations_of(minutes, 800))).shape
    assert shape.hidden == shape.heads * HEAD_SIZE
    assert {shape.hidden % 64, shape.feed_forward % 64, shape.vocabulary % 64} == {0}
    assert shape.context & (shape.context - 1) == 0
    assert shape.vocabulary * shape.hidden * 2 <= shape.parameters * 1.1 or shape.vocabulary == 512


@given(st.floats(1e3, 1e12), st.floats(1, 1e3))
def test_batches_grow_with_the_tokens_and_slower_than_them(tokens: float, more: float) -> None:
    assert batch_tokens(tokens) <= batch_tokens(tokens * more) <= batch_tokens(tokens) * more + 1024


@given(st.integers(64, 4096), st.integers(64, 4096))
def test_a_wider_model_learns_at_no_higher_rate(one: int, other: int) -> None:
    narrow, wide = sorted((one, other))
    assert learning_rate(wide) <= learning_rate(narrow)


def test_what_is_given_wins() -> None:
    shape = size(POEMS, Dial(epochs=1), Given(vocabulary=1000, layers=3, hidden=256, context=100)).shape
    assert (shape.vocabulary, shape.layers, shape.hidden, shape.context) == (1000, 3, 256, 100)


def test_given_width_finds_its_depth() -> None:
    assert size(POEMS, Dial(epochs=1), Given(hidden=384)).shape.layers == 6


def test_tokens_as_the_dial_are_kept_and_bound_the_model() -> None:
    small, large = size(POEMS, Dial(tokens=1e6)), size(POEMS, Dial(tokens=1e9))
    assert (small.tokens, large.tokens) == (1e6, 1e9)
    assert small.shape.parameters < large.shape.parameters <= 1e9 / 20


def test_chinese_has_about_a_token_a_character_and_english_far_fewer() -> None:
    assert 1.0 < POEMS.characters_per_token < 1.4
    assert Corpus(10**6, 10**6, 100).characters_per_token == 3.5


def test_half_an_hour_on_two_cores_is_a_model_of_some_million_weights_and_a_pass_or_two() -> None:
    sizes = size(POEMS, Dial(operations=operations_of(30, 900)))
    assert 2e6 < sizes.shape.parameters < 10e6
    assert 0.5 < sizes.epochs < 3
    assert sizes.shape.context == 256
