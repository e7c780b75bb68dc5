"""The change of questions' vectors that a Library learns: it helps where there is something to learn, else there is
none; its gradient is that of its loss; what is kept comes back.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from rixin.errors import StoreUnavailable
from rixin.knowledge.learned import RANK, TEMPERATURE, Lessons, _Learner, learn
from rixin.knowledge.projection import Lesson, Projection, lesson_of

Floats = NDArray[np.float32]
DIMENSIONS = 64
LESSON = Lesson(
    learned_from=200, held_out=90, mrr_before=0.3, mrr_after=0.4, hit5_before=0.5, hit5_after=0.6, p_value=0.01
)


def unit(rows: NDArray[np.float64]) -> Floats:
    made: Floats = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype("f4")
    return made


def world(count: int, *, turned: bool, seed: int = 0) -> tuple[Floats, Floats, NDArray[np.intp]]:
    """Questions near the passages that answer them; `turned` ones have six directions the wrong way round."""
    random = np.random.default_rng(seed)
    passages = unit(random.normal(size=(600, DIMENSIONS)) * ([3.0] * 12 + [1.0] * (DIMENSIONS - 12)))
    right = random.integers(0, len(passages), count)
    turn = np.eye(DIMENSIONS)
    if turned:
        turn[range(6), range(6)] = -1.0
    noise = random.normal(size=(count, DIMENSIONS)) / DIMENSIONS**0.5
    return unit(passages[right] @ turn + 0.8 * noise), passages, right


def lessons(questions: Floats, passages: Floats, right: NDArray[np.intp]) -> Lessons:
    near = np.argsort(-(questions @ passages.T), axis=1)[:, :20]
    wrong = tuple(row[row != at] for row, at in zip(near, right, strict=True))
    return Lessons(questions, passages, tuple(np.array([at]) for at in right), wrong)


def mrr(questions: Floats, passages: Floats, right: NDArray[np.intp]) -> float:
    cosines = questions @ passages.T
    ranks = (cosines > cosines[np.arange(len(right)), right][:, None]).sum(axis=1) + 1
    return float(np.where(ranks <= 10, 1 / ranks, 0).mean())


def test_meaning_that_lies_the_wrong_way_round_is_learned_and_helps_other_documents() -> None:
    questions, passages, right = world(700, turned=True)
    groups = list(right % 50)
    learning = np.flatnonzero(np.array(groups) < 30)
    others = np.flatnonzero(np.array(groups) >= 30)
    made = learn(lessons(questions[learning], passages, right[learning]), [groups[at] for at in learning])
    assert made is not None
    before = mrr(questions[others], passages, right[others])
    after = mrr(made.of(questions[others]), passages, right[others])
    assert after > before + 0.15


def test_questions_that_lie_right_already_are_left_where_they_are() -> None:
    questions, passages, right = world(300, turned=False)
    made = learn(lessons(questions, passages, right), list(right % 40))
    assert made is None or mrr(made.of(questions), passages, right) > 0.98


def test_questions_on_one_document_teach_nothing_that_could_be_checked() -> None:
    questions, passages, right = world(60, turned=True)
    assert learn(lessons(questions, passages, right), [0] * 60) is None


def test_the_same_questions_teach_the_same() -> None:
    some = lessons(*world(150, turned=True))
    first, second = (learn(some, list(range(150))) for _ in range(2))
    assert first is not None
    assert second is not None
    assert np.array_equal(first.up, second.up)


def test_the_gradient_is_that_of_the_loss_of_torch() -> None:
    torch = pytest.importorskip("torch")
    some = lessons(*world(8, turned=True))
    learner = _Learner(some, rate=1e-3, seed=3)
    random = np.random.default_rng(4)
    learner._weights[1][:] = random.normal(0, 0.1, (RANK, DIMENSIONS))
    loss, by_moved = learner._forward(np.arange(8))
    asked = np.concatenate([some.questions, np.ones((8, 1), "f4")], axis=1)
    moved = torch.tensor(some.questions + asked @ learner._weights[0] @ learner._weights[1], requires_grad=True)
    among = sorted({int(row) for rows in (*some.right, *some.shown) for row in rows})
    scores = torch.nn.functional.normalize(moved, dim=1) @ torch.tensor(some.passages[among]).T / TEMPERATURE
    expected = torch.nn.functional.cross_entropy(scores, torch.tensor([among.index(int(one[0])) for one in some.right]))
    expected.backward()
    assert loss == pytest.approx(expected.item(), rel=1e-4)
    assert np.allclose(by_moved, moved.grad.numpy(), atol=1e-5)


@st.composite
def projections(draw: st.DrawFn) -> tuple[Projection, Floats]:
    dimensions, rank, count = (draw(st.integers(1, most)) for most in (40, 8, 5))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    down, up, asked = (
        random.normal(size=shape).astype("f4")
        for shape in ((dimensions + 1, rank), (rank, dimensions), (count, dimensions))
    )
    return Projection(down, up), asked


@given(projections())
def test_what_is_kept_comes_back_and_gives_vectors_of_length_one(made: tuple[Projection, Floats]) -> None:
    projection, asked = made
    body = projection.packed(LESSON)
    assert lesson_of(body) == LESSON
    back = Projection.unpacked(body)
    assert back.packed(LESSON) == body
    moved = back.of(asked)
    assert moved.shape == asked.shape
    assert moved.dtype == np.float32
    by_hand = asked + np.concatenate([asked, np.ones((len(asked), 1))], axis=1) @ back.down @ back.up
    lengths = np.linalg.norm(by_hand, axis=1)
    firm = lengths > 1e-3
    assert np.allclose(moved[firm], by_hand[firm] / lengths[firm, None], atol=1e-4)


@given(st.binary(max_size=200))
def test_anything_else_in_its_place_is_told(body: bytes) -> None:
    for read in (Projection.unpacked, lesson_of):
        with pytest.raises(StoreUnavailable, match="--undo"):
            read(body)


@pytest.mark.parametrize("cut", [1, 40, -1])
def test_a_cut_one_is_told(cut: int) -> None:
    body = Projection(np.ones((5, 2), "f4"), np.ones((2, 4), "f4")).packed(LESSON)[:cut]
    with pytest.raises(StoreUnavailable):
        Projection.unpacked(body)
