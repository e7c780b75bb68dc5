"""Who holds which block of the KV cache, whatever is done with the pool in whatever order."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, RuleBasedStateMachine, consumes, invariant, multiple, rule

from rixin.engines.openvino.blocks import ROOT, BlockPool, chain

COUNT, SIZE = 6, 4


class Holding:
    """What one owner has: its blocks, and which of them have a content that others may share."""

    def __init__(self, blocks: list[int], digests: list[bytes]) -> None:
        self.blocks = blocks
        self.digests = digests


class PoolMachine(RuleBasedStateMachine):
    """The pool beside a model that is plain bookkeeping: who holds what, and what content lies where since when."""

    holdings: Bundle[Holding] = Bundle("holdings")

    def __init__(self) -> None:
        super().__init__()
        self.pool = BlockPool(COUNT, SIZE)
        self.alive: list[Holding] = []
        self.where: dict[bytes, int] = {}  # content that can be found
        self.idle: list[int] = []  # blocks with such content and no user, the next to go first

    def users(self, block: int) -> int:
        return sum(holding.blocks.count(block) for holding in self.alive)

    def held(self) -> set[int]:
        return {block for holding in self.alive for block in holding.blocks}

    @rule(target=holdings, number=st.integers(0, COUNT + 1))
    def take(self, number: int) -> Holding | MultipleResults[Holding]:
        before = self.pool.available
        taken = self.pool.take(number)
        if number > before:
            assert taken is None
            assert self.pool.available == before
            return multiple()
        assert taken is not None
        assert len(set(taken)) == len(taken) == number
        assert not set(taken) & self.held(), "a block in two owners' hands"
        evicted = [block for block in taken if block in self.idle]
        assert evicted == self.idle[: len(evicted)], "the least recently used goes first"
        if evicted:
            assert before - len(self.idle) == number - len(evicted), "blank blocks go before any content is lost"
        self.idle = self.idle[len(evicted) :]
        self.where = {digest: block for digest, block in self.where.items() if block not in evicted}
        holding = Holding(taken, [])
        self.alive.append(holding)
        return holding

    @rule(holding=holdings, words=st.lists(st.integers(0, 2), min_size=1, max_size=4))
    def fill_the_next_blocks(self, holding: Holding, words: list[int]) -> None:
        at = len(holding.digests)
        for word, block in zip(words, holding.blocks[at:], strict=False):
            digest = chain(holding.digests[-1] if holding.digests else ROOT, [word] * SIZE)
            self.pool.seal(block, digest)
            if digest not in self.where and block not in self.where.values():
                self.where[digest] = block
            holding.digests.append(digest)

    @rule(target=holdings, words=st.lists(st.integers(0, 2), max_size=4))
    def share_a_prefix(self, words: list[int]) -> Holding:
        digests: list[bytes] = []
        for word in words:
            digests.append(chain(digests[-1] if digests else ROOT, [word] * SIZE))
        expected = []
        for digest in digests:
            if digest not in self.where:
                break
            expected.append(self.where[digest])
        found = self.pool.match(digests)
        assert found == expected, "content that was released is found until its room is needed"
        self.idle = [block for block in self.idle if block not in found]
        holding = Holding(found, digests[: len(found)])
        self.alive.append(holding)
        return holding

    @rule(holding=consumes(holdings))
    def release(self, holding: Holding) -> None:
        self.alive.remove(holding)
        self.pool.release(holding.blocks)
        findable = set(self.where.values())
        self.idle += [block for block in reversed(holding.blocks) if not self.users(block) and block in findable]

    @invariant()
    def every_block_is_held_or_available(self) -> None:
        assert self.pool.available == COUNT - len(self.held())

    @invariant()
    def users_are_counted(self) -> None:
        assert self.pool._users == [self.users(block) for block in range(COUNT)]


TestBlockPool = PoolMachine.TestCase
TestBlockPool.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_a_digest_tells_of_all_that_came_before() -> None:
    one, other = chain(ROOT, [1, 2]), chain(ROOT, [3, 4])
    assert chain(one, [5, 6]) != chain(other, [5, 6])
    assert chain(one, [5, 6]) == chain(chain(ROOT, (1, 2)), (5, 6))
    assert chain(ROOT, [1, 0]) != chain(ROOT, [256])
