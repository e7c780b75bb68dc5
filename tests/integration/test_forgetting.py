"""What runs copied of rows goes with the rows: answers of a teacher, tries, figures, what exports are compared on."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from rixin.data import DatasetVersion, Sourced, TextExample
from rixin.errors import Withdrawn
from rixin.models import HELD_FILE, NewModel, NewVersion
from rixin.models.facts import Facts, read_facts, write_facts
from rixin.settings import load_settings
from rixin.store import RunRow
from rixin.training.forgetting import withdrawn_under
from rixin.workspace import Workspace

COPIES = (
    "answers.jsonl",
    "held-out-answers.jsonl",
    "cache/reference.npy",
    "rollouts/rollout-000000.json",
    "out/held.json",
)


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with Workspace(load_settings(tmp_path)) as opened:
        yield opened


def dataset(workspace: Workspace, name: str, person: str) -> DatasetVersion:
    row = Sourced(example=TextExample(text=f"what {person} said"), origin="feedback:f_1", person=person)
    return workspace.datasets.add_sourced(name, [row], source="feedback")


def run_on(workspace: Workspace, run_id: str, version: DatasetVersion, status: str, made: str | None = None) -> Path:
    """A run that read the version, as it lies there after its last step."""
    folder = workspace.settings.home / "runs" / run_id
    for name in (*COPIES, "events.jsonl", "out/model.safetensors"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    plan = {"assignment": {"kind": "sft", "recipe": {}, "sources": {"data": {"id": version.id}}}}
    with workspace.database.write() as session:
        session.add(RunRow(id=run_id, kind="sft", name="m", recipe={}, plan=plan, status=status, version_id=made))
    return folder


def left(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_copies_of_withdrawn_rows_are_deleted_and_others_stay(workspace: Workspace) -> None:
    mine, others = dataset(workspace, "mine", "u_1"), dataset(workspace, "others", "u_2")
    finished = run_on(workspace, "run_1", mine, "finished", made="v_000000000001")
    paused = run_on(workspace, "run_2", mine, "paused")
    other = run_on(workspace, "run_3", others, "finished")
    folder = workspace.settings.home / "models" / "v_000000000001"
    folder.mkdir(parents=True)
    (folder / HELD_FILE).write_text("[]")
    files = {HELD_FILE: "0" * 64, "model.safetensors": "1" * 64}
    write_facts(folder, Facts(architecture="qwen2", parameters=1, context_length=1, template_hash=None, files=files))
    workspace.datasets.withdraw(person="u_1")
    assert left(finished) == left(paused) == ["events.jsonl", "out/model.safetensors"]
    assert len(left(other)) == len(COPIES) + 2
    facts = read_facts(folder)
    assert facts is not None
    assert set(facts.files) == {"model.safetensors"}  # `rixin models verify` misses nothing
    assert not (folder / HELD_FILE).exists()
    workspace.datasets.withdraw(person="u_1")


def test_a_run_on_withdrawn_rows_does_not_go_on(workspace: Workspace) -> None:
    version = dataset(workspace, "mine", "u_1")
    run_on(workspace, "run_1", version, "running")
    run_on(workspace, "run_2", version, "queued")
    assert withdrawn_under(workspace.runs.get("run_1"), workspace.datasets) is None
    workspace.datasets.withdraw(person="u_1")
    assert workspace.runs.get("run_1").status == "cancelled"  # nobody executes here; a worker is told to stop
    assert isinstance(withdrawn_under(workspace.runs.get("run_2"), workspace.datasets), Withdrawn)


def test_a_version_that_is_registered_after_the_withdrawal_is_marked_too(workspace: Workspace) -> None:
    version = dataset(workspace, "mine", "u_1")
    workspace.datasets.withdraw(person="u_1")

    def register(number: int, card: dict[str, object], parents: tuple[str, ...] = ()) -> list[str | None]:
        made = NewVersion(
            id=f"v_{number:012}",
            source="run:r",
            engine="fake",
            format="safetensors",
            licence="MIT",
            context_length=0,
            card=msgspec.to_builtins(card),
            parents=parents,
        )
        workspace.models.register(NewModel("m", "M"), made)
        return [mark.dataset for mark in workspace.models.marks(made.id)]

    assert register(1, {"data": {"data": {"id": version.id}}}) == [version.id]
    assert register(2, {}, ("v_000000000001",)) == [version.id]
    assert register(3, {"data": {"data": {"id": "d_000000000000"}}}) == []
