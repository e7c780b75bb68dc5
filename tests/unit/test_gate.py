"""The Gate's decisions on recorded cases."""

from collections.abc import Sequence

import msgspec
import numpy as np
import pytest

from rixin.errors import InvalidRequest
from rixin.evaluation.compare import compare
from rixin.evaluation.gate import GateDecision, decide, parse_gate
from rixin.evaluation.report import Cost, Report, Result, Sample

RULE = """
[[primary]]
task = "law"
metric = "right"

[[guard]]
task = "general"
metric = "right"
margin = 0.05

[[floor]]
task = "safety"
metric = "refused"
at_least = 0.9
"""

SAFE = {"safety": [1.0] * 40}


def report(version: str, scores: dict[str, Sequence[float]], *, suite: str = "s1") -> tuple[Report, list[Sample]]:
    """A Report with these scores, task by task."""
    metrics = {"safety": "refused"}
    samples = [
        Sample(
            task=task,
            item=str(at),
            cluster=f"{task}{at}",
            prompt="?",
            answer="!",
            expected="!",
            scores={metrics.get(task, "right"): score},
        )
        for task, values in scores.items()
        for at, score in enumerate(values)
    ]
    results = [
        Result(
            task=task,
            metric=metrics.get(task, "right"),
            score=float(np.mean(values)),
            low=max(float(np.mean(values)) - 0.1, 0),
            high=1.0,
            items=len(values),
        )
        for task, values in scores.items()
    ]
    made = Report(
        id=f"e_{version}",
        suite="office",
        suite_title="Office",
        suite_hash=suite,
        model=version,
        version=version,
        family="tiny",
        created_at="2026-11-22T00:00:00Z",
        seed=0,
        settings={"temperature": "0"},
        results=results,
        cost=Cost(seconds=1, prompt_tokens=1, answer_tokens=1),
        command="rixin eval run office",
    )
    return made, samples


def judged(
    before: dict[str, Sequence[float]], after: dict[str, Sequence[float]], rule: str = RULE, *, safe: bool = True
) -> GateDecision:
    both = SAFE if safe else {}
    (a, samples_a), (b, samples_b) = report("a", {**both, **before}), report("b", {**both, **after})
    return decide(parse_gate(rule, "gate.toml"), "hash", compare(a, b, samples_a, samples_b))


def right(count: int, of: int) -> list[float]:
    return [1.0] * count + [0.0] * (of - count)


def test_a_better_version_whose_guards_hold_is_promoted_and_the_sentence_says_by_how_much() -> None:
    made = judged(
        {"law": right(40, 100), "general": right(50, 300)}, {"law": right(60, 100), "general": right(50, 300)}
    )
    assert made.promote
    assert made.reason.startswith("Promote: law/right +20.0 points, at least +1")
    assert "95% certainty (100 items)" in made.reason


def test_a_worse_version_is_kept_back() -> None:
    made = judged(
        {"law": right(60, 100), "general": right(50, 300)}, {"law": right(40, 100), "general": right(50, 300)}
    )
    assert not made.promote
    assert made.reason == "Keep: law/right -20.0 points: not better (100 items)."
    assert made.checks[0].said_zh == "law/right -20.0 分：没有变好（100 题）。"


def test_what_may_be_noise_is_kept_back_with_the_number_of_items_that_would_tell() -> None:
    before = right(50, 100)
    after = [1 - score if at % 10 == 0 else score for at, score in enumerate(before)]
    after[60] = after[61] = after[62] = 1.0
    made = judged({"law": before, "general": right(50, 300)}, {"law": after, "general": right(50, 300)})
    assert not made.promote
    assert "but the suite can only show" in made.reason
    assert "items or collect more." in made.reason


def test_a_broken_guard_holds_back_what_is_better_at_its_task() -> None:
    made = judged(
        {"law": right(40, 100), "general": right(200, 300)}, {"law": right(60, 100), "general": right(170, 300)}
    )
    assert not made.promote
    assert made.reason == "Keep: general/right -10.0 points, worse than the 5.0 that are allowed."
    assert (
        next(one for one in made.checks if one.kind == "guard").said_zh
        == "general/right -10.0 分，超过了允许的 5.0 分。"
    )


def test_a_guard_too_small_to_tell_is_not_taken_for_a_guard_that_holds() -> None:
    shaken = right(10, 20)
    moved = shaken[::-1]
    made = judged({"law": right(40, 100), "general": shaken}, {"law": right(60, 100), "general": moved})
    assert not made.promote
    assert "can't rule out that it is worse by 5.0" in made.reason


def test_a_floor_is_absolute_even_where_the_old_version_was_below_it_too() -> None:
    unsafe = {"safety": right(30, 40)}
    made = judged({"law": right(40, 100), **unsafe}, {"law": right(60, 100), **unsafe}, safe=False, rule=RULE)
    assert not made.promote
    floors = [check for check in made.checks if check.kind == "floor"]
    assert [check.said for check in floors] == ["safety/refused is 0.750, which is below the floor of 0.9."]


def test_what_the_reports_do_not_have_can_never_promote() -> None:
    made = judged({"general": right(50, 300)}, {"general": right(90, 300)})
    assert not made.promote
    assert "law/right is in neither Report" in made.reason
    assert msgspec.json.decode(msgspec.json.encode(made), type=GateDecision) == made


def test_of_several_primaries_where_one_is_enough_each_pays_for_the_others() -> None:
    tasks = "\n".join(f'[[primary]]\ntask = "t{at}"\nmetric = "right"' for at in range(6))
    same = {f"t{at}": right(30, 60) for at in range(6)}
    # p = 0.031 alone, which six looks would show by chance too often.
    lucky = {**same, "t3": right(35, 60)}
    alone = judged(same, lucky, '[[primary]]\ntask = "t3"\nmetric = "right"')
    assert alone.promote
    assert not judged(same, lucky, tasks).promote
    assert judged(same, {**same, "t3": right(45, 60)}, tasks).promote
    assert not judged(same, {**same, "t3": right(45, 60)}, f'need = "all"\n{tasks}').promote


def test_a_comparison_is_of_the_same_questions() -> None:
    (a, samples_a), (b, samples_b) = report("a", SAFE), report("b", SAFE, suite="s2")
    with pytest.raises(InvalidRequest, match="different suites"):
        compare(a, b, samples_a, samples_b)


def test_contaminated_items_can_be_left_out_of_the_comparison() -> None:
    (a, samples_a), (b, samples_b) = report("a", {"law": right(10, 40)}), report("b", {"law": right(30, 40)})
    learned = [msgspec.structs.replace(s, contaminated=10 <= int(s.item) < 30) for s in samples_b]
    seen = compare(a, b, samples_a, learned).pair("law", "right")
    clean = compare(a, b, samples_a, learned, clean_only=True).pair("law", "right")
    assert seen is not None
    assert clean is not None
    assert (seen.difference, clean.difference, clean.items) == (0.5, 0.0, 20)


def test_differing_settings_and_missing_items_are_said() -> None:
    (a, samples_a), (b, samples_b) = report("a", SAFE), report("b", SAFE)
    made = compare(a, msgspec.structs.replace(b, settings={"temperature": "1"}), samples_a, samples_b[:-3])
    assert made.notes == [
        "3 items were answered by one Version only and are left out.",
        "temperature differs: 0 and 1.",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "A Gate needs a primary"),
        ("primary = []", "needs a primary"),
        ("[[primary]]\ntask = 1\nmetric = 'x'", "primary"),
        ("[[primary]]\ntask = 'a'\nmetric = 'b'\nmargin = 1", "unknown field `margin`"),
        ("level = 2.0\n[[primary]]\ntask = 'a'\nmetric = 'b'", "`level` is 2"),
        ("[[primary]\n", "Not TOML"),
        ("[[primary]]\ntask='a'\nmetric='b'\n[[guard]]\ntask='a'\nmetric='b'\nmargin=-1.0", "margin of a/b"),
    ],
)
def test_a_broken_gate_is_refused_with_the_place(text: str, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said) as caught:
        parse_gate(text, "gate.toml")
    assert caught.value.where == "gate.toml"


GUARDS_ALONE = """
need = "none"

[[guard]]
task = "general"
metric = "right"
margin = 0.05
"""


def test_a_gate_of_guards_alone_holds_what_makes_nothing_worse() -> None:
    same = {"general": right(200, 300)}
    held = judged(same, same, rule=GUARDS_ALONE)
    assert held.promote
    assert held.reason == "Promote: general/right is not worse by 5.0 points (+0.0)."
    worse = judged(same, {"general": right(150, 300)}, rule=GUARDS_ALONE)
    assert not worse.promote


def test_guards_alone_have_no_primary_beside_them() -> None:
    with pytest.raises(InvalidRequest, match='need = "none" has guards or floors, and no primary'):
        parse_gate(f'need = "none"\n{RULE}', "gate.toml")
    with pytest.raises(InvalidRequest, match="A Gate needs a primary"):
        parse_gate(GUARDS_ALONE.replace('need = "none"', ""), "gate.toml")
