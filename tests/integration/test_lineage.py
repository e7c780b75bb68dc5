"""Every row can be traced to its source; what somebody takes back leaves every dataset, whatever happens meanwhile."""

from pathlib import Path

import pytest

from rixin.data import Datasets, DatasetVersion, Sourced, TextExample
from rixin.errors import InvalidRequest, NotFound, Withdrawn
from rixin.models import Registry, datasets_named
from rixin.settings import Settings
from rixin.store import AnnotationItemRow, AnnotationTaskRow, Database, ModelRow, VersionRow, now


@pytest.fixture
def datasets(database: Database, tmp_path: Path) -> Datasets:
    return Datasets(database, tmp_path)


def row(text: str, origin: str, person: str | None = None) -> Sourced:
    return Sourced(example=TextExample(text=text), origin=origin, person=person)


def texts(datasets: Datasets, version: DatasetVersion) -> list[str]:
    return [example.text for example in datasets.open(version) if isinstance(example, TextExample)]


def learn(database: Database, name: str, *, data: str | None = None, parents: tuple[str, ...] = ()) -> str:
    """A model's Version whose card says what it learned from."""
    card: dict[str, object] = {"data": {"data": {"id": data, "name": "x"}}} if data else {}
    with database.write() as session:
        if session.get(ModelRow, "m") is None:
            session.add(ModelRow(name="m", title="m"))
            session.flush()
        session.add(
            VersionRow(
                id=name,
                model_name="m",
                source="run:r",
                engine="openvino",
                format="safetensors",
                licence="MIT",
                card=card,
                parents=list(parents),
            )
        )
    return name


def test_a_row_is_traced_through_every_version_to_its_source(datasets: Datasets, database: Database) -> None:
    raw = datasets.add_sourced(
        "raw", [row("a", "feedback:f_1", "u_1"), row("b", "feedback:f_2", "u_2")], source="feedback", consent="asked"
    )
    clean = datasets.add_sourced("clean", [row("B", f"{raw.id}:2")], source="raw, cleaned", parents=[raw.id])
    mixed = datasets.add_sourced(
        "mixed", [row("c", "library:laws:7"), row("B", f"{clean.id}:1")], source="built", parents=[clean.id]
    )
    first, second = learn(database, "v_1", data=mixed.id), learn(database, "v_2", parents=("v_1",))
    learn(database, "v_3")
    trace = datasets.trace(mixed, 2)
    assert [place.at for place in trace.chain] == [f"{mixed.id}:2", f"{clean.id}:1", f"{raw.id}:2", "feedback:f_2"]
    assert [place.dataset for place in trace.chain] == ["mixed", "clean", "raw", None]
    assert (trace.person, trace.learned_by, trace.derived) == ("u_2", (first, second), ())
    forward = datasets.trace(raw, 2)
    assert set(forward.derived) == {f"{clean.id}:1", f"{mixed.id}:2"}
    assert forward.learned_by == (first, second)
    assert datasets.trace(raw, 1).learned_by == ()
    assert [one.person for one in datasets.origins(mixed)] == [None, "u_2"]
    with pytest.raises(InvalidRequest, match="no line 3"):
        datasets.trace(raw, 3)


def test_what_learned_from_a_version_that_was_removed_learned_from_its_rows(
    datasets: Datasets, database: Database, tmp_path: Path
) -> None:
    """Cycles remove versions by themselves: what people take back is found in those that began with them."""
    registry = Registry(database, Settings.model_validate({"home": tmp_path}))
    first, second = (
        datasets.add_sourced(name, [row(name, f"feedback:{name}", f"u_{name}")], source="feedback", consent="asked")
        for name in ("one", "two")
    )
    learn(database, "v_1", data=first.id)
    learn(database, "v_2", data=second.id, parents=("v_1",))
    learn(database, "v_3", parents=("v_2",))
    learn(database, "v_4", parents=("v_3",))
    for gone in ("v_2", "v_1", "v_3"):
        registry.forget(gone)
    assert datasets.trace(first, 1).learned_by == ("v_4",)
    assert datasets.trace(second, 1).learned_by == ("v_4",)
    [left] = registry.versions()
    assert set(datasets_named(left.card)) == {first.id, second.id}
    assert left.card["forgotten"] == [
        {"id": "v_2", "model": "m", "data": [second.id]},
        {"id": "v_1", "model": "m", "data": [first.id]},
        {"id": "v_3", "model": "m", "data": []},
    ]
    datasets.withdraw(person="u_two")
    assert [mark.dataset for mark in registry.marks("v_4")] == [second.id]


def test_a_row_of_a_file_is_traced_to_its_line(datasets: Datasets, tmp_path: Path) -> None:
    path = tmp_path / "rows.txt"
    path.write_text("one\ntwo\n")
    version = datasets.add("facts", [path])
    trace = datasets.trace(version, 2)
    assert [place.at for place in trace.chain] == [f"{version.id}:2", "rows.txt:2"]
    assert [one.origin for one in datasets.origins(version)] == ["rows.txt:1", "rows.txt:2"]
    assert [one.example_id for one in datasets.origins(version)] == [one.id for one in datasets.open(version)]


def test_rows_made_of_a_version_that_is_removed_come_from_where_its_rows_did(datasets: Datasets) -> None:
    raw = datasets.add_sourced("raw", [row("a", "feedback:f_1", "u_1")], source="feedback")
    clean = datasets.add_sourced("clean", [row("A", f"{raw.id}:1")], source="raw", parents=[raw.id])
    datasets.remove(raw.id)
    assert [place.at for place in datasets.trace(clean, 1).chain] == [f"{clean.id}:1", "feedback:f_1"]
    assert datasets.withdraw(origins=["feedback:f_1"]).replaced == ((clean.id, None),)


def test_what_a_person_takes_back_leaves_every_version(datasets: Datasets, database: Database) -> None:
    raw = datasets.add_sourced(
        "raw",
        [row("a", "feedback:f_1", "u_1"), row("b", "feedback:f_2", "u_2"), row("c", "feedback:f_3", "u_1")],
        source="feedback",
        licence="MIT",
    )
    clean = datasets.add_sourced("clean", [row("A", f"{raw.id}:1"), row("B", f"{raw.id}:2")], source="raw")
    other = datasets.add_sourced("other", [row("x", "feedback:f_9", "u_9")], source="feedback")
    learned = learn(database, "v_1", data=clean.id)
    child = learn(database, "v_2", parents=(learned,))
    learn(database, "v_3", data=other.id)
    told: list[set[str]] = []
    datasets.on_withdrawal.append(lambda gone: told.append(set(gone)))
    done = datasets.withdraw(person="u_1")
    assert [old for old, _ in done.replaced] == [raw.id, clean.id]
    assert set(done.versions_marked) == {learned, child}
    assert told == [{raw.id, clean.id}]
    new = datasets.resolve("raw")
    assert (new.parents, new.licence, new.rows, new.replaced_by) == ((raw.id,), "MIT", 1, None)
    assert texts(datasets, new) == ["b"]
    assert [place.at for place in datasets.trace(datasets.resolve("clean"), 1).chain][-1] == "feedback:f_2"
    assert not raw.path.exists()
    assert not clean.path.exists()
    assert datasets.get(raw.id).replaced_by == new.id
    for use in (lambda: list(datasets.open(raw)), lambda: datasets.resolve(raw.id)):
        with pytest.raises(Withdrawn, match=f"Use {new.id} in its place"):
            use()
    assert texts(datasets, datasets.resolve("other")) == ["x"]
    assert datasets.withdraw(person="u_1").replaced == ()
    last = datasets.withdraw(person="u_2")
    assert [after for _, after in last.replaced] == [None, None]
    with pytest.raises(Withdrawn, match="No row of it was left"):
        datasets.resolve("raw")


def test_rows_withdrawn_while_they_were_on_their_way_do_not_come_in(datasets: Datasets) -> None:
    collected = now()
    datasets.withdraw(person="u_1", origins=["feedback:f_2"])
    rows = [row("a", "feedback:f_1", "u_1"), row("b", "feedback:f_2"), row("c", "feedback:f_3")]
    version = datasets.add_sourced("late", rows, source="feedback", collected_at=collected)
    assert texts(datasets, version) == ["c"]
    assert [(one.line, one.origin) for one in datasets.origins(version)] == [(1, "feedback:f_3")]
    with pytest.raises(Withdrawn, match="All of these rows"):
        datasets.add_sourced("late", rows[:2], source="feedback")
    again = datasets.add_sourced("late", rows, source="feedback", collected_at=now())
    assert texts(datasets, again) == ["a", "b", "c"]


def test_withdrawn_rows_do_not_come_back_by_a_file_but_may_be_given_anew(datasets: Datasets, tmp_path: Path) -> None:
    rows = [row("a", "feedback:f_1", "u_1"), row("b", "feedback:f_2", "u_2")]
    version = datasets.add_sourced("raw", rows, source="feedback")
    saved = tmp_path / "saved.jsonl"
    saved.write_bytes(version.path.read_bytes())
    copy = datasets.add("copy", [saved])
    done = datasets.withdraw(person="u_1")
    assert {old for old, _ in done.replaced} == {version.id, copy.id}
    assert texts(datasets, datasets.resolve("copy")) == ["b"]
    for name in ("raw", "another"):
        with pytest.raises(Withdrawn):
            datasets.add(name, [saved])
    again = datasets.add_sourced("raw", rows, source="feedback", collected_at=now())
    assert (again.id, again.withdrawn_at, again.replaced_by) == (version.id, None, None)
    assert texts(datasets, datasets.resolve("raw")) == ["a", "b"]
    assert datasets.withdraw(origins=["feedback:f_2"]).replaced


def test_the_newest_version_of_a_name_stays_the_newest(datasets: Datasets) -> None:
    old = datasets.add_sourced("raw", [row("a", "f:1", "u_1"), row("b", "f:2")], source="x")
    new = datasets.add_sourced("raw", [row("c", "f:3", "u_1"), row("d", "f:4")], source="x")
    datasets.withdraw(origins=["f:1"])
    assert datasets.resolve("raw").id == new.id
    datasets.withdraw(origins=["f:3"])
    assert texts(datasets, datasets.resolve("raw")) == ["d"]
    with pytest.raises(NotFound):
        datasets.resolve(old.id)


def test_annotations_forget_the_rows_too(datasets: Datasets, database: Database) -> None:
    version = datasets.add_sourced("raw", [row("a", "f:1", "u_1"), row("b", "f:2"), row("c", "f:3")], source="x")
    with database.write() as session:
        session.add(AnnotationTaskRow(id="t_1", name="t", definition={}, dataset_id=version.id))
        session.flush()
        for line, text in enumerate("abc", 1):
            session.add(AnnotationItemRow(task_id="t_1", line=line, example_id=text, content=text))
    datasets.withdraw(person="u_1")
    with database.read() as session:
        assert sorted(item.content for item in session.query(AnnotationItemRow)) == ["b", "c"]
