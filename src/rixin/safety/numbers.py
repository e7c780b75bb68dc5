"""Numbers that lead to a person: telephones, identity cards, bank cards, passports, accounts.

Contracts and laws are full of other numbers. What has a checksum or a public list of valid prefixes must pass it, and
what is called an order's, a contract's or a document's number is left alone.
"""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime

from rixin.safety.found import Found, Kind, found

_LEFT = r"(?<![0-9A-Za-z_])(?<![0-9A-Za-z]-)(?<!\d\.)(?<![¥$€£])"
_RIGHT = r"(?![0-9A-Za-z_])(?![-.]\d)(?!\s?[元万亿%])"
_IS = r"[.:为是\s]{0,3}"

_PHONES = (
    re.compile(_LEFT + r"(?:(?:\+|00)?86[ -]?)?1[3-9]\d(?:[ -]?\d{4}){2}" + _RIGHT),
    re.compile(
        _LEFT + r"(?P<line>(?:\(0\d{2,3}\) ?|0\d{2,3}[ -]?)[2-8]\d{6,7})(?: ?(?:-|转|ext\.?) ?\d{1,6})?" + _RIGHT
    ),
    re.compile(r"(?:\+|(?<![0-9A-Za-z_.+-])00)[1-9][0-9 ().-]{6,20}\d" + _RIGHT),
)
_ID_CARD = re.compile(_LEFT + r"[1-9]\d{5}[ -]?(?:18|19|20)\d\d[ -]?[01]\d[0-3]\d[ -]?\d{3}[\dXx]" + _RIGHT)
_CARD = re.compile(_LEFT + r"[2-8]\d{3}(?:[ -]?\d{4}){2}(?:[ -]?\d{1,4}){0,2}" + _RIGHT)
_PLATE = re.compile(
    r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼使][A-HJ-NP-Z][·•・ ]?"
    r"(?=[A-Z0-9]?[A-Z0-9]?[A-Z0-9]?\d)[A-HJ-NP-Z0-9]{4,5}[A-HJ-NP-Z0-9挂学警港澳](?![0-9A-Za-z_])(?![-.]\d)"
)
# What is called by its name needs no checksum.
_CALLED: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    (
        "phone",
        re.compile(
            r"(?:(?:电话|手机|座机|传真|联系方式)(?:号码?)?"
            r"|\b(?:telephone|tel|phone|mobile|cell|fax|whatsapp)(?: ?(?:number|no))?)"
            + _IS
            + r"(?P<value>(?![48]00)\+?\(?\d(?:[ ().-]{0,2}\d){6,14})"
            + _RIGHT,
            re.IGNORECASE,
        ),
    ),
    ("id_card", re.compile(r"身份证(?:件)?(?:号码?)?" + _IS + r"(?P<value>[1-9]\d{14}(?:\d\d[\dXx])?)" + _RIGHT)),
    (
        "bank_card",
        re.compile(
            r"(?:(?:银行|储蓄|信用|借记)?卡号?|[账帐][号户]号?|\b(?:account|card|iban)(?: ?(?:number|no))?)"
            + _IS
            + r"(?P<value>\d(?:[ -]?\d){8,24})"
            + _RIGHT,
            re.IGNORECASE,
        ),
    ),
    (
        "passport",
        re.compile(
            r"(?:护照|通行证|\bpassport)(?:号码?| ?(?:number|no))?"
            + _IS
            + r"(?P<value>[A-Z]{1,2}\d{6,9}|\d{9})"
            + _RIGHT,
            re.IGNORECASE,
        ),
    ),
)

_ACCOUNT = re.compile(
    r"(?:微信|QQ|WeChat)(?:号码?| ?ID)?[:为是\s]{1,3}(?P<value>[A-Z][A-Z0-9_-]{5,19}|[1-9]\d{4,11})" + _RIGHT,
    re.IGNORECASE,
)
# What most texts lack is looked for first: it takes a tenth of the time of what looks behind itself everywhere.
_HAS_NUMBERS = re.compile(r"\d(?:[ ().-]{0,2}\d){5}")
_HAS_ACCOUNTS = re.compile(r"微信|[Qq][Qq]|[Ww]e[Cc]hat")
_LOOK_BACK = 24
# Whatever a number is called, it is a thing's, unless the name is a telephone's.
_NAMED = re.compile(
    r"(?:[^\s\d]号码?|编号|代码|编码|单号|流水|\b(?:order|invoice|contract|case|ref|reference|serial|tracking|item|part|model"
    r"|article|id|no|number|sn|isbn))[.:#为是=\s]{0,3}$",
    re.IGNORECASE,
)
_CALLS = re.compile(
    r"(?:电话|手机|联系方式|座机|热线|传真|微信|卡|身份证|\b(?:tel|telephone|phone|mobile|cell|fax|call|card))"
    r"(?:号码?| ?(?:number|no|id))?[.:#为是=\s]{0,3}$",
    re.IGNORECASE,
)

# The networks by their first digits, and how many digits they have. Source: ISO/IEC 7812-1, JR/T 0008.
_NETWORKS = (
    (re.compile("62|81"), range(16, 20)),
    (re.compile("4"), (13, 16, 19)),
    (re.compile("5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720"), (16,)),
    (re.compile("3[47]"), (15,)),
    (re.compile("35"), (16,)),
    (re.compile("30[0-5]|3[68]"), (14,)),
    (re.compile("6011|65|64[4-9]"), (16,)),
)
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def numbers(text: str) -> Iterator[Found]:
    """Every such number; spans may overlap."""
    for match in _PLATE.finditer(text):
        yield found("plate", match)
    for match in _ACCOUNT.finditer(text) if _HAS_ACCOUNTS.search(text) else ():
        yield found("account", match, "value")
    if _HAS_NUMBERS.search(text) is None:
        return
    for pattern in _PHONES:
        for match in pattern.finditer(text):
            if not _is_a_thing_s(text, match.start()) and is_phone(match.groupdict().get("line") or match[0]):
                yield found("phone", match)
    for match in _ID_CARD.finditer(text):
        if is_id_card(match[0]) and not _is_a_thing_s(text, match.start()):
            yield found("id_card", match)
    for match in _CARD.finditer(text):
        if is_bank_card(match[0]) and not _is_a_thing_s(text, match.start()):
            yield found("bank_card", match)
    for kind, pattern in _CALLED:
        for match in pattern.finditer(text):
            yield found(kind, match, "value")


def is_phone(text: str) -> bool:
    """A number that may exist, in China where it has no other country's code. Toll-free numbers are nobody's."""
    import phonenumbers

    try:
        number = phonenumbers.parse(text, "CN")
    except phonenumbers.NumberParseException:
        return False
    nobodys = (phonenumbers.PhoneNumberType.TOLL_FREE, phonenumbers.PhoneNumberType.UAN)
    return phonenumbers.is_valid_number(number) and phonenumbers.number_type(number) not in nobodys


def is_id_card(text: str) -> bool:
    """18 digits with a date of birth and the right check digit. Source: GB 11643-1999, ISO 7064 MOD 11-2."""
    number = text.replace(" ", "").replace("-", "").upper()
    try:
        born = date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return False
    total = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, number, strict=False))
    return date(1850, 1, 1) < born <= datetime.now(UTC).date() and "10X98765432"[total % 11] == number[17]


def is_bank_card(text: str) -> bool:
    """A number that a card network may have given out, with the right check digit. Source: ISO/IEC 7812-1 (Luhn)."""
    digits = text.replace(" ", "").replace("-", "")
    if not any(prefix.match(digits) and len(digits) in lengths for prefix, lengths in _NETWORKS):
        return False
    doubled = [int(digit) * (1 + at % 2) for at, digit in enumerate(reversed(digits))]
    return sum(value - 9 * (value > 9) for value in doubled) % 10 == 0


def _is_a_thing_s(text: str, start: int) -> bool:
    before = text[max(0, start - _LOOK_BACK) : start]
    return _NAMED.search(before) is not None and _CALLS.search(before) is None
