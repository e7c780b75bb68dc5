"""One Version asked one Suite: rows in, samples out."""

import logging
import math
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from lm_eval.api import task as lm_eval_task
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.api.task import ConfigurableTask
from msgspec import Struct

from rixin.errors import InvalidRequest
from rixin.evaluation.asker import Asker
from rixin.evaluation.journal import Journal, key_of
from rixin.evaluation.lm import EngineLM, readable
from rixin.evaluation.report import Sample
from rixin.evaluation.retrieval import retrieve
from rixin.evaluation.suites import Suite, TaskSpec, read_rows
from rixin.evaluation.tasks import ITEM, VERDICT, make_task
from rixin.evaluation.templates import fill
from rixin.text import Tokens

Row = Mapping[str, object]
Report = Callable[[int, int], None]
Locate = Callable[[TaskSpec], Path]
MAX_ANSWER_CHARACTERS = 100_000


class Material(Struct, frozen=True, kw_only=True):
    """A task with its verified rows. `names` are the items' and `clusters` what hangs together."""

    spec: TaskSpec
    rows: list[dict[str, object]]
    examples: list[dict[str, object]]
    corpus: list[dict[str, object]]
    names: list[str]
    clusters: list[str]

    def texts(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Each item as `task/name`, with all texts of its row."""
        for name, row in zip(self.names, self.rows, strict=True):
            yield f"{self.spec.name}/{name}", tuple(value for value in row.values() if isinstance(value, str))

    def read(self, row: Row, name: str) -> str:
        """What of the row a model is given: the prompt, or where there is none what it has to continue with."""
        return fill(self.spec.prompt or self.spec.target, row, f"{self.spec.name}/{name}")

    def question(self, row: Row, name: str) -> str:
        """What the row asks, with the task's system message before it."""
        asked = fill(self.spec.prompt, row, f"{self.spec.name}/{name}")
        return f"{self.spec.system}\n\n{asked}" if self.spec.system else asked


def load(suite: Suite, locate: Locate, *, limit: int | None = None) -> list[Material]:
    """Read and verify every task's data. `locate` gives the file of what comes from a package.

    Raises HashMismatch, InvalidRequest with file and line, and what `locate` raises.
    """
    return [_material(suite, spec, locate, limit) for spec in suite.file.task]


def _material(suite: Suite, spec: TaskSpec, locate: Locate, limit: int | None) -> Material:
    path = locate(spec) if spec.package else suite.folder / spec.data
    rows = read_rows(path, spec.sha256, limit=min(limit or 1 << 40, spec.limit or 1 << 40))
    examples = read_rows(suite.folder / spec.examples, spec.examples_sha256 or "") if spec.examples else []
    if len(examples) < spec.few_shot:
        raise InvalidRequest(f"{spec.few_shot} examples are asked for, there are {len(examples)}.", where=spec.name)
    corpus = read_rows(suite.folder / spec.corpus, spec.corpus_sha256 or "") if spec.corpus else []
    names = [str(row[spec.id]) if spec.id and spec.id in row else key_of(row)[:12] for row in rows]
    for name, count in _counts(names).items():
        if count > 1:
            raise InvalidRequest(f"{count} rows are called {name!r}.", where=str(path), fix="Every item is there once.")
    clusters = [
        str(row.get(spec.cluster, name)) if spec.cluster else name for row, name in zip(rows, names, strict=True)
    ]
    return Material(spec=spec, rows=rows, examples=examples, corpus=corpus, names=names, clusters=clusters)


def evaluate(
    materials: Sequence[Material],
    asker: Asker,
    journal: Journal,
    *,
    tokens: Tokens | None,
    seed: int,
    report: Report = lambda _done, _of: None,
) -> list[Sample]:
    """Ask everything that is not in the journal yet, judge all, and give the samples in the suite's order."""
    with quiet():
        made = {
            material.spec.name: make_task(material.spec, material.rows, material.examples, material.names, seed=seed)
            for material in materials
            if material.spec.kind != "retrieval"
        }
        asked = sum(_requests(material) for material in materials)
        done = 0

        def counted(amount: int) -> None:
            nonlocal done
            done += amount
            report(min(done, asked), asked)

        lm = EngineLM(asker, journal, tokens=tokens, seed=seed, counted=counted)
        samples: list[Sample] = []
        for material in materials:
            if material.spec.kind == "retrieval":
                samples += retrieve(material.spec, material.rows, material.corpus, material.names, asker.embed, journal)
                counted(len(material.rows))
            else:
                samples += _run(material, made[material.spec.name], lm, journal, seed)
        report(asked, asked)
    return samples


def _run(material: Material, task: ConfigurableTask, lm: EngineLM, journal: Journal, seed: int) -> Iterator[Sample]:
    for name, cluster, (instances, found) in zip(
        material.names, material.clusters, ask(material, task, lm), strict=True
    ):
        yield _sample(material.spec, name, cluster, instances, found, journal, seed)


def ask(material: Material, task: ConfigurableTask, lm: LM) -> Iterator[tuple[list[Instance], Mapping[str, object]]]:
    """What any LM of lm-eval answered to each item, and what the task makes of it, in the order of the items."""
    spec = material.spec
    task.build_all_requests(
        rank=0,
        world_size=1,
        apply_chat_template=spec.chat,
        fewshot_as_multiturn=spec.chat,
        chat_template=lm.apply_chat_template if spec.chat else None,
    )
    by_type: dict[str, list[Instance]] = defaultdict(list)
    by_item: dict[str, list[Instance]] = defaultdict(list)
    for instance in task.instances:
        by_item[instance.doc[ITEM]].append(instance)
        by_type[instance.request_type] += [instance] * spec.repeats
    for kind, instances in by_type.items():
        for instance, response in zip(instances, getattr(lm, kind)(instances), strict=True):
            instance.resps.append(response)
    task.apply_filters()
    [filtered] = {name for instance in task.instances for name in instance.filtered_resps}
    for name in material.names:
        instances = sorted(by_item[name], key=lambda instance: instance.idx)
        yield instances, task.process_results(instances[0].doc, [one.filtered_resps[filtered] for one in instances])


def _sample(
    spec: TaskSpec,
    name: str,
    cluster: str,
    instances: Sequence[Instance],
    found: Mapping[str, object],
    journal: Journal,
    seed: int,
) -> Sample:
    row, first = instances[0].doc, instances[0]
    given = [one for key in _keys(instances, spec, seed) if (one := journal.get(key))]
    weight = 1.0
    expected = fill(spec.target, row, f"{spec.name}/{name}") if spec.target else _expected(spec, row)
    if spec.kind == "choice":
        options = [str(instance.args[1]).strip() for instance in instances]
        logprobs = [instance.resps[0][0] for instance in instances]
        scores = {metric: float(found[metric]) for metric in ("acc", "acc_norm")}  # type: ignore[arg-type]
        answer, expected = options[int(np.argmax(logprobs))], options[int(expected)]
        verdict = "; ".join(f"{option[:60]}: {value:.2f}" for option, value in zip(options, logprobs, strict=True))
    elif spec.kind == "continuation":
        logprob, greedy = first.resps[0]
        weight = float(len(str(first.args[1]).encode()))
        scores = {"acc": float(greedy), "bits_per_byte": logprob / math.log(2) / weight}
        answer, verdict = "", f"log-probability {logprob:.2f}"
    elif spec.kind == "perplexity":
        weight = float(len(str(first.args[0]).encode()))
        scores = {"bits_per_byte": first.resps[0] / math.log(2) / weight}
        answer, verdict = "", f"{-scores['bits_per_byte']:.3f} bits a byte"
    else:
        scores = {metric: float(value) for metric, value in found.items() if metric != VERDICT}  # type: ignore[arg-type]
        answer, verdict = "\n---\n".join(map(str, first.resps)), str(found[VERDICT])
    return Sample(
        task=spec.name,
        item=name,
        cluster=f"{spec.name}/{cluster}",
        prompt=readable(str(first.args[0])),
        answer=answer[:MAX_ANSWER_CHARACTERS],
        expected=expected,
        scores=scores,
        verdict=verdict,
        repeats=spec.repeats,
        weight=weight if spec.kind == "perplexity" else 1.0,
        prompt_tokens=sum(one.prompt_tokens for one in given),
        answer_tokens=sum(one.answer_tokens for one in given),
        seconds=sum(one.seconds for one in given),
    )


def _keys(instances: Sequence[Instance], spec: TaskSpec, seed: int) -> list[str]:
    keys = []
    for instance in instances:
        if instance.request_type == "generate_until":
            context, options = instance.args
            keys += [f"{EngineLM.generation_key(context, options, seed)}:{at}" for at in range(spec.repeats)]
        else:
            keys.append(key_of("rolling" if spec.kind == "perplexity" else "loglikelihood", *instance.args))
    return keys


def _expected(spec: TaskSpec, row: Row) -> str:
    """What a right answer has, in words, where the task has no `target`."""
    for name in ("expected", "answer", "answers", "answer_contains", "reference", "should"):
        if name in row:
            return str(row[name])
    return "; ".join(check.metric for check in spec.check)


def _requests(material: Material) -> int:
    if material.spec.kind == "choice":
        return sum(
            len(found) if isinstance(found := row.get(material.spec.choices), list) else 1 for row in material.rows
        )
    return len(material.rows) * material.spec.repeats


def _counts(names: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = defaultdict(int)
    for name in names:
        found[name] += 1
    return found


@contextmanager
def quiet() -> Iterator[None]:
    """lm-eval tells of every default it takes and draws bars of its own."""
    bar = lm_eval_task.tqdm
    lm_eval_task.tqdm = partial(bar, disable=True)
    loggers = [logging.getLogger("lm_eval")]
    levels = [one.level for one in loggers]
    for one in loggers:
        one.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for one, level in zip(loggers, levels, strict=True):
            one.setLevel(level)
        lm_eval_task.tqdm = bar
