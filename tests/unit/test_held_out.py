"""The suite of held-out feedback: whole at any moment, asked as it was asked, and nobody else's suite."""

from pathlib import Path

import pytest
from test_renewal_material import item

from rixin.engines import Message
from rixin.errors import Conflict
from rixin.evaluation import read_suite
from rixin.renewal.held_out import HELD_FILE, held_clusters, held_items, write_suite

TALK = (
    Message(role="system", content="Be brief."),
    Message(role="user", content="a"),
    Message(role="assistant", content="b"),
    Message(role="user", content="c"),
)


def test_corrections_that_are_objects_are_compared_field_by_field_and_others_by_their_text(tmp_path: Path) -> None:
    items = [
        item(1, correction='{"party": "甲", "amount": 3}'),
        item(2, correction='{"party": "乙", "amount": 4, "note": "x"}'),
        item(3, correction="Yes, at nine.", messages=TALK),
        item(4, kind="preference", answer="long", other_answer="short", preferred="second"),
        item(5, rating=1),
    ]
    suite = write_suite(tmp_path, "chat", items, {"a"})
    assert suite is not None
    kinds = {task.name: task.kind for task in suite.file.task}
    assert kinds == {"fields": "answer", "text": "answer", "preferred": "choice"}
    text = (suite.folder / "suite.toml").read_text("utf-8")
    assert 'fields = ["amount", "party"]' in text  # those that all of them have
    assert 'kind = "overlap"' in text
    assert held_items(tmp_path) == {"chat": {"f_1", "f_2", "f_3", "f_4"}}


def test_the_old_suite_stays_whole_until_the_new_one_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = write_suite(tmp_path, "chat", [item(1, correction="yes")], {"a"})
    assert first is not None
    written = Path.replace

    def dies(path: Path, target: Path) -> Path:
        if target.name == "suite.toml":
            raise KeyboardInterrupt
        return written(path, target)

    monkeypatch.setattr(Path, "replace", dies)
    with pytest.raises(KeyboardInterrupt):
        write_suite(tmp_path, "chat", [item(1, correction="yes"), item(2, correction="no")], {"a", "b"})
    monkeypatch.undo()
    assert read_suite(first.folder).hash == first.hash
    assert held_items(tmp_path) == {"chat": {"f_1"}}
    assert held_clusters(tmp_path, "chat") == {"a", "b"}  # held out already
    write_suite(tmp_path, "chat", [item(2, correction="no")], {"a", "b"})
    assert held_items(tmp_path) == {"chat": {"f_2"}}
    assert len(list(first.folder.iterdir())) == 3


def test_what_asks_nothing_is_no_suite_but_stays_held_out(tmp_path: Path) -> None:
    suite = write_suite(tmp_path, "chat", [item(1, correction="yes")], {"a"})
    assert suite is not None
    assert write_suite(tmp_path, "chat", [item(2, rating=1)], {"b"}) is None
    assert [path.name for path in suite.folder.iterdir()] == [HELD_FILE]
    assert held_clusters(tmp_path, "chat") == {"b"}


def test_a_suite_that_somebody_made_is_not_written_over(tmp_path: Path) -> None:
    folder = tmp_path / "suites" / "chat-feedback"
    folder.mkdir(parents=True)
    (folder / "suite.toml").write_text('name = "chat-feedback"\n')
    with pytest.raises(Conflict, match="is somebody's own"):
        write_suite(tmp_path, "chat", [item(1, correction="yes")], {"a"})
    assert held_items(tmp_path) == {}
