"""The gap report's verdicts."""

from pathlib import Path

import msgspec
import pytest

from reports import make_report, make_samples
from rixin.errors import InvalidRequest
from rixin.evaluation import Report, Sample
from rixin.evaluation.gap import deciding, measure_gap, verdict_of


class Kept:
    """Reports as the service keeps them."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def folder(self, report_id: str) -> Path:
        return self._home / report_id

    def add(self, name: str, samples: list[Sample]) -> Report:
        report = make_report(name, samples)
        self.folder(report.id).mkdir()
        lines = b"".join(msgspec.json.encode(sample) + b"\n" for sample in samples)
        (self.folder(report.id) / "samples.jsonl").write_bytes(lines)
        return report


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.01, 0.2, "ahead"),
        (-0.2, -0.01, "behind"),
        (-0.04, 0.05, "level"),
        (-0.04, 0.06, "open"),
        (-0.3, 0.3, "open"),
        (0.0, 0.0, "level"),
    ],
)
def test_level_is_said_only_where_the_interval_allows_nothing_else(low: float, high: float, verdict: str) -> None:
    assert verdict_of(low, high) == verdict


def test_a_gap_says_where_the_local_model_is_ahead_level_behind_or_unknown(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    samples = make_samples(400, right=0.6)
    flipped = [msgspec.structs.replace(one, scores={**one.scores, "right": 0.0}) for one in samples]
    local = kept.add("local", samples)
    same, worse = kept.add("same", samples), kept.add("worse", flipped)
    other, few = kept.add("other", make_samples(400, seed=3, right=0.95)), kept.add("few", make_samples(12, seed=4))
    gap = measure_gap(kept, local, [same, worse, other, few], command="rixin gap office")
    by_model = {(one.model, one.task): one for one in gap.standings}
    assert len(by_model) == 8
    assert [by_model[name, "sums"].verdict for name in ("same", "worse", "other", "few")] == [
        "level",
        "ahead",
        "behind",
        "open",
    ]
    standing = by_model["other", "sums"]
    assert standing.metric == "right"
    assert standing.difference == pytest.approx(standing.local_score - standing.remote_score)
    assert standing.low < standing.difference < standing.high < 0
    assert standing.items == 200


def test_a_gap_needs_another_model_of_the_same_suite(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    local = kept.add("local", make_samples(4))
    with pytest.raises(InvalidRequest, match="another model"):
        measure_gap(kept, local, [], command="")
    strange = make_report("strange", make_samples(4), suite_hash="6" * 64)
    with pytest.raises(InvalidRequest, match="different suites"):
        measure_gap(kept, local, [strange], command="")


def test_the_metric_of_a_tasks_role_decides_or_its_first_one() -> None:
    report = make_report("local", make_samples(4))
    assert deciding(report, "orders") == "right"
    plain = msgspec.structs.replace(
        report, results=[msgspec.structs.replace(one, role="shown") for one in reversed(report.results)]
    )
    assert deciding(plain, "orders") == "tidy"
    assert deciding(report, "nothing") is None
