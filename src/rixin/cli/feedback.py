"""`rixin feedback`: what people said of answers, for the machine's administrator."""

import sys
from typing import Annotated, Literal

import msgspec
from cyclopts import App, Parameter

from rixin.cli.keys import owner
from rixin.cli.tables import print_json, print_table
from rixin.errors import InvalidRequest
from rixin.gateway import Principal
from rixin.renewal import Feedback, Rating, Withdrawn
from rixin.workspace import Workspace, open_workspace

app = App(name="feedback", help="List, show, count, withdraw and export what people said of answers.")

AsJson = Annotated[bool, Parameter("--json")]
MACHINE = Principal(user_id="", role="admin")
RATINGS: dict[str, Rating] = {"up": 1, "down": -1}


@app.command(name="list")
def show_all(*, rating: Literal["up", "down"] | None = None, limit: int = 30, as_json: AsJson = False) -> None:
    """List what was said, the latest first.

    Parameters
    ----------
    rating
        Only this.
    limit
        At most so many.
    as_json
        As JSON, for programs.
    """
    if limit < 1:
        raise InvalidRequest("--limit is at least 1.")
    with open_workspace() as workspace:
        found = _latest(workspace, RATINGS.get(rating or ""), limit)
    if as_json:
        print_json(msgspec.to_builtins(found))
        return
    print_table(("FEEDBACK", "SAID", "WHO", "MODEL", "VERSION", "QUESTION"), [_row(one) for one in found])
    if not found:
        print("Nobody said anything yet. The thumbs are under every answer of the page.", file=sys.stderr)


@app.command
def show(feedback: str, *, as_json: AsJson = False) -> None:
    """Show one: the question, the answer, what was said of it.

    Parameters
    ----------
    feedback
        Its id.
    as_json
        As JSON, for programs.
    """
    with open_workspace() as workspace:
        facts = msgspec.to_builtins(workspace.feedback.get(feedback))
    if as_json:
        print_json(facts)
        return
    facts["person"] = facts["person"] and facts["person"]["name"]
    facts["reasons"] = ", ".join(facts["reasons"])
    width = max(map(len, facts))
    for name, value in facts.items():
        if value not in (None, ""):
            print(f"{name.replace('_', ' '):<{width}}  {value}")


@app.command
def summary(*, as_json: AsJson = False) -> None:
    """Count what was said of each version.

    Parameters
    ----------
    as_json
        As JSON, for programs.
    """
    with open_workspace() as workspace:
        versions = workspace.feedback.summary()
    if as_json:
        print_json(msgspec.to_builtins(versions))
        return
    rows = [
        (
            one.version_id,
            one.model,
            *(str(count) for count in (one.up, one.down, one.corrected, one.preferred)),
            ", ".join(f"{reason} {count}" for reason, count in one.reasons.items()),
        )
        for one in versions
    ]
    print_table(("VERSION", "MODEL", "UP", "DOWN", "CORRECTED", "PREFERRED", "REASONS"), rows)


@app.command
def withdraw(*feedback: str, user: str | None = None) -> None:
    """Take feedback back, from every dataset too; models that learned from it are marked.

    Parameters
    ----------
    feedback
        The ids of what is to go.
    user
        All that this person said instead.
    """
    if bool(feedback) == (user is not None):
        raise InvalidRequest("Name what is to go: ids, or --user NAME.")
    with open_workspace() as workspace:
        if user is not None:
            done = [workspace.feedback.withdraw_all(owner(workspace.accounts, user).id)]
        else:
            done = [workspace.feedback.withdraw(MACHINE, one) for one in feedback]
    _report(done)


@app.command
def export() -> None:
    """Print what may be learned from now, without personal data: a JSON object a line."""
    with open_workspace() as workspace:
        items = workspace.feedback.learnable()
    for item in items:
        print(msgspec.json.encode(item).decode())
    if not items:
        print("Nothing may be learned from: see RIXIN_LEARN_FROM, and who agreed.", file=sys.stderr)


def _latest(workspace: Workspace, rating: Rating | None, limit: int) -> list[Feedback]:
    found: list[Feedback] = []
    cursor = None
    while len(found) < limit:
        page = workspace.feedback.page(MACHINE, cursor=cursor, limit=min(limit - len(found), 100), rating=rating)
        found += page.data
        cursor = page.next
        if cursor is None:
            break
    return found


def _row(one: Feedback) -> tuple[str, ...]:
    thumb = {1: "up", -1: "down", None: ""}[one.rating]
    said = [thumb, *one.reasons, "corrected" if one.correction else "", one.preferred or ""]
    who = one.person.name if one.person is not None else ""
    question = " ".join(one.question.split())
    short = question if len(question) <= 40 else question[:39] + "…"
    return one.id, " ".join(part for part in said if part), who, one.model, one.version_id, short


def _report(done: list[Withdrawn]) -> None:
    print(f"{sum(one.feedback for one in done)} withdrawn.", file=sys.stderr)
    for one in done:
        for gone in one.replaced:
            after = f", {gone.new} is in its place" if gone.new else ""
            print(f"The dataset {gone.old} is gone{after}.", file=sys.stderr)
        for version in one.versions_marked:
            print(f"The version {version} had learned from it, and is marked.", file=sys.stderr)
