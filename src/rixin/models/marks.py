"""What came to be known of a Version after it was made: that it learned from rows that were withdrawn since."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime

from msgspec import Struct
from sqlalchemy import select
from sqlalchemy.orm import Session

from rixin.store import DatasetVersionRow, VersionMarkRow, VersionRow

LEARNED_FROM_WITHDRAWN = "learned_from_withdrawn"
FORGOTTEN = "forgotten"  # of a card: the Versions before it that were removed, with the datasets that they learned from
_DATASET = re.compile(r"d_[0-9a-f]{12}")


class Mark(Struct, frozen=True, kw_only=True):
    """One thing to know of a Version. `dataset` is the dataset's version that it is about."""

    kind: str
    said: str
    dataset: str | None
    at: datetime


def marks_of(session: Session, version_id: str) -> list[Mark]:
    """Every mark of a Version, the oldest first."""
    query = select(VersionMarkRow).where(VersionMarkRow.version_id == version_id)
    rows = session.scalars(query.order_by(VersionMarkRow.at, VersionMarkRow.id))
    return [Mark(kind=row.kind, said=row.said, dataset=row.dataset_id, at=row.at) for row in rows]


def datasets_named(card: Mapping[str, object]) -> list[str]:
    """The ids of every dataset's version that a card says was learned from, in order.

    By the version itself, and by those that it began with and that the registry has forgotten since.
    """
    return list(dict.fromkeys(_names([card.get("data"), card.get(FORGOTTEN)])))


def pass_on(session: Session, gone: VersionRow) -> None:
    """Let those that descend from a Version keep what is known of it, before it is forgotten: they learned it too."""
    known = {"id": gone.id, "model": gone.model_name, "data": datasets_named({"data": gone.card.get("data")})}
    for row in session.scalars(select(VersionRow).where(VersionRow.id != gone.id)).all():
        if gone.id in row.parents:
            row.parents = list(dict.fromkeys([*row.parents, *gone.parents]))
            forgotten = {**_forgotten(row), **_forgotten(gone), gone.id: known}
            row.card = {**row.card, FORGOTTEN: list(forgotten.values())}


def _forgotten(row: VersionRow) -> dict[str, object]:
    found = row.card.get(FORGOTTEN)
    return {one["id"]: one for one in found} if isinstance(found, list) else {}


def learners(session: Session, datasets: Collection[str]) -> dict[str, list[str]]:
    """The Versions that learned from any of these datasets' versions, by id: those that their cards name.

    Their descendants did too, by the weights that they began with.
    """
    wanted = set(datasets)
    children = defaultdict(list)
    found: dict[str, list[str]] = {}
    for row in session.execute(select(VersionRow.id, VersionRow.parents, VersionRow.card).order_by(VersionRow.id)):
        for parent in row.parents:
            children[parent].append(row.id)
        if own := [name for name in datasets_named(row.card) if name in wanted]:
            found[row.id] = own
    waiting = list(found)
    while waiting:
        one = waiting.pop()
        for child in children[one]:
            both = list(dict.fromkeys([*found.get(child, ()), *found[one]]))
            if len(both) > len(found.get(child, ())):
                found[child] = both
                waiting.append(child)
    return found


def mark_learners(session: Session, datasets: Collection[str]) -> list[str]:
    """Mark every Version that learned from these withdrawn versions, and give their ids. Again it changes nothing."""
    marked = learners(session, datasets)
    for version_id, names in marked.items():
        for name in names:
            key = f"{version_id}:{name}"
            if session.get(VersionMarkRow, key) is None:
                session.add(
                    VersionMarkRow(
                        id=key,
                        version_id=version_id,
                        kind=LEARNED_FROM_WITHDRAWN,
                        said=f"It learned from rows of {name} that were withdrawn since.",
                        dataset_id=name,
                    )
                )
    return list(marked)


def mark_newcomer(session: Session, version: VersionRow) -> None:
    """Mark a Version that is just being registered if what it learned from was withdrawn while it was made."""
    named = datasets_named(version.card)
    query = select(DatasetVersionRow.id).where(
        DatasetVersionRow.id.in_(named), DatasetVersionRow.withdrawn_at.is_not(None)
    )
    inherited = select(VersionMarkRow.dataset_id).where(
        VersionMarkRow.version_id.in_(version.parents), VersionMarkRow.kind == LEARNED_FROM_WITHDRAWN
    )
    gone = [*session.scalars(query), *(name for name in session.scalars(inherited) if name)]
    if gone:
        mark_learners(session, gone)


def _names(value: object) -> Iterator[str]:
    """Dataset ids anywhere in a part of a card."""
    if isinstance(value, str):
        yield from _DATASET.findall(value)
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _names(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _names(one)
