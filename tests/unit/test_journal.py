"""The journal of an evaluation: what is whole stays, what was torn is asked again, all tries' time counts."""

from pathlib import Path

import pytest

from rixin.errors import InvalidRequest
from rixin.evaluation import journal
from rixin.evaluation.journal import Given, Journal


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(journal.time, "monotonic", lambda: now[0])
    return now


def test_the_time_of_earlier_tries_counts_up_to_their_last_answers(tmp_path: Path, clock: list[float]) -> None:
    path = tmp_path / "answers.jsonl"
    for name, waits in (("a", (2.0, 3.0)), ("b", (1.0,)), ("c", (4.0, 1.0))):
        with Journal(path, about="x") as kept:
            for number, wait in enumerate(waits):
                clock[0] += wait
                kept.add(Given(key=f"{name}{number}", text="yes"))
        clock[0] += 1000  # between two tries
    with Journal(path, about="x") as kept:
        assert len(kept) == 5
        clock[0] += 7
        assert kept.seconds == pytest.approx(5 + 1 + 5 + 7)


def test_a_torn_line_is_asked_again_and_all_before_it_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    with Journal(path, about="x") as kept:
        kept.add(Given(key="a", text="一"))
        kept.add(Given(key="b", text="二"))
    whole = path.read_bytes()
    for size in range(whole.rindex(b'{"key"') + 1, len(whole)):
        path.write_bytes(whole[:size])
        with Journal(path, about="x") as kept:
            assert kept.get("a") is not None
            assert kept.get("b") is None
            kept.add(Given(key="b", text="二"))
        with Journal(path, about="x") as kept:
            assert len(kept) == 2


def test_the_answers_of_something_else_are_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    Journal(path, about="x").close()
    with pytest.raises(InvalidRequest, match="another Version"):
        Journal(path, about="y")
