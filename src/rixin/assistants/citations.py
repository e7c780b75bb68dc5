"""Citations checked while an answer is made: marks that lead somewhere, quotations that are in the source.

Text comes in pieces cut anywhere; what is decided never depends on where. A mark is judged against its claim: the
text before it, back to the mark or the end of the sentence before. What counts is in `evidence`: the passage must have
every figure of the claim that nobody gave, and enough of its terms, rare ones weighing more. A mark that doesn't hold
gives way to the passage that says it, or to words that say that none does. How good this is, `benchmarks` measures
otherwise: by the pairs of characters that a sentence shares with the one place that is quoted for it.
"""

import re
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from rixin.assistants.evidence import Evidence, Support, plain, terms
from rixin.assistants.figures import without_figures
from rixin.assistants.passages import Passage

KEEP_SHARE = 0.25  # of a claim's terms, below which a mark of the model's is dropped
ATTACH_SHARE = 0.45  # from which a passage is attached that the model did not name
BETTER_BY = 0.3  # a passage that says so much more of the claim takes the place of the one named
MIN_CLAIM_TERMS = 3
MIN_QUOTE = 8
MAX_QUOTE = 600
MAX_MARK = 24
MOST_GROUNDS = 2
MOST_QUOTED = 3  # passages word for word under an answer, cited or not

_OPEN = "[【［"
_MARK = re.compile(
    r"[\[【［]\s*(?:资料|来源|出处|段落|passages?|sources?|docs?)?\s*#?"
    r"(\d{1,3}(?:\s*[,，、;；\-–—]\s*(?:资料|passage)?\s*\d{1,3})*)\s*[\]】］]",
    re.I,
)
_MAY_BE_MARK = re.compile(
    r"[\[【［]\s*(?:[资来出段料源处落]{0,2}|[passagedourc]{0,8})\s*#?[\d\s,，、;；\-–—资料passage]*", re.I
)
# Small models write the prompt's fences instead of marks.
_FENCE = re.compile(r"<(/?)passage\s*(\d{1,3})?[^>\n]{0,200}>", re.I)
_MAY_BE_FENCE = re.compile(r"<(?:/?(?:p(?:a(?:s(?:s(?:a(?:g(?:e[^>\n]{0,200})?)?)?)?)?)?)?)?", re.I)
_QUOTES = {"“": "”", "「": "」", "『": "』", '"': '"'}
_ENDS = "。！？!?；;\n"
_CLOSERS = "”’」』）)*_"
# "…, this is by [2]": what is said of the source comes behind its mark, however much stands before it.
_LATE_POINTER = re.compile(r"(?<=[，,是即])(?:根据|依据|按照|依照)\s*$")
_POINTER = re.compile(
    r"(?:(?<![一-鿿])(?:根据|依据|按照|依照|参见|详见|见|如)|\b(?:according to|based on|see|per|in|from))\s*$", re.I
)

By = Literal["model", "match"]
NoteKind = Literal["unknown_mark", "unsupported_mark", "replaced_mark", "quote_removed"]


class Annotation(Struct, frozen=True, kw_only=True):
    """A mark `[number]` at `content[start:stop]` (code points), and the place that it leads to.

    `quote` is the sentence of the source that says it; `by` who chose the passage, the model or a comparison of words.
    """

    start: int
    stop: int
    number: int
    by: By
    url: str
    title: str
    quote: str
    library: str
    document_id: str
    chunk_id: str
    metadata: dict[str, str]


class Note(Struct, frozen=True, kw_only=True):
    """What was changed in an answer at the position `at`; `text` is what the model had written."""

    kind: NoteKind
    at: int
    text: str


REMOVED = {"zh": "（此处引文在资料中找不到，已删去）", "en": "(quotation removed: not found in the source)"}
THE_SOURCE = {"zh": "资料", "en": "the documents"}
UNSUPPORTED = {"zh": "（资料中找不到依据）", "en": " (not found in the documents)"}


class CitedText:
    """Takes a model's text in, gives what may be shown out. `said` is what people wrote, which may be quoted too."""

    def __init__(
        self, passages: Sequence[Passage], *, said: str = "", language: str = "en", check_quotes: bool = True
    ) -> None:
        self._given = said
        self._know(passages)
        self._said = plain(said)
        self._language = language if language in REMOVED else "en"
        self._check_quotes = check_quotes
        self._buffer = ""
        self._shown: list[str] = []
        self._length = 0
        self._claim = ""  # since the last mark or end of a sentence
        self._sentence = ""
        self._marked = False  # the sentence has a mark
        self._dropped = False  # the sentence had one that its passage doesn't support
        self._marks: list[tuple[int, str]] = []  # read, and not yet judged; with what the model wrote
        self._later: list[tuple[int, str]] = []  # stood before their claim: judged with the whole sentence
        self._fence = ""
        self._ending = ""
        self.annotations: list[Annotation] = []
        self.notes: list[Note] = []

    def learn(self, passages: Sequence[Passage], said: str) -> None:
        """All passages that may be cited from here on, those of before first; and more that may be quoted."""
        if len(passages) != len(self._passages):
            self._know(passages)
        self._said += plain(said)

    def _know(self, passages: Sequence[Passage]) -> None:
        self._passages = tuple(passages)
        self._by_number = {passage.number: index for index, passage in enumerate(passages)}
        self._evidence = Evidence(
            [passage.hit.text for passage in passages],
            [passage.distinct_names(passages) for passage in passages],
            self._given,
        )

    @property
    def text(self) -> str:
        """All that was given out."""
        return "".join(self._shown)

    @property
    def comparable(self) -> bool:
        """Whether words can tell at all that a passage says this: not where all of them are in another script."""
        return any(self._evidence.comparable(self.text, index) for index in range(len(self._passages)))

    def feed(self, text: str) -> str:
        """More of the model's text in; what can be shown of it out."""
        before = len(self._shown)
        self._buffer += text
        while self._buffer and self._step(last=False):
            pass
        return "".join(self._shown[before:])

    def finish(self) -> str:
        """The rest. Nothing may be fed after it."""
        before = len(self._shown)
        while self._buffer:
            self._step(last=True)
        self._close()
        self.notes += [Note(kind="unsupported_mark", at=self._length, text=written) for _, written in self._later]
        return "".join(self._shown[before:])

    def grounds(self, heading: str) -> str:
        """The cited passages themselves, word for word, each with its mark; nothing where none is cited."""
        before = len(self._shown)
        for place, chunk_id in enumerate(list(dict.fromkeys(one.chunk_id for one in self.annotations))[:MOST_GROUNDS]):
            index = next(at for at, passage in enumerate(self._passages) if passage.hit.chunk_id == chunk_id)
            passage = self._passages[index]
            claim = " ".join(one.quote for one in self.annotations if one.chunk_id == chunk_id)
            start, stop = self._evidence.around(index, claim)
            text = " ".join(passage.hit.text[start:stop].split())
            self._show(f"\n\n{heading}" if not place else "")
            self._show(f"\n> {passage.hit.title}：{text}")
            self._annotate(index, (start, stop), next(one.by for one in self.annotations if one.chunk_id == chunk_id))
        return "".join(self._shown[before:])

    def close_by(self, heading: str, question: str, most: int, *, after: int) -> str:
        """The first `most` passages behind number `after` that nothing cites, word for word and without a mark."""
        cited = {one.chunk_id for one in self.annotations}
        uncited = [at for at, passage in enumerate(self._passages) if passage.hit.chunk_id not in cited]
        left = [at for at in uncited if self._passages[at].number > after][:most]
        before = len(self._shown)
        for index in left:
            start, stop = self._evidence.around(index, question)
            hit = self._passages[index].hit
            self._show(f"\n\n{heading}" if index == left[0] else "")
            self._show(f"\n> {hit.title}：{' '.join(hit.text[start:stop].split())}")
        return "".join(self._shown[before:])

    def _step(self, *, last: bool) -> bool:
        """Take one thing off the buffer; False if it takes more text to know what it is."""
        first = self._buffer[0]
        if first == "`":
            return self._backticks(last=last)
        if self._fence:
            if self._fence == "`" and first == "\n":
                self._fence = ""
            self._take(1)
            return True
        if first in _OPEN:
            return self._mark(last=last)
        if first == "<":
            return self._copied_fence(last=last)
        if self._ending and first in _CLOSERS and not self._marks:
            self._ending += first
            self._buffer = self._buffer[1:]
            return True
        if self._ending and first in " \t\u3000":
            self._ending += first
            self._buffer = self._buffer[1:]
            return True
        if self._ending:
            self._close()
        if first in _QUOTES and self._check_quotes:
            return self._quotation(last=last)
        if first in _ENDS:
            self._end(first)
            return True
        if first == ".":
            if len(self._buffer) == 1 and not last:
                return False
            follows = self._buffer[1:2]
            if (not follows or follows.isspace()) and not self._sentence[-1:].isdigit() and len(self._sentence) > 2:
                self._end(first)
                return True
        self._settle()
        self._take(1)
        return True

    def _take(self, length: int) -> None:
        piece, self._buffer = self._buffer[:length], self._buffer[length:]
        self._claim += piece
        self._sentence += piece
        self._show(piece)

    def _show(self, text: str) -> None:
        if text:
            self._shown.append(text)
            self._length += len(text)

    def _end(self, mark: str) -> None:
        self._ending, self._buffer = mark, self._buffer[1:]
        if mark == "\n":
            self._close()

    def _backticks(self, *, last: bool) -> bool:
        run = len(self._buffer) - len(self._buffer.lstrip("`"))
        if run == len(self._buffer) and run < 3 and not last:
            return False
        if self._ending:
            self._close()
        self._settle()
        ticks = "`" * min(run, 3)
        if not self._fence:
            self._fence = "```" if run >= 3 else "`" if run == 1 else ""
        elif self._fence == ticks:
            self._fence = ""
        self._take(len(ticks))
        return True

    def _mark(self, *, last: bool) -> bool:
        window = self._buffer[:MAX_MARK]
        if found := _MARK.match(window):
            self._buffer = self._buffer[found.end() :]
            self._read(found[0], found[1])
            return True
        if not last and len(window) < MAX_MARK and _MAY_BE_MARK.fullmatch(window):
            return False
        if self._ending:
            self._close()
        self._settle()
        self._take(1)
        return True

    def _copied_fence(self, *, last: bool) -> bool:
        if found := _FENCE.match(self._buffer):
            self._buffer = self._buffer[found.end() :]
            if found[2] and not found[1]:
                self._read(found[0], found[2])
            return True
        if not last and _MAY_BE_FENCE.fullmatch(self._buffer):
            return False
        if self._ending:
            self._close()
        self._settle()
        self._take(1)
        return True

    def _read(self, written: str, numbers: str) -> None:
        wanted: list[int] = []
        for part in re.split(r"[,，、;；]", numbers):
            ends = [int(number) for number in re.findall(r"\d+", part)]
            wanted += range(ends[0], ends[-1] + 1) if len(ends) == 2 and 0 <= ends[1] - ends[0] < 20 else ends
        for number in wanted:
            if number in self._by_number:
                self._marks.append((self._by_number[number], written))
            else:
                self.notes.append(Note(kind="unknown_mark", at=self._length, text=written))
        if self._ending:
            return
        if _LATE_POINTER.search(self._claim):
            self._later += self._marks
            self._marks.clear()
            self._show(THE_SOURCE[self._language])
        elif len(terms(self._claim)) < MIN_CLAIM_TERMS and _POINTER.search(self._claim):
            # "According to [1], …": the mark stands for the source itself, and is judged with the claim that follows.
            self._show(THE_SOURCE[self._language])

    def _quotation(self, *, last: bool) -> bool:
        opened = self._buffer[0]
        window = self._buffer[: MAX_QUOTE + 2]
        stop = window.find(_QUOTES[opened], 1)
        line = window.find("\n", 1)
        if stop < 0 and line < 0 and len(window) < MAX_QUOTE + 2 and not last:
            return False
        self._settle()
        if stop < 0 or 0 <= line < stop:
            self._take(1)
            return True
        inner = window[1:stop]
        words = _MARK.sub("", inner)
        self._buffer = "".join(found[0] for found in _MARK.finditer(inner)) + self._buffer[stop + 1 :]
        whole = f"{opened}{words}{_QUOTES[opened]}"
        if len(plain(words)) < MIN_QUOTE or self._is_said(words):
            self._claim += whole
            self._sentence += whole
            self._show(whole)
            return True
        self.notes.append(Note(kind="quote_removed", at=self._length, text=whole))
        self._sentence += " "
        self._show(REMOVED[self._language])
        return True

    def _is_said(self, words: str) -> bool:
        """Whether each part of a quotation (… leaves out what is between) is in a source, or in what people wrote."""
        parts = [part.strip("，。、；：,.;: ") for part in re.split(r"…+|\.{3,}", words)]
        return all(self._evidence.holds(part) or plain(part) in self._said for part in parts if part)

    def _settle(self) -> None:
        """Text goes on after marks in mid-sentence: judge them now, unless the claim is still to come."""
        if len(terms(self._claim)) < MIN_CLAIM_TERMS:
            self._later += self._marks
            self._marks.clear()
        elif self._marks and self._judge(self._claim):
            self._claim, self._marked = "", True

    def _close(self) -> None:
        """The sentence is over: judge its marks, attach a passage if it has none, and show how it ended."""
        self._marks = self._later + self._marks
        if not terms(self._sentence):  # an empty line: what stands before it is about what comes after
            self._show(self._ending)
            self._later, self._marks, self._ending, self._claim, self._sentence = self._marks, [], "", "", ""
            return
        about = self._sentence if self._later or len(terms(self._claim)) < MIN_CLAIM_TERMS else self._claim
        if self._marks and self._judge(about):
            self._marked = True
        if not self._marked and not self._sentence.lstrip().startswith(("|", "#")):
            self._marked = self._attach(self._sentence)
        if self._dropped and not self._marked:
            self._show(UNSUPPORTED[self._language])
        self._show(self._ending)
        self._ending = self._claim = self._sentence = ""
        self._marks, self._later = [], []
        self._marked = self._dropped = False

    def _judge(self, claim: str) -> bool:
        """Show the marks that hold; whether there was one."""
        support = self._evidence.support(claim)
        best = max(support, key=lambda one: one.share)
        chosen: dict[int, By] = {}
        for index, written in self._marks:
            mine = support[index]
            if not self._evidence.comparable(claim, index) and self._evidence.has_figures(claim, index):
                chosen.setdefault(index, "model")
            elif best.share - mine.share >= BETTER_BY and self._says(best, claim):
                self.notes.append(Note(kind="replaced_mark", at=self._length, text=written))
                chosen.setdefault(best.index, "match")
            elif _enough(mine, KEEP_SHARE):
                chosen.setdefault(index, "model")
            else:
                self.notes.append(Note(kind="unsupported_mark", at=self._length, text=written))
                self._dropped = True
        self._marks.clear()
        for index, by in chosen.items():
            self._annotate(index, self._evidence.snippet(index, claim), by)
        return bool(chosen)

    def _attach(self, claim: str) -> bool:
        """Name the passage that says a claim without a mark; whether there is one."""
        if len(terms(claim)) < MIN_CLAIM_TERMS or not self._passages:
            return False
        best = max(self._evidence.support(claim), key=lambda one: one.share)
        if not self._says(best, claim):
            return False
        self._annotate(best.index, self._evidence.snippet(best.index, claim), "match")
        return True

    def _says(self, best: Support, claim: str) -> bool:
        """Whether a passage that the model did not name says a claim: more of it than the same number of days."""
        if not _enough(best, ATTACH_SHARE):
            return False
        bare = without_figures(claim)
        return not terms(bare) or self._evidence.support(bare)[best.index].terms >= 2

    def _annotate(self, index: int, place: tuple[int, int], by: By) -> None:
        passage = self._passages[index]
        start, stop = place
        mark = f"[{passage.number}]"
        self.annotations.append(
            Annotation(
                start=self._length,
                stop=self._length + len(mark),
                number=passage.number,
                by=by,
                url=passage.url(passage.hit.start + start, passage.hit.start + stop),
                title=passage.label(),
                quote=passage.hit.text[start:stop],
                library=passage.hit.library,
                document_id=passage.hit.document_id,
                chunk_id=passage.hit.chunk_id,
                metadata=passage.hit.metadata,
            )
        )
        self._show(mark)


def _enough(support: Support, share: float) -> bool:
    return support.share >= share and support.terms >= 2
