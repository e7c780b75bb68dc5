"""A suite from a person's own questions: a CSV, TSV or JSONL file in, a folder with `suite.toml` out."""

import csv
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from rixin.errors import Conflict, InvalidRequest
from rixin.evaluation.suites import MAX_DATA_BYTES, SUITE_FILE, Suite, read_suite

QUESTIONS = ("question", "prompt", "query", "问题", "题目", "提问", "题干")
ANSWERS = ("answer", "expected", "target", "label", "reference", "答案", "正确答案", "参考答案")
CHOICES = ("choices", "options", "选项")
SEPARATOR = "|"
DATA_FILE = "questions.jsonl"

Row = dict[str, object]


def import_questions(
    file: Path,
    folder: Path,
    *,
    name: str,
    question: str | None = None,
    answer: str | None = None,
    choices: str | None = None,
    title: str = "",
    force: bool = False,
) -> tuple[Suite, list[str]]:
    """Write the suite into `folder`, whole or not at all; returns it and what was decided, in sentences.

    With choices it asks for the likeliest one. Without, an answer that is a number is compared as one, any other has to
    be in the answer. Raises InvalidRequest with file, line and column for what can't be used, Conflict if the suite is
    there.
    """
    if folder.exists() and not force:
        raise Conflict(f"There is a suite {name!r} already.", where=str(folder), fix="Choose another name, or --force.")
    rows = list(_rows(file))
    if not rows:
        raise InvalidRequest("The file has no rows.", where=str(file))
    asked = _column(rows[0][1], question, QUESTIONS, "question", file)
    right = _column(rows[0][1], answer, ANSWERS, "answer", file)
    offered = choices or next((one for one in CHOICES if one in rows[0][1]), None)
    notes = [
        f"The questions are in {asked!r}, the answers in {right!r}"
        + (f", the choices in {offered!r}." if offered else ".")
    ]
    items: list[Row] = []
    seen: set[str] = set()
    for number, row in rows:
        where = f"{file}:{number}"
        text, wanted = _text(row, asked, where), _text(row, right, where)
        if (key := text + "\0" + wanted) in seen:
            notes.append(f"Line {number} is a question that was there already; it is left out.")
            continue
        seen.add(key)
        item: Row = {"id": f"q{len(items) + 1:04}", "question": text, "answer": wanted, "answers": [wanted]}
        if offered:
            item |= _choices(row, offered, wanted, where)
        items.append(item)
    numbers = not offered and all(_is_number(str(item["answer"])) for item in items)
    kind = "the likeliest choice" if offered else "the last number" if numbers else "the answer's words in the text"
    notes.append(f"{len(items)} questions; right is {kind}.")
    data = "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items).encode()
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        (temporary / DATA_FILE).write_bytes(data)
        toml = _suite_toml(name, title or file.stem, hashlib.sha256(data).hexdigest(), offered is not None, numbers)
        (temporary / SUITE_FILE).write_text(toml, encoding="utf-8")
        read_suite(temporary)
        temporary.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(temporary, folder)  # noqa: PTH105 – a folder
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return read_suite(folder), notes


def _rows(file: Path) -> Iterator[tuple[int, Row]]:
    """Every row with the number of its first line."""
    try:
        if file.stat().st_size > MAX_DATA_BYTES:
            raise InvalidRequest(f"The file is longer than {MAX_DATA_BYTES >> 20} MB.", where=str(file))
        text = file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InvalidRequest(f"The file can't be read: {error.strerror}.", where=str(file)) from None
    except UnicodeDecodeError as error:
        raise InvalidRequest(
            f"Byte {error.start} is not UTF-8.", where=str(file), fix="Save the file as UTF-8."
        ) from None
    if file.suffix.lower() in (".csv", ".tsv"):
        reader = csv.DictReader(
            text.splitlines(keepends=True), dialect="excel-tab" if file.suffix.lower() == ".tsv" else "excel"
        )
        line = 1
        try:
            for row in reader:
                if None in row or None in row.values():
                    raise InvalidRequest(
                        "The row has more or fewer fields than the header.", where=f"{file}:{line + 1}"
                    )
                yield line + 1, dict(row)
                line = reader.line_num
        except csv.Error as error:
            raise InvalidRequest(f"Not CSV: {error}.", where=f"{file}:{reader.line_num}") from None
        return
    for number, one in enumerate(text.splitlines(), 1):
        if not one.strip():
            continue
        try:
            value = json.loads(one)
        except (ValueError, RecursionError) as error:
            raise InvalidRequest(f"Not JSON: {error}.", where=f"{file}:{number}") from None
        if not isinstance(value, dict):
            raise InvalidRequest("Not a JSON object.", where=f"{file}:{number}")
        yield number, value


def _column(row: Row, named: str | None, known: Sequence[str], what: str, file: Path) -> str:
    if named is not None and named in row:
        return named
    lower = {str(column).strip().lower(): str(column) for column in row}
    found = next((lower[name] for name in known if name in lower), None) if named is None else None
    if found is None:
        raise InvalidRequest(
            f"There is no column {named!r}." if named else f"No column is known as the {what}.",
            where=str(file),
            fix=f"--{what} names it; there are {', '.join(map(str, row))}.",
        )
    return found


def _text(row: Row, column: str, where: str) -> str:
    value = row.get(column)
    text = str(value).strip() if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
    if not text:
        raise InvalidRequest("The field is empty.", where=f"{where}: {column}", fix="Fill it in, or take the row out.")
    return text


def _choices(row: Row, column: str, wanted: str, where: str) -> Row:
    value = row.get(column)
    offered = [str(one).strip() for one in (value if isinstance(value, list) else str(value or "").split(SEPARATOR))]
    if len(offered) < 2 or not all(offered) or len(set(offered)) < len(offered):
        raise InvalidRequest(
            "There have to be two choices at least, all of them different.",
            where=f"{where}: {column}",
            fix=f"Write them as a list, or with {SEPARATOR!r} between them.",
        )
    letters = {chr(ord("A") + at): at for at in range(len(offered))}
    if wanted in offered:
        index = offered.index(wanted)
    elif wanted.upper() in letters:
        index = letters[wanted.upper()]
    else:
        raise InvalidRequest(f"The answer {wanted!r} is none of the choices.", where=where)
    return {"choices": offered, "index": index}


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", ""))
    except ValueError:
        return False
    return True


def _suite_toml(name: str, title: str, digest: str, offered: bool, numbers: bool) -> str:
    head = (
        f'name = {json.dumps(name)}\ntitle = {json.dumps(title, ensure_ascii=False)}\n\n[[task]]\nname = "questions"\n'
    )
    head += f'data = "{DATA_FILE}"\nsha256 = "{digest}"\nid = "id"\nrole = "primary"\n'
    if offered:
        return (
            head
            + 'kind = "choice"\nprompt = "{{question}}\\n"\nchoices = "choices"\ntarget = "{{index}}"\ndelimiter = ""\n'
        )
    check = 'kind = "number"\nequals = "{{answer}}"\n' if numbers else 'kind = "contains"\nitems = "answers"\n'
    return head + 'kind = "answer"\nprompt = "{{question}}"\nchat = true\nmax_tokens = 512\n\n[[task.check]]\n' + check
