"""The batch over a runner that remembers what lies in its cache: every answer is what it would be alone.

The runner's next-token logits are a function of all tokens before, read back from the cache's blocks. A block that is
given to two owners, shared with a wrong prefix or read before it is written gives another answer.
"""

import random
from collections.abc import Sequence as Many
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from numpy.typing import NDArray

from rixin.engines.openvino import scheduler
from rixin.engines.openvino.batch import Batch
from rixin.engines.openvino.prepare import prepare
from rixin.engines.openvino.runner import Piece, Runner
from rixin.engines.openvino.sampler import log_sum_exp
from rixin.engines.openvino.vocabulary import Vocabulary
from rixin.engines.protocol import (
    Delta,
    Finished,
    GenerateEvent,
    GenerateRequest,
    Sampling,
    Score,
    ScoreRequest,
    Started,
    TokenPrompt,
)
from rixin.engines.wire import Events, Failed, Reply, Scores
from rixin.renewal.steps.export import RANDOM
from tiny_vocabulary import tiny_vocabulary

SIZE = 16
VOCABULARY = 320
LETTERS = range(60, 200)  # ids of ordinary one-byte tokens


def logits_after(tokens: Many[int] | NDArray[np.int64], *, memory: int = 1 << 30) -> NDArray[np.float32]:
    """With a short memory the text soon goes in circles, so that guessed tokens are right."""
    random_numbers = np.random.default_rng(crc32(np.asarray(tokens, np.int64)[-memory:].tobytes()))
    logits = (random_numbers.standard_normal(VOCABULARY) * 3).astype(np.float32)
    logits[: LETTERS.start] = logits[LETTERS.stop :] = -30
    return logits


class RememberingRunner(Runner):
    """Stands in for OpenVINO; it counts what it computes."""

    def __init__(self, blocks: int, *, memory: int = 1 << 30) -> None:
        self.blocks = blocks
        self.last = memory
        self.block_size = SIZE
        self.vocabulary = VOCABULARY
        self.memory = np.full((blocks, SIZE), -1, np.int64)
        self.computed = 0
        self.logit_rows: list[int] = []

    def step(self, pieces: Many[Piece]) -> NDArray[np.float32]:
        assert pieces, "an empty step"
        rows = []
        for piece in pieces:
            for place, token in enumerate(piece.tokens, piece.past):
                self.memory[piece.blocks[place // SIZE], place % SIZE] = token
        for piece in pieces:
            end = piece.past + len(piece.tokens)
            seen = self.memory[list(piece.blocks[: -(-end // SIZE)])].reshape(-1)[:end]
            rows += [logits_after(seen[: piece.past + place + 1], memory=self.last) for place in piece.wanted]
            self.computed += len(piece.tokens)
        self.logit_rows.append(len(rows))
        return np.array(rows, np.float32).reshape(-1, VOCABULARY)


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Vocabulary:
    return tiny_vocabulary(Path(tmp_path_factory.mktemp("tiny")))


class House:
    """A batch and what came out of it, by request."""

    def __init__(
        self, vocabulary: Vocabulary, *, blocks: int = 64, max_parallel: int = 8, memory: int = 1 << 30
    ) -> None:
        self.vocabulary = vocabulary
        self.runner = RememberingRunner(blocks, memory=memory)
        self.batch = Batch(self.runner, vocabulary, max_parallel=max_parallel)
        self.events: dict[str, list[GenerateEvent]] = {}
        self.scores: dict[str, tuple[Score, ...]] = {}
        self.failures: dict[str, Failed] = {}

    def ask(self, request: GenerateRequest) -> None:
        self.take(self.batch.generate(prepare(request, self.vocabulary, 10_000, self.runner.blocks * SIZE)))

    def take(self, replies: list[Reply]) -> None:
        for reply in replies:
            if isinstance(reply, Events):
                for id, event in reply.items:
                    self.events.setdefault(id, []).append(event)
            elif isinstance(reply, Scores):
                self.scores[reply.id] = reply.scores
            elif isinstance(reply, Failed):
                self.failures[reply.id] = reply

    def run(self, steps: int = 5000) -> None:
        for _ in range(steps):
            if not self.batch.busy:
                break
            self.take(self.batch.step())
        assert not self.batch.busy

    def text(self, id: str, index: int = 0) -> str:
        return "".join(event.text for event in self.events[id] if isinstance(event, Delta) and event.index == index)

    def started(self, id: str) -> Started:
        first = self.events[id][0]
        assert isinstance(first, Started)
        assert not any(isinstance(event, Started) for event in self.events[id][1:])
        return first


def request(id: str, tokens: Many[int], *, n: int = 1, echo: bool = False, **sampling: Any) -> GenerateRequest:
    asked = {"temperature": 0.0, "max_tokens": 20} | sampling
    return GenerateRequest(
        id=id,
        prompt=TokenPrompt(tuple(tokens)),
        sampling=Sampling(**asked),
        n=n,
        echo=echo,
    )


def greedy(vocabulary: Vocabulary, prompt: Many[int], count: int, *, memory: int = 1 << 30) -> str:
    """What the stand-in model says, without a batch, a cache or blocks."""
    tokens = list(prompt)
    for _ in range(count):
        tokens.append(int(logits_after(tokens, memory=memory).argmax()))
    return b"".join(map(vocabulary.bytes_of, tokens[len(prompt) :])).decode("utf-8", "replace")


def test_a_prompt_longer_than_a_step_is_read_whole(vocabulary: Vocabulary) -> None:
    house = House(vocabulary, blocks=300)
    prompt = [LETTERS[at % 97] for at in range(3000)]
    house.ask(request("a", prompt))
    house.run()
    assert house.text("a") == greedy(vocabulary, prompt, 20)
    assert house.started("a") == Started(prompt_tokens=3000)


def test_a_step_without_any_logits_is_fine_and_only_the_last_place_gives_some(vocabulary: Vocabulary) -> None:
    house = House(vocabulary, blocks=300)
    house.ask(request("a", [LETTERS[at % 97] for at in range(2500)], max_tokens=1))
    house.run()
    assert house.runner.logit_rows == [0, 0, 1]


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    blocks=st.integers(4, 40),
    max_parallel=st.integers(1, 8),
    memory=st.sampled_from([1, 2, 1 << 30]),
    piece=st.sampled_from([20, 50, scheduler.MIXED_TOKENS]),
)
def test_every_answer_is_what_it_would_be_alone(
    vocabulary: Vocabulary, seed: int, blocks: int, max_parallel: int, memory: int, piece: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scheduler, "MIXED_TOKENS", piece)
        answer_all(vocabulary, random.Random(seed), blocks, max_parallel, memory)


def answer_all(vocabulary: Vocabulary, dice: random.Random, blocks: int, max_parallel: int, memory: int) -> None:
    """Requests that come and go at any time, some with the same beginning; each answer must be right."""
    house = House(vocabulary, blocks=blocks, max_parallel=max_parallel, memory=memory)
    room = blocks * SIZE
    stems = [[dice.choice(LETTERS) for _ in range(room)] for _ in range(2)]
    to_come = []
    for number in range(dice.randint(1, 12)):
        length = dice.randint(1, room - 1)
        prompt = dice.choice(stems)[: dice.randint(0, length)]
        prompt += [dice.choice(LETTERS) for _ in range(length - len(prompt))]
        to_come.append((str(number), prompt, min(dice.randint(1, 40), room - length)))
    asked = list(to_come)
    cancelled = set()
    while to_come or house.batch.busy:
        if to_come and (not house.batch.busy or dice.random() < 0.4):
            id, prompt, count = to_come.pop()
            house.ask(request(id, prompt, max_tokens=count, n=dice.choice([1, 1, 3])))
        if dice.random() < 0.05:
            id = dice.choice(asked)[0]
            cancelled.add(id)
            house.batch.cancel(id)
        if house.batch.busy:
            house.take(house.batch.step())
    for id, prompt, count in asked:
        if id in cancelled:
            continue
        started = house.started(id)
        assert started.prompt_tokens == len(prompt)
        assert started.cached_tokens < len(prompt)
        ends = [event for event in house.events[id] if isinstance(event, Finished)]
        assert [end.completion_tokens for end in ends] == [count] * len(ends)
        for end in ends:
            assert house.text(id, end.index) == greedy(vocabulary, prompt, count, memory=memory)
    assert house.batch._pool.available == blocks
    assert not house.batch._generations


def test_the_answers_of_one_request_compute_its_prompt_once(vocabulary: Vocabulary) -> None:
    house = House(vocabulary)
    prompt = [LETTERS[at % 90] for at in range(SIZE * 10 + 1)]
    house.ask(request("a", prompt, n=4, temperature=1.0, seed=3, max_tokens=5))
    house.run()
    assert house.runner.computed < len(prompt) + 4 * (SIZE + 5)
    assert len({house.text("a", index) for index in range(4)}) == 4
    again = House(vocabulary)
    again.ask(request("a", prompt, n=4, temperature=1.0, seed=3, max_tokens=5))
    again.run()
    assert [again.text("a", index) for index in range(4)] == [house.text("a", index) for index in range(4)]


@pytest.mark.parametrize("blocks", [24, 200])
def test_echo_and_scores_tell_each_tokens_probability(vocabulary: Vocabulary, blocks: int) -> None:
    prompt = [LETTERS[(at * at) % 113] for at in range(300)]
    expected = []
    for at in range(1, len(prompt)):
        logits = logits_after(prompt[:at])
        expected.append(float(logits[prompt[at]] - log_sum_exp(logits)))
    house = House(vocabulary, blocks=blocks)
    for number in range(3):  # enough to push each other out of the small cache
        house.ask(request(f"e{number}", prompt, echo=True, logprobs=2, max_tokens=40))
        house.take(house.batch.score(f"s{number}", [ScoreRequest(context=tuple(prompt[:200]), continuation=(1, 2))]))
    house.take(
        house.batch.score(
            "s", [ScoreRequest(context=tuple(prompt[:at]), continuation=tuple(prompt[at:])) for at in (1, 150, 299)]
        )
    )
    house.run()
    for number in range(3):
        started = house.started(f"e{number}")
        assert started.prompt_text == b"".join(map(vocabulary.bytes_of, prompt)).decode("utf-8", "replace")
        assert started.prompt_logprobs is not None
        assert started.prompt_logprobs[0].logprob is None
        assert [one.logprob for one in started.prompt_logprobs[1:]] == pytest.approx(expected, abs=1e-4)
        assert all(len(one.top) == 2 for one in started.prompt_logprobs[1:])
        assert house.text(f"e{number}") == greedy(vocabulary, prompt, 40)
        assert [one.greedy for one in house.scores[f"s{number}"]] == [(False, False)]
    for at, score in zip((1, 150, 299), house.scores["s"], strict=True):
        assert score.logprobs == pytest.approx(expected[at - 1 :], abs=1e-4)
        assert score.greedy == tuple(prompt[i] == int(logits_after(prompt[:i]).argmax()) for i in range(at, 300))


def test_no_scores_are_asked_and_none_are_given(vocabulary: Vocabulary) -> None:
    house = House(vocabulary)
    house.take(house.batch.score("s", []))
    assert house.scores == {"s": ()}
    assert not house.batch.busy


def test_echo_with_no_tokens_asked_for_only_echoes(vocabulary: Vocabulary) -> None:
    house = House(vocabulary)
    house.ask(request("a", LETTERS[:5], max_tokens=0, echo=True, n=2))
    house.run()
    started, *ends = house.events["a"]
    assert isinstance(started, Started)
    assert started.prompt_text == b"".join(map(vocabulary.bytes_of, LETTERS[:5])).decode("utf-8", "replace")
    assert ends == [Finished(index=index, reason="length", completion_tokens=0) for index in range(2)]


def test_a_cancelled_request_says_no_more_and_its_place_is_free(vocabulary: Vocabulary) -> None:
    house = House(vocabulary, max_parallel=1)
    house.ask(request("a", LETTERS[:30], max_tokens=500))
    house.ask(request("b", LETTERS[30:60], max_tokens=3))
    house.take(house.batch.step())
    said = len(house.events["a"])
    assert "b" not in house.events
    house.batch.cancel("a")
    house.batch.cancel("never there")
    house.take(house.batch.step())
    assert len(house.events["a"]) == said
    assert house.started("b")
    house.take(house.batch.score("s", [ScoreRequest(context=(70, 71), continuation=(72,))]))
    house.batch.cancel("s")
    house.run()
    assert not house.scores
    assert house.batch._pool.available == house.runner.blocks


def test_a_grammar_binds_answers_and_one_that_breaks_fails_its_request_alone(vocabulary: Vocabulary) -> None:
    house = House(vocabulary)
    schema = '{"type":"object","properties":{"a":{"enum":[1,2]}},"required":["a"],"additionalProperties":false}'
    house.ask(request("a", LETTERS[:30], json_schema=schema, n=2, max_tokens=300))
    house.ask(request("b", LETTERS[:40], json_schema=schema, n=2, max_tokens=200))
    house.ask(request("c", LETTERS[:50], max_tokens=10))
    house.take(house.batch.step())
    house.take(house.batch.step())
    broken = next(one for one in house.batch._scheduler._running if one.request_id == "b")
    assert broken.matcher is not None
    broken.matcher.consume_token(2)  # what can't come next
    house.run()
    assert house.failures["b"].error == "InvalidRequest"
    for index in range(2):
        assert "".join(house.text("a", index).split()) in ('{"a":1}', '{"a":2}')
    assert house.text("c") == greedy(vocabulary, LETTERS[:50], 10)
    assert house.batch._pool.available == house.runner.blocks


class RepeatingRunner(RememberingRunner):
    """The next token follows from the last one alone, so the text soon goes in circles."""

    def step(self, pieces: Many[Piece]) -> NDArray[np.float32]:
        super().step(pieces)
        rows = []
        for piece in pieces:
            for place in piece.wanted:
                row = np.zeros(VOCABULARY, np.float32)
                row[circle(piece.tokens[place])] = 9
                rows.append(row)
        return np.array(rows, np.float32).reshape(-1, VOCABULARY)


def circle(token: int) -> int:
    return LETTERS.start + (token * 7 + 3) % 11


@pytest.mark.parametrize("sampling", [Sampling(temperature=0), Sampling(temperature=0.7, seed=1, logprobs=1)])
def test_guessed_tokens_save_steps_and_never_change_an_answer(vocabulary: Vocabulary, sampling: Sampling) -> None:
    house = House(vocabulary)
    house.runner = RepeatingRunner(64)
    house.batch = Batch(house.runner, vocabulary, max_parallel=8)
    for length in (100, 101, 7):  # also where a run of right guesses passes the end
        house.runner.logit_rows.clear()
        asked = structs.replace(sampling, max_tokens=length, ignore_eos=True)
        house.ask(GenerateRequest(id=str(length), prompt=TokenPrompt((70, 71)), sampling=asked))
        house.run()
        expected, token = [], 71
        for _ in range(length):
            token = circle(token)
            expected.append(token)
        assert house.text(str(length)).encode() == b"".join(map(vocabulary.bytes_of, expected))
        if length > 50:
            assert len(house.runner.logit_rows) < length / 2
    assert house.batch._pool.available == 64


def test_a_version_that_goes_in_circles_is_timed_as_any_other(vocabulary: Vocabulary) -> None:
    """Nothing is guessed of tokens drawn as a Cycle draws them to compare two versions' speed."""
    house = House(vocabulary)
    house.runner = RepeatingRunner(64)
    house.batch = Batch(house.runner, vocabulary, max_parallel=8)
    drawn = Sampling(temperature=RANDOM, seed=0, max_tokens=100, ignore_eos=True)
    house.ask(GenerateRequest(id="a", prompt=TokenPrompt((70, 71)), sampling=drawn))
    house.run()
    assert len(house.runner.logit_rows) > 95
