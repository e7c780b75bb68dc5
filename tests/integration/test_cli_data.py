"""`rixin data` in a pipe: reports and rows go to standard output, what happened to standard error."""

import json
import re
from pathlib import Path

import pytest

from rixin.cli import main

CHAT = '{"messages": [{"role": "user", "content": "%s?"}, {"role": "assistant", "content": "%s"}]}\n'


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIXIN_HOME", str(tmp_path / "home"))


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.jsonl"
    path.write_text("".join(CHAT % (number, "四五六" * number) for number in range(1, 5)))
    return path


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    path = tmp_path / "bad.jsonl"
    path.write_text(CHAT % ("a", "b") + "{}\n" * 5 + CHAT % ("c", " ") + CHAT % ("\x1b[31m", "d") + "\x1b[31m\n")
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    try:
        main(["data", *arguments])
        status = 0
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else 0
    out, err = capsys.readouterr()
    return status, out, err


def test_a_check_prints_every_problem_and_ends_with_1(
    capsys: pytest.CaptureFixture[str], good: Path, bad: Path
) -> None:
    status, out, _ = run(capsys, "check", str(good))
    assert status == 0
    assert out.startswith(f"{good}: jsonl, chat, 4 rows\n")
    assert "languages: zh 100%" in out
    status, out, _ = run(capsys, "check", str(good), str(bad))
    assert status == 1
    assert f"  {bad}:7: messages[1]: The assistant's turn is empty. Fill it, or remove the row.\n" in out
    assert out.count("none of the known forms") == 5
    assert "\x1b" not in out
    status, out, _ = run(capsys, "check", str(bad), "--limit", "2")
    assert (status, out.count(f"  {bad}:"), "and 6 more" in out) == (1, 2, True)
    report = json.loads(run(capsys, "check", str(bad), "--json", "--limit", "1")[1])
    assert (report["wrong"], len(report["problems"])) == (8, 8)
    assert report["problems"][5] == {
        "file": str(bad),
        "line": 7,
        "field": "messages[1]",
        "message": "The assistant's turn is empty.",
        "fix": "Fill it, or remove the row.",
    }


def test_a_dataset_is_added_listed_shown_and_removed(capsys: pytest.CaptureFixture[str], good: Path, bad: Path) -> None:
    assert "no datasets" in run(capsys, "list")[2]
    status, out, err = run(capsys, "add", "facts", str(good), "--licence", "CC0-1.0", "--consent", "all agreed")
    assert (status, out) == (0, "")
    assert "4 chat rows" in err
    status, _, err = run(capsys, "add", "facts", str(bad))
    assert (status, "8 rows can't be used, of 9" in err) == (1, True)
    assert run(capsys, "add", "facts", str(bad), "--leave-out-wrong")[0] == 0
    listed = json.loads(run(capsys, "list", "--json")[1])
    assert [(one["name"], one["rows"]) for one in listed] == [("facts", 1), ("facts", 4)]
    first = listed[1]["id"]
    assert run(capsys, "list")[1].splitlines()[1].split("\t") == ["facts", first, "chat", "4", "0.0 MB", "CC0-1.0"]
    out = run(capsys, "show", first, "--rows", "1")[1]
    assert re.search(r"^consent +all agreed$", out, re.MULTILINE)
    assert "facts:1\nuser: 1?\nassistant: 四五六\n" in out
    shown = json.loads(run(capsys, "show", str(good), "--rows", "2", "--json")[1])
    assert (shown["dataset"], shown["rows"][1]["source"]) == (None, "good.jsonl:2")
    assert run(capsys, "check", first)[0] == 0
    assert run(capsys, "remove", first)[0] == 0
    assert len(json.loads(run(capsys, "list", "--json")[1])) == 1
    assert "no file and no dataset" in run(capsys, "check", "nothing")[2]


def test_a_mask_is_shown_with_marks_and_as_json(
    capsys: pytest.CaptureFixture[str], good: Path, smollm2_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RIXIN_HOME", str(smollm2_home))
    out = run(capsys, "show", str(good), "--mask", "--rows", "1")[1]
    assert "good.jsonl:1, chat: " in out
    assert "<|im_start|>user\n1?<|im_end|>\n<|im_start|>assistant\n⟦四五六<|im_end|>⟧\n" in out
    [row] = json.loads(run(capsys, "show", str(good), "--mask", "--rows", "1", "--json")[1])
    assert len(row["tokens"]) == len(row["predict"])
    assert [piece["text"] for piece in row["pieces"] if piece["learned"]] == ["四五六<|im_end|>"]
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[32m⟦四五六<|im_end|>⟧" in run(capsys, "show", str(good), "--mask", "--rows", "1")[1]
    monkeypatch.delenv("FORCE_COLOR")
    out = run(capsys, "check", str(good), "--model", "chat")[1]
    assert "a row has min " in out


def test_the_catalogue_can_be_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert "alpaca-zh-demo\tchat\t1,000\tzh\t" in run(capsys, "list", "--available")[1]
    entries = json.loads(run(capsys, "list", "--available", "--json")[1])
    assert all(entry["licence"] and entry["origin"] and entry["title"]["zh"] for entry in entries)
    status, _, err = run(capsys, "pull", "nothing")
    assert (status, "It has alpaca-zh-demo" in err) == (1, True)
