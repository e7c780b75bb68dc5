"""From a suite's task to lm-eval's Task, fed with rows that were read and verified here."""

import json
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec
from lm_eval.api.task import ConfigurableTask

from rixin.errors import InvalidRequest
from rixin.evaluation.checks import judge
from rixin.evaluation.suites import TaskSpec
from rixin.evaluation.templates import field, fill

Row = Mapping[str, object]
VERDICT = "verdict"
# How a whole conversation is passed as one prompt through lm-eval.
TURNS = "\x00turns:"
ITEM = "__item__"


class _Documents(list[Row]):
    """Rows in the shape that lm-eval asks of a dataset."""

    @property
    def features(self) -> Row:
        return self[0]


def make_task(
    spec: TaskSpec, rows: Sequence[Row], examples: Sequence[Row], names: Sequence[str], *, seed: int
) -> ConfigurableTask:
    """The task as lm-eval runs it. `names` are the items', for messages; `seed` chooses the examples shown."""

    def where(row: Row) -> str:
        return f"{spec.name}/{row[ITEM]}"

    def prompt(row: Row) -> str:
        if spec.turns:
            return TURNS + json.dumps(_conversation(field(spec.turns, row, where(row)), where(row)))
        return fill(spec.prompt, row, where(row)) if spec.prompt else ""

    def choices(row: Row) -> list[str]:
        found = field(spec.choices, row, where(row))
        if not isinstance(found, list) or len(found) < 2:
            raise InvalidRequest(f"`{spec.choices}` is not a list of two or more.", where=where(row))
        if not spec.choice:
            return [str(one) for one in found]
        return [fill(spec.choice, {**row, "choice": str(one)}, where(row)) for one in found]

    def target(row: Row) -> int | str:
        text = fill(spec.target, row, where(row)) if spec.target else ""
        if spec.kind != "choice":
            return text
        if not text.strip().isdigit() or not 0 <= int(text) < len(choices(row)):
            raise InvalidRequest(
                f"`target` is {text!r}, and has to be the number of a choice, from 0.", where=where(row)
            )
        return int(text)

    def judged(row: Row, answers: Sequence[object]) -> dict[str, object]:
        found = [judge(spec.check, str(answer), row, where(row)) for answer in _all(answers)]
        scores = {name: sum(one[name] for one, _ in found) / len(found) for name in found[0][0]}
        return {**scores, VERDICT: "; ".join(dict.fromkeys(said for _, said in found))}

    config: dict[str, object] = {
        "task": spec.name,
        "custom_dataset": lambda **_: {
            "test": _Documents({**row, ITEM: name} for row, name in zip(rows, names, strict=True)),
            "examples": _Documents({**row, ITEM: f"example {at}"} for at, row in enumerate(examples, 1)),
        },
        "test_split": "test",
        "output_type": _OUTPUT[spec.kind],
        "doc_to_text": prompt,
        "doc_to_target": target,
        "description": spec.system,
        "target_delimiter": spec.delimiter,
        "num_fewshot": spec.few_shot,
        "repeats": spec.repeats,
        "metric_list": [{"metric": metric} for metric in _LM_EVAL_METRICS[spec.kind]],
    }
    if spec.kind == "choice":
        config["doc_to_choice"] = choices
    if spec.few_shot:
        config["fewshot_split"] = "examples"
    if _OUTPUT[spec.kind] == "generate_until":
        config["generation_kwargs"] = {
            "until": list(spec.stop),
            "max_gen_toks": spec.max_tokens,
            "temperature": spec.temperature,
            "do_sample": spec.temperature > 0,
            "chat": spec.chat,
        }
        config["process_results"] = judged if spec.kind == "answer" else lambda *_: {VERDICT: "not judged yet"}
        config["filter_list"] = [{"name": "all", "filter": [{"function": "take_first_k", "k": spec.repeats}]}]
    task = ConfigurableTask(config=config)
    task.set_fewshot_seed(seed)
    return task


def _conversation(turns: object, where: str) -> list[dict[str, str]]:
    """The turns, checked. Raises InvalidRequest."""
    try:
        found = msgspec.convert(turns, list[dict[Literal["role", "content"], str]])
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"This is no conversation: {error}.", where=where) from None
    if not found or any(len(turn) < 2 for turn in found):
        raise InvalidRequest("Each turn of a conversation has `role` and `content`.", where=where)
    return [{"role": turn["role"], "content": turn["content"]} for turn in found]


def _all(answers: Sequence[object]) -> list[object]:
    """The answers to one item: lm-eval gives a list of one list where there are repeats."""
    first = answers[0]
    return list(first) if isinstance(first, list | tuple) else [first]


_OUTPUT = {
    "choice": "multiple_choice",
    "continuation": "loglikelihood",
    "perplexity": "loglikelihood_rolling",
    "answer": "generate_until",
    "pairwise": "generate_until",
}
_LM_EVAL_METRICS: Mapping[str, tuple[str, ...]] = {
    "choice": ("acc", "acc_norm"),
    "continuation": ("acc", "perplexity"),
    "perplexity": ("bits_per_byte",),
    "answer": ("bypass",),
    "pairwise": ("bypass",),
}
