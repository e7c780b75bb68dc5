"""`rixin data clean`, `diff`, `trace` and `withdraw`: what was dropped is said, where rows came from is shown."""

import json
from pathlib import Path

import pytest

import rixin.evaluation.service as evaluation
from rixin.cli import main
from rixin.errors import InvalidRequest
from rixin.evaluation import import_questions
from rixin.models import NewModel, NewVersion
from rixin.workspace import open_workspace

QUESTION = "How many days does an employer have to conclude a written contract with a worker?"
ROWS = [
    ("猫怎么叫？", "喵。"),
    ("猫怎么叫？", "喵。"),
    ("狗呢？", "锟斤拷锟斤拷"),
    ("乱码？", "中\u200b文，没有问题。"),
    (QUESTION, "Thirty."),
]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RIXIN_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    rows = [
        {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": said}]}
        for asked, said in ROWS
    ]
    Path("rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    Path("asked.csv").write_text(f"question,answer\n{QUESTION},30\n")
    import_questions(Path("asked.csv"), tmp_path / "home" / "suites" / "labour", name="labour")
    return tmp_path / "home"


def run(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> tuple[str, str]:
    with pytest.raises(SystemExit) as ended:
        main([*arguments])
    out, err = capsys.readouterr()
    assert ended.value.code == status, err
    return out, err


def test_rows_are_cleaned_and_every_dropped_one_has_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["data", "clean", "rows.jsonl", "--name", "cats", "--against", "labour"]
    out, err = run(capsys, *arguments, "--dropped", "dropped.jsonl")
    assert out.startswith("2 of 5 rows are kept; 1 of them were repaired.\n")
    assert "contaminated: 1\n  rows.jsonl:5: a suite asks: how many days" in out
    assert "2 chat rows" in err
    dropped = [json.loads(line) for line in Path("dropped.jsonl").read_text().splitlines()]
    assert [(one["origin"], one["reason"]) for one in dropped] == [
        ("rows.jsonl:2", "duplicate"),
        ("rows.jsonl:3", "unreadable"),
        ("rows.jsonl:5", "contaminated"),
    ]
    made = json.loads(run(capsys, *arguments, "--json")[0])
    assert made["report"]["reasons"] == {"duplicate": 1, "unreadable": 1, "contaminated": 1}
    with open_workspace() as workspace:
        kept = workspace.datasets.cleaning(workspace.datasets.resolve("cats"))
    assert kept is not None
    assert [one.origin for one in kept.dropped] == [one["origin"] for one in dropped]


def test_other_rules_are_read_and_wrong_ones_refused(capsys: pytest.CaptureFixture[str]) -> None:
    Path("rules.toml").write_text("[duplicates]\nexact = false\nnear = 0\n[quality]\nunreadable = 1.0\n")
    arguments = ["data", "clean", "rows.jsonl", "--name", "all", "--no-decontamination"]
    out, _ = run(capsys, *arguments, "--rules", "rules.toml")
    assert out == "5 of 5 rows are kept; 1 of them were repaired.\nNote: The rows were not held against any suite.\n"
    Path("rules.toml").write_text("[duplicate]\nexact = false\n")
    assert "rules.toml: These are no rules" in run(capsys, *arguments, "--rules", "rules.toml", status=1)[1]
    Path("nothing.jsonl").write_text('{"text": "。。。"}\n')
    _, err = run(capsys, "data", "clean", "nothing.jsonl", "--name", "none", "--no-decontamination", status=1)
    assert "No row is left" in err


def test_without_evaluation_no_suite_is_passed_over_in_silence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise InvalidRequest("The libraries for evaluation are not installed.", fix="`make judge` installs them.")

    monkeypatch.setattr(evaluation, "require_lm_eval", missing)
    arguments = ["data", "clean", "rows.jsonl", "--name", "cats"]
    _, err = run(capsys, *arguments, "--against", "labour", status=1)
    assert "The suite labour can't be held against the rows: The libraries for evaluation are not installed." in err
    assert "--no-decontamination" in err
    assert run(capsys, *arguments, "--no-decontamination")[0].startswith("3 of 5 rows are kept")


def test_a_row_is_traced_compared_and_withdrawn(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    run(capsys, "data", "add", "raw", "rows.jsonl", "--licence", "CC0-1.0")
    run(capsys, "data", "clean", "raw", "--name", "cats", "--no-decontamination")
    with open_workspace() as workspace:
        raw, cats = (workspace.datasets.resolve(name).id for name in ("raw", "cats"))
        card = {"data": {"data": {"id": cats}}}
        version = NewVersion(
            id="v_000000000001",
            source="run:r",
            engine="fake",
            format="safetensors",
            licence="MIT",
            context_length=0,
            card=card,
        )
        workspace.models.register(NewModel("taught", "Taught"), version)
    out, _ = run(capsys, "data", "trace", "cats:2")
    assert out.splitlines() == [
        f"{cats}:2  cats, from rows.jsonl",
        f"  ← {raw}:4  raw, from rows.jsonl",
        "    ← rows.jsonl:4",
        "licence  CC0-1.0",
        "made of it: no other row",
        "learned by: v_000000000001",
    ]
    assert json.loads(run(capsys, "data", "trace", f"{raw}:4", "--json")[0])["derived"] == [f"{cats}:2"]
    out, _ = run(capsys, "data", "diff", "raw", "cats", "--limit", "1")
    assert "2 rows are the same, 1 changed, 2 removed, 0 added." in out
    assert "- raw:2  user: 猫怎么叫？ / assistant: 喵。\n- … and 1 more\n" in out
    assert "~ raw:4" in out
    learned = json.loads(run(capsys, "data", "trace", "taught", "--json")[0])
    assert [(one["dataset"], one["withdrawn"]) for one in learned["learned_from"]] == [("cats", False)]
    assert learned["marks"] == []

    out, _ = run(capsys, "data", "withdraw", "--origin", f"{raw}:4")
    assert f"{raw} is gone; " in out
    assert "v_000000000001 learned from it, and is marked." in out
    assert "中\u200b文" not in "".join(path.read_text() for path in (home / "blobs").rglob("*/*/*") if path.is_file())
    assert "withdrawn; now d_" in run(capsys, "data", "list")[0]
    assert f"It learned from rows of {cats} that were withdrawn since." in run(capsys, "models", "show", "taught")[0]
    [mark] = json.loads(run(capsys, "models", "show", "taught", "--json")[0])["marks"]
    assert (mark["kind"], mark["dataset"]) == ("learned_from_withdrawn", cats)
    assert "Use d_" in run(capsys, "data", "show", cats, status=1)[1]
    assert "It learned from rows" in run(capsys, "data", "trace", "taught")[0]
    assert "no line 9" in run(capsys, "data", "trace", "cats:9", status=1)[1]
    assert "Nothing is named" in run(capsys, "data", "withdraw", status=1)[1]
    assert "No dataset has such rows" in run(capsys, "data", "withdraw", "--person", "u_9")[1]
