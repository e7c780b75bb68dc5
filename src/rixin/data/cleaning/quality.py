"""Is a text worth learning? Each rule says what it measured; none asks for a full stop or a least length.

C4 keeps only lines that end in `.`, `!`, `?` or `"` and drops texts with `{`: that takes all Chinese, verse and code.
Gopher's least length, stop words and mean word length fit pages of the web, not answers.
Sources: Raffel et al., https://arxiv.org/abs/1910.10683, section 2.2; Rae et al., https://arxiv.org/abs/2112.11446,
appendix A.1.1.
"""

import json
import re
from collections import Counter
from collections.abc import Sequence

from rixin.data.checking import language_of
from rixin.data.cleaning.repair import garbled
from rixin.data.cleaning.report import Reason
from rixin.data.cleaning.rules import CleaningRules, Quality, Repetition

Verdict = tuple[Reason, str]

_FENCE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_RULE = re.compile(r"[-=_+*|~#.·…─━│┼ ]{3,}")  # what tables and tables of contents are drawn with
_TOKEN = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]|[^\W_\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]+")
_UNBROKEN = re.compile(r"[A-Za-z0-9+/=_-]+")
_SENTENCE = re.compile(r"[^。！？；\n]+")
_CODE_LINE = re.compile(
    r"^\s*(?:(?:def|class|import|from|return|for|while|if|elif|else|try|except|public|private|static|void|int|const|let|"
    r"var|function|package|SELECT|INSERT|UPDATE|CREATE|FROM|WHERE)\b|#include|</?\w|//|/\*|\*/|@\w|\|)|[;{}()\[\],:>|]\s*$"
)
_CHINESE = {"zh", "ja"}


def judge(text: str, rules: CleaningRules) -> Verdict | None:
    """Why the text is not worth learning, with the figures; None if it is."""
    if found := _readable(text, rules.quality):
        return found
    if _is_data(text) or _is_code(prose := _FENCE.sub("\n", text)):
        return None  # code and tables of data repeat themselves rightly, and have more signs than letters
    prose = _RULE.sub(" ", prose)
    chinese = language_of(prose) in _CHINESE
    return _letters(prose, rules.quality) or _repetition(prose, rules.chinese if chinese else rules.words, chinese)


def _readable(text: str, rules: Quality) -> Verdict | None:
    lost = garbled(text)
    if lost > rules.unreadable * len(text):
        return "unreadable", f"{lost} of {len(text)} characters are what a wrong encoding leaves"
    longest = max(map(len, _UNBROKEN.findall(text)), default=0)
    if longest > rules.unbroken:
        return "not_text", f"{longest} letters and digits without a space, more than {rules.unbroken}"
    return None


def _letters(text: str, rules: Quality) -> Verdict | None:
    signs = [letter for letter in text if not letter.isspace()]
    letters = sum(letter.isalnum() for letter in signs)
    if signs and letters < rules.letters * len(signs):
        return "not_text", f"{letters} of {len(signs)} characters are letters or digits, less than {rules.letters:.0%}"
    return None


def _repetition(text: str, rules: Repetition, chinese: bool) -> Verdict | None:
    units = _TOKEN.findall(text.lower())
    if len(units) < rules.from_units:
        return None
    unit = "characters" if chinese else "words"
    lines = _share_of_lines(_SENTENCE.findall(text) if chinese else text.split("\n"))
    top = _share_of_top(units, rules.top_size)
    repeated = _share_repeated(units, rules.repeated_size)
    for share, limit, what in (
        (lines, rules.lines, "is in lines that were there before"),
        (top, rules.top, f"is one run of {rules.top_size} {unit}"),
        (repeated, rules.repeated, f"is in runs of {rules.repeated_size} {unit} that were there before"),
    ):
        if share > limit:
            return "repetitive", f"{share:.0%} {what}, more than {limit:.0%}"
    return None


def _share_of_lines(lines: Sequence[str]) -> float:
    """The share of characters in lines (of Chinese: in sentences) that were there before."""
    seen: set[str] = set()
    repeated = total = 0
    for line in map(str.strip, lines):
        total += len(line)
        repeated += len(line) if line in seen else 0
        seen.add(line)
    return repeated / total if total else 0.0


def _share_of_top(units: Sequence[str], size: int) -> float:
    """The share of characters that the most frequent n-gram covers, if it is there twice."""
    counts = Counter(tuple(units[at : at + size]) for at in range(len(units) - size + 1))
    if not counts:
        return 0.0
    most, times = counts.most_common(1)[0]
    return times * sum(map(len, most)) / sum(map(len, units)) if times > 1 else 0.0


def _share_repeated(units: Sequence[str], size: int) -> float:
    """The share of characters in n-grams that were there before; each character counts once."""
    seen: set[tuple[str, ...]] = set()
    covered = 0
    free = 0  # where what is not yet counted begins
    lengths = list(map(len, units))
    for at in range(len(units) - size + 1):
        run = tuple(units[at : at + size])
        if run in seen:
            covered += sum(lengths[max(at, free) : at + size])
            free = at + size
        seen.add(run)
    return covered / sum(lengths) if lengths else 0.0


def _is_data(text: str) -> bool:
    """Whether it is one JSON object or list."""
    if text.lstrip()[:1] not in ("{", "["):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _is_code(text: str) -> bool:
    """Whether most lines look like a program's, a table's or a markup's."""
    lines = [line for line in text.split("\n") if line.strip()]
    return len(lines) >= 3 and sum(bool(_CODE_LINE.search(line)) for line in lines) >= 0.5 * len(lines)
