"""`rixin rollback` and `rixin canary`: back to the version before, and a new version on a share of conversations."""

import sys
from typing import Annotated

import msgspec
from cyclopts import App, Parameter

from rixin.cli.tables import print_json, print_table
from rixin.errors import NotFound
from rixin.models import DEFAULT_ALIAS
from rixin.renewal import Canary, CanaryRules, Standing
from rixin.renewal.canary import SHARE
from rixin.renewal.standing import read_rules
from rixin.workspace import open_workspace

app = App(name="canary", help="Try a version on a share of an alias's conversations.")

AsJson = Annotated[bool, Parameter("--json")]
DEFAULTS = CanaryRules()
HEAD = ("", "version", "answers", "judged", "score", "failed", "first token", "tokens/s")


def rollback(alias: str = DEFAULT_ALIAS) -> None:
    """Take the newest change of an alias back: its canary if it has one, else its last move.

    It takes effect with the next question; answers under way end as they began.

    Parameters
    ----------
    alias
        The alias.
    """
    with open_workspace() as workspace:
        version_id = workspace.models.rollback(alias).version_id
        name = workspace.models.get(version_id).model_name
    print(f"{alias} now means {name} ({version_id}) for every conversation.", file=sys.stderr)


@app.command
def start(
    alias: str,
    version: str,
    *,
    share: float = SHARE,
    alpha: float = DEFAULTS.alpha,
    margin: float = DEFAULTS.margin,
    least: int = DEFAULTS.least,
    longest_hours: float = DEFAULTS.longest_hours,
) -> None:
    """Let a version answer a share of the alias's conversations; a running server decides on it by itself.

    Parameters
    ----------
    alias
        The alias.
    version
        A version's id, or a model (its newest version).
    share
        The part of the conversations, above 0.
    alpha
        The chance to be wrong in each claim, however often one looks.
    margin
        It is promoted when its mean score (0 to 1) is for sure not lower by more than this.
    least
        The judged conversations that each side needs before a promotion.
    longest_hours
        After so long without proof the old version stays.
    """
    rules = read_rules({"alpha": alpha, "margin": margin, "least": least, "longest_hours": longest_hours})
    with open_workspace() as workspace:
        canary = workspace.canaries.start(alias, version, share=share, rules=rules)
    print(f"{canary.version_id} answers {share:.0%} of the conversations with {alias}.", file=sys.stderr)


@app.command
def show(alias: str = DEFAULT_ALIAS, *, as_json: AsJson = False) -> None:
    """How the alias's canary stands now, or how the last one ended.

    Parameters
    ----------
    alias
        The alias.
    as_json
        As JSON, for programs.
    """
    with open_workspace() as workspace:
        canary = _newest(workspace.canaries.history(alias), alias)
        standing = workspace.canaries.look(canary.id)
    if as_json:
        print_json({"canary": msgspec.to_builtins(canary), "standing": msgspec.to_builtins(standing)})
        return
    print_table(HEAD, _rows(standing))
    print(standing.said if canary.outcome is None else f"{canary.outcome}: {canary.reason}", file=sys.stderr)


@app.command
def stop(alias: str = DEFAULT_ALIAS) -> None:
    """End the alias's canary: every conversation is the old version's again.

    Parameters
    ----------
    alias
        The alias.
    """
    with open_workspace() as workspace:
        canary = workspace.canaries.of(alias)
        if canary is None:
            raise NotFound(f"{alias!r} has no canary.", fix="`rixin canary start` begins one.")
        workspace.canaries.roll_back(canary.id, "stopped by hand")
    print(f"Every conversation with {alias} goes to {canary.baseline_id} again.", file=sys.stderr)


def _newest(history: list[Canary], alias: str) -> Canary:
    if not history:
        raise NotFound(f"{alias!r} has never had a canary.", fix="`rixin canary start` begins one.")
    return history[0]


def _rows(standing: Standing) -> list[tuple[str, ...]]:
    return [
        (
            name,
            arm.version_id,
            str(arm.answers),
            f"{arm.judged} in {arm.conversations}",
            "–" if arm.score is None else f"{arm.score:.2f}",
            str(arm.failed),
            "–" if arm.first_token_ms is None else f"{arm.first_token_ms / 1000:.2f} s",
            "–" if arm.tokens_per_second is None else f"{arm.tokens_per_second:.0f}",
        )
        for name, arm in (("now", standing.a), ("canary", standing.b))
    ]
