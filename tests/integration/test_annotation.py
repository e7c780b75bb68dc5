"""Models first, people where those are not sure: nobody's work is given twice, lost, or counted unchecked."""

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import select, update

from rixin.data import AnyExample, ChatExample, Datasets, TaskExample, TextExample, Turn
from rixin.data.annotation import Annotations, Definition, Task, Worker, read_definition
from rixin.data.annotation.planning import Plan
from rixin.engines import Capabilities, ChatPrompt, EngineKind
from rixin.engines.fake import FakeEngine
from rixin.errors import Conflict, EngineDied, InvalidRequest, NotFound
from rixin.models import EMBEDDER_ALIAS, NewModel, NewVersion
from rixin.renewal.annotating import ModelAnnotators
from rixin.settings import Settings
from rixin.store import AnnotationItemRow, AnnotationLabelRow, AnnotationTaskRow, Database, now
from rixin.workspace import Workspace

ADA, BOB, EVE, ADMIN = (
    Worker("u_ada", "ada"),
    Worker("u_bob", "bob"),
    Worker("u_eve", "eve"),
    Worker("u_0", "root", True),
)
TOPICS = ("天气很好，我们去公园散步，第{}天", "股票价格上涨，市场成交{}亿元")


class Plain(FakeEngine):
    """Knows no schema, and so gives its reply."""

    def capabilities(self) -> Capabilities:
        return msgspec.structs.replace(super().capabilities(), json_schema=False)


@pytest.fixture
def datasets(database: Database, tmp_path: Path) -> Datasets:
    return Datasets(database, tmp_path)


@pytest.fixture
def annotations(database: Database, datasets: Datasets, tmp_path: Path) -> Annotations:
    return Annotations(database, datasets, tmp_path)


def define(**fields: object) -> Definition:
    plain = {"name": "topics", "kind": "classify", "instructions": "生活还是经济？", "labels": ["life", "money"]}
    return msgspec.convert({**plain, "people": ["*"], **fields}, Definition)


def begin(annotations: Annotations, datasets: Datasets, count: int = 30, **fields: object) -> Task:
    rows = [TextExample(text=TOPICS[at % 2].format(at)) for at in range(count)]
    return annotations.create(define(**fields), datasets.add_examples("rows", rows, source="made"))


def truth(line: int) -> dict[str, object]:
    return {"label": ("life", "money")[(line - 1) % 2]}


def answer(annotations: Annotations, task: Task, worker: Worker, value: object = None, *, wrong: bool = False) -> int:
    """One row answered by the worker; its line, 0 where there is none."""
    item = annotations.next(task.id, worker)
    if item is None:
        return 0
    annotations.queue.submit(task.id, item.line, worker, value or truth(item.line + wrong), 1.5)
    return item.line


def state_of(database: Database, task: Task, line: int) -> str:
    with database.read() as session:
        item = session.get(AnnotationItemRow, (task.id, line))
        assert item is not None
        return item.state


def test_people_are_asked_until_the_rest_may_pass(
    annotations: Annotations, datasets: Datasets, database: Database
) -> None:
    task = begin(annotations, datasets, 400)
    checked = 0
    while answer(annotations, task, ADA):
        checked += 1
    found = annotations.get("topics")
    assert found.counts["done"] == checked < 200
    assert found.counts["passed"] == 400 - checked
    with database.read() as session:
        row = session.get_one(AnnotationTaskRow, task.id)
        plan = msgspec.convert(row.plan, Plan)
    assert (plan.phase, plan.audits) == ("passed", 1)
    assert plan.audit is not None
    assert 0 < len(plan.audit.drawn) < checked
    done = annotations.finish("topics")
    assert (done.rows, done.left_out) == (400, 0)
    rows = [row for row in datasets.open(done.version) if isinstance(row, ChatExample)]
    right = sum(row.messages[-1].content == truth(line)["label"] for line, row in enumerate(rows, 1))
    assert right >= 0.95 * 400
    assert rows[0].messages[0].content == "生活还是经济？"
    assert done.version.parents == (task.dataset_id,)
    assert [one.origin for one in datasets.origins(done.version, [1, 400])] == [
        f"{task.dataset_id}:1",
        f"{task.dataset_id}:400",
    ]
    assert annotations.get("topics").status == "closed"
    assert annotations.next(task.id, ADA) is None


def test_nobody_is_given_what_somebody_has(annotations: Annotations, datasets: Datasets) -> None:
    task = begin(annotations, datasets, 120, accuracy=1.0)
    workers = [Worker(f"u_{at}", f"w{at}") for at in range(6)]

    def work(worker: Worker) -> list[int]:
        return [line for _ in range(10) if (line := answer(annotations, task, worker))]

    with ThreadPoolExecutor(6) as pool:
        lines = [line for some in pool.map(work, workers) for line in some]
    assert len(lines) == 60
    assert set(Counter(lines).values()) == {1}
    assert annotations.get(task.id).counts["done"] == 60


def test_a_row_is_its_persons_until_their_time_is_over(
    annotations: Annotations, datasets: Datasets, database: Database
) -> None:
    task = begin(annotations, datasets)
    first = annotations.next(task.id, ADA)
    again = annotations.next(task.id, ADA)
    other = annotations.next(task.id, BOB)
    assert first is not None
    assert again is not None
    assert other is not None
    assert first.line == again.line != other.line
    assert first.proposal is None
    with database.write() as session:
        lapsed = now() - timedelta(seconds=1)
        session.execute(update(AnnotationItemRow).values(claimed_until=lapsed))
    lines = {item.line for worker in (EVE, BOB, ADA) if (item := annotations.next(task.id, worker))}
    assert len(lines) == 3
    taken = annotations.next(task.id, EVE)
    assert taken is not None
    assert taken.line == first.line
    with pytest.raises(Conflict, match="somebody else has it"):
        annotations.queue.submit(task.id, first.line, ADA, truth(first.line))
    annotations.queue.submit(task.id, first.line, EVE, truth(first.line))
    with pytest.raises(Conflict, match="no more answers"):
        annotations.queue.submit(task.id, first.line, ADA, truth(first.line))


def test_the_same_answer_twice_is_one_and_another_is_refused(annotations: Annotations, datasets: Datasets) -> None:
    task = begin(annotations, datasets)
    line = answer(annotations, task, ADA)
    annotations.queue.submit(task.id, line, ADA, truth(line))
    with pytest.raises(Conflict, match="answered this row already"):
        annotations.queue.submit(task.id, line, ADA, truth(line + 1))
    for value in ({"label": "else"}, {"label": 3}, {"text": "life"}, {}, [], {"label": "life", "more": 1}):
        with pytest.raises(InvalidRequest, match="not what was asked for"):
            annotations.queue.submit(task.id, line + 1, ADA, value)
    with pytest.raises(NotFound):
        annotations.queue.submit(task.id, 999, ADA, truth(1))


def test_a_skipped_row_goes_to_others(annotations: Annotations, datasets: Datasets, database: Database) -> None:
    task = begin(annotations, datasets, 22)
    item = annotations.next(task.id, ADA)
    assert item is not None
    annotations.queue.skip(task.id, item.line, ADA)
    annotations.queue.skip(task.id, item.line, ADA)
    while line := answer(annotations, task, ADA):
        assert line != item.line
    assert state_of(database, task, item.line) == "queued"
    assert answer(annotations, task, BOB) == item.line


def test_it_is_for_the_people_it_names(annotations: Annotations, datasets: Datasets) -> None:
    task = begin(annotations, datasets, people=["ada"])
    assert annotations.next(task.id, ADA) is not None
    assert annotations.next(task.id, ADMIN) is not None
    with pytest.raises(NotFound, match="for you"):
        annotations.next(task.id, BOB)


def test_what_is_delicate_needs_two_who_agree_and_a_third_decides(
    annotations: Annotations, datasets: Datasets, database: Database
) -> None:
    task = begin(annotations, datasets, 20, two_person=["money"])
    item = annotations.next(task.id, ADA)
    assert item is not None
    annotations.queue.submit(task.id, item.line, ADA, {"label": "money"})
    assert state_of(database, task, item.line) == "queued"
    while (other := annotations.next(task.id, BOB)) is not None and other.line != item.line:
        annotations.queue.submit(task.id, other.line, BOB, {"label": "life"})
    annotations.queue.submit(task.id, item.line, BOB, {"label": "life"})
    assert state_of(database, task, item.line) == "disputed"
    third = annotations.next(task.id, EVE)
    assert third is not None
    assert third.line == item.line
    annotations.queue.submit(task.id, item.line, EVE, {"label": "money"})
    assert state_of(database, task, item.line) == "done"
    agreement = annotations.get(task.id).agreement
    assert agreement is not None
    assert agreement < 0.1


def test_an_administrator_decides_where_three_people_differ(
    annotations: Annotations, datasets: Datasets, database: Database
) -> None:
    task = begin(annotations, datasets, 1, kind="rate", labels=[], two_person=True)
    for worker, rating in ((ADA, 1), (BOB, 3), (EVE, 5)):
        assert answer(annotations, task, worker, {"rating": rating}) == 1
    assert state_of(database, task, 1) == "disputed"
    assert annotations.next(task.id, Worker("u_4", "dan")) is None
    assert answer(annotations, task, ADMIN, {"rating": 4}) == 1
    assert state_of(database, task, 1) == "done"
    with database.read() as session:
        assert session.get_one(AnnotationItemRow, (task.id, 1)).value == {"rating": 4}


def test_who_fails_known_answers_is_not_counted_and_their_rows_are_asked_again(
    annotations: Annotations, datasets: Datasets, database: Database
) -> None:
    def asked(text: str, known: str | None) -> TaskExample:
        return TaskExample(prompt=(Turn(role="user", content=text),), answer=known, regex=None if known else ".")

    rows: list[AnyExample] = [
        asked(TOPICS[at % 2].format(at), str(truth(at + 1)["label"]) if at < 20 else None) for at in range(60)
    ]
    dataset = datasets.add_examples("some-known", rows, source="made")
    task = annotations.create(define(gold_share=0.4), dataset)
    assert annotations.get(task.id).counts["done"] == 20
    lines = [line for _ in range(40) if (line := answer(annotations, task, EVE, wrong=True))]
    assert len(lines) < 40
    record = {one.id: one for one in annotations.annotators(task.id)}[EVE.id]
    assert (record.gold_right, record.gold) == (0, record.gold)
    assert 5 <= record.gold <= 20
    assert annotations.next(task.id, EVE) is None
    for line in set(lines):
        if line > 20:
            assert state_of(database, task, line) == "queued"
    while answer(annotations, task, ADA):
        pass
    with database.read() as session:
        done = select(AnnotationItemRow).where(AnnotationItemRow.task_id == task.id, AnnotationItemRow.state == "done")
        assert all(item.value == truth(item.line) for item in session.scalars(done))


def test_gold_questions_need_known_answers(annotations: Annotations, datasets: Datasets) -> None:
    with pytest.raises(InvalidRequest, match="no gold questions"):
        begin(annotations, datasets, gold_share=0.1)
    assert annotations.list() == []


def test_an_audit_that_finds_too_much_wrong_goes_back_to_learning(annotations: Annotations, datasets: Datasets) -> None:
    """Rows whose class has nothing to do with their text: nothing but people can get them right."""
    import random

    rows = [TextExample(text=f"第{at}行 {random.Random(at).random()}") for at in range(120)]
    task = annotations.create(define(), datasets.add_examples("noise", rows, source="made"))
    while (item := annotations.next(task.id, ADA)) is not None:
        label = random.Random(f"class {item.line}").choice(["life", "money"])
        annotations.queue.submit(task.id, item.line, ADA, {"label": label})
    counts = annotations.get(task.id).counts
    assert counts["passed"] <= 6
    assert counts["done"] >= 114


def test_finishing_early_leaves_out_what_is_not_done(annotations: Annotations, datasets: Datasets) -> None:
    task = begin(annotations, datasets)
    answered = {answer(annotations, task, ADA) for _ in range(3)}
    with pytest.raises(Conflict, match="27 rows of topics are not done"):
        annotations.finish(task.id)
    done = annotations.finish(task.id, dataset="three", early=True)
    assert (done.version.name, done.rows, done.left_out) == ("three", 3, 27)
    assert {int(one.origin.split(":")[1]) for one in datasets.origins(done.version)} == answered
    with pytest.raises(Conflict, match="finished"):
        annotations.queue.submit(task.id, 1 if 1 not in answered else 2, ADA, truth(1))


def test_a_text_that_was_written_is_what_a_model_learns(annotations: Annotations, datasets: Datasets) -> None:
    turns = (Turn(role="user", content="几点了？"), Turn(role="assistant", content="不知道"))
    dataset = datasets.add_examples("talk", [ChatExample(messages=turns)], source="made")
    rewrite = annotations.create(define(name="r", kind="rewrite", labels=[]), dataset)
    item = annotations.next(rewrite.id, ADA)
    assert item is not None
    assert item.content == "user: 几点了？\n\nassistant: 不知道"
    annotations.queue.submit(rewrite.id, 1, ADA, {"text": "  三点。 "})
    [made] = datasets.open(annotations.finish("r").version)
    assert isinstance(made, ChatExample)
    assert [turn.content for turn in made.messages] == ["几点了？", "三点。"]
    reply = annotations.create(define(name="a", kind="answer", labels=[]), dataset)
    item = annotations.next(reply.id, ADA)
    assert item is not None
    assert item.content == "几点了？"


def test_a_name_is_taken_once(annotations: Annotations, datasets: Datasets) -> None:
    begin(annotations, datasets)
    with pytest.raises(Conflict, match="already"):
        begin(annotations, datasets)
    with pytest.raises(NotFound, match="There are: topics"):
        annotations.get("else")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('name = "x"\nkind = "classify"\ninstructions = "y"\nlabels = ["a"]', "annotation.toml:4: `labels` are from 2"),
        ('name = "x"\nkind = "sort"\ninstructions = "y"', "annotation.toml:2: Invalid enum value 'sort'"),
        ('name = "x"\nkind = "rate"\ninstructions = "y"\nlabel = ["a"]', "annotation.toml:4: .*unknown field"),
        ('name = "X"\nkind = "rate"\ninstructions = "y"', "annotation.toml:1: 'X' can't be"),
        ('name = "x"\nkind = "extract"\ninstructions = "y"', "`schema` is what `extract`"),
        (
            'name = "x"\nkind = "extract"\ninstructions = "y"\n[schema]\ntype = "obj"',
            "annotation.toml:4: .*of an object",
        ),
        ('name = "x"\nkind = "rate"\ninstructions = "y"\naccuracy = 3', "annotation.toml:4: Expected `float` <= 1"),
        ('name = "x"\nkind = "rate"\ninstructions = "y"\ntwo_person = ["9"]', "names '9', which is no label"),
        ('name = "x', "not TOML"),
    ],
)
def test_a_definition_that_can_not_be_is_told_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "annotation.toml"
    path.write_text(text)
    with pytest.raises(InvalidRequest, match=message):
        read_definition(path)
    with pytest.raises(InvalidRequest, match="can't be read"):
        read_definition(tmp_path / "none.toml")


def test_models_vote_once_a_row_and_go_on_after_a_failure(tmp_path: Path) -> None:
    engine = Plain(reply='{"label": "money"}')
    engines = {"voter": engine, "maker": FakeEngine(dimensions=16)}
    kinds = {"fake": EngineKind(lambda version: engines[version.model_name])}
    with Workspace(Settings(home=tmp_path), kinds=kinds) as workspace:
        for name in ("voter", "maker"):
            workspace.models.register(
                NewModel(name, name), NewVersion(f"v_{name}", "test", "fake", "none", "MIT", context_length=4096)
            )
        workspace.models.set_alias(EMBEDDER_ALIAS, "v_maker")
        task = begin(workspace.annotations, workspace.datasets, 30, annotators=["voter"], two_person=["money"])
        models = ModelAnnotators(workspace.annotations, workspace.models, workspace.engines, workspace.libraries)

        async def run() -> None:
            async with workspace.running():
                engine.generate_failure = EngineDied("It died.")
                with pytest.raises(EngineDied):
                    await models.run(task.id)
                assert workspace.annotations.has_features(task.id)
                with workspace.database.write() as session:
                    before = {"line": 1, "annotator": "v_voter", "person": False, "value": {"label": "life"}}
                    session.add(AnnotationLabelRow(id="lab_1", task_id=task.id, **before))
                engine.generate_failure = None
                [voted] = await models.run(task.id)
                assert (voted.asked, voted.unusable) == (29, 0)

        asyncio.run(run())
        [record] = workspace.annotations.annotators(task.id)
        assert (record.rows, record.person) == (30, False)
        # What a model called delicate is for people, all of it.
        assert workspace.annotations.next(task.id, ADA) is not None
        assert workspace.annotations.get(task.id).counts["waiting"] == 0
        assert isinstance(engine.requests[-1].prompt, ChatPrompt)
        assert '"enum": ["life", "money"]' in engine.requests[-1].prompt.messages[0].content
