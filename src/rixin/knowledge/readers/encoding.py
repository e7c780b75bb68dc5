"""Bytes of text whose encoding nobody wrote down, as text."""

import codecs
import re

from rixin.knowledge.readers.language import language_of_text

SAMPLE = 1 << 16

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# In a text of these languages a quarter and more are such characters; in one decoded wrongly, hardly any.
_COMMON = {
    "gb18030": "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用"
    "道行所然家种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日军者意无力它与长把机十民第公此"
    "已工使情明性知全三又关点正业外将两高间由问很最重并物手应战向头文体政美相见被利什二等产或新己制身果加西斯月话合回特代内信表化老给"
    "世位次度门任常先海通教儿原东声提立及比员解水名真论处走义各入几口认条平系气题活尔更别打女变四神总何电数安少报才结反受目太量再感建"
    "务做接必场件计管期市直德资命山金指克许统区保至队形社便空决治展马科司五基眼书非则听白却界达光放强即像难且权思王象完设式色路记南品"
    "住告类求据程北边死张该交规万取拉格望觉术领共确传师观清今切院让识候带导争运",
    "big5hkscs": "的一是不了在人有我他這個們中來上大為和國地到以說時要就出會可也你對生能而子那得於著下自之年過發後作裡"
    "用道行所然家種事成方多經麼去法學如都同現當沒動面起看定天分還進好小部其些主樣理心她本前開但因只從想實日軍者意無力它與長把機十民第公此"
    "已工使情明性知全三又關點正業外將兩高間由問很最重並物手應戰向頭文體政美相見被利什二等產或新己制身果加西月話合回特代內信表化老給"
    "世位次度門任常先海通教兒原東聲提立及比員解水名真論處走義各入幾口認條平系氣題活更別打女變四神總何電數安少報才結反受目太量再感建",
    "cp949": "이다는을의가에고하지를은로한기도사어리대나들자서아시그있일인수부정해안전보제여과주만상으오장원게스라면",
    "cp932": "のにはをたがでてとしれさいるもなあからすこりっうくまきよそけど、。年日本人大一国会中出事者",
}
_COMMON_SETS = {name: frozenset(said) for name, said in _COMMON.items()}
_COMMON_SETS["euc_jp"] = _COMMON_SETS["cp932"]
_LEAST_COMMON = 0.15
_BROKEN_SHARE = 0.02
_MOST_SENSE = 0.97
_IN_USE = re.compile(
    "[\t\n\r\x20-\x7e\xa0-\u024f\u0370-\u06ff\u0e00-\u0e5b\u2010-\u2027\u2030-\u205e"
    "\u3000-\u30ff\u4e00-\u9fa5\uac00-\ud7a3\uff01-\uffe5]"
)
_WESTERN = frozenset(("en", "de", "fr", "es", "it", "pt", "nl"))
_NOT_ASCII = re.compile("[^\x00-\x7f]")


def decode(data: bytes, declared: str | None = None) -> str:
    """The text: by its byte order mark, as UTF-8, as `declared`, then by what it would say in each encoding.

    Bytes that are wrong in an encoding that fits otherwise become U+FFFD; nothing is raised.
    """
    for mark, name in _MARKS:
        if data.startswith(mark):
            return data.decode(name, "replace")
    if wide := _wide(data):
        return data.decode(wide, "replace")
    if b"\x1b$" in data[:SAMPLE] or b"\x1b(" in data[:SAMPLE]:
        try:
            return data.decode("iso2022_jp_ext")
        except ValueError:
            pass
    try:
        return data.decode()
    except UnicodeDecodeError:
        pass
    if said := _known(declared):
        text = data.decode(said, "replace")
        if _broken_share(text) <= _BROKEN_SHARE:
            return text
    text = data.decode("utf-8", "replace")
    if _broken_share(text) <= _BROKEN_SHARE:
        return text
    return data.decode(_guess(data), "replace")


def is_binary(data: bytes) -> bool:
    """Whether the bytes are no text in any encoding: NULs, or many controls, where no UTF-16 explains them."""
    sample = data[:SAMPLE]
    if any(sample.startswith(mark) for mark, _ in _MARKS) or _wide(sample):
        return False
    controls = len(sample) - len(sample.translate(None, bytes({*range(9), *range(14, 27), *range(28, 32)})))
    return controls * 50 > len(sample)


def _wide(data: bytes) -> str | None:
    """UTF-16 without a mark: every other byte of its spaces and line ends is NUL, and as text it makes sense."""
    sample = data[: SAMPLE & ~1]
    pairs = len(sample) // 2
    zeros = sample.count(0)
    if pairs < 2 or not zeros or (zeros * 4 < pairs and _is_utf8(sample.replace(b"\0", b""))):
        return None
    found = {name: _sense(sample[: pairs * 2].decode(name, "replace")) for name in ("utf-16-le", "utf-16-be")}
    name = max(found, key=lambda one: found[one])
    return name if found[name] >= _MOST_SENSE else None


def _sense(text: str) -> float:
    """The share of characters from scripts in use, without which random bytes are half."""
    return len(_IN_USE.findall(text)) / max(len(text), 1)


def _is_utf8(sample: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        return False
    return True


def _known(name: str | None) -> str | None:
    try:
        found = codecs.lookup(name.strip()) if name else None
    except (LookupError, ValueError):
        return None
    if found is None or not found._is_text_encoding:
        return None
    wider = {"gb2312": "gb18030", "gbk": "gb18030", "big5": "big5hkscs", "shift_jis": "cp932", "euc_kr": "cp949"}
    return wider.get(found.name, found.name)


def _broken_share(text: str) -> float:
    """Of the characters outside ASCII, those that could not be decoded."""
    wrong = text.count("\ufffd")
    return wrong / len(_NOT_ASCII.findall(text)) if wrong else 0.0


def _guess(data: bytes) -> str:
    sample = data[:SAMPLE]
    best, best_score = "", _LEAST_COMMON
    for name, common in _COMMON_SETS.items():
        characters = _NOT_ASCII.findall(sample.decode(name, "replace"))
        wrong = characters.count("\ufffd")
        # A sample may end within a character.
        if not characters or (wrong - 1) > len(characters) * _BROKEN_SHARE:
            continue
        score = sum(character in common for character in characters) / len(characters)
        if score > best_score:
            best, best_score = name, score
    if best:
        return best
    if _is_plain_chinese(sample):
        return "gb18030"
    western = sample.decode("cp1252", "replace")
    if len(_NOT_ASCII.findall(western)) * 5 < len(western) and language_of_text(western) in _WESTERN:
        return "cp1252"
    from charset_normalizer import from_bytes

    found = from_bytes(sample[: 1 << 13]).best()
    return (found and _known(found.encoding)) or "cp1252"


def _is_plain_chinese(sample: bytes) -> bool:
    """Too short for statistics, but all of it commoner characters of GB 2312 (its first level, leads B0 to D7)."""
    try:
        characters = _NOT_ASCII.findall(sample.decode("gb2312"))
    except UnicodeDecodeError:
        return False
    plain = sum(0xB0 <= character.encode("gb2312")[0] <= 0xD7 for character in characters)
    return len(characters) > 1 and plain * 10 >= len(characters) * 8
