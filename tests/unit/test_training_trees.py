"""Trees laid into packs, and the order in which packs come."""

from pathlib import Path

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rixin.training.batch import Pack
from rixin.training.head_loss import target_logprobs
from rixin.training.objectives import Mixture, Pace, Packs, Windows, branch, tree
from rixin.training.objectives.pace import seed_of, shuffled
from rixin.training.objectives.row_cache import RowCache, key_of
from rixin.training.objectives.trees import Tree, cut, pack, pack_ends
from trainee import tiny_model

VOCABULARY = 61
tokens = st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=9)
forks = st.builds(
    lambda prefix, branches: tree(prefix, *(branch(one) for one in branches)),
    st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=9),
    st.lists(tokens, min_size=1, max_size=4),
)


def apart(trees: list[Tree]) -> list[Tree]:
    """The same sequences, each with a prompt of its own."""
    return [
        tree((), branch([*one.prefix, *each.tokens], [False] * len(one.prefix) + each.predict.tolist()))
        for one in trees
        for each in one.branches
    ]


def logprobs(laid: Pack) -> torch.Tensor:
    model = tiny_model()
    with torch.no_grad():
        return target_logprobs(model, model(laid), laid)


@settings(max_examples=25, deadline=None)
@given(st.lists(forks, min_size=1, max_size=3))
def test_a_shared_prompt_predicts_what_separate_prompts_predict(trees: list[Tree]) -> None:
    shared, separate = pack(trees), pack(apart(trees))
    assert shared.targets.tolist() == separate.targets.tolist()
    assert shared.sequence.tolist() == separate.sequence.tolist()
    torch.testing.assert_close(logprobs(shared), logprobs(separate), atol=1e-4, rtol=1e-4)


@settings(max_examples=25, deadline=None)
@given(st.lists(forks, min_size=1, max_size=5), st.integers(1, 60))
def test_how_trees_are_cut_into_packs_changes_no_prediction(trees: list[Tree], capacity: int) -> None:
    together = pack(trees)
    groups = cut(trees, capacity)
    assert [one for group in groups for one in group] == trees
    assert all(len(group) == 1 or sum(one.length for one in group) <= capacity for group in groups)
    parts = torch.cat([logprobs(pack(group)) for group in groups])
    torch.testing.assert_close(parts, logprobs(together), atol=1e-4, rtol=1e-4)


def test_a_branch_without_prompt_does_not_predict_its_first_token() -> None:
    laid = pack([tree((), branch([5, 6, 7])), tree((), branch([8], [True]))])
    assert laid.targets.tolist() == [6, 7]
    assert laid.predict_at.tolist() == [0, 1]


def test_each_branch_is_scored_at_its_last_token() -> None:
    laid = pack_ends([tree([1, 2], branch([3, 4]), branch([5])), tree((), branch([6, 7, 8]))])
    assert laid.tokens[laid.predict_at].tolist() == [4, 5, 8]
    assert laid.sequence.tolist() == [0, 1, 2]


@given(st.lists(st.integers(1, 30), min_size=1, max_size=20), st.integers(0, 40), st.integers(1, 12))
def test_packs_can_be_taken_from_any_place_of_the_endless_order(lengths: list[int], first: int, many: int) -> None:
    one, other = Packs(lengths, 32, seed=3), Packs(lengths, 32, seed=3)
    whole = [pack for start in range(first + many) for pack in one.take(start, 1)]
    assert other.take(first, many) == whole[first:]
    epoch = other.take(0, other.in_epoch)
    assert sorted(row for rows in epoch for row in rows) == list(range(len(lengths)))


def test_the_order_of_rows_is_the_same_on_every_machine() -> None:
    assert shuffled(6, 4, 5, seed=1) == [4, 0, 0, 5, 1]
    assert seed_of(7, "rollout", 3) == 949975402719704536


@given(st.lists(st.lists(st.integers(2, 60), max_size=40), min_size=1, max_size=5), st.integers(2, 9))
def test_every_token_of_a_text_but_its_first_is_predicted_once(documents: list[list[int]], length: int) -> None:
    whole = [[1, *document, 1] for document in documents]
    windows = Windows(whole, length=length)
    assert all(one.length <= length for one in windows)
    laid = pack(windows[:])
    assert laid.targets.tolist() == [token for document in whole for token in document[1:]]


def test_replay_makes_up_its_share_of_the_packs_in_every_stretch() -> None:
    pace = Pace(steps=10, parts_per_step=4, part_tokens=4, seed=0)
    main = [tree((), branch([2, 2, 2, 2])) for _ in range(7)]
    general = [tree((), branch([9, 9, 9, 9])) for _ in range(3)]
    mixture = Mixture(main, pace, replay=general, replay_share=0.25)
    for step in range(10):
        parts = mixture.batch(step).parts
        assert sum(int(part.tokens[0]) == 9 for part in parts) == 1


def test_a_row_cache_keeps_what_was_computed_and_knows_what_is_missing(tmp_path: Path) -> None:
    cache = RowCache(tmp_path, "reference", "k", rows=4, columns=2)
    cache.write([2, 0], torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    again = RowCache(tmp_path, "reference", "k", rows=4, columns=2)
    assert again.missing() == [1, 3]
    assert again.read([0, 2]).tolist() == [[3.0, 4.0], [1.0, 2.0]]
    assert RowCache(tmp_path, "reference", "other", rows=4, columns=2).missing() == [0, 1, 2, 3]


def test_a_key_tells_prompts_from_answers() -> None:
    one = key_of([tree([1, 2], branch([3]))])
    assert one != key_of([tree([1], branch([2, 3]))])
    assert one != key_of([tree([1, 2], branch([3], [False]))])
    assert one == key_of([tree(np.array([1, 2]), branch([3]))])
    assert one != key_of([tree([1, 2], branch([3]))], "a model")
