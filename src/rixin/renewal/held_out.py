"""The suite of this house: feedback that is never learned from, asked of the old version and of the new one.

It has up to three tasks: corrections that are JSON objects are compared field by field, others by how much of their
text comes back (chrF); of preferences the better answer has to be the likelier one. The suite's folder is also the
record of what is held out.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from rixin.evaluation import Suite, read_suite
from rixin.renewal.material import better_and_worse, cluster, question
from rixin.renewal.opinions import FeedbackItem

MOST_ITEMS = 200  # the newest: each is asked of two versions in every Cycle
LONGEST_ANSWER = 1024  # tokens
CHARACTERS_A_TOKEN = 1.5  # few, so that an answer is seldom cut off

Row = Mapping[str, object]


def suite_name(alias: str) -> str:
    """What the suite of an alias's feedback is called."""
    return f"{alias}-feedback"


def held_clusters(home: Path, alias: str) -> frozenset[str]:
    """The clusters that are in the suite, as it is now."""
    found: set[str] = set()
    for path in (home / "suites" / suite_name(alias)).glob("*.jsonl"):
        found.update(str(json.loads(line)["cluster"]) for line in path.read_text("utf-8").splitlines())
    return frozenset(found)


def write_suite(home: Path, alias: str, items: Sequence[FeedbackItem]) -> Suite | None:
    """Make the suite of these items, whole or not at all; None, and no suite, where they ask nothing."""
    folder = home / "suites" / suite_name(alias)
    tasks = _tasks(items[-MOST_ITEMS:])
    if not tasks:
        shutil.rmtree(folder, ignore_errors=True)
        return None
    encoder = msgspec.json.Encoder()
    files = {f"{name}.jsonl": encoder.encode_lines(rows) for name, rows in tasks.items()}
    text = _suite_toml(alias, tasks, {name: hashlib.sha256(data).hexdigest() for name, data in files.items()})
    if (folder / "suite.toml").is_file() and (folder / "suite.toml").read_text("utf-8") == text:
        return read_suite(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        for name, data in (*files.items(), ("suite.toml", text.encode())):
            with (draft / name).open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        read_suite(draft)
        draft.chmod(0o755)
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(draft, folder)  # noqa: PTH105 – a folder
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return read_suite(folder)


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
        f"name = {json.dumps(suite_name(alias))}",
        f"title = {json.dumps(f'Held-out feedback on {alias}')}",
        'description = "Made by Rixin from corrections and preferences that are never learned from."',
    ]
    titles = {"text": "Corrected answers", "fields": "Corrected answers, field by field", "preferred": "Preferences"}
    for name, rows in tasks.items():
        data = f"{name}.jsonl"
        lines += [
            "",
            "[[task]]",
            f'name = "{name}"',
            f'title = "{titles[name]}"',
            f'kind = "{"choice" if name == "preferred" else "answer"}"',
            f'data = "{data}"',
            f'sha256 = "{hashes[data]}"',
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
