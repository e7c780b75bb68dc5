"""A Workspace in which people gave feedback, and Cycles of seconds."""

import random
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from anyio.from_thread import start_blocking_portal

from rixin.engines import Message
from rixin.models import Registry
from rixin.renewal import Cycle, RenewalPlan, plan_of
from rixin.renewal.answered import document_of
from rixin.renewal.opinions import Context
from rixin.settings import Settings
from rixin.store import FeedbackRow, TrainingConsentRow, UserRow, new_id
from rixin.workspace import Workspace
from tiny_runs import make_tiny_home, wait_until

OPEN = "We open at nine."


def make_cycle_home(home: Path, scratch: Path, **settings: object) -> None:
    """A RIXIN_HOME whose `chat` is the model `tiny`, with people who agreed to be learned from."""
    make_tiny_home(home, scratch, **settings)
    with Workspace(Settings.model_validate({"home": home, **settings})) as workspace:
        workspace.models.set_alias("chat", "tiny")
        for name in ("ann", "ben", "cho"):
            add_person(workspace, name)


def add_person(workspace: Workspace, name: str) -> str:
    """Somebody who agreed to be learned from; the id."""
    person = f"u_{name}"
    with workspace.database.write() as session:
        session.add(UserRow(id=person, name=name, name_key=name, password_hash="-", role="member"))
        session.flush()
        session.add(TrainingConsentRow(id=new_id("tc"), user_id=person, given=True))
    return person


def correct(
    workspace: Workspace,
    count: int,
    *,
    correction: str = OPEN,
    first: int = 0,
    people: Collection[str] = ("ann", "ben"),
) -> None:
    """People ask so many different questions, and correct every answer in the same way."""
    _say(workspace, count, first, people, answer="no", rating=-1, reasons=["wrong"], correction=correction)


def like(
    workspace: Workspace, count: int, *, answer: str, first: int = 0, people: Collection[str] = ("ann", "ben")
) -> None:
    """People ask so many different questions, and like every answer."""
    _say(workspace, count, first, people, answer=answer, rating=1, reasons=["correct"], correction=None)


def dislike(workspace: Workspace, count: int, *, first: int = 0, people: Collection[str] = ("ann", "ben")) -> None:
    """People ask so many different questions, like no answer, and correct none."""
    _say(workspace, count, first, people, answer="no", rating=-1, reasons=["wrong"], correction=None)


def prefer(
    workspace: Workspace,
    count: int,
    *,
    better: str,
    worse: str,
    first: int = 0,
    people: Collection[str] = ("ann", "ben"),
) -> None:
    """People ask so many different questions twice, and like every second answer better."""
    _say(workspace, count, first, people, answer=worse, other=better)


def _say(
    workspace: Workspace,
    count: int,
    first: int,
    people: Collection[str],
    *,
    answer: str,
    other: str | None = None,
    rating: int | None = None,
    reasons: Sequence[str] = (),
    correction: str | None = None,
) -> None:
    names = sorted(people)
    draw = random.Random(first)
    version = pointed(workspace.models)
    with workspace.database.write() as session:
        for number in range(first, first + count):
            asked = f"{number} " + "".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=12)) + "?"
            context = Context(
                question=asked,
                answer=answer,
                written=answer,
                messages=(Message(role="user", content=asked),),
                other_answer=other,
                other_written=other,
                same_prompt=other is not None,
            )
            session.add(
                FeedbackRow(
                    id=f"f_{number:06}",
                    kind="answer" if other is None else "preference",
                    owner_id=f"u_{names[number % len(names)]}",
                    source="page",
                    message_id=f"m_{number}",
                    other_message_id="" if other is None else f"n_{number}",
                    model="chat",
                    version_id=version,
                    other_version_id=None if other is None else version,
                    rating=rating,
                    reasons=list(reasons),
                    correction=correction,
                    preferred=None if other is None else "second",
                    context=document_of(context),
                )
            )


def pointed(models: Registry) -> str:
    """The id of what `chat` means."""
    alias = models.alias("chat")
    assert alias is not None
    return alias.version_id


def tiny_plan(**fields: object) -> RenewalPlan:
    """A plan of seconds, without general guards: the tiny model knows nothing that it could forget."""
    training = {"epochs": 12, "learning_rate_factor": 3.0}
    return plan_of({"guards": [], "slower": 0.9, "training": training, **fields}, where="a test")


@contextmanager
def renewing(workspace: Workspace, *only: str) -> Iterator[bool]:
    """Cycles are executed within, in this process."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(workspace.running()),
        portal.wrap_async_context_manager(workspace.working(only=only or None)) as here,
    ):
        yield here


def until_cycle(workspace: Workspace, cycle: Cycle, *statuses: str, timeout_s: float = 180.0) -> Cycle:
    """Wait until the Cycle has one of these statuses."""

    def look() -> Cycle | None:
        found = workspace.cycles.get(cycle.id)
        return found if found.status in statuses else None

    return wait_until(look, timeout_s=timeout_s)


def until_step(workspace: Workspace, cycle: Cycle, step: str) -> None:
    """Wait until the Cycle is in this step."""
    wait_until(lambda: workspace.cycles.get(cycle.id).step == step or None, timeout_s=180.0)
