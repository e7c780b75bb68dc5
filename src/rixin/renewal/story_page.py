"""A Story as one HTML file that needs nothing else: no server, no network, no script. It can be printed and sent."""

import html
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from tempfile import NamedTemporaryFile

from rixin.errors import InvalidRequest
from rixin.evaluation import page_policy, page_theme
from rixin.renewal.standing import Arm
from rixin.renewal.story import (
    ComplaintExample,
    Role,
    ScoreChange,
    Sentence,
    Story,
    StoryCheck,
    StoryStep,
)
from rixin.renewal.story_picture import MARKS, bar, change, circle, tone_of
from rixin.renewal.story_words import (
    CANARY_OUTCOMES,
    DROPPED,
    OUTCOMES,
    STEP_NAMES,
    WORDS,
    Language,
    word,
)
from rixin.renewal.wording import REASON_WORDS, duration_of, energy_of

ROLES: tuple[Role, ...] = ("primary", "guard", "floor", "shown")


def render(story: Story, language: Language) -> str:
    """The whole file. Texts of people and models are text in it, and can become nothing else."""
    style = page_theme() + files("rixin.renewal").joinpath("pages", "story.css").read_text("utf-8")
    page = _Page(story, language)
    title = html.escape(page.sentence(story.headline))
    return (
        f'<!doctype html>\n<html lang="{"zh-CN" if language == "zh" else "en"}">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{html.escape(page_policy(style))}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">\n'
        f"<title>{title}</title>\n<style>{style}</style>\n</head>\n<body>\n{page.body()}\n</body>\n</html>\n"
    )


def write_story(story: Story, path: Path, language: Language) -> None:
    """Write the file whole, or leave what was there. Raises InvalidRequest for a path that can't be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile("w", dir=path.parent, prefix=".story-", encoding="utf-8", delete=False) as out:
            draft = Path(out.name)
            try:
                out.write(render(story, language))
                out.flush()
                os.fsync(out.fileno())
                draft.chmod(0o644)
                draft.replace(path)
            except BaseException:
                draft.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise InvalidRequest(f"The story can't be written: {error.strerror}.", where=str(path)) from None


class _Page:
    """The parts of the page in one language."""

    def __init__(self, story: Story, language: Language) -> None:
        self.story = story
        self.language = language

    def body(self) -> str:
        story = self.story
        parts: list[tuple[str, Callable[[], str], object]] = [
            ("summary", self._summary, story.summary),
            ("circle", self._circle, True),
            ("complaints", self._complaints, story.complaints),
            ("learned", self._learned, story.learned),
            ("better", self._better, story.scores),
            ("gate", self._gate, story.gate),
            ("canary", self._canary, story.canary),
            ("next", self._next, story.next),
            ("cost", self._cost, story.cost.seconds),
            ("versions", self._versions, story.versions),
        ]
        sections = "\n".join(
            f"<section>\n<h2>{self.word(name)}</h2>\n{make()}\n</section>" for name, make, there in parts if there
        )
        made = f"{self.word('made')} <code>{_text(story.id)}</code>"
        return f"{self._header()}\n<main>\n{sections}\n</main>\n<footer><p>{made}</p></footer>"

    def word(self, key: str) -> str:
        return _text(word(WORDS, key, self.language))

    def sentence(self, one: Sentence) -> str:
        return self.either(one.said, one.said_zh)

    def either(self, english: str, chinese: str) -> str:
        return chinese if self.language == "zh" else english

    def _header(self) -> str:
        story = self.story
        outcome = word(OUTCOMES, story.outcome or story.status, self.language)
        facts = [f'<span class="chip {tone_of(story)}">{_text(outcome)}</span>', f"<span>{_text(story.alias)}</span>"]
        if story.started_at is not None:
            facts.append(f"<span>{self.word('began')} {_moment(story.started_at)}</span>")
        if story.finished_at is not None:
            facts.append(f"<span>{self.word('ended')} {_moment(story.finished_at)}</span>")
        return (
            f'<header>\n<p class="brand">日新 Rixin · {self.word("story")}</p>\n'
            f"<h1>{_text(self.sentence(story.headline))}</h1>\n"
            f'<p class="facts">{"".join(facts)}</p>\n</header>'
        )

    def _summary(self) -> str:
        lines = "".join(f"<li>{_text(self.sentence(one))}</li>" for one in self.story.summary)
        return f'<ul class="summary">{lines}</ul>'

    def _circle(self) -> str:
        steps = "".join(map(self._step, self.story.steps))
        return f'<div class="circle">{circle(self.story, self.language)}<ol class="steps">{steps}</ol></div>'

    def _step(self, step: StoryStep) -> str:
        took = duration_of(step.seconds, int(self.language == "zh")) if step.seconds >= 1 else ""
        name = _text(word(STEP_NAMES, step.name, self.language))
        said = _text(self.either(step.said, step.said_zh))
        return (
            f'<li class="{step.state}"><span class="mark">{MARKS.get(step.state, "○")}</span>'
            f'<span><b>{name}</b> {said}</span><span class="soft">{took}</span></li>'
        )

    def _complaints(self) -> str:
        found = self.story.complaints
        assert found is not None, "`body` has looked"
        tiles = self._tiles(
            ("judged", found.items),
            ("people", found.people),
            ("corrections", found.corrections),
            ("disliked", found.disliked),
            ("liked", found.liked),
            ("preferences", found.preferences),
        )
        most = max((one.count for one in found.reasons), default=1)
        reasons = "".join(
            f"<tr><td>{_text(word(REASON_WORDS, one.reason, self.language))}</td>"
            f'<td class="bar">{bar(one.count / most)}</td><td class="number">{one.count}</td></tr>'
            for one in found.reasons
        )
        table = f'<h3>{self.word("reasons")}</h3><table class="bars">{reasons}</table>' if reasons else ""
        examples = "".join(map(self._example, found.examples))
        shown = f"<h3>{self.word('examples')}</h3>{examples}" if examples else ""
        return f'{tiles}<div class="two"><div>{table}</div><div>{shown}</div></div>'

    def _example(self, one: ComplaintExample) -> str:
        lines = [("question", one.question), ("answer", one.answer)]
        if one.correction:
            lines.append(("correction", one.correction))
        said = "".join(f'<p><span class="label">{self.word(name)}</span>{_text(text)}</p>' for name, text in lines)
        reasons = ", ".join(word(REASON_WORDS, reason, self.language) for reason in one.reasons)
        return f"<blockquote>{said}{f'<p class=soft>{_text(reasons)}</p>' if reasons else ''}</blockquote>"

    def _learned(self) -> str:
        found = self.story.learned
        assert found is not None, "`body` has looked"
        parts = [
            self._tiles(
                ("rows", sum(one.rows for one in found.datasets)),
                ("corrections", found.corrections),
                ("preferences", found.preferences),
                ("earlier", found.earlier),
                ("held_out", found.held_out),
            )
        ]
        if found.replay is not None:
            parts.append(
                f'<p class="soft">{self.word("replay")}: {_text(found.replay)} ({found.replay_share:.0%}).</p>'
            )
        if found.dropped:
            names = self.either(", ", "、").join(
                f"{word(DROPPED, one.reason, self.language)} {one.count}" for one in found.dropped
            )
            parts.append(f"<h3>{self.word('dropped')}</h3><p>{_text(names)}</p>")
        if found.doubted:
            rows = [
                (_text(one.name), f"{one.doubted} / {one.corrections}", _p_value(one.p_value)) for one in found.doubted
            ]
            parts.append(
                f"<h3>{self.word('doubted')}</h3>{self._table(('account', 'contradict', 'chance'), rows, numbers=1)}"
            )
        return "".join(parts)

    def _better(self) -> str:
        """One table, so that the columns of what had to get better and of what had to hold stand under each other."""
        heads = ("what", "difference", "before", "after", "", "p", "gained", "items")
        groups = []
        for role in ROLES:
            rows = [self._change(one) for one in self.story.scores if one.role == role]
            if rows:
                groups.append(
                    f'<tr><th class="group" colspan="{len(heads)}">{self.word(role)}</th></tr>{_rows(rows, 1)}'
                )
        return self._framed(heads, "".join(groups), numbers=1)

    def _change(self, one: ScoreChange) -> tuple[str, ...]:
        interval = ""
        if one.low is not None and one.high is not None:
            interval = f'<br><span class="soft">{_points(one, one.low)} … {_points(one, one.high)}</span>'
        tone = _tone(one)
        drawn = change(one.before, one.after, tone) if one.higher_is_better else ""
        return (
            f'<span class="soft">{_text(one.suite_title)}</span><br>{_text(one.task)} · {_text(one.metric)}',
            f'<span class="tone {tone}">{_points(one, one.difference)}</span>{interval}',
            _score(one, one.before),
            _score(one, one.after),
            drawn,
            "" if one.p_better is None else _p_value(one.p_better),
            f"+{one.gained} −{one.lost}" if one.p_better is not None else "",
            str(one.items),
        )

    def _gate(self) -> str:
        found = self.story.gate
        assert found is not None, "`body` has looked"
        said = _text(self.either(found.said, found.said_zh))
        checks = "".join(map(self._check, found.checks))
        tone = "good" if found.promote else "mid"
        return f'<p class="tone {tone}">{said}</p><ul class="checks">{checks}</ul>'

    def _check(self, one: StoryCheck) -> str:
        mark, tone = ("✓", "good") if one.passed else ("✕", "bad")
        said = _text(self.either(one.said, one.said_zh))
        return f'<li class="{tone}"><span class="mark">{mark}</span>{said}</li>'

    def _canary(self) -> str:
        found = self.story.canary
        assert found is not None, "`body` has looked"
        outcome = "" if found.outcome is None else word(CANARY_OUTCOMES, found.outcome, self.language)
        tone = {"promoted": "good", "rolled_back": "bad"}.get(found.outcome or "", "mid")
        said = _text(self.either(found.said, found.said_zh))
        chip = f'<span class="chip {tone}">{_text(outcome)}</span> ' if outcome else ""
        if found.standing is None:
            return f"<p>{chip}{said}</p>"
        heads = ("version", "answers", "judged_answers", "score", "failed", "first_token", "speed")
        rows = [self._arm("old", found.standing.a), self._arm("new", found.standing.b)]
        return f"<p>{chip}{said}</p>{self._table(heads, rows, numbers=1)}"

    def _arm(self, name: str, arm: Arm) -> tuple[str, ...]:
        return (
            f"{self.word(name)} <code>{_text(arm.version_id)}</code>",
            str(arm.answers),
            str(arm.judged),
            "–" if arm.score is None else f"{arm.score:.0%}",
            str(arm.failed),
            "–" if arm.first_token_ms is None else f"{arm.first_token_ms / 1000:.2f} s",
            "–" if arm.tokens_per_second is None else f"{arm.tokens_per_second:.0f}",
        )

    def _next(self) -> str:
        lines = "".join(f"<li>{_code(self.sentence(one))}</li>" for one in self.story.next)
        return f'<ul class="summary">{lines}</ul>'

    def _cost(self) -> str:
        cost = self.story.cost
        tiles: list[tuple[str, object]] = [
            ("time", duration_of(cost.seconds, int(self.language == "zh"))),
            ("core_hours", f"{cost.core_hours:.1f}"),
            ("energy", energy_of(cost.kilowatt_hours)),
        ]
        if cost.price is not None:
            tiles.append(("price", f"{cost.price:.2f}"))
        return self._tiles(*tiles)

    def _versions(self) -> str:
        rows = []
        for one in self.story.versions:
            name = "old" if one.role == "before" else "new"
            notes = [self.word("current")] if one.current else []
            notes += [] if one.there else [self.word("removed")]
            rows.append(
                (
                    self.word(name),
                    f"{_text(one.model)} <code>{_text(one.id)}</code>",
                    _text(" ".join(notes)),
                    " ".join(f"<code>{_text(report)}</code>" for report in one.report_ids),
                )
            )
        return self._table(("", "version", "", "reports"), rows, numbers=9)

    def _tiles(self, *tiles: tuple[str, object]) -> str:
        cells = "".join(f"<div><dt>{self.word(name)}</dt><dd>{_text(str(value))}</dd></div>" for name, value in tiles)
        return f'<dl class="tiles">{cells}</dl>'

    def _table(self, heads: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: int) -> str:
        """A table of cells that are markup already; from column `numbers` on they are figures."""
        return self._framed(heads, _rows(rows, numbers), numbers=numbers)

    def _framed(self, heads: Sequence[str], body: str, *, numbers: int) -> str:
        head = "".join(
            f'<th class="{_kind(at, numbers)}">{self.word(name) if name else ""}</th>' for at, name in enumerate(heads)
        )
        return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _rows(rows: Iterable[Sequence[str]], numbers: int) -> str:
    return "".join(f"<tr>{''.join(_cells(row, numbers))}</tr>" for row in rows)


def _cells(row: Sequence[str], numbers: int) -> Iterator[str]:
    for at, cell in enumerate(row):
        yield f'<td class="{_kind(at, numbers)}">{cell}</td>'


def _kind(at: int, numbers: int) -> str:
    return "number" if at >= numbers else "what" if at == 0 else ""


def _text(text: str) -> str:
    return html.escape(text, quote=True)


def _code(text: str) -> str:
    """Text with `commands` set as code."""
    return "".join(f"<code>{_text(part)}</code>" if at % 2 else _text(part) for at, part in enumerate(text.split("`")))


def _moment(at: datetime) -> str:
    return at.astimezone().strftime("%Y-%m-%d %H:%M")


def _score(one: ScoreChange, value: float) -> str:
    return f"{100 * value:.1f}%" if one.higher_is_better else f"{value:.3f}"


def _points(one: ScoreChange, value: float) -> str:
    shown = f"{100 * value:+.1f}" if one.higher_is_better else f"{value:+.3f}"
    return shown.replace("-", "−")


def _tone(one: ScoreChange) -> str:
    """Good or bad only where the interval says so."""
    if one.low is None or one.high is None:
        return ""
    return "good" if one.low > 0 else "bad" if one.high < 0 else ""


def _p_value(value: float) -> str:
    return "&lt; 0.001" if value < 0.001 else f"{value:.3f}"
