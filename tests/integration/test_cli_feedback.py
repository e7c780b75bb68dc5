"""`rixin feedback`: what people said, seen and taken back from the machine itself."""

import json
from pathlib import Path

import pytest

from rixin.assistants.drafts import Drafts, Ending
from rixin.cli import main
from rixin.gateway import Principal
from rixin.renewal import Said
from rixin.workspace import open_workspace


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ada said something of two answers, and agreed that it is learned from; the ids, the oldest first."""
    monkeypatch.setenv("RIXIN_HOME", str(tmp_path))
    ids = []
    with open_workspace() as house:
        ada = house.accounts.create_user("ada", "ada's password", "admin")
        who = Principal(user_id=ada.id, role="admin")
        house.feedback.set_consent(ada.id, given=True)
        conversation = house.conversations.create(ada.id).id
        for rating in (1, -1):
            _, answer = house.conversations.ask(
                ada.id, conversation, parent_id=None, content="Call 13812345678?", model="chat", version="v_1"
            )
            ending = Ending(status="complete", content="No.", version="v_1", finish_reason="stop")
            Drafts(house.database).save({}, {answer.id: ending})
            correction = "Yes." if rating == -1 else None
            kept = house.feedback.give(who, answer.id, Said(rating=rating, correction=correction))
            assert kept is not None
            ids.append(kept.id)
    return ids


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["feedback", *arguments])
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def test_what_was_said_is_listed_shown_and_counted(said: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    up, down = said
    _, out, _ = run(capsys, "list")
    assert [line.split("\t")[:3] for line in out.splitlines()] == [
        [down, "down corrected", "ada"],
        [up, "up", "ada"],
    ]
    assert [one["id"] for one in json.loads(run(capsys, "list", "--rating", "up", "--json")[1])] == [up]
    assert len(run(capsys, "list", "--limit", "1")[1].splitlines()) == 1
    assert "correction        Yes." in run(capsys, "show", down)[1]
    assert run(capsys, "summary")[1] == "v_1\tchat\t1\t1\t1\t0\t\n"
    status, _, err = run(capsys, "show", "f_none")
    assert (status, err) == (1, "rixin: There is no feedback 'f_none'.\n")


def test_what_may_be_learned_is_printed_without_personal_data(
    said: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    items = [json.loads(line) for line in run(capsys, "export")[1].splitlines()]
    assert [item["id"] for item in items] == said
    assert items[1]["messages"] == [{"role": "user", "content": "Call [PHONE1]?"}]
    monkeypatch.setenv("RIXIN_LEARN_NOT_FROM", '["Ada"]')
    _, out, err = run(capsys, "export")
    assert (out, "RIXIN_LEARN_FROM" in err) == ("", True)


def test_what_is_taken_back_is_gone(said: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "withdraw", said[0])[2] == "1 withdrawn.\n"
    assert run(capsys, "withdraw", "--user", "ADA")[2] == "1 withdrawn.\n"
    assert run(capsys, "list")[1] == ""
    assert run(capsys, "withdraw", said[0])[0] == 1
    assert run(capsys, "withdraw")[0] == 1
    assert run(capsys, "withdraw", said[0], "--user", "ada")[0] == 1
