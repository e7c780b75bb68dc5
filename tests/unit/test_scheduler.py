"""What each step works on."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from rixin.engines.openvino.blocks import BlockPool
from rixin.engines.openvino.runner import ROWS
from rixin.engines.openvino.sampler import Sampler
from rixin.engines.openvino.scheduler import ALONE_TOKENS, MIXED_TOKENS, Scheduler
from rixin.engines.openvino.sequence import MOST_TOLD_TOKENS, Sequence
from rixin.engines.protocol import Sampling

SIZE = 16


def sequence(length: int, name: str = "", *, base: int = 0, told_from: int | None = None) -> Sequence:
    """A request of `length` tokens that no other begins with."""
    tokens = [base * 100_000 + at for at in range(length)]
    return Sequence(name, tokens, sampler=Sampler(Sampling(temperature=0), answer=0, prompt=[]), told_from=told_from)


class Stage:
    """A scheduler, and what it takes to go on: each sequence whose tokens are all computed gets one more."""

    def __init__(self, blocks: int, *, max_parallel: int = 8) -> None:
        self.pool = BlockPool(blocks, SIZE)
        self.scheduler = Scheduler(self.pool, max_parallel=max_parallel)

    def step(self) -> list[tuple[Sequence, int]]:
        plan = self.scheduler.plan()
        for one, count in plan:
            assert count > 0
            assert len(one.blocks) * SIZE >= one.computed + count, "tokens without a place"
        for one, count in plan:
            one.advance(count - len(one.draft), self.pool)  # every guess is wrong
            if one.computed == len(one.tokens):
                one.tokens.append(7)
        return plan

    def finish(self, one: Sequence) -> None:
        self.scheduler.remove_if(lambda other: other is one)


def test_answers_go_on_while_a_long_prompt_comes_in_pieces() -> None:
    stage = Stage(1000)
    talking = [sequence(20, base=number) for number in range(3)]
    for one in talking:
        stage.scheduler.add(one)
    stage.step()
    long = sequence(5000, base=9)
    stage.scheduler.add(long)
    pieces = []
    while long.computed < long.prompt_length:
        plan = stage.step()
        assert [(one, count) for one, count in plan[:3]] == [(one, 1) for one in talking]
        pieces += [count for one, count in plan if one is long]
    assert sum(pieces) == 5000
    assert max(pieces) <= MIXED_TOKENS
    assert len(pieces) == -(-5000 // MIXED_TOKENS)


def test_alone_a_prompt_comes_in_large_pieces() -> None:
    stage = Stage(1000)
    stage.scheduler.add(sequence(ALONE_TOKENS * 2 + 5))
    assert [count for _ in range(3) for _, count in stage.step()] == [ALONE_TOKENS, ALONE_TOKENS, 5]


def test_short_prompts_share_a_step() -> None:
    stage = Stage(1000)
    for number in range(5):
        stage.scheduler.add(sequence(100, base=number))
    assert [count for _, count in stage.step()] == [100] * 5


def test_told_prompts_come_in_pieces_that_memory_can_hold() -> None:
    stage = Stage(1000)
    stage.scheduler.add(sequence(1000, told_from=700))
    counts = [stage.step()[0][1] for _ in range(3)]
    assert counts[0] == 699 + MOST_TOLD_TOKENS - 827 % ROWS
    assert sum(counts) == 1000


def test_a_small_rest_of_a_prompt_is_a_step_of_its_own() -> None:
    stage = Stage(1000)
    stage.scheduler.add(sequence(ROWS * 6 + ROWS // 4))
    assert [count for _ in range(2) for _, count in stage.step()] == [ROWS * 6, ROWS // 4]
    stage.scheduler.add(sequence(ROWS * 6 + ROWS // 4 * 3, base=1))
    assert [count for _, count in stage.step()] == [1, MIXED_TOKENS - 1]  # beside who is answered


def test_a_large_rest_of_a_prompt_goes_with_it() -> None:
    stage = Stage(1000)
    stage.scheduler.add(sequence(ROWS * 2 + ROWS // 4 * 3))
    assert [count for _, count in stage.step()] == [ROWS * 2 + ROWS // 4 * 3]


def test_of_several_prompts_the_last_leaves_the_rest() -> None:
    stage = Stage(1000)
    for number in range(2):
        stage.scheduler.add(sequence(ROWS // 2 + 4, base=number))
    assert [count for _, count in stage.step()] == [ROWS // 2 + 4, ROWS // 2 - 4]


def test_at_most_max_parallel_run_and_the_others_keep_their_order() -> None:
    stage = Stage(1000, max_parallel=2)
    all_of_them = [sequence(10, base=number) for number in range(5)]
    for one in all_of_them:
        stage.scheduler.add(one)
    order = []
    while len(stage.scheduler):
        running = [one for one, _ in stage.step()]
        assert len(running) <= 2
        order.append(running[0])
        stage.finish(running[0])
    assert order == all_of_them


def test_a_prompt_that_was_just_answered_is_found_again_all_but_its_last_token() -> None:
    stage = Stage(100)
    first = sequence(SIZE * 3)
    stage.scheduler.add(first)
    stage.step()
    stage.finish(first)
    again = sequence(SIZE * 3)
    stage.scheduler.add(again)
    assert stage.step() == [(again, SIZE)]
    assert again.cached == SIZE * 2
    longer = sequence(SIZE * 3 + 1)
    stage.scheduler.add(longer)
    stage.step()
    assert longer.cached == SIZE * 3


def test_who_came_last_gives_way_when_the_cache_is_full_and_comes_back_first() -> None:
    stage = Stage(4)
    early, late, waiting = sequence(SIZE, base=1), sequence(SIZE * 2 - 1, base=2), sequence(SIZE, base=3)
    for one in (early, late, waiting):
        stage.scheduler.add(one)
    assert [one for one, _ in stage.step()] == [early, late, waiting]
    stage.step()
    assert not waiting.blocks
    assert early.blocks
    assert late.blocks
    stage.finish(late)
    assert waiting in [one for one, _ in stage.step()]


def test_who_gives_way_is_not_computed_in_that_step() -> None:
    """A prompt whose tokens are told comes in small pieces, so one that came later may be answered before it."""
    stage = Stage(25)
    told, later = sequence(25 * SIZE, base=1, told_from=1), sequence(10, base=2)
    stage.scheduler.add(told)
    stage.scheduler.add(later)
    plans = [stage.step() for _ in range(4)]
    assert [len(plan) for plan in plans] == [2, 2, 2, 1]
    assert plans[-1][0][0] is told
    assert not later.blocks


def test_what_is_dropped_gives_its_blocks_back() -> None:
    stage = Stage(50)
    running, waiting = sequence(100, "a", base=1), sequence(100, "b", base=2)
    stage.scheduler.add(running)
    stage.step()
    stage.scheduler.add(waiting)
    assert stage.pool.available < 50
    stage.scheduler.remove_if(lambda one: one.request_id == "a")
    assert stage.pool.available == 50
    stage.scheduler.remove_if(lambda one: one.request_id == "b")
    assert not len(stage.scheduler)


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 2**32),
    st.integers(2, 24),
    st.integers(1, 6),
    st.lists(st.tuples(st.integers(1, 200), st.integers(1, 60), st.booleans()), min_size=1, max_size=10),
)
def test_everybody_finishes_however_small_the_cache(
    seed: int, blocks: int, max_parallel: int, asked: list[tuple[int, int, bool]]
) -> None:
    """A request that fits the cache alone is always answered, and the first in line is never put back."""
    dice = random.Random(seed)
    stage = Stage(blocks, max_parallel=max_parallel)
    room = blocks * SIZE
    to_come = []
    for number, (prompt, answer, shared) in enumerate(asked):
        prompt = min(prompt, room - 1)
        one = sequence(prompt, base=0 if shared else number + 1)
        to_come.append((one, min(answer, room - prompt), number))
    wanted = {id(one): one.prompt_length + answer for one, answer, _ in to_come}
    arrived: list[Sequence] = []
    for _ in range(20_000):
        while to_come and (not len(stage.scheduler) or dice.random() < 0.3):
            arrived.append(to_come[0][0])
            stage.scheduler.add(to_come.pop(0)[0])
        if not arrived:
            break
        first = arrived[0]
        before = first.computed
        plan = stage.step()
        assert plan, "nothing is computed while somebody waits"
        assert len(plan) <= max_parallel
        assert first in [one for one, _ in plan], "the first in line waits for nobody"
        assert first.computed > before
        for one, _ in plan:
            if len(one.tokens) >= wanted[id(one)]:
                stage.finish(one)
                arrived.remove(one)
    assert not arrived
    assert stage.pool.available == blocks
