"""Where each example came from: back through the datasets it was in to its source, and on to what learned from it."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

from msgspec import Struct
from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from rixin.data.examples import AnyExample
from rixin.models import learners
from rixin.store import DatasetOriginRow, DatasetVersionRow

_ROW = re.compile(r"(d_[0-9a-f]{12}):([1-9][0-9]{0,17})")
_AT_ONCE = 5_000  # rows in one statement, well below what SQLite and PostgreSQL bind

T = TypeVar("T")


class Sourced(Struct, frozen=True, kw_only=True):
    """An example and where it came from: `feedback:f_…`, `d_…:17` (a row of another version), `library:NAME:chunk`,
    `annotation:TASK:line`, or `file.jsonl:17`. `person` is whose it is, where it is somebody's.
    """

    example: AnyExample
    origin: str
    person: str | None = None


class Origin(Struct, frozen=True, kw_only=True):
    """Where line `line` (from 1) of a dataset's version came from."""

    line: int
    example_id: str
    origin: str
    person: str | None = None


class Place(Struct, frozen=True, kw_only=True):
    """A place that an example was in: `at` is `d_…:17`, with the dataset's name and source, or where it came from."""

    at: str
    dataset: str | None = None
    source: str | None = None


class Trace(Struct, frozen=True, kw_only=True):
    """The life of one row: `chain` leads from it back to its source, the last place.

    `person` is whose it is; `derived` are the rows of other versions that were made of it, `learned_by` the models'
    Versions that were trained on a version with it or with those, or that began with the weights of one that was.
    """

    dataset: str
    version: str
    line: int
    example_id: str
    person: str | None
    licence: str | None
    consent: str | None
    chain: tuple[Place, ...]
    derived: tuple[str, ...]
    learned_by: tuple[str, ...]


class RowPlace(NamedTuple):
    """A row of a dataset's version, by the version's id and the line."""

    version: str
    line: int

    def __str__(self) -> str:
        return f"{self.version}:{self.line}"


def row_place(origin: str) -> RowPlace | None:
    """The row that an origin names, or None where it came from elsewhere."""
    found = _ROW.fullmatch(origin)
    return RowPlace(found[1], int(found[2])) if found else None


def origins_kept(session: Session, version_id: str, lines: Collection[int] | None = None) -> list[Origin]:
    """What is kept of a version's rows, by line; nothing for rows that were read from a file."""
    query = select(DatasetOriginRow).where(DatasetOriginRow.version_id == version_id).order_by(DatasetOriginRow.line)
    rows: Iterable[DatasetOriginRow]
    if lines is None:
        rows = session.scalars(query)
    else:
        parts = batches(sorted(lines))
        rows = (row for part in parts for row in session.scalars(query.where(DatasetOriginRow.line.in_(part))))
    return [Origin(line=row.line, example_id=row.example_id, origin=row.origin, person=row.person) for row in rows]


def keep_origins(session: Session, version_id: str, origins: Sequence[Origin]) -> None:
    """Write down where a version's rows came from. A row of somebody's stays that person's in every row made of it."""
    owners = _owners(session, origins)
    for part in batches(origins):
        session.execute(
            insert(DatasetOriginRow),
            [
                {
                    "version_id": version_id,
                    "line": one.line,
                    "example_id": one.example_id,
                    "origin": one.origin,
                    "person": one.person or owners.get(one.origin),
                }
                for one in part
            ],
        )


def chain(session: Session, version: DatasetVersionRow, line: int) -> tuple[tuple[Place, ...], str | None]:
    """Every place of a row, from this one back to its source, and whose it is."""
    places: list[Place] = []
    person = None
    seen: set[RowPlace] = set()
    while True:
        at = RowPlace(version.id, line)
        seen.add(at)
        places.append(Place(at=str(at), dataset=version.name, source=version.source))
        kept = session.get(DatasetOriginRow, at)
        if kept is None:
            places.append(Place(at=f"{version.source}:{line}"))
            break
        person = person or kept.person
        before = row_place(kept.origin)
        row = session.get(DatasetVersionRow, before.version) if before and before not in seen else None
        if before is None or row is None:
            places.append(Place(at=kept.origin))
            break
        version, line = row, before.line
    return tuple(places), person


def derived(session: Session, rows: Iterable[RowPlace]) -> set[RowPlace]:
    """All rows of any version that were made of these, and of those; and these themselves."""
    found = set(rows)
    waiting = sorted(found)
    while waiting:
        new: set[RowPlace] = set()
        for part in batches(waiting):
            query = select(DatasetOriginRow.version_id, DatasetOriginRow.line)
            names = [str(place) for place in part]
            new.update(RowPlace(*row) for row in session.execute(query.where(DatasetOriginRow.origin.in_(names))))
        waiting = sorted(new - found)
        found |= new
    return found


def traced(session: Session, version: DatasetVersionRow, line: int, example_id: str) -> Trace:
    """The whole life of a row."""
    places, person = chain(session, version, line)
    made = derived(session, [RowPlace(version.id, line)])
    return Trace(
        dataset=version.name,
        version=version.id,
        line=line,
        example_id=example_id,
        person=person,
        licence=version.licence,
        consent=version.consent,
        chain=places,
        derived=tuple(str(place) for place in sorted(made - {RowPlace(version.id, line)})),
        learned_by=tuple(learners(session, {place.version for place in made})),
    )


def pass_on_origins(session: Session, version: DatasetVersionRow) -> None:
    """Before a version is forgotten: rows that were made of its rows come from where those did."""
    kept = {one.line: one for one in origins_kept(session, version.id)}
    query = select(DatasetOriginRow).where(DatasetOriginRow.origin.startswith(f"{version.id}:", autoescape=True))
    for row in session.scalars(query):
        place = row_place(row.origin)
        assert place is not None
        before = kept.get(place.line)
        origin = before.origin if before else f"{version.source}:{place.line}"
        session.execute(
            update(DatasetOriginRow)
            .where(DatasetOriginRow.version_id == row.version_id, DatasetOriginRow.line == row.line)
            .values(origin=origin)
        )


def batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """The items, as many at once as one statement takes."""
    return (items[at : at + _AT_ONCE] for at in range(0, len(items), _AT_ONCE))


def by_version(places: Iterable[RowPlace]) -> Mapping[str, set[int]]:
    """The lines of each version."""
    found: dict[str, set[int]] = defaultdict(set)
    for place in places:
        found[place.version].add(place.line)
    return found


def _owners(session: Session, origins: Sequence[Origin]) -> dict[str, str]:
    """Whose the rows of other versions are that these rows were made of, by origin."""
    wanted = by_version(_places(origins))
    found: dict[str, str] = {}
    for version_id in wanted:
        query = select(DatasetOriginRow.line, DatasetOriginRow.person).where(
            DatasetOriginRow.version_id == version_id, DatasetOriginRow.person.is_not(None)
        )
        found |= {f"{version_id}:{line}": person for line, person in session.execute(query) if person}
    return found


def _places(origins: Iterable[Origin]) -> Iterator[RowPlace]:
    return (place for one in origins if one.person is None and (place := row_place(one.origin)))
