"""Every call is in the audit, also those that were not run and those that a kill cut off."""

from pathlib import Path

from rixin.assistants.tools import ToolAudit, ToolContext
from rixin.store import Database

WHO = ToolContext(user_id="u_1", assistant="clerk", conversation_id="c_1")


def test_a_call_is_written_before_it_runs_and_when_it_ended(database_url: str) -> None:
    with Database.open(database_url) as database:
        audit = ToolAudit(database)
        first = audit.begin("calculator", '{"expression": "1+1"}', WHO, consent="not_needed")
        assert audit.list()[0].outcome == "started"
        audit.end(first, "ok", 12)
        audit.end(first, "error", 99)  # what has ended has ended
        second = audit.begin("send", "{}", WHO, consent="refused", outcome="refused")
        found = audit.list(conversation_id="c_1")
        assert [(one.id, one.tool, one.outcome, one.milliseconds, one.consent) for one in found] == [
            (second, "send", "refused", 0, "refused"),
            (first, "calculator", "ok", 12, "not_needed"),
        ]
        assert found[0].user_id == "u_1"
        assert found[0].assistant == "clerk"
        assert audit.list(user_id="somebody else") == []


def test_what_a_model_wrote_can_always_be_kept(tmp_path: Path) -> None:
    with Database.open(tmp_path / "rixin.db") as database:
        audit = ToolAudit(database)
        audit.begin("x" * 900, "a\0b\ud800" + "z" * 100_000, ToolContext(), consent="not_needed", outcome="invalid")
        (one,) = audit.list()
        assert one.arguments.startswith("a\\u0000b\\ud800zzz")
        assert one.arguments.endswith("characters)")
        assert len(one.arguments) < 9000
