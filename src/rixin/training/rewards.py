"""What tells a right answer from a wrong one: the rewards of GRPO.

All are configured by plain values, never by code to import, and are functions of the answer alone, so that a resumed
run gives the rewards it gave before. Expressions and schemas run on an engine of linear time: no answer can make one
hang.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import jsonschema_rs

from rixin.compute import Limits, Program, run_many
from rixin.data import TaskExample
from rixin.errors import InvalidRequest

_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:/\d+)?")
_FENCE = re.compile(r"```[^\n`]*\n(.*?)```", re.DOTALL)


@dataclass(frozen=True)
class Score:
    """How good an answer is. `passed` says whether it is right, None where there is no right and wrong."""

    value: float
    passed: bool | None = None


class Reward(Protocol):
    """Judges answers."""

    def score(self, tasks: Sequence[TaskExample], answers: Sequence[str]) -> list[Score]:
        """A Score for each answer, given the task it was an answer to."""
        ...


@dataclass(frozen=True)
class Exact:
    """1 if the answer is the task's `answer` but for white space around it, else 0."""

    def score(self, tasks: Sequence[TaskExample], answers: Sequence[str]) -> list[Score]:
        """See Reward."""
        return [_verdict(answer.strip() == _given(task, "answer").strip()) for task, answer in pairs(tasks, answers)]


@dataclass(frozen=True)
class Arithmetic:
    """1 if the last number in the answer equals the task's `answer`; `1,250`, `1250.0` and `2500/2` are equal."""

    def score(self, tasks: Sequence[TaskExample], answers: Sequence[str]) -> list[Score]:
        """See Reward. Raises InvalidRequest for a task whose answer isn't a number."""
        found = []
        for task, answer in pairs(tasks, answers):
            expected = last_number(_given(task, "answer"))
            if expected is None:
                raise InvalidRequest(
                    f"The answer {task.answer!r} is not a number.",
                    where=task.source,
                    fix="Judge it with the reward `exact`.",
                )
            found.append(_verdict(last_number(answer) == expected))
        return found


@dataclass(frozen=True)
class Pattern:
    """1 if the expression is found in the answer, else 0; the expression is the task's `regex`, or `regex` here.

    It is in Rust's syntax (as Python's, without look-around and back-references).
    """

    regex: str | None = None

    def score(self, tasks: Sequence[TaskExample], answers: Sequence[str]) -> list[Score]:
        """See Reward. Raises InvalidRequest for an expression that can't be read."""
        found = []
        for task, answer in pairs(tasks, answers):
            expression = self.regex or _given(task, "regex")
            validator = _validator({"type": "string", "pattern": expression}, f"The expression {expression!r}", task)
            found.append(_verdict(validator.is_valid(answer)))
        return found


@dataclass(frozen=True)
class JsonSchema:
    """1 if the answer is JSON that the task's `schema` allows, `partial` if it is any other JSON, else 0.

    A fence of Markdown around the JSON is not counted against it, any other text is. References lead nowhere outside
    the schema.
    """

    partial: float = 0.0

    def score(self, tasks: Sequence[TaskExample], answers: Sequence[str]) -> list[Score]:
        """See Reward. Raises InvalidRequest for a schema that isn't one."""
        found = []
        for task, answer in pairs(tasks, answers):
            validator = _validator(_json(_given(task, "schema")), "The schema", task)
            fenced = _FENCE.fullmatch(answer.strip())
            value = _json(fenced[1] if fenced else answer)
            if value is _NOT_JSON:
                found.append(Score(0.0, passed=False))
            else:
                passed = _allows(validator, value)
                found.append(Score(1.0 if passed else self.partial, passed=passed))
        return found


@dataclass(frozen=True)
class CodeTests:
    """1 if the answer's code, followed by the task's `tests` (Python), runs to its end without an error, else 0.

    The code is what the first fence of Markdown holds, or the whole answer. It runs in the sandbox.
    """

    seconds: float = 5.0

    def score(self, tasks: Sequence[TaskExample], answers: Sequence[str]) -> list[Score]:
        """See Reward. Raises SandboxUnavailable where untrusted code can't be kept in."""
        programs = []
        for task, answer in pairs(tasks, answers):
            fenced = _FENCE.search(answer)
            programs.append(Program(f"{fenced[1] if fenced else answer}\n\n{_given(task, 'tests')}\n"))
        ends = run_many(programs, limits=Limits(seconds=self.seconds))
        return [_verdict(end.status == "ok" and end.finished) for end in ends]


@dataclass(frozen=True)
class AsTheTaskSays:
    """Each task is judged by what it has: its `tests`, else its `schema`, else its `regex`, else its `answer`.

    An answer that is a number is compared as a number.
    """

    def score(self, tasks: Sequence[TaskExample], answers: Sequence[str]) -> list[Score]:
        """See Reward."""
        found: dict[int, Score] = {}
        kinds = [_fitting(task) for task in tasks]
        for reward in dict.fromkeys(kinds):
            rows = [row for row, kind in enumerate(kinds) if kind == reward]
            scores = reward.score([tasks[row] for row in rows], [answers[row] for row in rows])
            found.update(zip(rows, scores, strict=True))
        return [found[row] for row in range(len(kinds))]


def last_number(text: str) -> Fraction | None:
    """The last number in a text: an integer, a decimal or a fraction, with or without thousands' commas."""
    found = _NUMBER.findall(text)
    if not found:
        return None
    try:
        return Fraction(found[-1].replace(",", ""))
    except (ValueError, ZeroDivisionError):
        return None


def pairs(tasks: Sequence[TaskExample], answers: Sequence[str]) -> Sequence[tuple[TaskExample, str]]:
    """Each answer with its task; there are as many of both."""
    return list(zip(tasks, answers, strict=True))


def _fitting(task: TaskExample) -> Reward:
    if task.tests is not None:
        return CodeTests()
    if task.schema is not None:
        return JsonSchema()
    if task.regex is not None:
        return Pattern()
    return Arithmetic() if _NUMBER.fullmatch((task.answer or "").strip()) else Exact()


def _given(task: TaskExample, field: str) -> str:
    value = getattr(task, field)
    if not isinstance(value, str):
        raise InvalidRequest(
            f"This task has no `{field}`, which the chosen reward needs.",
            where=task.source or None,
            fix=f"Add `{field}` to each task, or choose the reward that the tasks are made for.",
            param="reward",
        )
    return value


def _validator(schema: object, what: str, task: TaskExample) -> jsonschema_rs.Validator:
    try:
        return jsonschema_rs.validator_for(
            schema,  # type: ignore[arg-type]
            offline=True,
            pattern_options=jsonschema_rs.RegexOptions(),
        )
    except (jsonschema_rs.ValidationError, ValueError) as error:
        said = str(error).splitlines()[0]
        raise InvalidRequest(f"{what} can't be used: {said}", where=task.source or None, param="reward") from None


def _allows(validator: jsonschema_rs.Validator, value: object) -> bool:
    try:
        return validator.is_valid(value)
    except ValueError:  # nested deeper than it follows
        return False


_NOT_JSON = object()


def _json(text: str) -> object:
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return _NOT_JSON


def _refuse(constant: str) -> object:
    raise ValueError(constant)  # NaN and the infinities, which Python would let pass


def _verdict(passed: bool) -> Score:
    return Score(float(passed), passed=passed)
