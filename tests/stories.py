"""A Story of a Cycle as an office would see it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from rixin.renewal.cycle import Cycle, CycleStep, Made, Words
from rixin.renewal.occasion import occasion
from rixin.renewal.plan import RenewalPlan
from rixin.renewal.standing import Arm, Standing
from rixin.renewal.steps.values import STEPS
from rixin.renewal.story import (
    CheckKind,
    ComplaintExample,
    Complaints,
    DoubtedAccount,
    Learned,
    ReasonCount,
    Role,
    ScoreChange,
    Story,
    StoryCanary,
    StoryCheck,
    StoryCost,
    StoryDataset,
    StoryGate,
    StoryStep,
    StoryVersion,
)
from rixin.renewal.wording import headline, next_steps, summary

BEGAN = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
SAID = {
    "collect": (
        "152 new items from 9 people: 118 corrected, 12 disliked, 18 liked, 4 compared.",
        "9 人的 152 条新反馈：118 条更正，12 条不满意，18 条满意，4 次比较。",
    ),
    "clean": ("147 of 152 rows are left.", "152 条中保留 147 条。"),
    "annotate": (
        "118 corrections were held against each other; 17 are doubted.",
        "118 条更正互相核对，其中 17 条存疑。",
    ),
    "dataset": ("chat-lessons: 101 rows; 84 earlier ones are repeated.", "chat-lessons：101 条，并重复 84 条旧课。"),
    "train": ("Two runs in 14 minutes.", "两次训练，用时 14 分钟。"),
    "export": ("It answers, 41 tokens a second.", "可以正常回答，每秒 41 个词元。"),
    "evaluate": ("Both versions answered Contract clauses, Everyday.", "新旧两个版本都回答了：合同条款、日常。"),
    "gate": ("Promote: fields/f1 +31.2 points.", "可以上线：fields/f1 +31.2 分。"),
    "canary": (
        "The new version is not worse by more than 10 points.",
        "新版本的下降不超过 10 分。",
    ),
    "promote": ("chat now means the new version.", "chat 现在指向新版本。"),
}
SECONDS = (2.1, 6.4, 74, 3.2, 842, 31, 410, 4.4, 0.8, 0.3)


def cycle(**changes: object) -> Cycle:
    """A Cycle that ended well; `changes` are its fields."""
    made = Cycle(
        id="cyc_0199e1a2b3c4d5e6",
        alias="chat",
        why="every 100 items",
        plan=RenewalPlan(),
        status="finished",
        step="promote",
        wanted=None,
        attempt=1,
        made=Made(base="v_1111aaaa2222", version="v_3333bbbb4444", canary="can_1"),
        outcome="promoted",
        reason=Words(*SAID["promote"]),
        error=None,
        created_at=BEGAN,
        started_at=BEGAN,
        finished_at=BEGAN + timedelta(hours=31),
        steps=tuple(
            CycleStep(
                name=name,
                position=at,
                attempts=1,
                seconds=SECONDS[at],
                said=Words(*SAID[name]),
                values={},
                started_at=BEGAN,
                finished_at=BEGAN,
            )
            for at, name in enumerate(STEPS)
        ),
        folder=Path("cycles"),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def story(**changes: object) -> Story:
    """The whole of it."""
    of = cycle()
    told = Story(
        id=of.id,
        alias=of.alias,
        why=of.why,
        why_zh=occasion(of.why).zh,
        status="finished",
        step="promote",
        outcome="promoted",
        reason=SAID["promote"][0],
        reason_zh=SAID["promote"][1],
        created_at=of.created_at,
        started_at=of.started_at,
        finished_at=of.finished_at,
        headline=headline(of),
        steps=tuple(
            StoryStep(
                name=name,  # type: ignore[arg-type]
                state="done",
                said=SAID[name][0],
                said_zh=SAID[name][1],
                seconds=SECONDS[at],
                attempts=1,
                finished=True,
            )
            for at, name in enumerate(STEPS)
        ),
        complaints=Complaints(
            items=152,
            liked=18,
            disliked=12,
            corrections=118,
            preferences=4,
            people=9,
            reasons=(
                ReasonCount(reason="not_followed", count=71),
                ReasonCount(reason="incomplete", count=38),
                ReasonCount(reason="wrong", count=22),
                ReasonCount(reason="too_long", count=9),
            ),
            examples=(
                ComplaintExample(
                    question="从下面的条款中提取当事人、日期、金额和义务，用 JSON 回答：\n甲方[姓名]应于2026年3月1日前"
                    "向乙方支付人民币壹拾贰万元整。",
                    answer="好的，这是一份付款条款，甲方需要在三月前付款。",
                    correction='{"parties": ["[姓名]", "乙方"], "date": "2026-03-01", "amount": 120000, '
                    '"duty": "甲方向乙方付款"}',
                    reasons=("not_followed",),
                ),
                ComplaintExample(
                    question="What does clause 7 say about <b>late</b> payment?",
                    answer='It says <script>alert("nothing")</script> about it.',
                    correction="0.05% a day, from the eleventh day on.",
                    reasons=("wrong", "incomplete"),
                ),
            ),
        ),
        learned=Learned(
            corrections=118,
            liked=18,
            preferences=4,
            earlier=84,
            held_out=28,
            replay="everyday-zh",
            replay_share=0.1,
            queued=3,
            datasets=(
                StoryDataset(role="sft", version_id="d_0123456789ab", name="chat-lessons", rows=101),
                StoryDataset(role="dpo", version_id="d_ba9876543210", name="chat-pairs", rows=97),
            ),
            dropped=(ReasonCount(reason="near_duplicate", count=4), ReasonCount(reason="language", count=1)),
            doubted=(
                DoubtedAccount(person="usr_7", name="kong", corrections=21, doubted=15, p_value=3.1e-9),
                DoubtedAccount(person="usr_8", name="meng", corrections=9, doubted=2, p_value=0.031),
            ),
        ),
        scores=(
            change("Contract clauses 合同条款", "fields", "f1", "primary", 0.412, 0.724, 0.251, 0.373, 0.00002, 100),
            change("Everyday 日常", "reading", "exact_match", "guard", 0.61, 0.605, -0.031, 0.021, 0.62, 200),
            change("Everyday 日常", "refusal", "accuracy", "guard", 0.9, 0.92, -0.012, 0.052, 0.19, 50),
            change("Everyday 日常", "arithmetic", "exact_match", "shown", 0.33, 0.24, -0.15, -0.03, 0.98, 100),
        ),
        gate=StoryGate(
            promote=True,
            said="Promote: fields/f1 +31.2 points, at least +25.9 with 95% certainty (100 items).",
            said_zh="可以上线：fields/f1 +31.2 分，以 95% 的把握至少 +25.9 分（100 题）。",
            checks=(
                check(
                    "primary",
                    "fields/f1",
                    "+31.2 points, at least +25.9 with 95% certainty (100 items).",
                    "+31.2 分，以 95% 的把握至少 +25.9 分（100 题）。",
                ),
                check(
                    "guard",
                    "reading/exact_match",
                    "is not worse by 5.0 points (−0.5).",
                    "的下降不超过 5.0 分（−0.5）。",
                ),
                check(
                    "guard",
                    "tokens_per_second",
                    "41 tokens a second, 42 before: not slower by 30%.",
                    "每秒 41 个词元，此前 42 个：没有变慢超过 30%。",
                ),
            ),
        ),
        canary=StoryCanary(
            id="can_1",
            share=0.1,
            started_at=BEGAN,
            ended_at=BEGAN + timedelta(hours=30),
            outcome="promoted",
            said="The new version is not worse by more than 10 points: −6 to +41 points (52 judged conversations).",
            said_zh="新版本的下降不超过 10 分：−6 到 +41 分（52 个有评价的对话）。",
            standing=Standing(
                decision="promote",
                said="",
                said_zh="",
                a=arm("v_1111aaaa2222", 4210, 611, 420, 0.52, 3),
                b=arm("v_3333bbbb4444", 466, 74, 52, 0.79, 0),
                difference=0.27,
                low=-0.06,
                high=0.41,
                stepped_in=0,
                at=BEGAN,
            ),
        ),
        cost=StoryCost(seconds=1374.2, core_hours=0.76, kilowatt_hours=0.0076, price=0.38),
        versions=(
            StoryVersion(
                role="before",
                id="v_1111aaaa2222",
                model="qwen2.5-coder-0.5b",
                title="Qwen2.5 Coder 0.5B",
                current=False,
                there=True,
                report_ids=("e_0123456789ab", "e_1123456789ab"),
            ),
            StoryVersion(
                role="after",
                id="v_3333bbbb4444",
                model="chat-renewed",
                title="chat, renewed",
                current=True,
                there=True,
                report_ids=("e_2123456789ab", "e_3123456789ab"),
            ),
        ),
    )
    told = msgspec.structs.replace(told, **changes)
    return msgspec.structs.replace(told, summary=summary(told), next=next_steps(told, of))


def change(
    suite: str,
    task: str,
    metric: str,
    role: Role,
    before: float,
    after: float,
    low: float,
    high: float,
    p: float,
    items: int,
) -> ScoreChange:
    return ScoreChange(
        suite=suite.split()[0].lower(),
        suite_title=suite,
        task=task,
        metric=metric,
        role=role,
        before=before,
        after=after,
        difference=after - before,
        low=low,
        high=high,
        p_better=p,
        items=items,
        gained=round(items * 0.35),
        lost=round(items * 0.05),
        higher_is_better=True,
    )


def check(kind: CheckKind, name: str, said: str, said_zh: str) -> StoryCheck:
    return StoryCheck(
        suite="contracts",
        name=name,
        kind=kind,
        passed=True,
        said=f"contracts: {name} {said}",
        said_zh=f"合同条款：{name} {said_zh}",
    )


def arm(version_id: str, answers: int, judged: int, conversations: int, score: float, failed: int) -> Arm:
    return Arm(
        version_id=version_id,
        answers=answers,
        judged=judged,
        conversations=conversations,
        score=score,
        failed=failed,
        first_token_ms=412.0,
        tokens_per_second=41.3,
    )
