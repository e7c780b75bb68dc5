"""What a cleaning drops, and what it must not: real texts in Chinese and English, each with the reason expected."""

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rixin.data import (
    AnyExample,
    ChatExample,
    CleaningRules,
    LabelledExample,
    PreferenceExample,
    Sourced,
    TextExample,
    Turn,
    clean,
    read_rules,
)
from rixin.data.cleaning.repair import garbled, repaired
from rixin.data.cleaning.rules import Duplicates, Repair
from rixin.errors import InvalidRequest

LAW = (
    "中华人民共和国民法典 第五百七十七条 当事人一方不履行合同义务或者履行合同义务不符合约定的，应当承担继续履行、"
    "采取补救措施或者赔偿损失等违约责任。"
)
LAW_OF_TERMS = (
    "最高人民检察院检察长由全国人民代表大会选举和罢免，副检察长、检察委员会委员和检察员由检察长提请全国人民代表大会常务"
    "委员会任免。地方各级人民检察院检察长由地方各级人民代表大会选举和罢免，副检察长、检察委员会委员和检察员由本院检察长提"
    "请本级人民代表大会常务委员会任免。地方各级人民检察院检察长的任免，须报上一级人民检察院检察长提请本级人民代表大会常务"
    "委员会批准。省、自治区、直辖市人民检察院分院检察长、副检察长、检察委员会委员和检察员，由省、自治区、直辖市人民检察院"
    "检察长提请本级人民代表大会常务委员会任免。"
)
KEPT = {
    "a statute without a full stop of ASCII": LAW,
    "a statute that repeats its terms": LAW_OF_TERMS,
    "a statute's numbered items": "有下列情形之一的，合同无效：\n（一）一方以欺诈、胁迫的手段订立合同；\n"
    "（二）恶意串通；\n（三）其他。",
    "a quatrain": "春眠不覺曉，處處聞啼鳥。\n夜來風雨聲，花落知多少。",
    "a quatrain without any mark": "床前明月光\n疑是地上霜\n举头望明月\n低头思故乡",
    "a poem with a refrain": "采采芣苢，薄言采之。采采芣苢，薄言有之。\n采采芣苢，薄言掇之。采采芣苢，薄言捋之。\n"
    "采采芣苢，薄言袺之。采采芣苢，薄言襭之。",
    "one word": "喵。",
    "a number": "42",
    "classical prose": "學而時習之，不亦說乎？有朋自遠方來，不亦樂乎？人不知而不慍，不亦君子乎？",
    "JSON": '{"甲方": "北京某某有限公司", "乙方": "李四", "金额": 120000, "期限": {"起": "2026-01-01", "止": null}}',
    "JSON with many rows of one form": str(
        [{"party": f"p{n}", "amount": n, "kind": "loan"} for n in range(60)]
    ).replace("'", '"'),
    "code": "def area(r: float) -> float:\n    return 3.14159 * r**2\n\n\nfor r in range(3):\n    print(area(r))\n",
    "code in a fence": "可以这样写：\n```python\n" + "x = x + 1\n" * 60 + "```\n每行加一。",
    "a table in Markdown": "| 级数 | 税率 |\n|------|------|\n"
    + "".join(f"| {n} | {n * 5}% |\n" for n in range(1, 30)),
    "English": "The court shall dismiss an action that is brought after the period of limitation has run out.",
    "a mathematical answer": "x = (-b ± √(b² - 4ac)) / 2a = (3 + 1) / 2 = 2",
    "an emoji of a family": "一家人 👨‍👩‍👧 很好",
}
DROPPED = {
    "a model that runs in circles": ("repetitive", "我认为这个问题很重要，我们应该认真对待。" * 30),
    "a model that runs in circles, in English": ("repetitive", "I think that this is important and " * 60),
    "one line again and again": (
        "repetitive",
        "\n".join(["Buy now and save fifty percent on all of our products!"] * 40),
    ),
    "a wrong encoding": ("unreadable", "锟斤拷锟斤拷一下锟斤拷"),
    "uninitialised memory": ("unreadable", "烫烫烫烫烫烫烫烫"),
    "lost characters": ("unreadable", "这\ufffd\ufffd不\ufffd\ufffd清"),
    "a block of base64": ("not_text", "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo0" * 60),
    "decoration": ("not_text", "★☆★☆★☆→→→》》》★☆★☆点击进入★☆★☆《《《←←←★☆★☆★☆★☆★☆★☆★☆"),
    "nothing but signs": ("nothing_to_learn", "。。。！！！"),
}


def chat(answer: str, question: str = "怎么说？") -> ChatExample:
    return ChatExample(messages=(Turn(role="user", content=question), Turn(role="assistant", content=answer)))


def sourced(*examples: AnyExample) -> list[Sourced]:
    return [Sourced(example=example, origin=f"row:{at}") for at, example in enumerate(examples)]


def reasons(*examples: AnyExample, rules: CleaningRules = CleaningRules()) -> list[str | None]:  # noqa: B008
    report = clean(sourced(*examples), rules).report
    found = {one.origin: one.reason for one in report.dropped}
    return [found.get(f"row:{at}") for at in range(len(examples))]


@pytest.mark.parametrize("name", KEPT)
def test_what_is_worth_learning_is_kept(name: str) -> None:
    assert reasons(TextExample(text=KEPT[name]), chat(KEPT[name])) == [None, None]


@pytest.mark.parametrize("name", DROPPED)
def test_what_is_not_worth_learning_is_dropped_with_the_reason(name: str) -> None:
    reason, text = DROPPED[name]
    assert reasons(TextExample(text=text)) == [reason]
    if reason != "nothing_to_learn":  # an answer may be an exclamation
        assert reasons(chat(text)) == [reason]


def test_a_conversation_is_judged_by_what_is_learned() -> None:
    loop = "我认为这个问题很重要，我们应该认真对待。" * 30
    read = Turn(role="assistant", content=loop, learn=False)
    last = (Turn(role="user", content="好。"), Turn(role="assistant", content="好的。"))
    ask = Turn(role="user", content=loop)
    good, bad = Turn(role="assistant", content="是。"), Turn(role="assistant", content=loop)
    said = reasons(
        chat("是。", question=loop), ChatExample(messages=(ask, read, *last)), ChatExample(messages=(ask, bad))
    )
    assert said == [None, None, "repetitive"]
    pairs = [
        PreferenceExample(prompt=(ask,), chosen=one, rejected=two)
        for one, two in (((good,), (bad,)), ((bad,), (good,)))
    ]
    assert reasons(*pairs) == [None, "repetitive"]
    labelled = [LabelledExample(prompt=(ask,), completion=(bad,), label=label) for label in (False, True)]
    assert reasons(*labelled) == [None, "repetitive"]


def test_rows_of_another_language_are_dropped_only_when_that_is_sure() -> None:
    texts = {
        "zh": "合同自成立时生效。",
        "en": "A contract takes effect when it is concluded, unless the parties agree otherwise in writing.",
        "fr": "Le contrat prend effet au moment de sa conclusion, sauf si les parties en conviennent autrement.",
        "ru": "Договор вступает в силу с момента его заключения, если стороны не договорились об ином.",
        "ja": "契約は成立した時に効力を生じます。",
        "a poem": "春眠不覺曉，處處聞啼鳥。",
        "unsure": "OK",
        "a number": "3.5%",
        "code": "for i in range(10):\n    print(i)\nx = i + 1",
    }
    found = reasons(*map(chat, texts.values()), rules=CleaningRules(languages=("zh", "en")))
    assert dict(zip(texts, found, strict=True)) == dict.fromkeys(texts) | dict.fromkeys(("fr", "ru", "ja"), "language")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("ab\u200bc\ufeff\x07", "abc"),
        ("e\u0301", "é"),
        ("⼀⼈", "一人"),  # radicals, as PDF files have them
        ("一\r\n二\u2028三", "一\n二\n三"),
        ("第１０条　ＡＢ，（甲）", "第10条　AB，（甲）"),
        ("ﾊﾝｶｸ｡", "ハンカク。"),
        ("`Ａ` Ａ", "`Ａ` A"),
        ("schÃ¶n", "schön"),
        ("“你好”——他说：『好』…", "“你好”——他说：『好』…"),
        ("後來、臺灣、裏面", "後來、臺灣、裏面"),
        ("中\u200d文", "中文"),
        ("👩\u200d💻 می\u200cخواهم", "👩\u200d💻 می\u200cخواهم"),
        ("请求赔偿损失".encode().decode("gb18030"), "请求赔偿损失"),
        ("联通、移动", "联通、移动"),
    ],
)
def test_texts_are_put_right(before: str, after: str) -> None:
    assert repaired(before, Repair()) == after
    assert repaired(before, Repair(unicode=False, mojibake=False, width=False)) == before


@example("Â\x1f\x91")  # what is invisible hid that two characters are one, read wrongly
@given(st.text(alphabet=st.characters(exclude_categories=("Cs",)), max_size=60))
def test_a_repair_is_done_once(text: str) -> None:
    once = repaired(text, Repair())
    assert repaired(once, Repair()) == once


@given(
    st.text(alphabet="的一是了我不人在他有这个上们来到时大地为子中你说生国年着就那和要她出也得里后自以会", min_size=1)
)
def test_chinese_is_never_taken_for_a_wrong_encoding(text: str) -> None:
    assert repaired(text, Repair()) == text
    assert garbled(text) == 0


def test_repaired_rows_are_the_same_row_once() -> None:
    found = clean(sourced(chat("好的。"), chat("好\u200b的。"), chat("好的！")))
    assert [row.origin for row in found.kept] == ["row:0"]
    assert [(one.reason, one.detail) for one in found.report.dropped] == [
        ("duplicate", "the same as row:0"),
        ("near_duplicate", "nearly the same as row:0"),
    ]
    assert found.report.repaired == 0
    assert clean(sourced(chat("好\u200b的。"))).report.repaired == 1


def test_forms_that_are_filled_in_are_no_repetition() -> None:
    ask = "请从下面的合同条款中抽取甲方、乙方、金额和日期，只输出 JSON，不要解释，字段名用中文，金额用数字。\n" * 3
    rows = [
        chat(f'{{"甲方": "{name}", "金额": {at}}}', ask + f"甲方：{name}，金额 {at} 元。")
        for at, name in enumerate("赵钱孙李")
    ]
    same_answer = [
        chat("资料里没有写。", f"{word}的规定是什么，请具体说明一下？") for word in ("罚款", "工龄", "年假", "公积金")
    ]
    assert reasons(*rows, *same_answer) == [None] * 8


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=30))
def test_of_rows_that_repeat_each_other_the_first_stays(numbers: list[int]) -> None:
    words = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta"]
    examples = [TextExample(text=" ".join(words[at:] + words[:at])) for at in numbers]
    kept = [int(row.origin.removeprefix("row:")) for row in clean(sourced(*examples)).kept]
    assert kept == [at for at, number in enumerate(numbers) if number not in numbers[:at]]
    everything = clean(sourced(*examples), CleaningRules(duplicates=Duplicates(exact=False, near=0)))
    assert len(everything.kept) == len(examples)


def test_what_a_suite_asks_is_dropped() -> None:
    question = "用人单位自用工之日起超过一个月不满一年未与劳动者订立书面劳动合同的，应当怎样支付工资？"
    english = "how many days does an employer have to conclude a written contract with a worker who has begun"
    rows = sourced(
        chat("两倍。", question=f"请问：{question}谢谢"),
        chat("One month.", question=f"Tell me: {english.upper()}?"),
        chat("两倍。", question="没签合同，工资怎么付？"),
    )
    found = clean(rows, suites=[question, english, "短"])
    assert [(one.origin, one.reason) for one in found.report.dropped] == [
        ("row:0", "contaminated"),
        ("row:1", "contaminated"),
    ]
    assert "how many days" in found.report.dropped[1].detail
    assert found.report.notes == ()
    assert clean(rows).report.notes == ("The rows were not held against any suite.",)


def test_the_form_that_many_questions_share_is_not_what_one_of_them_asks() -> None:
    form = "请从下面的合同条款中抽取甲方、乙方、金额和日期，只输出规定格式的结果，不要作任何解释，条款如下："
    asked = [form + clause for clause in ("甲方北京一公司", "甲方上海二公司", "甲方广州三公司")]
    found = clean(sourced(chat("{}", question=form + "甲方成都四公司")), suites=asked)
    assert found.report.reasons == {}
    copied = clean(sourced(chat("{}", question=asked[0])), suites=asked[:1])
    assert copied.report.reasons == {"contaminated": 1}


def test_the_report_adds_up_and_keeps_the_order() -> None:
    texts = [*(text for _, text in DROPPED.values()), *KEPT.values(), *list(KEPT.values())[:3]]
    rows = [Sourced(example=TextExample(text=text), origin=f"row:{at}", person="u_1") for at, text in enumerate(texts)]
    found = clean(rows)
    assert found.report.rows == len(texts) == found.report.kept + len(found.report.dropped)
    assert sum(found.report.reasons.values()) == len(found.report.dropped)
    numbers = [int(row.origin.removeprefix("row:")) for row in found.kept]
    assert numbers == sorted(numbers)
    assert {row.person for row in found.kept} == {"u_1"}
    assert clean([]).report.rows == 0


def test_rules_are_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text('languages = ["zh"]\n[chinese]\nlines = 0.9\nfrom_units = 50\n[duplicates]\nnear = 0\n')
    rules = read_rules(path)
    assert (rules.languages, rules.chinese.lines, rules.chinese.from_units, rules.duplicates.near) == (
        ("zh",),
        0.9,
        50,
        0,
    )
    assert rules.words == CleaningRules().words
    assert (rules.chinese.top_size, rules.chinese.top) == (4, CleaningRules().chinese.top)
    for wrong in ("[chinese]\nlines = 2", "[chines]\nlines = 0.5", "languages = 3", "[", "\xff"):
        path.write_bytes(wrong.encode("latin-1"))
        with pytest.raises(InvalidRequest, match="These are no rules"):
            read_rules(path)
    with pytest.raises(InvalidRequest, match="can't be read"):
        read_rules(tmp_path / "none.toml")
