"""One answer while it is made: the text of a model in, checked and cited text out; and what it rests on."""

from rixin.assistants.acting import Shown
from rixin.assistants.assistant import Assistant
from rixin.assistants.citations import MOST_GROUNDS, MOST_QUOTED, CitedText
from rixin.assistants.grounded import Grounded, Grounding, ToolUse, asked_of, called_of, sources_of
from rixin.assistants.grounding import GroundedPrompt
from rixin.assistants.refusal import RefusalWatch, nearest_places, refusal, refuses, unsupported
from rixin.assistants.tools.builtin import LibrarySearch
from rixin.assistants.tools.running import Asked, Called
from rixin.knowledge import Found

GROUNDS = {"zh": "依据：", "en": "From the sources:"}
CLOSE_BY = {"zh": "相近的内容：", "en": "See also:"}


class Making:
    """`found` is None for an assistant without Libraries, whose text is not checked; `said` is what people wrote."""

    def __init__(
        self, assistant: Assistant, prompt: GroundedPrompt, query: str, found: Found | None, language: str, said: str
    ) -> None:
        self._assistant = assistant
        self._prompt = prompt
        self._query = query
        self._found = found
        self._language = language
        self._watch = RefusalWatch(language) if found is not None else None
        self._cited = CitedText(
            prompt.passages, said=said, language=language, check_quotes=assistant.policy.quotes == "check"
        )
        self._grounded = found is not None
        self._doubted = False
        self._helped = False  # a tool gave what the answer may rest on
        self._turned = False  # tools were called since the last text
        self._begun: dict[str, ToolUse] = {}
        self._uses: list[ToolUse] = []
        self.shown = Shown(prompt.passages)
        self.refused = False
        self._taken_back = False
        self._content = ""

    def doubt(self) -> None:
        """The documents that were found do not settle the question: the model may speak once a tool has helped it."""
        self._doubted = True

    def act(self, event: Asked | Called) -> None:
        """A tool is called, or has answered."""
        if isinstance(event, Asked):
            self._begun[event.id] = asked_of(event)
            return
        self._uses.append(called_of(event, self._begun.pop(event.id, None)))
        self._turned = True
        if event.outcome == "ok":
            self._cited.learn(self.shown.passages, event.text)
            self._helped = self._helped or bool(event.passages) or event.tool != LibrarySearch.name

    def take(self, text: str) -> str:
        """Text that follows; gives what of it can be shown now."""
        if self._doubted and not self._helped:
            return ""
        if self._turned and text:
            text, self._turned = (f"\n\n{text}" if self._content.strip() else text), False
        if not self._grounded:
            return self._keep(text)
        if self._watch is not None:
            text = self._watch.feed(text)
            if self._watch.refused:
                return self.refuse()
        return self._keep(self._cited.feed(text))

    def finish(self) -> str:
        """What was held back, and what must be said behind an answer that nothing supports."""
        if not self._grounded:
            return ""
        if self._doubted and not self._helped:
            return self.refuse()
        rest = self._cited.feed(self._watch.rest() if self._watch is not None else "") + self._cited.finish()
        whole = self._content + rest
        if not self._cited.annotations and refuses(whole, self._language):
            self.refused = True
            rest += "\n\n" + nearest_places(self.shown.passages, self._language)
        elif not self._cited.annotations and whole.strip() and not self._helped:
            # Of 11 answers of a 1.5B model without support to questions of law that have an answer 8 were wrong.
            strict = self._assistant.policy.refuse_when_unsure
            self.refused = self._taken_back = strict and not self._uses and self._cited.comparable
            rest += "\n\n" + unsupported(self.shown.passages, self._language, settled=not self._taken_back)
        if self._assistant.policy.quote_sources and whole.strip() and (self._taken_back or not self.refused):
            rest += self._quoted()
        return self._keep(rest)

    def _quoted(self) -> str:
        """What is cited, word for word, and what else the search put first: a small model misses half of it."""
        cited = min(len({one.chunk_id for one in self._cited.annotations}), MOST_GROUNDS)
        grounds = self._cited.grounds(GROUNDS[self._language])
        return grounds + self._cited.close_by(
            CLOSE_BY[self._language], self._query, MOST_QUOTED - cited, after=self._prompt.shown_before
        )

    def refuse(self) -> str:
        """The house's own words instead of the model's."""
        self.refused = True
        return self._keep(refusal(self.shown.passages, self._language))

    def grounded(self) -> Grounded:
        """The whole, after `finish` or `refuse`."""
        return Grounded(
            content=self._content,
            annotations=() if self.refused else tuple(self._cited.annotations),
            grounding=Grounding(
                assistant=self._assistant.version,
                query=self._query,
                confidence=0.0 if self._found is None else self._found.confidence,
                refused=self.refused,
                budget=self._prompt.budget,
                sources=sources_of(self.shown.passages),
                notes=tuple(self._cited.notes),
                tools=tuple(self._uses),
            ),
        )

    def _keep(self, text: str) -> str:
        self._content += text
        return text
