"""One sequence in the batch: its tokens, its place in the KV cache, and what is wanted of it."""

import numpy as np
from llguidance import LLMatcher
from numpy.typing import NDArray

from rixin.engines.openvino.blocks import ROOT, BlockPool, chain
from rixin.engines.openvino.runner import Piece
from rixin.engines.openvino.sampler import Sampler

MOST_TOKENS = 1 << 20
MOST_TOLD_TOKENS = 128
GRAM = 3
LONGEST_PAUSE = 32


class Sequence:
    """Tokens of which the first `computed` are in the KV cache.

    With `told_from`, the log-probabilities of the tokens from that place on are wanted (echo, scoring), so the prefix
    cache may serve only what lies before.
    """

    def __init__(
        self,
        request_id: str,
        tokens: list[int],
        *,
        sampler: Sampler | None,
        matcher: LLMatcher | None = None,
        told_from: int | None = None,
    ) -> None:
        self.request_id = request_id
        self.tokens = tokens
        self.prompt_length = len(tokens)
        self.sampler = sampler
        self.matcher = matcher
        self.told_from = told_from
        self.computed = 0
        self.cached = 0
        self.blocks: list[int] = []
        self._begun = False
        self._digests: list[bytes] = []
        self._sealed = 0
        self.draft: list[int] = []
        self._follows: dict[tuple[int, ...], int] = {}  # where the text goes on after its last few tokens
        self._followed = 0
        self._pause = 0
        self._next_pause = 1

    @property
    def most_at_once(self) -> int:
        """Tokens that one step may compute: logits for each of many tokens would fill the memory."""
        if self.told_from is None:
            return MOST_TOKENS
        return max(self.told_from - 1 - self.computed, 0) + MOST_TOLD_TOKENS

    @property
    def decodes(self) -> bool:
        """True if only its newest token is missing from the cache."""
        return self.computed == len(self.tokens) - 1 and self.computed >= self.prompt_length

    def enter(self, pool: BlockPool) -> None:
        """Take from the cache the longest prefix that it has."""
        size = pool.size
        reusable = (len(self.tokens) - 1 if self.told_from is None else max(self.told_from - 1, 0)) // size
        self._digest_up_to(reusable, size)
        self.blocks = pool.match(self._digests[:reusable])
        self._sealed = len(self.blocks)
        self.computed = len(self.blocks) * size
        if not self._begun:  # else it finds what it made itself before it lost its place
            self.cached = min(self.computed, self.prompt_length)

    def reserve(self, upto: int, pool: BlockPool) -> bool:
        """Have blocks for the first `upto` tokens; False if the pool has too few."""
        missing = -(-upto // pool.size) - len(self.blocks)
        if missing <= 0:
            return True
        taken = pool.take(missing)
        if taken is None:
            return False
        self.blocks += taken
        return True

    def propose(self, most: int) -> None:
        """Guess the next tokens into `draft`: what followed the same three tokens when they last stood in the text.

        Source: prompt lookup decoding, https://github.com/apoorvumang/prompt-lookup-decoding.
        """
        self.draft = []
        if self.sampler is None or self.matcher is not None:
            return
        if self._pause:
            self._pause -= 1
            return
        tokens = self.tokens
        for end in range(max(self._followed, GRAM), len(tokens)):
            self._follows[tuple(tokens[end - GRAM : end])] = end
        self._followed = len(tokens)
        place = self._follows.get(tuple(tokens[-GRAM:]))
        if place is not None:
            self.draft = tokens[place : place + most]

    def told(self, right: int) -> None:
        """How many tokens of the draft were right. After none it guesses less often, up to every 32 tokens."""
        self.draft = []
        self._next_pause = 1 if right else min(2 * self._next_pause, LONGEST_PAUSE)
        self._pause = 0 if right else self._next_pause

    def piece(self, count: int) -> Piece:
        """The next `count` tokens, with the places whose logits are wanted."""
        start, end = self.computed, self.computed + count
        wanted: range | tuple[int, ...]
        if self.draft:
            return Piece(self.tokens[start:] + self.draft, start, self.blocks, range(count))
        if self.told_from is not None and start < self.prompt_length:
            # The logits at a place tell of the token after it.
            wanted = range(max(self.told_from - 1, start) - start, count)
        else:
            wanted = (count - 1,) if end == len(self.tokens) and self.sampler is not None else ()
        return Piece(self.tokens[start:end], start, self.blocks, wanted)

    def advance(self, count: int, pool: BlockPool) -> None:
        """The next `count` tokens are in the cache now; full blocks can be shared from now on."""
        self._begun = True
        self.computed += count
        full = self.computed // pool.size
        if full > self._sealed:
            self._digest_up_to(full, pool.size)
            for number in range(self._sealed, full):
                pool.seal(self.blocks[number], self._digests[number])
            self._sealed = full

    def leave(self, pool: BlockPool) -> None:
        """Give every block back; the sequence can enter again and is computed anew."""
        pool.release(self.blocks)
        self.blocks = []
        self.computed = self._sealed = 0

    def allowed(self, vocabulary: int) -> NDArray[np.bool_] | None:
        """Tokens that the grammar allows next; None without a grammar."""
        if self.matcher is None:
            return None
        bits = np.frombuffer(self.matcher.compute_bitmask(), np.uint8)
        mask = np.unpackbits(bits, bitorder="little")[:vocabulary].view(np.bool_)
        if len(mask) < vocabulary:
            mask = np.concatenate([mask, np.zeros(vocabulary - len(mask), np.bool_)])
        return mask

    def _digest_up_to(self, full: int, size: int) -> None:
        while len(self._digests) < full:
            number = len(self._digests)
            parent = self._digests[-1] if self._digests else ROOT
            self._digests.append(chain(parent, self.tokens[number * size : (number + 1) * size]))
