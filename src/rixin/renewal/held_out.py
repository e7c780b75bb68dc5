"""The suite of this house: feedback that is never learned from, asked of the old version and of the new one.

It has up to three tasks: corrections that are JSON objects are compared field by field, others by how much of their
text comes back (chrF); of preferences the better answer has to be the likelier one. Beside it lies the record of all
that is held out: what is asked no longer, since newer items are, is not learned from either.
"""

import hashlib
import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
from filelock import FileLock

from rixin.errors import Conflict
from rixin.evaluation import SUITE_FILE, Suite, read_suite
from rixin.models import full_disk_named
from rixin.renewal.material import better_and_worse, cluster, question
from rixin.renewal.opinions import FeedbackItem

SUFFIX = "-feedback"
HELD_FILE = "held.json"
OURS = "# Made by Rixin of held-out feedback, and written anew in every cycle.\n"
MOST_ITEMS = 200  # the newest: each is asked of two versions in every Cycle
LONGEST_ANSWER = 1024  # tokens
CHARACTERS_A_TOKEN = 1.5  # few, so that an answer is seldom cut off

Row = Mapping[str, object]


def suite_name(alias: str) -> str:
    """What the suite of an alias's feedback is called."""
    return f"{alias}{SUFFIX}"


def held_items(home: Path) -> dict[str, set[str]]:
    """The ids of the feedback that is in each alias's suite."""
    folders = filter(_ours, (home / "suites").glob(f"*{SUFFIX}"))
    return {folder.name.removesuffix(SUFFIX): {str(row["id"]) for row in _rows(folder)} for folder in folders}


def held_clusters(home: Path, alias: str) -> frozenset[str]:
    """The clusters that are held out."""
    try:
        return msgspec.json.decode((home / "suites" / suite_name(alias) / HELD_FILE).read_bytes(), type=frozenset[str])
    except FileNotFoundError:
        return frozenset()


@contextmanager
def suite_lock(home: Path, alias: str) -> Iterator[None]:
    """Whoever makes the suite reads within what may be asked: or what is taken back meanwhile would come back."""
    folder = home / "suites"
    folder.mkdir(exist_ok=True)
    with FileLock(folder / f".{suite_name(alias)}.lock"):
        yield


def write_suite(home: Path, alias: str, items: Sequence[FeedbackItem], held: Collection[str]) -> Suite | None:
    """Make the suite of these items, and keep which clusters are held out; None where the items ask nothing.

    Its data have new names, so that the old suite is whole until the new `suite.toml` takes its place. Raises Conflict
    where somebody has made a suite of this name, and NotEnoughDisk. Call it within `suite_lock`.
    """
    folder = home / "suites" / suite_name(alias)
    if (folder / SUITE_FILE).exists() and not _ours(folder):
        raise Conflict(
            f"The suite {suite_name(alias)} is somebody's own, and cycles of {alias} make one of this name.",
            where=str(folder),
            fix="Give it another name.",
        )
    folder.mkdir(parents=True, exist_ok=True)
    with full_disk_named(folder):
        there = _replaced(folder, alias, items, held)
    return read_suite(folder) if there else None


def _replaced(folder: Path, alias: str, items: Sequence[FeedbackItem], held: Collection[str]) -> bool:
    _write(folder / HELD_FILE, msgspec.json.encode(sorted(held)))
    tasks = _tasks(items[-MOST_ITEMS:])
    if not tasks:
        _tidy(folder, {HELD_FILE})
        return False
    data = {name: msgspec.json.Encoder().encode_lines(rows) for name, rows in tasks.items()}
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in data.items()}
    text = _suite_toml(alias, tasks, hashes)
    for name, content in data.items():
        _write(folder / _file_of(name, hashes[name]), content)
    _write(folder / SUITE_FILE, text.encode())
    _tidy(folder, {SUITE_FILE, HELD_FILE, *(_file_of(name, digest) for name, digest in hashes.items())})
    return True


def _tidy(folder: Path, used: Collection[str]) -> None:
    """The suite's file goes first: without it there is no suite."""
    for path in sorted(folder.iterdir(), key=lambda path: path.name != SUITE_FILE):
        if path.name not in used:
            path.unlink()


def _file_of(task: str, digest: str) -> str:
    return f"{task}-{digest[:12]}.jsonl"


def _write(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _rows(folder: Path) -> Iterator[Row]:
    for task in read_suite(folder).file.task:
        for line in (folder / task.data).read_text("utf-8").splitlines():
            yield msgspec.json.decode(line, type=dict[str, object])


def _ours(folder: Path) -> bool:
    try:
        return (folder / SUITE_FILE).read_text("utf-8").startswith(OURS)
    except FileNotFoundError:
        return False


def _tasks(items: Iterable[FeedbackItem]) -> dict[str, list[Row]]:
    """The rows of each task, by its name."""
    tasks: dict[str, list[Row]] = {}
    for item in items:
        row: dict[str, object] = {
            "id": item.id,
            "cluster": cluster(item),
            "question": question(item),
            "turns": [{"role": one.role, "content": one.content} for one in item.messages],
        }
        both = better_and_worse(item)
        if item.correction:
            answer = item.opening + item.correction
            wanted = _object(answer)
            row |= {"answer": answer} if wanted is None else {"answer": answer, "wanted": wanted}
            tasks.setdefault("text" if wanted is None else "fields", []).append(row)
        elif item.kind == "preference" and both is not None:
            row |= {"answers": [item.opening + one for one in both]}
            tasks.setdefault("preferred", []).append(row)
    shared = _shared_fields(tasks.get("fields", []))
    if not shared and "fields" in tasks:
        tasks["text"] = [*tasks.get("text", []), *tasks.pop("fields")]
    return tasks


def _shared_fields(rows: Sequence[Row]) -> list[str]:
    """The keys that every corrected object has."""
    keys = [set(wanted) for row in rows if isinstance(wanted := row["wanted"], dict)]
    return sorted(set.intersection(*keys)) if keys else []


def _object(text: str) -> dict[str, object] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and value else None


def _suite_toml(alias: str, tasks: Mapping[str, Sequence[Row]], hashes: Mapping[str, str]) -> str:
    lines = [
        OURS.rstrip(),
        f"name = {json.dumps(suite_name(alias))}",
        f"title = {json.dumps(f'Held-out feedback on {alias}')}",
        'description = "Made by Rixin from corrections and preferences that are never learned from."',
    ]
    titles = {"text": "Corrected answers", "fields": "Corrected answers, field by field", "preferred": "Preferences"}
    for name, rows in tasks.items():
        data = _file_of(name, hashes[name])
        lines += [
            "",
            "[[task]]",
            f'name = "{name}"',
            f'title = "{titles[name]}"',
            f'kind = "{"choice" if name == "preferred" else "answer"}"',
            f'data = "{data}"',
            f'sha256 = "{hashes[name]}"',
            'id = "id"',
            'cluster = "cluster"',
            'prompt = "{{question}}"',
            'turns = "turns"',
            "chat = true",
            'role = "primary"',
        ]
        if name == "preferred":
            lines += ['choices = "answers"', 'target = "0"', 'delimiter = ""', 'metric = "acc_norm"']
            continue
        longest = max(len(str(row["answer"])) for row in rows)
        lines.append(f"max_tokens = {min(LONGEST_ANSWER, 32 + round(longest / CHARACTERS_A_TOKEN))}")
        lines += ["", "[[task.check]]"]
        if name == "fields":
            lines += ['kind = "json_fields"', 'equals = "wanted"', f"fields = {json.dumps(_shared_fields(rows))}"]
        else:
            lines += ['kind = "overlap"', 'to = "{{answer}}"']
    return "\n".join(lines) + "\n"
