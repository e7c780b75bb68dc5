"""Long word sequences that two texts share: how a question of a suite is found in what is learned."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

# GPT-3's and Llama's papers take 13 words; 30 characters of Chinese say about as much.
WORDS = 13
CHARACTERS = 30
# A text shorter than a whole window counts if all of it is there, unless it is so short that chance would do it.
LEAST_WORDS = 8
LEAST_CHARACTERS = 14
# A window that more items have is their form (instructions, the head of a contract), not what one of them asks.
MOST_SHARING = 2
_TOKEN = re.compile(r"[㐀-鿿]|[^\W_㐀-鿿]+")
_CHINESE = re.compile(r"[㐀-鿿]")

Run = str | tuple[str, ...]  # Chinese characters, or words


class Windows:
    """Windows of the items' texts (by the item's name), to be found in other texts."""

    def __init__(self, items: Mapping[str, Sequence[str]]) -> None:
        self._windows: dict[int, dict[Run, list[str]]] = defaultdict(dict)
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
                        yield name, window if isinstance(window, str) else " ".join(window)

    def owned(self) -> Counter[str]:
        """How many windows each item has that hardly any other has."""
        counts: Counter[str] = Counter()
        for known in self._windows.values():
            for names in map(set, known.values()):
                if len(names) <= MOST_SHARING:
                    counts.update(names)
        return counts

    def own_windows(self, text: str) -> dict[str, dict[str, None]]:
        """The windows in `text` that hardly any item has, in their order, by the items that have them."""
        sharing: dict[str, set[str]] = defaultdict(set)
        for name, shared in self.search(text):
            sharing[shared].add(name)
        found: dict[str, dict[str, None]] = defaultdict(dict)
        for shared, names in sharing.items():
            if len(names) <= MOST_SHARING:
                for name in sorted(names):
                    found[name][shared] = None
        return found

    def own(self, text: str) -> tuple[str, str] | None:
        """An item of which a window is in `text` that hardly any other item has, with that window."""
        return next(((name, next(iter(shared))) for name, shared in self.own_windows(text).items()), None)


def _runs(text: str) -> Iterator[Run]:
    """The text's words, and its Chinese characters, each without the other."""
    tokens = _TOKEN.findall(unicodedata.normalize("NFKC", text).lower())
    chinese = "".join(token for token in tokens if _CHINESE.match(token))
    words = tuple(token for token in tokens if not _CHINESE.match(token))
    yield from (run for run in (chinese, words) if run)


def _sizes(run: Run) -> tuple[int, int]:
    return (CHARACTERS, LEAST_CHARACTERS) if isinstance(run, str) else (WORDS, LEAST_WORDS)


def _windows(run: Run, size: int) -> Iterator[Run]:
    return (run[at : at + size] for at in range(len(run) - size + 1))
