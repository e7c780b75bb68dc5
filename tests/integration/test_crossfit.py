"""A real, small model learns from some people's corrections and judges the others'."""

import dataclasses
from pathlib import Path

import msgspec
import pytest

from rixin.engines import Message
from rixin.errors import RixinError
from rixin.renewal.crossfitting import CrossFitting
from rixin.renewal.trust import Correction, examine, folds
from rixin.settings import Settings
from rixin.workspace import Workspace
from tiny_runs import make_tiny_home


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("tiny") / "home"
    make_tiny_home(home, tmp_path_factory.mktemp("model"))
    return home


def corrections(count: int, *, harmful: str = "") -> list[Correction]:
    """Six people answer the same to everything, but who does harm."""
    return [
        Correction(
            id=f"f_{at}",
            person=(person := f"u_{at % 6}"),
            messages=(Message(role="user", content=f"question {at}"),),
            correction="no way at all, never" if person == harmful else "the answer is 1234",
        )
        for at in range(count)
    ]


def fitting(home: Path, folder: Path, workspace: Workspace, looked: list[int] | None = None) -> CrossFitting:
    seen = looked if looked is not None else []
    return CrossFitting(workspace.models.resolve("tiny"), folder, look=lambda: seen.append(1))


def test_who_contradicts_all_others_is_named(home: Path, tmp_path: Path) -> None:
    items = corrections(360, harmful="u_4")
    with Workspace(Settings.model_validate({"home": home})) as workspace:
        looked: list[int] = []
        verdict = examine(items, fitting(home, tmp_path / "crossfit", workspace, looked))
    assert [one.person for one in verdict.accounts] == ["u_4"]
    assert {*verdict.doubted} == {item.id for item in items if item.person == "u_4"}
    assert looked, "a step of a Cycle can be halted meanwhile"
    assert not (tmp_path / "crossfit").exists()


def test_scores_come_in_order_and_what_is_too_long_has_none(home: Path, tmp_path: Path) -> None:
    items = corrections(24)
    items[5] = msgspec.structs.replace(items[5], correction="too long " * 3000)
    with Workspace(Settings.model_validate({"home": home})) as workspace:
        scores = fitting(home, tmp_path / "crossfit", workspace)(items, folds([item.person for item in items]))
    assert len(scores) == 24
    assert [at for at, one in enumerate(scores) if not one.taught] == [5]
    others = [one for at, one in enumerate(scores) if at != 5]
    assert len({len(one.before) for one in others}) == 1
    assert all(len(one.before) == len(one.taught) and max(one.before) <= 0 for one in others)
    for one, other in zip(others, others[6:], strict=False):
        assert one.before != other.before, "each was asked something else"


def test_a_halt_ends_the_child_and_leaves_nothing(home: Path, tmp_path: Path) -> None:
    class Halted(Exception):
        pass

    def look() -> None:
        raise Halted

    with Workspace(Settings.model_validate({"home": home})) as workspace:
        score = CrossFitting(workspace.models.resolve("tiny"), tmp_path / "crossfit", look=look)
        with pytest.raises(Halted):
            examine(corrections(60), score)
    assert not (tmp_path / "crossfit").exists()


def test_what_fails_in_the_child_is_told(home: Path, tmp_path: Path) -> None:
    with Workspace(Settings.model_validate({"home": home})) as workspace:
        version = dataclasses.replace(workspace.models.resolve("tiny"), folder=tmp_path / "nowhere")
        with pytest.raises(RixinError):
            examine(corrections(60), CrossFitting(version, tmp_path / "crossfit", look=lambda: None))
