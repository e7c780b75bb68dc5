"""What suites ask: what is learned must not have it."""

from collections import Counter
from collections.abc import Mapping, Sequence

from rixin.data import AnyExample, Windows, texts

# A run of words that more examples share is how the house writes (the sentences of its contracts), not what one item
# asks: of 140 corrections of clauses made by templates two thirds shared such a run with one of ten held-out ones.
MOST_SHARING = 2
# An item of which most is there is asked, however often; one of which only a phrase is there is not: of 40 such
# corrections 17 had a phrase of a held-out one that no third had, none of them more than 7% of it.
MOST_OF_IT, LEAST_OF_IT = 0.8, 0.2


class Asked:
    """The questions of suites, by item, to be found in examples."""

    def __init__(self, questions: Mapping[str, str]) -> None:
        self._index = Windows({name: (text,) for name, text in questions.items()})
        self._owned = self._index.owned()
        self._whole = {_plain(text): name for name, text in questions.items()}

    def find(self, examples: Sequence[AnyExample]) -> list[str | None]:
        """For each example the item that is asked in it, if one is.

        It is by its whole text, by most of its runs of words, or by a part of them that hardly any other example has.
        """
        found = [self._runs(example) for example in examples]
        sharing = Counter(run for runs in found for run in set().union(*runs.values()))
        return [self._asked(example, runs, sharing) for example, runs in zip(examples, found, strict=True)]

    def _runs(self, example: AnyExample) -> dict[str, set[str]]:
        runs: dict[str, set[str]] = {}
        for text in texts(example):
            for name, shared in self._index.own_windows(text).items():
                runs[name] = runs.get(name, set()) | set(shared)
        return runs

    def _asked(self, example: AnyExample, runs: Mapping[str, set[str]], sharing: Counter[str]) -> str | None:
        for text in texts(example):
            if (whole := self._whole.get(_plain(text))) is not None:
                return whole
        return next(
            (
                name
                for name, shared in runs.items()
                if len(shared) >= MOST_OF_IT * self._owned[name]
                or sum(sharing[run] <= MOST_SHARING for run in shared) >= LEAST_OF_IT * self._owned[name]
            ),
            None,
        )


def _plain(text: str) -> str:
    return " ".join(text.split())
