"""Whether passages answer, as a model says it in one word."""

import asyncio
import math
from collections.abc import AsyncGenerator, Sequence

import pytest

from rixin.assistants.judging import likely_answered
from rixin.engines import Alternative, Delta, GenerateEvent, GenerateRequest, Message, TokenLogprob

Told = Sequence[tuple[str, Sequence[tuple[str, float]]]]


def judged(told: Told, language: str = "en") -> tuple[float, list[int | None]]:
    """The probability, and how many tokens were asked for each time, of a model that says these, with alternatives."""
    asked: list[int | None] = []

    async def generate(request: GenerateRequest) -> AsyncGenerator[GenerateEvent]:
        asked.append(request.sampling.max_tokens)
        for token, shares in told[: request.sampling.max_tokens]:
            top = tuple(Alternative(word.encode(), math.log(share)) for word, share in shares)
            said = (TokenLogprob(token.encode(), -0.1, top),) if top else None
            yield Delta(text=token, tokens=1, logprobs=said)

    question = [Message(role="user", content="?")]
    return asyncio.run(likely_answered(generate, question, language, "q")), asked


def test_one_token_is_enough_where_it_says_it() -> None:
    assert judged([(" yes", [(" yes", 0.6), (" no", 0.2), ("maybe", 0.2)])]) == (pytest.approx(0.75), [1])
    assert judged([("没有", [("没有", 0.9), ("有", 0.1)])], "zh") == (pytest.approx(0.1), [1])


def test_behind_a_space_the_second_token_says_it() -> None:
    told = [(" ", [(" ", 1.0)]), ("no", [("no", 0.8), ("yes", 0.2)])]
    assert judged(told) == (pytest.approx(0.2), [1, 2])


@pytest.mark.parametrize(("told", "sure"), [([("No", [])], 0.0), ([("Yes", [])], 1.0), ([("Perhaps", [])], 1.0)])
def test_without_log_probabilities_the_words_count(told: Told, sure: float) -> None:
    assert judged(told) == (sure, [1])


def test_who_says_nothing_has_not_said_no() -> None:
    assert judged([]) == (1.0, [1, 2])
