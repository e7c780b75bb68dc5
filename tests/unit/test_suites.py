"""A broken suite is refused with its place; the suites that Rixin brings are whole."""

import gzip
import hashlib
import json
from importlib.resources import files
from pathlib import Path

import pytest

from rixin.errors import HashMismatch, InvalidRequest
from rixin.evaluation.evaluate import load
from rixin.evaluation.suites import Suite, TaskSpec, read_rows, read_suite
from rixin.evaluation.tasks import make_task

SHIPPED = Path(str(files("rixin.evaluation").joinpath("shipped")))
HEAD = 'name = "mine"\n'
TASK = """
[[task]]
name = "sums"
kind = "answer"
data = "rows.jsonl"
sha256 = "{sha256}"
prompt = "{{{{question}}}}"
{more}
[[task.check]]
kind = "exact"
answers = ["{{{{answer}}}}"]
"""
ROWS = '{"question": "1 + 1", "answer": 2}\n{"question": "1 + 2", "answer": 3}\n'


def sha256(text: str | bytes) -> str:
    return hashlib.sha256(text if isinstance(text, bytes) else text.encode()).hexdigest()


def write(folder: Path, suite: str, rows: str | bytes = ROWS) -> Path:
    (folder / "suite.toml").write_text(suite)
    (folder / "rows.jsonl").write_bytes(rows if isinstance(rows, bytes) else rows.encode())
    return folder


def task(more: str = "", rows: str | bytes = ROWS) -> str:
    return HEAD + TASK.format(sha256=sha256(rows), more=more)


def never(spec: TaskSpec) -> Path:
    raise AssertionError(f"{spec.name} comes from the folder")


def test_a_suite_is_read_and_its_hash_covers_it(tmp_path: Path) -> None:
    suite = read_suite(write(tmp_path, task()))
    assert (suite.name, suite.file.task[0].metrics, suite.file.task[0].deciding) == ("mine", ("right",), "right")
    [material] = load(suite, never)
    assert [row["answer"] for row in material.rows] == [2, 3]
    assert len(set(material.names)) == 2
    write(tmp_path, task("max_tokens = 9"))
    assert read_suite(tmp_path).hash != suite.hash


@pytest.mark.parametrize(
    ("suite", "said"),
    [
        ("name = \n", "suite.toml: The suite can't be read.*line 1"),
        (HEAD, "suite.toml: .*task"),
        (HEAD + "task = []", "A suite needs a task"),
        ('name = "My Suite"\n' + TASK.format(sha256="0", more=""), "is no name"),
        (task("kin = 1"), r"unknown field `kin`.*task"),
        (task().replace('"answer"', '"essay"'), "essay"),
        (task("max_tokens = 0"), r"max_tokens"),
        (task('metric = "f1"'), "task 'sums': There is no metric 'f1'; there are right"),
        (task("few_shot = 2"), "task 'sums': `few_shot` needs `examples`"),
        (task("repeats = 3"), "task 'sums': `repeats` at temperature 0"),
        (task('choice = "{{choice}}"'), "task 'sums': A task of kind 'answer' has no `choice`"),
        (task('corpus = "../../secret"'), "task 'sums': `corpus` leaves the suite's folder"),
        (task() + TASK.format(sha256="0", more=""), "Two tasks have this name"),
        (task().replace("exact", "exactly"), "exactly"),
        (task().split("[[task.check]]")[0], "needs a .*check"),
        (task().replace('kind = "answer"', 'kind = "choice"'), "task 'sums': A task of kind 'choice' needs `choices`"),
        (task().replace('kind = "answer"', 'kind = "pairwise"'), "has no checks"),
    ],
)
def test_a_broken_suite_is_refused_with_its_place(tmp_path: Path, suite: str, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said) as raised:
        read_suite(write(tmp_path, suite))
    assert str(tmp_path / "suite.toml") in str(raised.value)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (ROWS + '{"question": \n', "rows.jsonl:3: This is no JSON object"),
        (ROWS + "[1]\n", "rows.jsonl:3"),
        (ROWS + "[" * 100_000 + "\n", "rows.jsonl:3"),
        ("", "rows.jsonl: The file has no rows"),
        (b"\xff\xfe{}\n", "rows.jsonl:1"),
        ("[1, 2]", "rows.jsonl: This is no list of objects"),
        (ROWS + ROWS, "rows.jsonl: 2 rows are called"),
        (gzip.compress(ROWS.encode(), mtime=0)[:-9], "rows.jsonl: The file can't be unpacked"),
        (b"\x1f\x8bnonsense", "rows.jsonl: The file can't be unpacked"),
    ],
)
def test_broken_data_is_refused_with_file_and_line(tmp_path: Path, rows: str | bytes, said: str) -> None:
    suite = read_suite(write(tmp_path, task(rows=rows), rows))
    with pytest.raises(InvalidRequest, match=said):
        load(suite, never)


def test_data_that_changed_is_refused(tmp_path: Path) -> None:
    suite = read_suite(write(tmp_path, task(), ROWS + " "))
    with pytest.raises(HashMismatch, match=r"rows\.jsonl"):
        load(suite, never)


def test_packed_rows_are_unpacked_but_not_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = gzip.compress(ROWS.encode())
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(packed)
    assert len(read_rows(path, sha256(packed))) == 2
    monkeypatch.setattr("rixin.evaluation.suites.MAX_DATA_BYTES", 1 << 16)
    bomb = gzip.compress(b" " * (1 << 24))
    path.write_bytes(bomb)
    with pytest.raises(InvalidRequest, match=r"longer than .* when unpacked"):
        read_rows(path, sha256(bomb))


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("{{missing}}", "sums/.*missing.*fields of the row are: question"),
        ("{{ '" + "x" * 9 + "' * 10**9 }}", "sums/"),
        ("{{ question.__class__.__mro__ }}", "sums/"),
    ],
)
def test_a_prompt_that_fails_names_its_item(tmp_path: Path, prompt: str, said: str) -> None:
    suite = read_suite(write(tmp_path, task().replace("{{question}}", prompt)))
    [material] = load(suite, never)
    with pytest.raises(InvalidRequest, match=said):
        make_task(material.spec, material.rows, [], material.names, seed=1)


def test_a_choice_is_worded_by_its_template(tmp_path: Path) -> None:
    row = {"question": "How it goes on", "endings": ["[step] One.", "[step] Two."], "label": 1}
    rows = json.dumps(row) + "\n"
    more = """choices = "endings"
choice = "{{ choice | replace('[step] ', '') }}"
target = "{{label}}"
"""
    text = task(more, rows).replace('"answer"\ndata', '"choice"\ndata').split("[[task.check]]")[0]
    [material] = load(read_suite(write(tmp_path, text, rows)), never)
    made = make_task(material.spec, material.rows, [], material.names, seed=1)
    [document] = made.test_docs()
    assert made.doc_to_choice(document) == ["One.", "Two."]
    assert made.doc_to_target(document) == 1


@pytest.mark.parametrize("folder", sorted(SHIPPED.iterdir()), ids=lambda path: path.name)
def test_a_shipped_suite_is_whole(folder: Path) -> None:
    suite = read_suite(folder)
    assert suite.name == folder.name
    assert suite.file.title
    assert suite.file.description
    assert suite.file.language
    assert suite.file.licence != "unknown"
    here = [spec for spec in suite.file.task if spec.package is None]
    for material in load(_only(suite, here), never):
        for name, row in zip(material.names, material.rows, strict=True):
            assert material.question(row, name).strip()


def _only(suite: Suite, tasks: list[TaskSpec]) -> Suite:
    return Suite(file=type(suite.file)(name=suite.name, task=tasks), folder=suite.folder, hash=suite.hash)


def test_the_law_questions_agree_with_each_other() -> None:
    suite = read_suite(SHIPPED / "law-zh")
    cited, closed, choice = load(suite, never)
    assert cited.names == closed.names
    for row in cited.rows:
        gold = row["gold_numbers"]
        assert isinstance(gold, list)
        assert bool(gold) == row["answerable"] != row["unanswerable"]
        for number, article in zip(gold, row["gold"], strict=True):  # type: ignore[call-overload]
            line = next(one for one in str(row["articles"]).splitlines() if one.startswith(f"[{number}]"))
            assert f"《{article['law_name']}》{article['article_no']}：" in line
    for row in choice.rows:
        choices = row["choices"]
        assert isinstance(choices, list)
        assert len(set(choices)) == 4
