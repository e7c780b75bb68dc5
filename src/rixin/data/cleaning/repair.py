"""Text put right: wrong encodings undone, invisible characters gone, one way to write each character.

What is only another taste is left alone: quotation marks, full-width punctuation, traditional characters.
"""

import re
import unicodedata

import ftfy

from rixin.data.cleaning.rules import Repair

_BREAKS = re.compile("\r\n?|[\u2028\u2029\x85]")
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\ufff9-\ufffb]"
)
# A joiner has a meaning in emoji and in some scripts; between these it has none.
_PLAIN = "\x00-\x7f\u2e80-\u9fff\uff00-\uffef"
_JOINER = re.compile(f"(?<![^{_PLAIN}])[\u200c\u200d](?![^{_PLAIN}])")
_SPACES = re.compile("[\u00a0\u2000-\u200a\u202f\u205f]")
_RADICALS = re.compile("[\u2e80-\u2eff\u2f00-\u2fdf]")  # what PDF files have in place of 一, 人, 大 …
_WIDE = re.compile("[\uff10-\uff19\uff21-\uff3a\uff41-\uff5a]+")
_NARROW = re.compile("[\uff61-\uff9f]+")
_FENCED = re.compile(r"(```.*?(?:```|\Z)|`[^`\n]+`)", re.DOTALL)
# UTF-8 read as GBK gives these: the three bytes of a Chinese character begin with E4 to E9.
_AS_GBK = re.compile("[\u4e00-\u9fff\u2000-\u33ff\ue000-\uf8ff\uff00-\uffef€]{3,}")
_TWO_BYTES = re.compile("[\x80-\u07ff]")
_HAN = re.compile("[\u4e00-\u9fff]")
# What is invisible can stand within what a wrong encoding left, and text may have been read wrongly more than once.
MOST_ROUNDS = 8


def repaired(text: str, rules: Repair) -> str:
    """The text as it should be. Done twice it changes nothing more."""
    for _ in range(MOST_ROUNDS):
        before, text = text, _repaired(text, rules)
        if text == before:
            break
    return text


def _repaired(text: str, rules: Repair) -> str:
    if rules.mojibake:
        text = _AS_GBK.sub(_from_gbk, ftfy.fix_encoding(text))
    if rules.unicode:
        text = _SPACES.sub(" ", _INVISIBLE.sub("", _BREAKS.sub("\n", text)))
        text = _RADICALS.sub(_compatible, unicodedata.normalize("NFC", _JOINER.sub("", text)))
    if rules.width:
        text = "".join(
            part if at % 2 else _NARROW.sub(_compatible, _WIDE.sub(_compatible, part))
            for at, part in enumerate(_FENCED.split(text))
        )
    return text


def garbled(text: str) -> int:
    """How many characters are what a wrong encoding leaves: U+FFFD, 锟斤拷, and UTF-8 read as GBK past repair."""
    lost = text.count("\ufffd") + 3 * text.count("锟斤拷") + sum(map(len, re.findall("[烫屯]{3,}", text)))
    for run in _AS_GBK.findall(text):
        read = run.encode("gb18030", "replace").decode("utf-8", "replace")
        if len(read) >= 4 and len(_HAN.findall(read)) >= 0.8 * len(read) and not _TWO_BYTES.search(read):
            lost += len(run)
    return lost


def _compatible(found: re.Match[str]) -> str:
    return unicodedata.normalize("NFKC", found[0])


def _from_gbk(found: re.Match[str]) -> str:
    """The run as it was before it was read as GBK; itself, unless that is Chinese without any doubt.

    Real Chinese hardly ever is: its usual characters begin with the bytes B0 to D7, which UTF-8 reads as no Chinese.
    """
    try:
        read = found[0].encode("gb18030").decode("utf-8")
    except UnicodeError:
        return found[0]
    return read if len(_HAN.findall(read)) >= 2 and not _TWO_BYTES.search(read) else found[0]
