"""Threads, precision and the bound of a step's products."""

from pathlib import Path

import pytest
import torch

from rixin.training import precision
from rixin.training.precision import choose_precision, gemm_bound, products_of
from rixin.training.shape import Shape, config_of, shape_of
from rixin.training.team import Team
from rixin.training.threads import core_limit, physical_cores

SMALL = Shape("llama", 2, 64, 4, 2, 16, 112, 97, 256, 1e-5, 10_000.0, tied=True)


def test_two_threads_of_a_core_count_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, siblings in enumerate(("0,2", "1,3", "0,2", "1,3")):
        folder = tmp_path / f"cpu{number}" / "topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(siblings + "\n")
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2, 3})
    assert physical_cores(tmp_path) == [0, 1]


@pytest.mark.parametrize(("text", "cores"), [("max 100000", None), ("250000 100000", 2), ("50000 100000", 1)])
def test_a_quota_of_a_container_limits_the_threads(tmp_path: Path, text: str, cores: int | None) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(text + "\n")
    assert core_limit(file) == cores


def test_a_precision_comes_with_its_reason_and_the_rates_it_was_chosen_by() -> None:
    chosen = choose_precision()
    assert chosen.gflops.keys() == {"bfloat16", "float32"}
    assert chosen.reason.startswith(str(chosen.dtype).removeprefix("torch."))


def test_bfloat16_is_not_chosen_where_its_products_are_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "_fault_of_bfloat16", lambda a, b: "a product gave NaN")
    assert choose_precision().dtype == torch.float32


def test_bfloat16_is_not_chosen_where_it_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = iter((1.0, 1.0))
    monkeypatch.setattr(precision, "best_time", lambda work, rounds: next(taken))
    assert choose_precision().dtype == torch.float32


def test_frozen_weights_have_no_gradient_in_the_bound() -> None:
    frozen = sum(p.operations for p in products_of(SMALL, rank=4, tokens=32, predicted=8))
    learning = sum(p.operations for p in products_of(SMALL, rank=None, tokens=32, predicted=8))
    assert learning == pytest.approx(1.5 * frozen)
    assert gemm_bound(SMALL, rank=4, tokens=32, predicted=0, dtype=torch.float32).operations > 0


def test_a_shape_survives_its_configuration() -> None:
    assert shape_of(config_of(SMALL)) == SMALL


def test_what_a_member_of_a_team_raises_reaches_the_caller_and_the_team_goes_on() -> None:
    team = Team(3)

    def work(member: int) -> None:
        if member == 2:
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        team.run(work)
    done: list[int] = []
    team.run(done.append)
    assert sorted(done) == [0, 1, 2]
    assert [team.rows(member, 10) for member in range(3)] == [(0, 3), (3, 6), (6, 10)]
