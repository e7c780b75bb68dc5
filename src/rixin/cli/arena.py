"""`rixin arena`: people choose between two answers, blind, and the votes make a ranking."""

import getpass
import sys
from typing import Annotated

from cyclopts import App, Parameter

from rixin.cli.paint import printable
from rixin.cli.progress import ProgressLine
from rixin.cli.tables import print_json, print_table
from rixin.errors import InvalidRequest, NotFound
from rixin.evaluation import Arena, Match, judgements, pair_up, read_samples, require_lm_eval, standings, verdicts
from rixin.models import Registry
from rixin.workspace import open_workspace

app = App(name="arena", help="Choose between answers without knowing whose they are.")

AsJson = Annotated[bool, Parameter("--json")]
KEYS = {"1": 1.0, "2": 0.0, "t": 0.5}


@app.command
def vote(
    a: str, b: str, *, suite: str | None = None, voter: str | None = None, items: int = 10, seed: int | None = None
) -> None:
    """Choose the better of two answers, item by item; whose they are is not shown.

    Parameters
    ----------
    a
        A report's id, or a model (its newest report).
    b
        Another one, on the same suite.
    suite
        With models: their newest reports on this suite; its folder, if it is not one of `rixin eval suites`.
    voter
        Who votes; your name on this machine if left out.
    items
        How many to show at most.
    seed
        For the order of items and sides; drawn if left out.
    """
    require_lm_eval()
    with open_workspace() as workspace, ProgressLine() as line:
        service = workspace.evaluations
        chosen = service.suite(suite) if suite else None
        name = chosen.name if chosen else None
        first, second = service.find(a, suite=name), service.find(b, suite=name)
        if first.suite_hash != second.suite_hash:
            raise InvalidRequest(f"The reports are of different suites, {first.suite} and {second.suite}.")
        if first.version == second.version:
            raise InvalidRequest("Both reports are of one version.", fix="Name two versions.")
        questions = service.questions(chosen or service.suite(first.suite), line.report)
        pairs = pair_up(read_samples(service.folder(first.id)), read_samples(service.folder(second.id)), questions)
        arena, person = Arena(workspace.database), voter or getpass.getuser()
        matches = arena.matches(first.suite, first.version, second.version, pairs, person, seed=seed)
        kept = 0
        for at, match in enumerate(matches[:items], 1):
            key = _ask(match, f"{at} of {min(items, len(matches))}")
            if key == "q":
                break
            if key in KEYS:
                score = match.score_of_b(KEYS[key])
                arena.vote(first.suite, first.version, second.version, match.pair, score, person)
                kept += 1
    print(f"{kept} votes of {person} kept. `rixin arena standings --suite {first.suite}` shows what they say.")
    if not matches:
        print("There is no pair left on which you have not voted.", file=sys.stderr)


@app.command(name="standings")
def show(*, suite: str | None = None, with_judge: bool = False, as_json: AsJson = False) -> None:
    """Rank the versions by people's votes: Bradley-Terry strengths with 95% intervals.

    Parameters
    ----------
    suite
        Only votes on this suite.
    with_judge
        Count the verdicts of judges too, one vote an item.
    as_json
        As JSON, for programs.
    """
    require_lm_eval()
    with open_workspace() as workspace:
        votes = Arena(workspace.database).votes(suite)
        people = len(votes)
        if with_judge:
            votes += verdicts(judgements(workspace.evaluations, suite=suite))
        ranked = standings(votes)
        names = {version: _name(workspace.models, version) for version in ranked}
    if as_json:
        print_json([{"version": version, "model": names[version], **vars(one)} for version, one in ranked.items()])
        return
    rows = [
        (str(at), names[version], version, f"{one.value:+.2f}", f"{one.low:+.2f} … {one.high:+.2f}", f"{one.votes:g}")
        for at, (version, one) in enumerate(ranked.items(), 1)
    ]
    print_table(("", "MODEL", "VERSION", "STRENGTH", "95% INTERVAL", "VOTES"), rows)
    judged = f", {len(votes) - people} verdicts of judges" if with_judge else ""
    print(f"{people} votes of people{judged}. Strength: log-odds; 0.7 more wins two of three.")


def _ask(match: Match, place: str) -> str:
    left, right = match.shown
    print(printable(f"\n━━ {place} ━━\n{match.pair.question}\n\n── 1 ──\n{left}\n\n── 2 ──\n{right}\n"))
    while True:
        try:
            key = input("Which is better? 1, 2, t (tie), s (skip), q (quit): ").strip().lower()
        except EOFError:
            return "q"
        if key in (*KEYS, "s", "q"):
            return key


def _name(models: Registry, version: str) -> str:
    try:
        return models.resolve(version).model_name
    except NotFound:
        return "(removed)"
