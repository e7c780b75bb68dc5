"""The batch: requests in, events out, one step at a time."""

from collections.abc import Sequence as Many
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rixin.engines.openvino.answer import Answer, token_logprob
from rixin.engines.openvino.blocks import BlockPool
from rixin.engines.openvino.prepare import Prepared
from rixin.engines.openvino.runner import Runner
from rixin.engines.openvino.sampler import Chosen, Sampler, largest, log_sum_exp
from rixin.engines.openvino.scheduler import Scheduler
from rixin.engines.openvino.sequence import Sequence
from rixin.engines.openvino.vocabulary import Vocabulary
from rixin.engines.protocol import Finished, GenerateEvent, Score, ScoreRequest, Started, TokenLogprob
from rixin.engines.wire import Events, Reply, Scores, failed
from rixin.errors import InvalidRequest

Floats = NDArray[np.float32]


@dataclass
class _Generation:
    """A request whose answers are being written. Followers are the answers after the first; they share its prompt."""

    prepared: Prepared
    answers: dict[int, Answer] = field(default_factory=dict)  # by id() of the sequence
    followers: list[Sequence] = field(default_factory=list)
    started: bool = False
    told: dict[int, Chosen] = field(default_factory=dict)  # prompt log-probabilities by place


@dataclass
class _Scoring:
    """A score command: how many of its sequences are still to come, and what the others gave, by place."""

    scores: list[Score | None]
    sequences: dict[int, tuple[int, ScoreRequest]]  # by id() of the sequence
    told: dict[tuple[int, int], tuple[float, bool]] = field(default_factory=dict)


class Batch:
    """Everything that is being worked on. One thread; `step` as long as it is busy."""

    def __init__(self, runner: Runner, vocabulary: Vocabulary, *, max_parallel: int) -> None:
        self._runner = runner
        self._vocabulary = vocabulary
        self._pool = BlockPool(runner.blocks, runner.block_size)
        self._scheduler = Scheduler(self._pool, max_parallel=max_parallel)
        self._generations: dict[str, _Generation] = {}
        self._scorings: dict[str, _Scoring] = {}
        self._events: list[tuple[str, GenerateEvent]] = []
        self._replies: list[Reply] = []

    @property
    def busy(self) -> bool:
        return bool(len(self._scheduler))

    def generate(self, prepared: Prepared) -> list[Reply]:
        """Take a request in; it begins with the next step."""
        request = prepared.request
        generation = self._generations[request.id] = _Generation(prepared)
        echo_logprobs = request.echo and request.sampling.logprobs is not None
        for index in range(request.n):
            sequence = Sequence(
                request.id,
                list(prepared.tokens),
                sampler=Sampler(
                    request.sampling, answer=index, prompt=prepared.tokens, end_tokens=self._vocabulary.end_tokens
                )
                if prepared.max_tokens > 0
                else None,
                matcher=prepared.grammar.deep_copy() if prepared.grammar is not None else None,
                told_from=1 if echo_logprobs and index == 0 else None,
            )
            generation.answers[id(sequence)] = Answer(prepared, self._vocabulary, index)
            if index == 0:
                self._scheduler.add(sequence)
            else:
                generation.followers.append(sequence)
        return self._drain()

    def score(self, command_id: str, requests: Many[ScoreRequest]) -> list[Reply]:
        """Take a score command in."""
        scoring = self._scorings[command_id] = _Scoring([None] * len(requests), {})
        for number, request in enumerate(requests):
            tokens = [*request.context, *request.continuation]
            sequence = Sequence(command_id, tokens[:-1], sampler=None, told_from=len(request.context))
            sequence.prompt_length = len(tokens)
            scoring.sequences[id(sequence)] = (number, request)
            self._scheduler.add(sequence)
        if not requests:
            self._replies.append(Scores(command_id, ()))
            del self._scorings[command_id]
        return self._drain()

    def cancel(self, request_id: str) -> None:
        """Forget a request and free what it holds; one that is not there is fine."""
        if self._generations.pop(request_id, None) or self._scorings.pop(request_id, None):
            self._scheduler.remove_if(lambda sequence: sequence.request_id == request_id)

    def step(self) -> list[Reply]:
        """Compute one step and say what it brought."""
        plan = self._scheduler.plan()
        pieces = [sequence.piece(count) for sequence, count in plan]
        logits = self._runner.step(pieces)
        greedy = logits.argmax(axis=1) if len(logits) and any(_is_greedy(sequence) for sequence, _ in plan) else None
        row = 0
        for (sequence, count), piece in zip(plan, pieces, strict=True):
            rows = range(row, row + len(piece.wanted))
            row = rows.stop
            if sequence.request_id not in self._generations and sequence.request_id not in self._scorings:
                continue  # another answer of its request has just failed
            self._after(sequence, count, piece.wanted, logits[rows.start : rows.stop], rows, greedy)
        return self._drain()

    def _after(
        self,
        sequence: Sequence,
        count: int,
        wanted: Many[int],
        logits: Floats,
        rows: range,
        greedy: NDArray[np.int64] | None,
    ) -> None:
        places = [sequence.computed + place + 1 for place in wanted]
        draft = sequence.draft
        sequence.advance(count - len(draft), self._pool)
        scoring = self._scorings.get(sequence.request_id)
        if scoring is not None:
            self._tell_scores(scoring, sequence, places, logits)
            return
        generation = self._generations[sequence.request_id]
        if sequence.told_from is not None:
            self._tell_prompt(generation, sequence, places, logits)
        if sequence.computed < len(sequence.tokens):
            return
        if not generation.started:
            self._start(generation, sequence)
        if sequence.sampler is None:
            self._emit(sequence, generation.answers[id(sequence)].end_unstarted())
            return
        right = 0
        for guess, row, number in zip([*draft, None], logits[-1 - len(draft) :], rows[-1 - len(draft) :], strict=True):
            likeliest = int(greedy[number]) if greedy is not None else None
            token = self._next_token(generation, sequence, row, likeliest)
            # What the model chose is taken; a guess only says whether the next row is of the same text.
            if token != guess or not sequence.blocks:
                break
            right += 1
            sequence.advance(1, self._pool)
        if draft:
            sequence.told(right)

    def _next_token(
        self, generation: _Generation, sequence: Sequence, logits: Floats, likeliest: int | None
    ) -> int | None:
        """Choose and tell the next token of an answer; None if the answer could not go on."""
        assert sequence.sampler is not None
        if likeliest is not None and _is_greedy(sequence):
            chosen = Chosen(likeliest)
        else:
            chosen = sequence.sampler.choose(logits, sequence.allowed(self._runner.vocabulary))
        sequence.sampler.accept(chosen.token)
        grammar_ended = False
        if sequence.matcher is not None:
            sequence.matcher.consume_token(chosen.token)
            if sequence.matcher.is_error():
                self._fail(sequence, f"The schema became too complex to follow: {sequence.matcher.get_error()}")
                return None
            grammar_ended = sequence.matcher.is_stopped()
        sequence.tokens.append(chosen.token)
        self._emit(sequence, generation.answers[id(sequence)].add(chosen, grammar_ended=grammar_ended))
        return chosen.token

    def _start(self, generation: _Generation, first: Sequence) -> None:
        """The prompt is in the cache: say so, and let the other answers of the request follow into it."""
        generation.started = True
        prepared, request = generation.prepared, generation.prepared.request
        told: tuple[TokenLogprob, ...] | None = None
        if first.told_from is not None:
            rest = [token_logprob(generation.told[place], self._vocabulary) for place in range(1, len(prepared.tokens))]
            told = (TokenLogprob(self._vocabulary.bytes_of(prepared.tokens[0]), None), *rest)
            generation.told.clear()
        text: str | None = None
        if request.echo:
            text = b"".join(map(self._vocabulary.bytes_of, prepared.tokens)).decode("utf-8", "replace")
        self._events.append(
            (
                request.id,
                Started(
                    prompt_tokens=len(prepared.tokens),
                    cached_tokens=first.cached,
                    prompt_text=text,
                    prompt_logprobs=told,
                ),
            )
        )
        for follower in generation.followers:
            self._scheduler.add(follower)
        generation.followers.clear()

    def _fail(self, sequence: Sequence, message: str) -> None:
        """End a request that can't go on; the answers that it has already end with it."""
        self._replies.append(failed(sequence.request_id, InvalidRequest(message, param="response_format")))
        self.cancel(sequence.request_id)

    def _emit(self, sequence: Sequence, events: list[GenerateEvent]) -> None:
        self._events += [(sequence.request_id, event) for event in events]
        if events and isinstance(events[-1], Finished):
            self._scheduler.remove_if(lambda other: other is sequence)
            generation = self._generations[sequence.request_id]
            del generation.answers[id(sequence)]
            if not generation.answers:
                del self._generations[sequence.request_id]

    def _tell_prompt(self, generation: _Generation, sequence: Sequence, places: list[int], logits: Floats) -> None:
        number = generation.prepared.request.sampling.logprobs or 0
        for place, row in zip(places, logits, strict=True):
            if place < sequence.prompt_length:
                normaliser = log_sum_exp(row)
                token = sequence.tokens[place]
                best = largest(row, number)
                generation.told[place] = Chosen(
                    token, float(row[token] - normaliser), tuple((int(b), float(row[b] - normaliser)) for b in best)
                )

    def _tell_scores(self, scoring: _Scoring, sequence: Sequence, places: list[int], logits: Floats) -> None:
        number, request = scoring.sequences[id(sequence)]
        tokens = [*request.context, *request.continuation]
        for place, row in zip(places, logits, strict=True):
            token = tokens[place]
            scoring.told[number, place] = (float(row[token]) - log_sum_exp(row), bool(row[token] == row.max()))
        if sequence.computed < len(sequence.tokens):
            return
        self._scheduler.remove_if(lambda other: other is sequence)
        first = len(request.context)
        told = [scoring.told.pop((number, place)) for place in range(first, len(tokens))]
        scoring.scores[number] = Score(
            logprobs=tuple(logprob for logprob, _ in told), greedy=tuple(likeliest for _, likeliest in told)
        )
        done = [score for score in scoring.scores if score is not None]
        if len(done) == len(scoring.scores):
            self._replies.append(Scores(sequence.request_id, tuple(done)))
            del self._scorings[sequence.request_id]

    def _drain(self) -> list[Reply]:
        replies, self._replies = self._replies, []
        if self._events:
            replies.append(Events(self._events))
            self._events = []
        return replies


def _is_greedy(sequence: Sequence) -> bool:
    return sequence.sampler is not None and sequence.matcher is None and sequence.sampler.is_plain_greedy
