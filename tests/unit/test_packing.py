"""Packing: every sequence once an epoch, no pack too full, little room lost, always the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rixin.errors import InvalidRequest
from rixin.training.packing import pack_sequences

LENGTHS = st.lists(st.integers(1, 300), max_size=200)
CAPACITY = st.integers(300, 1000)
SEED = st.integers(0, 2**63)
EPOCH = st.integers(0, 50)


@given(LENGTHS, CAPACITY, SEED, EPOCH)
def test_every_sequence_is_in_exactly_one_pack_and_no_pack_is_too_full(
    lengths: list[int], capacity: int, seed: int, epoch: int
) -> None:
    packs = pack_sequences(lengths, capacity, seed, epoch)
    assert sorted(number for pack in packs for number in pack) == list(range(len(lengths)))
    assert all(0 < sum(lengths[number] for number in pack) <= capacity for pack in packs)


@given(LENGTHS, CAPACITY, SEED, EPOCH)
def test_at_most_one_pack_of_a_window_is_at_most_half_full(
    lengths: list[int], capacity: int, seed: int, epoch: int
) -> None:
    packs = pack_sequences(lengths, capacity, seed, epoch)
    assert sum(2 * sum(lengths[number] for number in pack) <= capacity for pack in packs) <= 1


@given(LENGTHS, CAPACITY, SEED, EPOCH)
def test_the_same_seed_and_epoch_give_the_same_packs(lengths: list[int], capacity: int, seed: int, epoch: int) -> None:
    assert pack_sequences(lengths, capacity, seed, epoch) == pack_sequences(lengths, capacity, seed, epoch)


def test_lengths_as_of_chats_leave_less_than_two_percent_empty() -> None:
    lengths = [20 + (number * 7919) % 480 for number in range(5000)]
    packs = pack_sequences(lengths, 2048, seed=1, epoch=0)
    assert sum(lengths) / (2048 * len(packs)) > 0.98


def test_epochs_and_seeds_differ() -> None:
    lengths = [1 + number % 50 for number in range(500)]
    packs = [pack_sequences(lengths, 64, seed, epoch) for seed, epoch in ((1, 0), (1, 1), (2, 0))]
    assert packs[0] != packs[1]
    assert packs[0] != packs[2]


def test_packs_stay_as_they_are_from_version_to_version() -> None:
    """A run begun with an older Rixin is resumed by a newer one."""
    assert pack_sequences([5, 3, 8, 2, 7, 1], 10, seed=3, epoch=0) == PINNED_PACKS


PINNED_PACKS = [[0, 5], [4, 1], [2, 3]]


def test_a_sequence_that_fits_no_pack_is_named() -> None:
    with pytest.raises(InvalidRequest, match="Sequence 1 has 11 tokens; a pack holds 10"):
        pack_sequences([3, 11, 4], 10, seed=0, epoch=0)


def test_nothing_to_pack_is_no_pack_and_empty_sequences_are_refused() -> None:
    assert pack_sequences([], 10, seed=0, epoch=0) == []
    with pytest.raises(InvalidRequest, match="Sequence 1 has no tokens"):
        pack_sequences([3, 0], 10, seed=0, epoch=0)
    with pytest.raises(InvalidRequest, match="holds nothing"):
        pack_sequences([3], 0, seed=0, epoch=0)
