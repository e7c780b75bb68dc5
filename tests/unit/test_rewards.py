"""Rewards: what passes, what does not, and that no answer can hurt."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rixin.data import TaskExample, Turn
from rixin.errors import InvalidRequest
from rixin.training.rewards import (
    Arithmetic,
    AsTheTaskSays,
    CodeTests,
    Exact,
    JsonSchema,
    Pattern,
    Reward,
)

ASKED = (Turn(role="user", content="?"),)
SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {"name": {"type": "string", "pattern": "^(a+)+$"}, "age": {"type": "integer"}},
        "required": ["name"],
    }
)


def task(**given: str) -> TaskExample:
    return TaskExample(prompt=ASKED, source="tasks.jsonl:7", **given)


def passed(reward: Reward, of: TaskExample, answer: str) -> bool | None:
    return reward.score([of], [answer])[0].passed


@pytest.mark.parametrize(
    ("reward", "of", "right", "wrong"),
    [
        (Exact(), task(answer="Paris"), " Paris\n", "It is Paris"),
        (Arithmetic(), task(answer="1250"), "So 1,000 + 250 = 1,250.", "1250 or 1251"),
        (Arithmetic(), task(answer="1/2"), "0.50", "1/0"),
        (Arithmetic(), task(answer="-3"), "The sum is -3", "none"),
        (Pattern(), task(regex=r"^\d{3}-\d{4}$"), "555-1234", "call 555-1234"),
        (Pattern(regex="yes"), task(answer="?"), "oh yes", "no"),
        (JsonSchema(), task(schema=SCHEMA), '```json\n{"name": "aa", "age": 3}\n```', 'Here: {"name": "aa"}'),
        (JsonSchema(), task(schema=SCHEMA), '{"name": "a"}', '{"name": "' + "a" * 5000 + '!"}'),
        (JsonSchema(), task(schema='{"type": "number"}'), "1e3", "NaN"),
        (JsonSchema(), task(schema="{}"), "[]", "[" * 100_000),
        (AsTheTaskSays(), task(answer="12"), "It is 12.", "It is 13."),
        (AsTheTaskSays(), task(answer="yes"), "yes", "yes, it is"),
        (AsTheTaskSays(), task(schema=SCHEMA), '{"name": "a"}', "{}"),
    ],
)
def test_right_answers_pass_and_wrong_ones_do_not(reward: Reward, of: TaskExample, right: str, wrong: str) -> None:
    assert passed(reward, of, right) is True
    assert passed(reward, of, wrong) is False


def test_json_that_breaks_the_schema_may_have_a_part_of_the_reward() -> None:
    scores = JsonSchema(partial=0.3).score([task(schema=SCHEMA)] * 3, ['{"name": "a"}', "{}", "{"])
    assert [score.value for score in scores] == [1.0, 0.3, 0.0]


def test_a_task_without_what_the_reward_needs_is_named() -> None:
    with pytest.raises(InvalidRequest, match=r"tasks\.jsonl:7: This task has no `schema`"):
        JsonSchema().score([task(answer="1")], ["1"])
    with pytest.raises(InvalidRequest, match="is not a number"):
        Arithmetic().score([task(answer="one")], ["1"])


@pytest.mark.parametrize("schema", ['{"type": "nothing"}', '{"$ref": "http://127.0.0.1:9/schema.json"}', "{", "7"])
def test_a_schema_that_is_none_or_leads_outside_is_refused(schema: str) -> None:
    with pytest.raises(InvalidRequest, match="The schema can't be used"):
        JsonSchema().score([task(schema=schema)], ["{}"])


@pytest.mark.parametrize("regex", ["(", r"(a)\1", "(?=a)b"])
def test_an_expression_that_could_take_for_ever_is_refused(regex: str) -> None:
    with pytest.raises(InvalidRequest, match="can't be used"):
        Pattern().score([task(regex=regex)], ["a"])


def test_code_passes_if_its_tests_do() -> None:
    of = task(tests="assert double(4) == 8")
    answers = [
        "Here:\n```python\ndef double(x):\n    return 2 * x\n```",
        "def double(x): return x",
        "import os; os._exit(0)",
    ]
    assert [score.passed for score in CodeTests().score([of] * 3, answers)] == [True, False, False]


@given(st.text())
def test_any_answer_can_be_judged(answer: str) -> None:
    tasks = [task(answer="7"), task(schema=SCHEMA), task(regex="a+b"), task(answer="x")]
    assert len(AsTheTaskSays().score(tasks, [answer] * 4)) == 4
