"""A Report as one HTML file that needs nothing else: no server, no network, no library.

The samples travel compressed and are unpacked in the browser; every text is data there and never becomes markup. The
page's policy allows its own script and style (by hash) and nothing else, so even a mistake could load nothing.
"""

import base64
import html
import re
import zlib
from collections.abc import Callable

import msgspec

from rixin.evaluation.packed import pack_samples
from rixin.evaluation.page import page_asset, page_policy, page_theme
from rixin.evaluation.presentation import Presentation

# 10,000 samples have to stay under 5 MB; reports of more samples may grow in proportion.
LIMIT_BYTES = 4_800_000
LIMIT_BYTES_PER_SAMPLE = 480
# What the longest texts are cut to, in characters, until a file fits.
CUTS = (None, 16_000, 8_000, 4_000, 2_000, 1_000, 500, 250, 120)
SCRIPTS = ("words.js", "parts.js", "unpack.js", "scores.js", "samples.js", "report.js")


def to_html(presentation: Presentation) -> str:
    """The whole file. Texts are cut in their middle, and the page says so, where it would otherwise be too large."""
    script = "\n".join(page_asset(name) for name in SCRIPTS)
    style = page_theme() + page_asset("report.css")
    samples = sum(map(len, presentation.samples))
    room = max(LIMIT_BYTES, samples * LIMIT_BYTES_PER_SAMPLE) - len(script) - len(style)
    packed, cut = _packed(presentation, room)
    values = {
        "policy": html.escape(page_policy(style, script)),
        "title": html.escape(presentation.title),
        "style": style,
        "facts": _inert(_facts(presentation, cut)),
        "samples": packed,
        "script": script,
    }
    # In one pass: what is put in is not looked at again.
    return re.sub(r"\{\{(\w+)\}\}", lambda place: values[place[1]], page_asset("report.html"))


def _packed(presentation: Presentation, room: int) -> tuple[str, int]:
    """The samples in base64, and how many texts were cut for it."""
    packed, cut = "", 0
    for characters in CUTS:
        shorten, count = _shortener(characters)
        content = msgspec.json.encode(pack_samples(presentation.samples, shorten))
        packed = base64.b64encode(zlib.compress(content, 9)).decode()
        cut = count()
        if len(packed) <= room:
            break
    return packed, cut


def _shortener(characters: int | None) -> tuple[Callable[[str], str], Callable[[], int]]:
    done = 0

    def shorten(text: str) -> str:
        nonlocal done
        if characters is None or len(text) <= characters:
            return text
        done += 1
        half = characters // 2
        return f"{text[:half]}\n[… {len(text) - 2 * half} characters …]\n{text[-half:]}"

    return shorten, lambda: done


def _facts(presentation: Presentation, cut: int) -> bytes:
    """All that is shown above the samples. Comparisons name their Reports by number, not once more in full."""
    numbers = {report.id: number for number, report in enumerate(presentation.reports)}
    return msgspec.json.encode(
        {
            "kind": presentation.kind,
            "title": presentation.title,
            "command": presentation.command,
            "reports": presentation.reports,
            "comparisons": [
                {
                    "a": numbers[one.a.id],
                    "b": numbers[one.b.id],
                    "level": one.level,
                    "pairs": one.pairs,
                    "missing": one.missing,
                    "notes": one.notes,
                }
                for one in presentation.comparisons
            ],
            "decision": presentation.decision,
            "standings": presentation.standings,
            "cut": cut,
        }
    )


def _inert(content: bytes) -> str:
    """JSON that can end no script element and begin no comment."""
    return content.decode().replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
