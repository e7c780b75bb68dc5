"""Turns the tokens of one answer into events: whole characters, no stop string, thinking and tool calls apart."""

from rixin.engines.openvino.prepare import Prepared
from rixin.engines.openvino.sampler import Chosen
from rixin.engines.openvino.vocabulary import Vocabulary
from rixin.engines.protocol import (
    Alternative,
    Delta,
    Finished,
    FinishReason,
    GenerateEvent,
    TokenLogprob,
    ToolCallDelta,
)
from rixin.engines.toolcalls import Piece, TextPiece
from rixin.text import StopFilter, Utf8Stream


class Answer:
    """Answer `index` of a request while it is written. `finished` is its last event, once there is one."""

    def __init__(self, prepared: Prepared, vocabulary: Vocabulary, index: int) -> None:
        self.index = index
        self.finished: Finished | None = None
        self._sampling = prepared.request.sampling
        self._vocabulary = vocabulary
        self._kept = frozenset(vocabulary.special.get(mark) for mark in prepared.kept_marks)
        self._max_tokens = prepared.max_tokens
        self._parallel = getattr(prepared.request.prompt, "parallel_tool_calls", True)
        self._utf8 = Utf8Stream()
        self._stops = StopFilter(self._sampling.stop)
        self._splitter = prepared.splitter()
        self._parser = prepared.parser()
        if self._parser is not None and prepared.forced_prefix:
            self._parser.feed(prepared.forced_prefix)
        self._plain = self._splitter is None and self._parser is None
        self._count = 0
        self._untold = 0

    def add(self, chosen: Chosen, *, grammar_ended: bool = False) -> list[GenerateEvent]:
        """The events that one more token brings; the last of them is Finished if it ends the answer."""
        self._count += 1
        self._untold += 1
        token = chosen.token
        ends = token in self._vocabulary.end_tokens and not self._sampling.ignore_eos
        logprobs = None if chosen.logprob is None else (token_logprob(chosen, self._vocabulary),)
        if ends:
            return self._end("stop", logprobs=logprobs)
        data = (
            b"" if self._vocabulary.is_special(token) and token not in self._kept else self._vocabulary.bytes_of(token)
        )
        text, stop = self._stops.feed(self._utf8.feed(data))
        if stop is not None:
            return [*self._events(text, logprobs), *self._finish("stop", stop)]
        if self._count >= self._max_tokens:
            return self._end("length", text, logprobs)
        if grammar_ended:
            return self._end("stop", text, logprobs)
        events = self._events(text, logprobs)
        if not self._parallel and self._parser is not None and self._parser.complete:
            return [*events, *self._finish("stop")]
        return events

    def end_unstarted(self) -> list[GenerateEvent]:
        """For an answer that may have no token at all (`max_tokens` 0)."""
        return self._finish("length")

    def _end(
        self, reason: FinishReason, text: str = "", logprobs: tuple[TokenLogprob, ...] | None = None
    ) -> list[GenerateEvent]:
        """Let go of everything held back, and finish."""
        rest, stop = self._stops.feed(self._utf8.flush())
        if stop is not None:
            return [*self._events(text + rest, logprobs), *self._finish("stop", stop)]
        return [*self._events(text + rest + self._stops.flush(), logprobs), *self._finish(reason)]

    def _finish(self, reason: FinishReason, stop: str | None = None) -> list[GenerateEvent]:
        events: list[GenerateEvent] = []
        if self._splitter is not None:
            thought, text = self._splitter.finish()
            events += self._put(text, thought, None)
        if self._parser is not None:
            events += self._pieces(self._parser.finish())
            if self._parser.calls and reason != "length":
                reason = "tool_calls"
        self.finished = Finished(index=self.index, reason=reason, completion_tokens=self._count, stop_sequence=stop)
        return [*events, self.finished]

    def _events(self, text: str, logprobs: tuple[TokenLogprob, ...] | None) -> list[GenerateEvent]:
        if self._plain:
            if not text and logprobs is None:
                return []
            return [Delta(index=self.index, text=text, tokens=self._told(), logprobs=logprobs)]
        thought = ""
        if self._splitter is not None:
            thought, text = self._splitter.feed(text)
        return self._put(text, thought, logprobs)

    def _put(self, text: str, thought: str, logprobs: tuple[TokenLogprob, ...] | None) -> list[GenerateEvent]:
        events: list[GenerateEvent] = []
        if thought or logprobs is not None:
            events.append(Delta(index=self.index, reasoning=thought, tokens=self._told(), logprobs=logprobs))
        if self._parser is not None:
            events += self._pieces(self._parser.feed(text)) if text else []
        elif text:
            events.append(Delta(index=self.index, text=text, tokens=self._told()))
        return events

    def _pieces(self, pieces: list[Piece]) -> list[GenerateEvent]:
        return [
            Delta(index=self.index, text=piece.text, tokens=self._told())
            if isinstance(piece, TextPiece)
            else ToolCallDelta(
                index=self.index,
                call=piece.call,
                id=piece.id,
                name=piece.name,
                arguments=piece.arguments,
                tokens=self._told(),
            )
            for piece in pieces
        ]

    def _told(self) -> int:
        untold, self._untold = self._untold, 0
        return untold


def token_logprob(chosen: Chosen, vocabulary: Vocabulary) -> TokenLogprob:
    """The token with its bytes, as a client gets it."""
    return TokenLogprob(
        vocabulary.bytes_of(chosen.token),
        chosen.logprob,
        tuple(Alternative(vocabulary.bytes_of(token), logprob) for token, logprob in chosen.top),
    )
