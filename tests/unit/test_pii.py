"""Personal data is masked, and nothing else: what the house learns from must stay what it was."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rixin.safety import Found, find, mask, mask_all
from rixin.safety.numbers import is_bank_card, is_id_card

ID_CARD = "11010519491231002X"  # the example of GB 11643-1999
CARD = "6222021234567890128"


def kinds(text: str) -> list[tuple[str, str]]:
    return [(one.kind, text[one.start : one.stop]) for one in find(text)]


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("请打13812345678找我", "phone", "13812345678"),
        ("手机号：138 1234 5678。", "phone", "138 1234 5678"),
        ("电话+86-138-1234-5678", "phone", "+86-138-1234-5678"),
        ("电话１３８１２３４５６７８", "phone", "１３８１２３４５６７８"),
        ("座机010-62345678转801", "phone", "010-62345678转801"),
        ("(0755)83165678", "phone", "(0755)83165678"),
        ("联系电话：62345678，", "phone", "62345678"),
        ("Call me at +44 20 7946 0958.", "phone", "+44 20 7946 0958"),
        ("Tel: (415) 555-2671", "phone", "(415) 555-2671"),
        (f"身份证{ID_CARD}", "id_card", ID_CARD),
        ("身份证号码：110105491231002", "id_card", "110105491231002"),
        (f"卡号 {CARD}", "bank_card", CARD),
        ("Visa 4111 1111 1111 1111", "bank_card", "4111 1111 1111 1111"),
        ("账号：0200001009014123456", "bank_card", "0200001009014123456"),
        ("护照号E12345678", "passport", "E12345678"),
        ("Passport no. AB1234567", "passport", "AB1234567"),
        ("微信号：li_lei2020", "account", "li_lei2020"),
        ("QQ：123456789", "account", "123456789"),
        ("车牌京A·12345", "plate", "京A·12345"),
        ("车牌沪AD12345", "plate", "沪AD12345"),
        ("写信到 li.lei+a@mail.example.cn。", "email", "li.lei+a@mail.example.cn"),
        ("服务器192.168.10.2", "ip", "192.168.10.2"),
        ("登录地址8.8.8.8", "ip", "8.8.8.8"),
        ("host 2001:db8::1", "ip", "2001:db8::1"),
        ("密钥 sk-abcdefghijklmnop1234", "secret", "sk-abcdefghijklmnop1234"),
        ("Bearer abcdefghijklmnop1234", "secret", "abcdefghijklmnop1234"),
        ("密码：hunter2!", "secret", "hunter2!"),
        ("https://ada:hunter2@example.com/x", "secret", "ada:hunter2@example.com"),
        ("https://example.com/x?id=7&access_token=abc123def", "secret", "abc123def"),
        ("姓名：王小明\n", "name", "王小明"),
        ("你好，我叫李雷，今年三十岁", "name", "李雷"),
        ("我叫欧阳娜娜。", "name", "欧阳娜娜"),
        ("联系人：张伟 电话见下", "name", "张伟"),
        ("Dear Mr. John Smith,", "name", "John Smith"),
        ("My name is Ada Lovelace.", "name", "Ada Lovelace"),
        ("saw Dr. O'Brien", "name", "O'Brien"),
    ],
)
def test_what_leads_to_a_person_is_found(text: str, kind: str, value: str) -> None:
    assert kinds(text) == [(kind, value)]


@pytest.mark.parametrize(
    "text",
    [
        "中华人民共和国民法典第一千零四十三条，自2021年1月1日起施行。",
        "最高人民法院关于适用的解释（法释〔2020〕17号），（2023）京0105民初12345号，(2022)最高法民终123号。",
        "甲方应于2024-05-12前支付人民币1,234,567.89元（大写：壹佰贰拾叁万肆仟伍佰陆拾柒元捌角玖分）。",
        "合同总价13812345678元，违约金为每日0.05%，税率13%。",
        "订单号：13812345678，运单号 SF1234567890123，合同编号HT-2024-0512-001。",
        "发票代码：011002000111，发票号码：13812345678。",
        "统一社会信用代码：91110108551385082Q，组织机构代码 55138508-2，注册资本5000万元。",
        "3.1.2.4 乙方应当在收到通知之日起15日内提出书面异议；见第12.34.5.6款。",
        "GB/T 19001-2016、ISO 9001:2015、YY 0505-2012，ISBN 978-7-5118-1234-5。",
        "软件版本 1.2.3.4，内核 v5.15.0.76，在 12:30:45 重启，std::vector a::b。",
        "拨打12345、12315、110或400-123-4567。",
        "姓名、性别、年龄、身份证号码、联系电话由甲方填写。姓名：________ 联系人：（签字）",
        "我是说这件事；我叫你来；联系人：方便时请留言；负责人应当签字。",
        "第十七届三中全会，1949年10月1日，20240512批次，房号1-2-301，面积138.12平方米。",
        "Clause 12.3.4.5 of ISO 27001 applies from 1 January 2024; total $1,234,567.89; order no. 13812345678.",
        "Mr. President, the Ms. magazine, the Chairman signs. Name: ______",
        "密码：由用户自行保管，不得告知他人。password: required",
        "https://example.com/law?id=1043&page=2 和 example@ 与 @someone",
        "2024年第3季度营业收入6222021234567890123元，序列号 4111111111111112。",
        "身份证核验、银行卡四要素、护照办理、微信支付、QQ邮箱。",
    ],
)
def test_contracts_laws_and_figures_stay_as_they_are(text: str) -> None:
    assert kinds(text) == []


def test_an_item_s_texts_are_masked_together() -> None:
    texts = mask_all(
        [
            "我叫王小明，手机13812345678，邮箱a@b.cn。",
            "王小明您好，已记下138-1234-5678。",
            "另一部是13912345678，信写到 A@B.cn",
        ]
    )
    assert [one.text for one in texts] == [
        "我叫[姓名1]，手机[电话1]，邮箱[邮箱1]。",
        "[姓名1]您好，已记下[电话1]。",
        "另一部是[电话2]，信写到 [邮箱1]",
    ]


def test_stand_ins_speak_the_language_of_the_item() -> None:
    assert mask("Mail ada@example.com or call +44 20 7946 0958").text == "Mail [EMAIL1] or call [PHONE1]"
    assert mask("发邮件到 ada@example.com").text == "发邮件到 [邮箱1]"


def test_stand_ins_that_are_there_already_are_not_given_out_again() -> None:
    assert mask("原来是[电话1]，现在是13812345678").text == "原来是[电话1]，现在是[电话2]"


def test_a_private_key_is_masked_whole_and_one_that_is_cut_off_to_the_end() -> None:
    key = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKC\n-----END RSA PRIVATE KEY-----"
    assert mask(f"key: {key} thanks").text == "key: [SECRET1] thanks"
    assert mask(f"key: {key[:50]}").text == "key: [SECRET1]"


def test_check_digits_are_those_of_the_standards() -> None:
    assert is_id_card(ID_CARD)
    assert not is_id_card("110105194912310021")
    assert not is_id_card("11010519491331002X"), "there is no thirteenth month"
    assert is_bank_card("4111111111111111")
    assert not is_bank_card("4111111111111112")
    assert not is_bank_card("9111111111111111"), "no network begins so"


PIECES = st.sampled_from(
    [
        "13812345678",
        "010-62345678",
        "+44 20 7946 0958",
        ID_CARD,
        CARD,
        "a@b.cn",
        "姓名：王小明",
        "我叫李雷",
        "Mr. John Smith",
        "京A12345",
        "192.168.1.1",
        "sk-abcdefghijklmnop1234",
        "https://u:p1@h.cn/?token=abc123",
        "密码：abc123",
        "[电话1]",
        "[NAME2]",
        " ",
        "，",
        "-",
        ".",
        ":",
        "号",
        "订单号：",
        "电话：",
        "@",
        "1",
        "a",
        "王小明",
        "\n",
        "第12条",
        "１",
        "/",
        "::",
        "[",
        "]",
    ]
)
TEXTS = st.lists(PIECES, max_size=12).map("".join) | st.text(max_size=200)


@given(TEXTS)
@settings(max_examples=500, deadline=None)
def test_masking_again_changes_nothing(text: str) -> None:
    once = mask(text).text
    assert mask(once).text == once


@given(st.lists(TEXTS, min_size=1, max_size=4))
@settings(max_examples=200, deadline=None)
def test_masking_an_item_again_changes_nothing(texts: list[str]) -> None:
    once = [one.text for one in mask_all(texts)]
    assert [one.text for one in mask_all(once)] == once


@given(TEXTS)
@settings(max_examples=200, deadline=None)
def test_spans_lie_in_the_text_and_do_not_cross(text: str) -> None:
    spans = find(text)
    places = [place for one in spans for place in (one.start, one.stop)]
    assert places == sorted(places)
    assert all(0 <= one.start < one.stop <= len(text) for one in spans)
    masked = mask(text)
    kept = _outside(text, masked.found)
    at = 0
    for piece in kept:
        at = masked.text.index(piece, at) + len(piece)


def _outside(text: str, spans: tuple[Found, ...]) -> list[str]:
    edges = [0, *(place for one in spans for place in (one.start, one.stop)), len(text)]
    return [text[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True)]


@pytest.mark.parametrize(
    "piece",
    [
        "1",
        "13812345678",
        "1-",
        "1 ",
        "a",
        "a.",
        "a@",
        "@a.",
        "a@a.",
        "[电话1]",
        "我叫",
        "王",
        "Mr. A",
        "A",
        "Aa ",
        "姓名：王",
        ":",
        "a:",
        "eyJaaaaaaaa.",
        "eyJ",
        "-----BEGIN PRIVATE KEY-----",
        "sk-",
        "http://a:a",
        "?key=",
        "京A1",
        "0123-",
        "电话",
        "密码:1",
        "+1 ",
        "(",
        "13812345678 ",
        "我叫王小明，",
        "a@b.cn ",
        "[电话1]13812345678 ",
    ],
)
def test_hostile_text_takes_no_more_than_its_length(piece: str) -> None:
    def seconds(size: int) -> float:
        text = (piece * (size // len(piece) + 1))[:size]
        began = time.perf_counter()
        find(text)
        return time.perf_counter() - began

    seconds(1000)
    short = min(seconds(20_000) for _ in range(2))
    long = seconds(160_000)
    assert long < max(24 * short, 0.5), f"{short:.3f} s for 20,000 characters, {long:.3f} s for 160,000"
