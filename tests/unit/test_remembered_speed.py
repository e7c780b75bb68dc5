"""What a trial measured while others were at work is corrected by a run that was faster."""

import json
import os
from pathlib import Path

import msgspec
import pytest

from rixin.training.measure import CACHE_FILE, STEPS_THAT_TELL, Speed, correct_speed
from rixin.training.plan import Measured

SLOW = Speed(100.0, peak_bytes=1, load_s=2.0, precision="float32", trainable=3, parameters=4)


def measured(key: str) -> Measured:
    known = {"rows", "held_out", "left_out", "tokens", "longest", "context", "hidden"}
    speed = {"tokens_per_second": 100.0, "fill": 1.0, "precision": "float32", "cores": 2, "speed_key": key}
    return msgspec.convert({**dict.fromkeys(known, 1), **msgspec.to_builtins(SLOW), **speed}, Measured)


@pytest.mark.parametrize(
    ("key", "speeds", "then"),
    [
        ("known", [150.0] * STEPS_THAT_TELL, 150.0),
        ("known", [150.0] * (STEPS_THAT_TELL - 1), 100.0),
        ("known", [50.0] * STEPS_THAT_TELL, 100.0),
        ("known", [90.0] * STEPS_THAT_TELL + [10_000.0], 100.0),
        ("", [150.0] * STEPS_THAT_TELL, 100.0),
    ],
)
def test_a_faster_run_corrects_its_trial(tmp_path: Path, key: str, speeds: list[float], then: float) -> None:
    (tmp_path / CACHE_FILE).parent.mkdir()
    (tmp_path / CACHE_FILE).write_bytes(msgspec.json.encode({"known": SLOW}))
    correct_speed(tmp_path, measured(key), speeds)
    kept = json.loads((tmp_path / CACHE_FILE).read_text())
    assert kept == {"known": {**msgspec.to_builtins(SLOW), "tokens_per_second": then}}


def test_nothing_is_made_of_a_speed_that_was_not_remembered(tmp_path: Path) -> None:
    correct_speed(tmp_path, measured("other"), [150.0] * STEPS_THAT_TELL)
    assert not (tmp_path / CACHE_FILE).exists()


def test_a_run_does_not_fail_of_what_cannot_be_remembered(tmp_path: Path) -> None:
    cache = tmp_path / CACHE_FILE
    cache.with_suffix(f".{os.getpid()}").mkdir(parents=True)  # nothing can be written there
    cache.write_bytes(msgspec.json.encode({"known": SLOW}))
    correct_speed(tmp_path, measured("known"), [150.0] * STEPS_THAT_TELL)
    assert json.loads(cache.read_text())["known"]["tokens_per_second"] == 100.0
