"""What a cleaning does, as a typed value that a TOML file can hold."""

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from rixin.errors import InvalidRequest

Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=0)]


class Repair(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is put right before a row is judged: `unicode` (NFC, no zero-width or control characters), `mojibake` (UTF-8
    that was read as something else), `width` (full-width Latin letters and digits, half-width kana).
    """

    unicode: bool = True
    mojibake: bool = True
    width: bool = True


class Quality(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of a text: at most this share of its characters is unreadable (U+FFFD, what a wrong encoding leaves), and at
    least this share of those that are no space is letters and digits. `unbroken` is the longest run of Latin letters
    and digits without a space.
    """

    unreadable: Share = 0.01
    letters: Share = 0.35
    unbroken: Count = 1_000


class Repetition(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of a text that has at least `from_units` words (of Chinese: characters): the share of its lines, or of its
    characters, that only repeat.

    `lines` is the share of characters in lines (of Chinese: sentences) that were there before, `top` what the most
    frequent n-gram of `top_size` covers, `repeated` what is in n-grams of `repeated_size` that were there before. The
    limits are wider than Gopher's for pages of the web: to drop a person's correction costs more than to keep a dull
    page. Source: Rae et al., https://arxiv.org/abs/2112.11446, table A1.
    """

    from_units: Count = 100
    lines: Share = 0.4
    top_size: Annotated[int, Meta(ge=1)] = 3
    top: Share = 0.25
    repeated_size: Annotated[int, Meta(ge=2)] = 10
    repeated: Share = 0.5


class ChineseRepetition(Repetition, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """As `Repetition`, in characters. One says about two thirds of a word, so n-grams are longer.

    Of 26,196 articles of law, which repeat their terms, the most repetitive has 0.30 in one run of four, and 0.53 in
    runs of sixteen that were there before.
    """

    from_units: Count = 200
    top_size: Annotated[int, Meta(ge=1)] = 4
    top: Share = 0.35
    repeated_size: Annotated[int, Meta(ge=2)] = 16
    repeated: Share = 0.6


class Duplicates(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`exact` drops a row that was there before; `near` one that shares so much of its 5-grams (of Chinese: of five
    characters) with an earlier row, by MinHash; 0 looks for none.
    """

    exact: bool = True
    near: Share = 0.8


class CleaningRules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All rules. `languages` are those kept (`zh`, `en`, …); empty keeps all.

    `chinese` judges texts that are mostly Chinese characters, `words` all others.
    """

    languages: tuple[str, ...] = ()
    repair: Repair = Repair()
    quality: Quality = Quality()
    chinese: ChineseRepetition = ChineseRepetition()
    words: Repetition = Repetition()
    duplicates: Duplicates = Duplicates()


def read_rules(path: Path) -> CleaningRules:
    """The rules of a TOML file; what it leaves out is as usual. Raises InvalidRequest naming the field."""
    try:
        return msgspec.toml.decode(path.read_bytes(), type=CleaningRules)
    except OSError as error:
        raise InvalidRequest(f"The rules can't be read: {error.strerror}.", where=str(path), param="rules") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(
            f"These are no rules: {error}.", where=str(path), fix="docs/data.md has them all.", param="rules"
        ) from None
