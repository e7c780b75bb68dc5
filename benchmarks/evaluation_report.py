"""A report of 10,000 samples: how large its file is, and how long Chromium needs until one can search in it.

`python benchmarks/evaluation_report.py` prints a JSON line a figure. The peers hold the same samples: the file as
lm-eval writes it with `--log_samples` (size), and a plain page with one table row a sample (size and time). Prompts
have five examples each; questions and answers are pieces of Wikipedia and C4 (`wiki-demo`, `c4-demo` of the dataset
catalogue) of 100 to 800 characters.
"""

import argparse
import html
import json
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
from playwright.sync_api import Browser, Page, sync_playwright

from rixin.data import TextExample, pull_dataset
from rixin.evaluation import Cost, Presentation, Report, Result, Sample, write_presentation
from rixin.workspace import Workspace, open_workspace

HOME = Path(__file__).parents[1] / ".cache" / "benchmark-home"
DATASETS = ("wiki-demo", "c4-demo")
SAMPLES = 10_000
EXAMPLES = 5
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=SAMPLES)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with open_workspace(HOME) as workspace:
        samples = list(made_samples(texts_of(workspace), arguments.samples))
    with tempfile.TemporaryDirectory() as folder:
        ours, table, lines = (Path(folder) / name for name in ("report.html", "table.html", "samples.jsonl"))
        started = time.perf_counter()
        report = report_of(samples)
        write_presentation(Presentation("report", [report], [samples], report.command), ours)
        tell("write", time.perf_counter() - started, "s")
        table.write_text(plain_table(samples), "utf-8")
        lines.write_bytes(b"".join(as_lm_eval(number, sample) for number, sample in enumerate(samples)))
        size = ours.stat().st_size / 1e6
        tell("size", size, "MB", "lm-eval's samples", lines.stat().st_size / 1e6)
        tell("size_table", size, "MB", "plain table", table.stat().st_size / 1e6)
        tell("texts_cut", cut_in(ours), "texts")
        times = measured(ours, table, arguments.rounds)
    tell("open", statistics.median(times["ours"]), "s", "plain table", statistics.median(times["table"]))
    tell("search", statistics.median(times["search"]), "s")


def texts_of(workspace: Workspace) -> list[str]:
    """The documents of both datasets."""
    found = []
    for name in DATASETS:
        endpoint = workspace.settings.npm_endpoint
        version = pull_dataset(workspace.datasets, name, npm_endpoint=endpoint, report=lambda _: None)
        found += [row.text for row in workspace.datasets.open(version) if isinstance(row, TextExample)]
    return found


def made_samples(texts: Sequence[str], count: int) -> Iterator[Sample]:
    """So many samples of two tasks."""
    chance = random.Random(0)
    whole = "\n".join(texts)

    def piece() -> str:
        start = chance.randrange(len(whole) - 800)
        return whole[start : start + chance.randrange(100, 800)]

    shown = {task: "\n\n".join(f"Question: {piece()}\nAnswer: {piece()}" for _ in range(EXAMPLES)) for task in "ab"}
    for number in range(count):
        task = "ab"[number % 2]
        score = float(chance.random() < 0.4)
        yield Sample(
            task=task,
            item=f"{number:05}",
            cluster=f"{number:05}",
            prompt=f"{shown[task]}\n\nQuestion: {piece()[:400]}\nAnswer:",
            answer=piece(),
            expected=str(chance.randrange(10_000)),
            scores={"right": score},
            verdict="right" if score else f"found {chance.randrange(10_000)}",
            prompt_tokens=chance.randrange(700, 1_000),
            answer_tokens=chance.randrange(20, 200),
            seconds=round(chance.uniform(0.5, 4), 3),
        )


def report_of(samples: Sequence[Sample]) -> Report:
    """A Report around the samples; its scores are of no interest here."""
    results = [
        Result(task=task, metric="right", score=0.4, low=0.39, high=0.41, items=len(samples) // 2, role="primary")
        for task in "ab"
    ]
    return Report(
        id="e_000000000000",
        suite="bench",
        suite_title="Benchmark",
        suite_hash="0" * 64,
        model="model",
        version="v_000000000000",
        family="model",
        created_at="2026-01-01T00:00:00+00:00",
        seed=0,
        settings={},
        results=results,
        cost=Cost(seconds=1.0, prompt_tokens=1, answer_tokens=1),
        command="rixin eval run bench --model model",
    )


def as_lm_eval(number: int, sample: Sample) -> bytes:
    """The line that lm-eval 0.4.13 logs of such a sample."""
    question = sample.prompt.rpartition("Question: ")[2].removesuffix("\nAnswer:")
    return (
        msgspec.json.encode(
            {
                "doc_id": number,
                "doc": {"question": question, "answer": sample.expected},
                "target": sample.expected,
                "arguments": {
                    "gen_args_0": {"arg_0": sample.prompt, "arg_1": {"until": ["\n\n"], "max_gen_toks": 256}}
                },
                "resps": [[sample.answer]],
                "filtered_resps": [sample.answer],
                "filter": "none",
                "metrics": ["exact_match"],
                "doc_hash": "0" * 64,
                "prompt_hash": "0" * 64,
                "target_hash": "0" * 64,
                "exact_match": sample.scores["right"],
            }
        )
        + b"\n"
    )


def plain_table(samples: Sequence[Sample]) -> str:
    """The straightforward page: everything in one table."""
    rows = (
        "<tr>" + "".join(f"<td>{html.escape(text)}</td>" for text in columns) + "</tr>"
        for one in samples
        for columns in [(one.task, one.item, one.prompt, one.answer, one.expected, one.verdict)]
    )
    return f'<!doctype html><meta charset="utf-8"><title>Samples</title><table>{"".join(rows)}</table>'


def cut_in(page: Path) -> int:
    """How many texts the page says that it cut."""
    return int(page.read_text("utf-8").partition('"cut":')[2].partition("}")[0])


def measured(ours: Path, table: Path, rounds: int) -> dict[str, list[float]]:
    """Seconds from the address to the page that can be used, in turns; and of one search among all texts."""
    times: dict[str, list[float]] = {"ours": [], "table": [], "search": []}
    program = shutil.which("chromium") or shutil.which("google-chrome")
    assert program, "No Chromium: install Debian's package chromium."
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        for turn in range(rounds):
            print(f"round {turn + 1} of {rounds}", file=sys.stderr)
            for name, path, ready in (("ours", ours, search_ready), ("table", table, drawn)):
                times[name].append(opened(browser, path, ready, times["search"]))
        browser.close()
    return times


def opened(browser: Browser, path: Path, ready: Callable[[Page, list[float]], float], searches: list[float]) -> float:
    page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    page.set_default_timeout(120_000)
    started = time.perf_counter()
    page.goto(path.as_uri(), wait_until="load", timeout=120_000)
    ended = ready(page, searches)
    page.context.close()
    return ended - started


def drawn(page: Page, _: list[float]) -> float:
    """Until a frame with the page in it has been drawn."""
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
    return time.perf_counter()


def search_ready(page: Page, searches: list[float]) -> float:
    """Until the samples are listed and a frame with them is drawn; then one search is timed."""
    page.locator("html[data-ready]").wait_for(state="attached")
    ended = drawn(page, [])
    started = time.perf_counter()
    page.locator("#search").fill("09876")
    page.locator("#list button").first.wait_for()
    drawn(page, [])
    searches.append(time.perf_counter() - started)
    return ended


def tell(name: str, value: float, unit: str, peer: str | None = None, peer_value: float | None = None) -> None:
    ratio = value / peer_value if peer_value else None
    figure = {"name": name, "value": value, "unit": unit, "peer": peer, "peer_value": peer_value, "ratio": ratio}
    print(
        json.dumps({key: round(one, 4) if isinstance(one, float) else one for key, one in figure.items()}), flush=True
    )


if __name__ == "__main__":
    main()
