"""Has a Version seen the questions? Long word sequences that a suite shares with what a Version learned from."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from rixin.data import AnyExample, Datasets
from rixin.errors import NotFound
from rixin.models import Registry, Version

# GPT-3's and Llama's papers take 13 words; 30 characters of Chinese say about as much.
WORDS = 13
CHARACTERS = 30
# A text shorter than a whole window counts if all of it is there, unless it is so short that chance would do it.
LEAST_WORDS = 8
LEAST_CHARACTERS = 14
_TOKEN = re.compile(r"[㐀-鿿]|[^\W_㐀-鿿]+")
_CHINESE = re.compile(r"[㐀-鿿]")
_DATASET = re.compile(r"d_[0-9a-f]{12}")


class Finding(Struct, frozen=True, kw_only=True):
    """An item of a suite that lies in a dataset: what of it, and where."""

    item: str
    dataset: str
    place: str
    text: str


def lineage(version: Version, registry: Registry) -> list[Version]:
    """The Version and all it descends from, itself first."""
    known = {one.id: one for one in registry.versions()}
    found, waiting = {}, [version]
    while waiting:
        one = waiting.pop(0)
        if one.id not in found:
            found[one.id] = one
            waiting += [known[parent] for parent in one.parents if parent in known]
    return list(found.values())


def datasets_of(versions: Iterable[Version]) -> list[str]:
    """The ids of every dataset version that their cards name, in order."""
    return list(dict.fromkeys(name for version in versions for name in _names(version.card.get("data"))))


def contamination(
    items: Mapping[str, Sequence[str]], version: Version, registry: Registry, datasets: Datasets
) -> tuple[list[Finding], list[str]]:
    """Each item (by name, with its texts) that the Version's lineage was trained on, and what could not be looked at.

    One finding an item and dataset. Weights that came from elsewhere bring no data to look at, which is said.
    """
    found: list[Finding] = []
    index = Index(items)
    line = lineage(version, registry)
    notes = [
        f"Nothing is known of what {one.model_name} ({one.id}) was trained on."
        for one in line
        if not one.card.get("data")
    ]
    for name in datasets_of(line):
        try:
            known = datasets.get(name)
        except NotFound:
            notes.append(f"The dataset {name} is gone, so it could not be looked at.")
            continue
        seen: set[str] = set()
        for example in datasets.open(known):
            for text in texts(example):
                for item, shared in index.search(text):
                    if item not in seen:
                        seen.add(item)
                        found.append(
                            Finding(item=item, dataset=f"{known.name} ({name})", place=example.source, text=shared)
                        )
    return found, notes


class Index:
    """Windows of the items' texts, to be found in other texts."""

    def __init__(self, items: Mapping[str, Sequence[str]]) -> None:
        self._windows: dict[int, dict[tuple[str, ...], list[str]]] = defaultdict(dict)
        # Each text by itself: a short question is found although its item has long articles beside it.
        for name, run in ((name, run) for name, texts in items.items() for text in texts for run in _runs(text)):
            size, least = _sizes(run)
            if len(run) >= least:
                for window in _windows(run, min(size, len(run))):
                    self._windows[len(window)].setdefault(window, []).append(name)

    def search(self, text: str) -> Iterator[tuple[str, str]]:
        """Each item of which a window is in `text`, with that window; an item may come more than once."""
        for run in _runs(text):
            for size, known in self._windows.items():
                for window in _windows(run, size):
                    for name in known.get(window, ()):
                        yield name, ("" if _CHINESE.match(window[0]) else " ").join(window)


def texts(example: AnyExample) -> Iterator[str]:
    """Every text of an example that a model may have learned from."""
    for name in ("messages", "prompt", "chosen", "rejected", "completion"):
        for turn in getattr(example, name, ()):
            yield turn.content
    for name in ("text", "answer"):
        value = getattr(example, name, None)
        if isinstance(value, str):
            yield value


def _runs(text: str) -> Iterator[tuple[str, ...]]:
    """The text's tokens: words, or Chinese characters, whichever is more of it; the others are left out."""
    tokens = _TOKEN.findall(unicodedata.normalize("NFKC", text).lower())
    chinese = tuple(token for token in tokens if _CHINESE.match(token))
    words = tuple(token for token in tokens if not _CHINESE.match(token))
    yield from (run for run in (chinese, words) if run)


def _sizes(run: Sequence[str]) -> tuple[int, int]:
    return (CHARACTERS, LEAST_CHARACTERS) if _CHINESE.match(run[0]) else (WORDS, LEAST_WORDS)


def _windows(run: tuple[str, ...], size: int) -> Iterator[tuple[str, ...]]:
    return (run[at : at + size] for at in range(len(run) - size + 1))


def _names(value: object) -> Iterator[str]:
    """Dataset ids anywhere in a part of a card."""
    if isinstance(value, str):
        yield from _DATASET.findall(value)
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _names(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _names(one)
