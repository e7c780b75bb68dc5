"""Questions out of a Library: each holds against its source, or is dropped with the reason."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from engine_talk import Talk
from libraries import LetterEmbedder
from rixin.data import ChatExample
from rixin.engines import Capabilities
from rixin.engines.fake import FakeEngine
from rixin.errors import InvalidRequest
from rixin.knowledge import MACHINE, Found, Libraries
from rixin.renewal.synthesis import Made, Passage, against_source, passages_of, synthesize, write_dropped
from rixin.store import Database

RULES = """# 请假规定

## 年假

员工每年可以休带薪年假十五天。未休的年假可以顺延到次年三月三十一日，逾期作废。申请年假须提前三个工作日在系统中提出，由部门负责人批准。

## 病假

员工因病请假须提供医院证明。病假在三天以内的由部门负责人批准，超过三天的由人力资源部批准。病假期间发给百分之八十的工资。
"""
QUESTION = "员工每年可以休多少天带薪年假？"
GOOD = {"question": QUESTION, "answer": "每年15天。", "quote": "员工每年可以休带薪年假十五天"}


class Teller(FakeEngine):
    """Gives its replies in turn, the last one again and again; it knows no schema, so that they can be wrong."""

    def capabilities(self) -> Capabilities:
        return msgspec.structs.replace(super().capabilities(), json_schema=False, parallel=1)

    def say(self, replies: Sequence[object]) -> "Teller":
        self.replies = [json.dumps(one, ensure_ascii=False) if isinstance(one, dict) else str(one) for one in replies]
        return self

    def generate(self, request):  # type: ignore[no-untyped-def]
        self.reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        return super().generate(request)


@pytest.fixture
def libraries(tmp_path: Path) -> Libraries:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "rules.md").write_text(RULES, "utf-8")
    database = Database.open(tmp_path / "rixin.db")
    made = Libraries(database, tmp_path, LetterEmbedder())
    made.create("rules")
    made.add("rules", [str(folder)])
    asyncio.run(made.ingest("rules"))
    return made


def run(libraries: Libraries, engine: Teller, count: int = 1, passages: int = 1) -> tuple[list[ChatExample], list[str]]:
    async def work() -> tuple[list[ChatExample], list[str]]:
        some = [one for one in await passages_of(libraries, "rules", 8, seed=1) if "十五天" in one.text] * passages

        async def find(question: str) -> Found:
            return await libraries.search(["rules"], question, reader=MACHINE, limit=3)

        found = await synthesize(engine, "rules", some, find, count=count)
        assert all(one.origin.startswith("library:rules:") for one in found.kept)
        kept = [one.example for one in found.kept if isinstance(one.example, ChatExample)]
        return kept, [one.reason for one in found.dropped]

    return asyncio.run(work())


def test_a_question_that_holds_is_kept_with_its_source(libraries: Libraries) -> None:
    [example], dropped = run(libraries, Teller().say([GOOD, {"answerable": True, "answer": "十五天"}]))
    assert dropped == []
    assert [turn.role for turn in example.messages] == ["user", "assistant"]
    assert example.messages[0].content == QUESTION
    assert example.messages[1].content.startswith("每年15天。\n\n（来源：")


@pytest.mark.parametrize(
    ("made", "checked", "reason"),
    [
        ("no JSON", {}, "unreadable"),
        ({**GOOD, "quote": "员工每年可以休带薪年假二十天"}, {}, "quote"),
        ({**GOOD, "quote": "天"}, {}, "quote"),
        ({**GOOD, "answer": "每年20天。"}, {}, "figures"),
        ({**GOOD, "question": "根据材料，年假有几天？"}, {}, "names_its_source"),
        (GOOD, {"answerable": False, "answer": ""}, "unanswerable"),
        (GOOD, {"answerable": True, "answer": "三天"}, "another_answer"),
        (GOOD, "yes", "unreadable"),
    ],
)
def test_what_does_not_hold_is_dropped_with_the_reason(
    libraries: Libraries, made: object, checked: object, reason: str
) -> None:
    assert run(libraries, Teller().say([made, checked])) == ([], [reason])


def test_a_question_that_does_not_find_its_passage_is_dropped(libraries: Libraries) -> None:
    async def work() -> list[str]:
        passages = [one for one in await passages_of(libraries, "rules", 8, seed=1) if "十五天" in one.text]

        async def find(_question: str) -> Found:
            return Found(hits=(), version=1, confidence=0.0)

        engine = Teller().say([GOOD, {"answerable": True, "answer": "十五天"}])
        found = await synthesize(engine, "rules", passages, find, count=1)
        return [one.reason for one in found.dropped]

    assert asyncio.run(work()) == ["not_found"]


def test_of_questions_that_are_nearly_the_same_the_first_stays(libraries: Libraries) -> None:
    checked = {"answerable": True, "answer": "十五天"}
    kept, dropped = run(libraries, Teller().say([GOOD, checked, GOOD, checked]), count=2, passages=2)
    assert len(kept) == 1
    assert dropped == ["near_duplicate"]


def test_a_figure_may_be_written_otherwise_but_not_be_another() -> None:
    source = "保证金为合同价款的百分之五，自签订之日起三十日内支付人民币1,200元。"

    def held(answer: str) -> object:
        return against_source(Made(question="保证金是多少？", answer=answer, quote=source[:12]), source)

    assert held("合同价款的5%。") is None
    assert held("30日内付1200元。") is None
    assert held("编号是77。") == ("figures", "77 is not in the source")
    assert held("合同价款的6%。") == ("figures", "6 percent is not in the source")


def test_why_questions_were_dropped_is_kept(libraries: Libraries, tmp_path: Path) -> None:
    from rixin.renewal.synthesis import Dropped

    path = write_dropped(tmp_path / "why", "faq", [Dropped(origin="doc:0-9", reason="quote", detail="…")])
    assert [json.loads(line)["reason"] for line in path.read_text().splitlines()] == ["quote"]
    assert [one.name for one in path.parent.iterdir()] == ["faq.jsonl"]


def test_an_empty_library_has_nothing_to_ask_about(libraries: Libraries) -> None:
    libraries.create("empty")
    with pytest.raises(InvalidRequest, match="nothing to ask about"):
        asyncio.run(passages_of(libraries, "empty", 3, seed=0))


def test_a_real_small_model_gives_answers_of_the_schema_and_every_passage_is_accounted_for(smollm2: Talk) -> None:
    text = (
        "The library opens at nine in the morning and closes at six. Books may be kept for four weeks, films for one."
    )
    passages = [
        Passage(document_id=f"doc{at}", title="Rules of the library", text=text, start=0, stop=len(text))
        for at in range(2)
    ]

    async def find(_question: str) -> Found:
        return Found(hits=(), version=1, confidence=0.0)

    found = smollm2.run(synthesize(smollm2.engine, "rules", passages, find, count=2))
    assert len(found.kept) + len(found.dropped) == 2
    assert {one.reason for one in found.dropped} <= {
        "unreadable", "quote", "figures", "names_its_source", "unanswerable", "another_answer", "not_found"
    }  # fmt: skip
