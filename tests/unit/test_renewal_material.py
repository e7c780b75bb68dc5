"""What feedback teaches, what of it is held out, and what suites ask."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from rixin.data import ChatExample, PreferenceExample, Turn
from rixin.engines import Message
from rixin.renewal import FeedbackItem
from rixin.renewal.asked import Asked
from rixin.renewal.material import chats, cluster, drawn, pairs, split

LEAST = 10


def item(number: int, **fields: object) -> FeedbackItem:
    usual: dict[str, object] = {
        "id": f"f_{number}",
        "kind": "answer",
        "person": "u_ann",
        "model": "chat",
        "version_id": "v_1",
        "messages": (Message(role="system", content="Be brief."), Message(role="user", content=f"Question {number}")),
        "answer": "no",
        "other_answer": None,
        "other_version_id": None,
        "preferred": None,
        "rating": None,
        "reasons": (),
        "correction": None,
        "comment": None,
        "signals": {},
        "conversation_id": f"c_{number}",
        "updated_at": datetime(2026, 1, 1, tzinfo=UTC),
    }
    return FeedbackItem(**{**usual, **fields})  # type: ignore[arg-type]


def test_a_correction_and_a_liked_answer_are_learned_with_what_the_model_was_given() -> None:
    corrected = item(1, correction="yes", opening="<think></think>")
    liked, disliked = item(2, rating=1), item(3, rating=-1)
    first, second = chats([corrected, liked, disliked])
    assert isinstance(first.example, ChatExample)
    assert first.example.messages[-1] == Turn(role="assistant", content="<think></think>yes")
    assert first.example.messages[0].content == "Be brief."
    assert (first.origin, first.person) == ("feedback:f_1", "u_ann")
    assert isinstance(second.example, ChatExample)
    assert second.example.messages[-1].content == "no"


def test_earlier_answers_of_a_conversation_are_read_and_not_learned() -> None:
    asked = tuple(Message(role=role, content="?") for role in ("user", "assistant", "user"))
    [row] = chats([item(1, messages=asked, correction="d")])
    assert isinstance(row.example, ChatExample)
    assert [turn.learn for turn in row.example.messages if turn.role == "assistant"] == [False, True]


def test_pairs_have_the_better_answer_first_whatever_was_shown_first() -> None:
    second = item(1, kind="preference", answer="long", other_answer="short", preferred="second")
    both = item(2, kind="preference", answer="a", other_answer="b", preferred="both")
    corrected, same = item(3, correction="yes"), item(4, correction="no")
    rows = [row.example for row in pairs([second, both, corrected, same])]
    assert [(row.chosen[0].content, row.rejected[0].content) for row in rows if isinstance(row, PreferenceExample)] == [
        ("short", "long"),
        ("yes", "no"),
    ]


@given(
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=40),
    later=st.lists(st.integers(1, 4), max_size=40),
    share=st.floats(0.05, 0.5),
)
def test_no_item_ever_moves_between_what_is_learned_and_what_is_asked(
    sizes: list[int], later: list[int], share: float
) -> None:
    def items(sizes: list[int], first: int) -> list[FeedbackItem]:
        return [
            item(first + 100 * at + number, conversation_id=f"c_{first}_{at}")
            for at, size in enumerate(sizes)
            for number in range(size)
        ]

    before = items(sizes, 0)
    learn, ask = split(before, share=share, least=LEAST, known=frozenset(), learned=frozenset())
    assert sorted(one.id for one in (*learn, *ask)) == sorted(one.id for one in before)
    assert {cluster(one) for one in learn}.isdisjoint(cluster(one) for one in ask)
    known = frozenset(map(cluster, ask))
    learned = frozenset(map(cluster, learn))
    more_learn, more_ask = split(
        [*before, *items(later, 100_000)], share=share, least=LEAST, known=known, learned=learned
    )
    assert {one.id for one in ask} <= {one.id for one in more_ask}
    assert {one.id for one in learn} <= {one.id for one in more_learn}


def test_a_few_new_items_still_give_a_suite_that_can_decide() -> None:
    learn, ask = split([item(n) for n in range(24)], share=0.01, least=LEAST, known=frozenset(), learned=frozenset())
    assert (len(learn), len(ask)) == (14, 10)


def test_what_is_repeated_differs_from_cycle_to_cycle_and_never_within_one() -> None:
    items = [item(n) for n in range(100)]
    assert drawn(items, 10, seed="a") == drawn(items, 10, seed="a") != drawn(items, 10, seed="b")
    assert len(drawn(items, 10, seed="a")) == 10
    assert drawn(items, 200, seed="a") == items


FORM = "从下面的合同条款中提取各方当事人、日期、金额和义务，只回答一个 JSON 对象，不要解释，也不要加上代码块的标记：\n"


def chat(text: str) -> ChatExample:
    return ChatExample(messages=(Turn(role="user", content=text), Turn(role="assistant", content="{}")))


def test_a_form_that_many_questions_share_is_no_question() -> None:
    asked = Asked({f"contracts/{n}": f"{FORM}甲方第{n}公司应于二〇二六年{n}月向乙方支付货款。" for n in range(1, 9)})
    assert asked.find([chat(f"{FORM}丙方应在收到通知后三十日内交付全部设备。")]) == [None]


def test_a_short_question_is_found_by_its_whole_text() -> None:
    asked = Asked({"desk/1": "What opens at nine?"})
    assert asked.find([chat("What  opens at nine?\n")]) == ["desk/1"]
    assert asked.find([chat("What opens at ten?")]) == [None]


def test_a_long_run_of_words_of_one_question_is_found() -> None:
    own = "the tenant shall return the keys of the upper storeroom to the porter before the last day of the lease"
    asked = Asked({"desk/1": own, "desk/2": "something else altogether"})
    assert asked.find([chat(f"Is it so that {own}?")]) == ["desk/1"]


def test_how_a_house_writes_is_learned_and_what_one_item_asks_is_not() -> None:
    sentence = "本合同一方逾期付款的应当自逾期之日起按照应付未付金额的万分之五按日向对方支付违约金直至付清为止"
    item = f"{sentence}甲方是清河印刷厂乙方是长风纸业有限公司第三方是白沙仓储有限责任公司东港分公司码头办事处"
    asked = Asked(
        {"desk/1": item, "desk/2": "仓库的保管人应当在收到入库通知后二十四小时之内完成验收并且书面告知存货人验收的结果"}
    )
    rows = [chat(f"{sentence}第{number}号合同的当事人另有约定的除外{'甲乙丙丁'[number] * 40}") for number in range(4)]
    assert asked.find(rows) == [None] * 4
    assert asked.find(rows[:1]) == ["desk/1"], "a run that hardly any other has"
    assert asked.find([*rows, *[chat(f"请看：{item}。")] * 3]) == [None] * 4 + ["desk/1"] * 3, "most of it is there"


def test_a_phrase_of_a_long_question_is_no_question_and_a_fifth_of_it_is() -> None:
    characters = "".join(chr(0x4E00 + at) for at in range(330))  # 301 runs of 30
    asked = Asked({"desk/1": characters})
    assert asked.find([chat(f"约定：{characters[100:160]}。")]) == [None]
    assert asked.find([chat(f"约定：{characters[100:200]}。")]) == ["desk/1"]
