"""From a dataset's rows to what an objective learns from; what doesn't fit is counted, and said."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, NoReturn, TypeVar

from rixin.data import (
    AnyExample,
    ChatExample,
    LabelledExample,
    PreferenceExample,
    Rendered,
    TaskExample,
    TextExample,
    Turn,
    render_answers,
    render_chat,
    render_prompt,
    render_text,
)
from rixin.errors import InvalidRequest, TemplateError
from rixin.text import ChatTemplate, Tokens
from rixin.training.objectives.causal import Windows
from rixin.training.objectives.trees import Branch, Tree, branch, tree
from rixin.training.rollout import Prompt

TooLong = Literal["leave_out", "cut"]
Lesson = TypeVar("Lesson")


@dataclass
class Fit:
    """What became of `rows` rows, of which none may have more than `context` tokens (of a pair, each side).

    `cut` are learned from but for their end. Left out are those that are `too_long`, `unlearnable` (nothing to
    predict is left of them) and `alike` (pairs whose sides are the same).
    """

    context: int
    rows: int = 0
    cut: int = 0
    too_long: int = 0
    unlearnable: int = 0
    alike: int = 0

    @property
    def left_out(self) -> int:
        """Rows that nothing is learned from."""
        return self.too_long + self.unlearnable + self.alike

    def __str__(self) -> str:
        parts = [
            (self.cut, f"cut to {self.context} tokens"),
            (self.too_long, f"left out, longer than {self.context} tokens"),
            (self.unlearnable, "left out, nothing to learn in them"),
            (self.alike, "left out, both sides alike"),
        ]
        said = ", ".join(f"{count} {what}" for count, what in parts if count)
        return f"{self.rows} rows: {self.rows - self.left_out} to learn from" + (f" ({said})" if said else "")

    def require(self, kept: int) -> None:
        """Raises InvalidRequest that says where all rows went, if none is kept."""
        if kept:
            return
        if not self.rows:
            raise InvalidRequest("The data has no rows.", fix="`rixin data check FILE` says why.", param="data")
        where = [
            (self.too_long, f"longer than the context of {self.context} tokens"),
            (self.unlearnable, "without anything to learn"),
            (self.alike, "with both sides alike"),
        ]
        said = ", ".join(f"{count} {what}" for count, what in where if count)
        fix = "Raise `--context`, or shorten the rows." if self.too_long else "`rixin data show --mask` shows what is."
        raise InvalidRequest(f"0 of {self.rows} rows are left: {said}.", fix=fix, param="data")


@dataclass(frozen=True)
class Lessons:
    """What is learned from, in the rows' order. `good` has the labels of labelled answers, one a tree."""

    trees: Sequence[Tree]
    fit: Fit
    good: list[bool] = field(default_factory=list)


@dataclass(frozen=True)
class Texts:
    """Plain text to learn from, and how many characters it has."""

    windows: Windows
    fit: Fit
    characters: int


@dataclass(frozen=True)
class Prompts:
    """Tasks to try answers to."""

    prompts: list[Prompt]
    fit: Fit


class Reader:
    """Turns rows into lessons, with the tokens and the template that the model is served with.

    All methods raise InvalidRequest for a row of a kind that they don't teach with, or if no row is left, and
    TemplateError that names the row which the model's template can't render. `for_held_out` is for rows that nothing
    is learned from: none of them need be left.
    """

    def __init__(self, tokens: Tokens, context: int, *, too_long: TooLong = "leave_out") -> None:
        self.tokens = tokens
        self.context = context
        self.too_long = too_long
        self._may_be_empty = False

    def for_held_out(self) -> "Reader":
        """The same, but for rows to validate on: that all of them are left out is no error."""
        reader = Reader(self.tokens, self.context, too_long=self.too_long)
        reader._may_be_empty = True
        return reader

    def conversations(self, rows: Iterable[AnyExample]) -> Lessons:
        """For SFT and distillation. Where a template rewrites earlier answers, each answer is a lesson of its own."""
        fit = Fit(self.context)

        def made(row: AnyExample) -> Iterator[Tree]:
            if not isinstance(row, ChatExample):
                _unfit(row, "chat", "conversations")
            for one in render_answers(self._template(), self.tokens, row.messages, row.tools):
                whole = tree((), *self._branches([one], 0))
                if kept := self._fitted(whole, fit):
                    yield kept

        return Lessons(self._all(rows, made, fit), fit)

    def pairs(self, rows: Iterable[AnyExample]) -> Lessons:
        """For DPO and reward models: the prompt, then the chosen and the rejected answer."""
        fit = Fit(self.context)

        def made(row: AnyExample) -> Iterator[Tree]:
            if not isinstance(row, PreferenceExample):
                _unfit(row, "preference", "pairs of a chosen and a rejected answer")
            pair = self._answers(row, row.prompt, (row.chosen, row.rejected))
            if (kept := self._fitted(pair, fit)) is None:
                return
            chosen, rejected = (one.tokens.tolist() for one in kept.branches)
            if chosen == rejected:
                fit.alike += 1
            else:
                yield kept

        return Lessons(self._all(rows, made, fit), fit)

    def labelled(self, rows: Iterable[AnyExample]) -> Lessons:
        """For KTO. A pair counts as a good and a bad answer."""
        fit = Fit(self.context)
        good: list[bool] = []

        def made(row: AnyExample) -> Iterator[Tree]:
            if isinstance(row, PreferenceExample):
                answers = [(row.chosen, True), (row.rejected, False)]
            elif isinstance(row, LabelledExample):
                answers = [(row.completion, row.label)]
            else:
                _unfit(row, "labelled", "answers that are each marked good or bad")
            fit.rows += len(answers) - 1
            for answer, label in answers:
                if kept := self._fitted(self._answers(row, row.prompt, (answer,)), fit):
                    good.append(label)
                    yield kept

        return Lessons(self._all(rows, made, fit), fit, good)

    def texts(self, rows: Iterable[AnyExample]) -> Texts:
        """For pretraining and continued pretraining. A long text is cut into pieces of which none is lost."""
        fit = Fit(self.context)
        characters = 0

        def made(row: AnyExample) -> Iterator[list[int]]:
            nonlocal characters
            if not isinstance(row, TextExample):
                _unfit(row, "text", "plain text")
            characters += len(row.text)
            yield render_text(self.tokens, row.text).tokens

        windows = Windows(_each(rows, made, fit), length=self.context)
        if not self._may_be_empty:
            fit.require(len(windows))
        return Texts(windows, fit, characters)

    def tasks(self, rows: Iterable[AnyExample], *, answer_tokens: int, any_prompt: bool = False) -> Prompts:
        """For GRPO; `answer_tokens` must fit behind each prompt.

        With `any_prompt` conversations and pairs serve too, for a reward that needs nothing but the prompt.
        """
        fit = Fit(self.context - answer_tokens)

        def made(row: AnyExample) -> Iterator[Prompt]:
            task = _task(row) if any_prompt else row
            if not isinstance(task, TaskExample):
                _unfit(row, "task", "tasks whose answers can be checked")
            prompt = render_prompt(self._template(), self.tokens, task.prompt, task.tools)
            if len(prompt) > fit.context:
                fit.too_long += 1
            else:
                yield Prompt(prompt, task)

        return Prompts(self._all(rows, made, fit), fit)

    def _all(
        self, rows: Iterable[AnyExample], made: Callable[[AnyExample], Iterator[Lesson]], fit: Fit
    ) -> list[Lesson]:
        found = list(_each(rows, made, fit))
        if not self._may_be_empty:
            fit.require(len(found))
        return found

    def _answers(
        self, row: PreferenceExample | LabelledExample, prompt: Sequence[Turn], answers: Sequence[Sequence[Turn]]
    ) -> Tree:
        template = self._template()
        made = [
            render_chat(template, self.tokens, [*prompt, *answer], row.tools, learn_from=len(prompt))
            for answer in answers
        ]
        shared = min(one.predict.index(True) if True in one.predict else len(one.tokens) for one in made)
        first = made[0].tokens
        while any(one.tokens[:shared] != first[:shared] for one in made):
            shared -= 1  # a template may write what is before an answer according to what is in it
        return tree(first[:shared], *self._branches(made, shared))

    def _branches(self, made: Sequence[Rendered], start: int) -> list[Branch]:
        """The tokens from `start` to the last one that is predicted: what follows it changes nothing."""
        found = []
        for one in made:
            stop = max((at + 1 for at, wanted in enumerate(one.predict) if wanted), default=start)
            found.append(branch(one.tokens[start:stop], one.predict[start:stop]))
        return found

    def _fitted(self, made: Tree, fit: Fit) -> Tree | None:
        """The tree, cut if it may be, or None if nothing can be learned from it; either is counted."""
        room = self.context - len(made.prefix)
        if any(len(one.tokens) > room for one in made.branches):
            if self.too_long == "leave_out" or room < 1:
                fit.too_long += 1
                return None
            fit.cut += 1
            made = Tree(made.prefix, tuple(Branch(one.tokens[:room], one.predict[:room]) for one in made.branches))
        at_first = 0 if len(made.prefix) else 1
        if any(not one.predict[at_first:].any() for one in made.branches):
            fit.unlearnable += 1
            return None
        return made

    def _template(self) -> ChatTemplate:
        if self.tokens.template is None:
            raise TemplateError(
                "The model has no chat template, so it can't learn from conversations.",
                fix="Take an instruct model, or train on plain text with `rixin train continue`.",
            )
        return self.tokens.template


def _each(rows: Iterable[AnyExample], made: Callable[[AnyExample], Iterator[Lesson]], fit: Fit) -> Iterator[Lesson]:
    for row in rows:
        fit.rows += 1
        with _place(row):
            yield from made(row)


@contextmanager
def _place(row: AnyExample) -> Iterator[None]:
    """Says which row it was that a template could not render."""
    try:
        yield
    except TemplateError as error:
        where = ": ".join(part for part in (row.source, error.where) if part)
        raise TemplateError(error.message, where=where or None, fix=error.fix) from None


def _task(row: AnyExample) -> AnyExample:
    if isinstance(row, PreferenceExample):
        return TaskExample(prompt=row.prompt, tools=row.tools, source=row.source)
    if isinstance(row, ChatExample):
        last = max((at for at, turn in enumerate(row.messages) if turn.role == "assistant"), default=0)
        return TaskExample(prompt=row.messages[:last] or row.messages, tools=row.tools, source=row.source)
    return row


def _unfit(row: AnyExample, kind: str, wanted: str) -> NoReturn:
    raise InvalidRequest(
        f"This recipe learns from {wanted} (rows of the kind {kind!r}); this row is of the kind {row.kind!r}.",
        where=row.source or None,
        fix=f"Give a dataset of that kind, or, if the file has such rows, add it with `rixin data add --kind {kind}`.",
        param="data",
    )
