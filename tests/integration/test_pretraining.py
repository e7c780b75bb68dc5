"""A model from nothing but text, by the same way as any other run: planned, trained, exported, registered, asked."""

import json
import os
import subprocess
import sys
from pathlib import Path

from rixin import open as open_workspace
from rixin.models import open_weights
from rixin.training.newborn import conceive, corpus_of, shape_in
from rixin.training.recipes import Pretrain

LINES = [f"春眠不覺曉，處處聞啼鳥。\n夜來風雨聲，花落知多少。\n{number}" for number in range(120)]


def rixin(home: Path, *arguments: str) -> str:
    environment = {**os.environ, "RIXIN_HOME": str(home)}
    ended = subprocess.run(
        [sys.executable, "-m", "rixin", *arguments], env=environment, capture_output=True, text=True, timeout=240
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_a_model_of_nothing_but_text_is_registered_and_goes_on_with_it(tmp_path: Path) -> None:
    home, rows = tmp_path / "home", tmp_path / "poems.jsonl"
    rows.write_text("".join(json.dumps({"text": line}, ensure_ascii=False) + "\n" for line in LINES), "utf-8")
    sizes = ("--layers", "2", "--hidden", "64", "--vocabulary", "320")
    course = ("--steps", "24", "--batch-tokens", "1024", "--learning-rate", "0.02", "--validation-share", "0.1")
    rixin(home, "train", "pretrain", str(rows), *sizes, *course, "--name", "poet")
    with open_workspace(home) as workspace:
        version = workspace.models.resolve("poet")
        assert open_weights(version).shape.hidden == 64
        assert version.card is not None
        assert version.card["metrics"]["bits_per_character"] < 2
    assert "處處聞啼鳥" in rixin(home, "ask", "--model", "poet", "春眠不覺曉")


def test_what_is_not_given_follows_from_the_text_and_is_made_once(tmp_path: Path) -> None:
    wanted = Pretrain(data="poems", minutes=0.01)
    base = conceive(tmp_path, wanted, lambda: LINES, seconds=0.6)
    shape = shape_in(base)
    # How many follows from how fast this machine is.
    assert shape.layers >= 1
    assert shape.hidden == 64 * shape.layers
    made = (base / "tokenizer.json").read_bytes()

    def unwanted() -> list[str]:
        raise AssertionError("the text is read again")

    assert conceive(tmp_path, wanted, unwanted, seconds=60) == base
    assert (base / "tokenizer.json").read_bytes() == made


def test_the_corpus_is_counted_in_characters_and_bytes() -> None:
    corpus = corpus_of(["春"] * 99 + ["a" * 50])
    assert (corpus.characters, corpus.bytes, corpus.long_text) == (149, 99 * 3 + 50, 1)
