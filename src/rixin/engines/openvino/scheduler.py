"""Decides what each step works on: continuous batching with chunked prefill, first come first served.

Answers that are being written go first, a token each; what is left of the step's tokens goes to prompts. While someone
is being answered a step takes a small piece of a prompt, so nobody's stream stalls; alone, a prompt goes in large
pieces. When the KV cache is full the sequence that came last gives its blocks back and is computed again later.
Sources: Orca (continuous batching), Sarathi-Serve (chunked prefill, https://arxiv.org/abs/2403.02310).
"""

from collections import deque
from collections.abc import Callable

from rixin.engines.openvino.blocks import BlockPool
from rixin.engines.openvino.runner import ROWS
from rixin.engines.openvino.sequence import Sequence

ALONE_TOKENS = 1024
MIXED_TOKENS = 256
# Reading the weights bounds such a step: 8 tokens of one sequence take 1.05–1.2 times the time of one (0.5B, 2 cores).
GUESS_ROWS = 8


class Scheduler:
    """At most `max_parallel` sequences run at once; others wait in the order in which they came."""

    def __init__(self, pool: BlockPool, *, max_parallel: int) -> None:
        self._pool = pool
        self._max_parallel = max_parallel
        self._waiting: deque[Sequence] = deque()
        self._running: list[Sequence] = []  # in the order of admission

    def __len__(self) -> int:
        return len(self._waiting) + len(self._running)

    def add(self, sequence: Sequence) -> None:
        self._waiting.append(sequence)

    def remove_if(self, gone: Callable[[Sequence], bool]) -> None:
        """Drop the sequences for which `gone` is true and free their blocks."""
        staying = []
        for sequence in self._running:
            if gone(sequence):
                sequence.leave(self._pool)
            else:
                staying.append(sequence)
        self._running = staying
        self._waiting = deque(sequence for sequence in self._waiting if not gone(sequence))

    def plan(self) -> list[tuple[Sequence, int]]:
        """What to compute now: sequences with a number of their next tokens. Empty only if there are no sequences."""
        planned: dict[int, tuple[Sequence, int]] = {}
        self._plan_decoding(planned)
        decoding = len(planned)
        budget = max(MIXED_TOKENS - decoding, ROWS) if planned else ALONE_TOKENS
        for sequence in list(self._running):
            if budget <= 0:
                break
            if id(sequence) in planned or sequence not in self._running:
                continue
            count = min(len(sequence.tokens) - sequence.computed, budget, sequence.most_at_once)
            if self._make_room(sequence, sequence.computed + count, planned):
                planned[id(sequence)] = (sequence, count)
                budget -= count
        while budget > 0 and self._waiting and len(self._running) < self._max_parallel:
            sequence = self._waiting[0]
            sequence.enter(self._pool)
            count = min(len(sequence.tokens) - sequence.computed, budget, sequence.most_at_once)
            if not sequence.reserve(sequence.computed + count, self._pool):
                sequence.leave(self._pool)
                break
            self._running.append(self._waiting.popleft())
            planned[id(sequence)] = (sequence, count)
            budget -= count
        if 0 < len(planned) == decoding:
            self._guess(planned)
        return _in_whole_rows(list(planned.values()))

    def _plan_decoding(self, planned: dict[int, tuple[Sequence, int]]) -> None:
        for sequence in list(self._running):
            if (
                sequence in self._running
                and sequence.decodes
                and self._make_room(sequence, len(sequence.tokens), planned)
            ):
                sequence.draft = []
                planned[id(sequence)] = (sequence, 1)

    def _guess(self, planned: dict[int, tuple[Sequence, int]]) -> None:
        """With few answers under way and no prompt, compute guesses too: up to eight cost hardly more than one."""
        most = GUESS_ROWS // len(planned) - 1
        if most < 1:
            return
        for key, (sequence, _) in planned.items():
            sequence.propose(most)
            if not sequence.reserve(len(sequence.tokens) + len(sequence.draft), self._pool):
                sequence.draft = []
            planned[key] = (sequence, 1 + len(sequence.draft))

    def _make_room(self, sequence: Sequence, upto: int, planned: dict[int, tuple[Sequence, int]]) -> bool:
        """Blocks for the first `upto` tokens, taken from those who came last if need be; False if it lost its own."""
        while not sequence.reserve(upto, self._pool):
            last = self._running.pop()
            last.leave(self._pool)
            planned.pop(id(last), None)
            self._waiting.appendleft(last)
            if last is sequence:
                return False
        return True


def _in_whole_rows(planned: list[tuple[Sequence, int]]) -> list[tuple[Sequence, int]]:
    """Leave a small rest of the last prompt for the next step; it keeps its blocks."""
    rows = sum(count for _, count in planned)
    rest = rows % ROWS
    last, count = planned[-1] if planned else (None, 0)
    if last is None or last.draft or rows < ROWS or not 0 < rest <= ROWS // 2 or count <= rest:
        return planned
    return [*planned[:-1], (last, count - rest)]
