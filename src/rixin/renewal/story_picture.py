"""The pictures of a Story's page, as SVG: the circle of ten steps, bars, and a score before and now."""

import html
import math

from rixin.renewal.story import Story, StoryStep
from rixin.renewal.story_words import OUTCOMES, STEP_NAMES, Language, word
from rixin.renewal.wording import duration_of

WIDTH, HEIGHT = 540, 450
RADIUS = 150
NODE = 20
MARKS = {"done": "✓", "failed": "✕", "running": "●", "skipped": "–"}


def circle(story: Story, language: Language) -> str:
    """The ten steps around what came of them."""
    count = len(story.steps)
    angles = [2 * math.pi * at / count - math.pi / 2 for at in range(count)]
    parts = [_arc(angles[at], angles[(at + 1) % count], _closed(story, at)) for at in range(count)]
    parts += [
        _node(step, at, angle, language) for at, (step, angle) in enumerate(zip(story.steps, angles, strict=True))
    ]
    centre = html.escape(word(OUTCOMES, story.outcome or story.status, language))
    alias = html.escape(story.alias)
    said = html.escape(story.headline.said_zh if language == "zh" else story.headline.said, quote=True)
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{said}" class="{tone_of(story)}">'
        f"{''.join(parts)}"
        f'<text class="centre" x="{WIDTH / 2}" y="{HEIGHT / 2 - 2}">{centre}</text>'
        f'<text class="small" x="{WIDTH / 2}" y="{HEIGHT / 2 + 24}">{alias}</text></svg>'
    )


def bar(share: float) -> str:
    """A bar of this share of the whole width."""
    width = 100 * min(max(share, 0.0), 1.0)
    return (
        '<svg viewBox="0 0 100 12" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect width="{width:.1f}" height="12" rx="1"/></svg>'
    )


def change(before: float, after: float, tone: str) -> str:
    """Two shares on a line from 0 to 1: a ring where it was, a dot where it is."""
    left, right = (6 + 188 * min(max(value, 0.0), 1.0) for value in (before, after))
    return (
        f'<svg class="change {tone}" viewBox="0 0 200 22" aria-hidden="true">'
        '<line class="track" x1="6" x2="194" y1="11" y2="11"/>'
        f'<line class="move" x1="{left:.1f}" x2="{right:.1f}" y1="11" y2="11"/>'
        f'<circle class="before" cx="{left:.1f}" cy="11" r="5"/>'
        f'<circle class="after" cx="{right:.1f}" cy="11" r="5.5"/></svg>'
    )


def tone_of(story: Story) -> str:
    """Whether what came of it is good, bad, or neither."""
    if story.status == "failed" or story.outcome == "rolled_back":
        return "bad"
    return "good" if story.outcome == "promoted" else "mid"


def _closed(story: Story, at: int) -> bool:
    """Whether the way from this step to the next was gone; the last leads to the next Cycle's first."""
    here = story.steps[at]
    if at == len(story.steps) - 1:
        return here.state == "done"
    there = story.steps[at + 1]
    return here.state in ("done", "skipped") and there.state not in ("waiting", "skipped")


def _arc(start: float, end: float, done: bool) -> str:
    gap = (NODE + 7) / RADIUS
    end = end if end > start else end + 2 * math.pi
    (x1, y1), (x2, y2) = _place(start + gap, RADIUS), _place(end - gap, RADIUS)
    state = " done" if done else ""
    return f'<path class="arc{state}" d="M{x1:.1f} {y1:.1f}A{RADIUS} {RADIUS} 0 0 1 {x2:.1f} {y2:.1f}"/>'


def _node(step: StoryStep, at: int, angle: float, language: Language) -> str:
    x, y = _place(angle, RADIUS)
    outward, upward = math.cos(angle), math.sin(angle)
    side = "left" if outward < -0.2 else "right" if outward > 0.2 else ""
    label_x, label_y = _place(angle, RADIUS + NODE + 14)
    took = duration_of(step.seconds, int(language == "zh")) if step.seconds >= 1 else ""
    lift = 13 * upward - (9 if took else 0)  # above the circle its two lines end there, below it they begin there
    name = html.escape(word(STEP_NAMES, step.name, language))
    second = f'<text class="small {side}" x="{label_x:.1f}" y="{label_y + lift + 24:.1f}">{took}</text>' if took else ""
    return (
        f'<g class="node {step.state}"><circle cx="{x:.1f}" cy="{y:.1f}" r="{NODE}"/>'
        f'<text x="{x:.1f}" y="{y + 6:.1f}">{MARKS.get(step.state, at + 1)}</text></g>'
        f'<text class="{side}" x="{label_x:.1f}" y="{label_y + lift + 6:.1f}">{name}</text>{second}'
    )


def _place(angle: float, radius: float) -> tuple[float, float]:
    return WIDTH / 2 + radius * math.cos(angle), HEIGHT / 2 + radius * math.sin(angle)
