"""What suites ask: what is learned must not have it."""

from collections import defaultdict
from collections.abc import Mapping

from rixin.data import AnyExample, Windows, texts

# A run of words that more items share is their form (instructions, the head of a contract), not what one of them asks.
MOST_SHARING = 2


class Asked:
    """The questions of suites, by item, to be found in examples."""

    def __init__(self, questions: Mapping[str, str]) -> None:
        self._index = Windows({name: (text,) for name, text in questions.items()})
        self._whole = {_plain(text): name for name, text in questions.items()}

    def find(self, example: AnyExample) -> str | None:
        """The item that is asked in the example: by its whole text, or by a long run of words of its own."""
        for text in texts(example):
            if (whole := self._whole.get(_plain(text))) is not None:
                return whole
            sharing: dict[str, set[str]] = defaultdict(set)
            for name, shared in self._index.search(text):
                sharing[shared].add(name)
            for names in sharing.values():
                if len(names) <= MOST_SHARING:
                    return min(names)
        return None


def _plain(text: str) -> str:
    return " ".join(text.split())
