"""The KV cache's blocks: who uses which, and which still hold a prefix that a later prompt may share.

A full block is known by a digest of its tokens and of all before them, so equal prefixes are found without comparing
them. A block that nobody uses keeps its content until its room is needed; the least recently used goes first.
Source: vLLM's automatic prefix caching.
"""

from collections import OrderedDict, deque
from collections.abc import Sequence
from hashlib import blake2b

import numpy as np

ROOT = b""


def chain(parent: bytes, tokens: Sequence[int]) -> bytes:
    """The digest of a full block that follows the block `parent` (ROOT for the first)."""
    return blake2b(parent + np.asarray(tokens, np.int32).tobytes(), digest_size=16).digest()


class BlockPool:
    """`count` blocks of `size` tokens. Blocks are shared by counting their users."""

    def __init__(self, count: int, size: int) -> None:
        self.count = count
        self.size = size
        self._users = [0] * count
        self._blank = deque(range(count))
        self._idle: OrderedDict[int, None] = OrderedDict()  # no user, content kept; oldest first
        self._digest: dict[int, bytes] = {}
        self._by_digest: dict[bytes, int] = {}

    @property
    def available(self) -> int:
        """Blocks that `take` can give now."""
        return len(self._blank) + len(self._idle)

    def match(self, digests: Sequence[bytes]) -> list[int]:
        """The longest run of blocks that hold these digests from the first on; the caller becomes their user."""
        found: list[int] = []
        for digest in digests:
            block = self._by_digest.get(digest)
            if block is None:
                break
            self._users[block] += 1
            self._idle.pop(block, None)
            found.append(block)
        return found

    def take(self, number: int) -> list[int] | None:
        """`number` blocks with one user each and no content; None, and nothing taken, if there are fewer."""
        if number > self.available:
            return None
        taken = []
        for _ in range(number):
            if self._blank:
                block = self._blank.popleft()
            else:
                block, _ = self._idle.popitem(last=False)
                del self._by_digest[self._digest.pop(block)]
            self._users[block] = 1
            taken.append(block)
        return taken

    def seal(self, block: int, digest: bytes) -> None:
        """A block that its user has filled can be found from now on, unless another with its content can be."""
        if digest not in self._by_digest and block not in self._digest:
            self._by_digest[digest] = block
            self._digest[block] = digest

    def release(self, blocks: Sequence[int]) -> None:
        """One user less for each. The last of a chain is offered for reuse before the first."""
        for block in reversed(blocks):
            self._users[block] -= 1
            if self._users[block] == 0:
                if block in self._digest:
                    self._idle[block] = None
                else:
                    self._blank.appendleft(block)  # one in use before, since the others may not be in memory yet
