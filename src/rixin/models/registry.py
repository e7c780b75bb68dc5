"""The models, versions and aliases of a Workspace: what is there to ask, and what each name means now."""

import re
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.orm import Session

from rixin.errors import Conflict, InvalidRequest, ModelNotFound
from rixin.models.aliases import (
    Alias,
    AliasMove,
    CanaryOutcome,
    alias_of,
    begin_canary,
    end_canary,
    found_alias,
    goes_to_canary,
    live_canary,
    moves_of,
    needed_by,
    point,
    version_before,
)
from rixin.models.blobs import BlobStore
from rixin.models.hubs import Hubs
from rixin.models.marks import Mark, mark_newcomer, marks_of, pass_on
from rixin.models.version import NewModel, NewVersion, Routed, Version
from rixin.settings import Settings
from rixin.store import AliasMoveRow, AliasRow, CanaryRow, Database, ModelRow, VersionRow, new_id, now

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,95}")


class Registry:
    """All of it is synchronous and safe between threads and processes."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.database = database
        self.settings = settings
        self.home = settings.home
        self.blobs = BlobStore(settings.home)
        self.hubs = Hubs(hf=settings.hf_endpoint, ms=settings.ms_endpoint)

    def versions(self) -> list[Version]:
        """Every version, by model name, the newest of a model first."""
        with self.database.read() as session:
            rows = session.execute(_versions().order_by(VersionRow.model_name, VersionRow.created_at.desc()))
            return [self._version(version, model) for version, model in rows]

    def get(self, version_id: str) -> Version:
        """The version of this id. Raises ModelNotFound."""
        with self.database.read() as session:
            return self._version(*self._found(session, version_id, VersionRow.id == version_id))

    def resolve(self, name: str, *, conversation: str | None = None) -> Version:
        """What a request's `model` means: an alias, a version's id, or a model (its newest version).

        Raises ModelNotFound naming what there is. See `route` for `conversation`.
        """
        return self.route(name, conversation).version

    def route(self, name: str, conversation: str | None = None) -> Routed:
        """As `resolve`, and whether it is a canary that answers: one for this conversation's part of the share.

        Every question of a conversation has the same answer as long as the canary goes on. Without a conversation
        (commands, embeddings) it is the alias's own version. Raises ModelNotFound.
        """
        with self.database.read() as session:
            alias = session.get(AliasRow, name)
            wanted = alias.version_id if alias else name
            condition = or_(VersionRow.id == wanted, VersionRow.model_name == wanted)
            meant = self._version(*self._found(session, name, condition))
            if alias is None or conversation is None or not alias.canary_share:  # none, or one that is paused
                return Routed(meant)
            canary = live_canary(session, name)
            if canary is None or not goes_to_canary(canary.id, canary.share, conversation):
                return Routed(meant)
            second = self._version(*self._found(session, name, VersionRow.id == canary.version_id))
            return Routed(second, canary.id, meant)

    def lineage(self, version: Version) -> list[Version]:
        """The version and all that it descends from and that is still there, itself first."""
        known = {one.id: one for one in self.versions()}
        found, waiting = {}, [version]
        while waiting:
            one = waiting.pop(0)
            if one.id not in found:
                found[one.id] = one
                waiting += [known[parent] for parent in one.parents if parent in known]
        return list(found.values())

    def marks(self, version_id: str) -> list[Mark]:
        """What came to be known of a version after it was made, the oldest first."""
        with self.database.read() as session:
            return marks_of(session, version_id)

    def names(self) -> dict[str, datetime]:
        """Everything that `resolve` takes, but for version ids: aliases first, then models; with their times."""
        with self.database.read() as session:
            aliases = session.execute(select(AliasRow.name, AliasRow.updated_at).order_by(AliasRow.name))
            newest = func.max(VersionRow.created_at)
            models = session.execute(
                select(VersionRow.model_name, newest).group_by(VersionRow.model_name).order_by(VersionRow.model_name)
            )
            return {**dict(models.all()), **dict(aliases.all())}

    def aliases(self) -> list[Alias]:
        """Every alias, by name."""
        with self.database.read() as session:
            return [alias_of(row) for row in session.scalars(select(AliasRow).order_by(AliasRow.name))]

    def alias(self, name: str) -> Alias | None:
        """The alias of this name, if there is one."""
        with self.database.read() as session:
            row = session.get(AliasRow, name)
            return alias_of(row) if row else None

    def register(self, model: NewModel, version: NewVersion) -> Version:
        """Enter a version, and its model if that is new. A version that is there already stays as it is.

        Raises InvalidRequest for a name that can't be used, Conflict if an alias has it.
        """
        check_name(model.name)
        with self.database.write() as session:
            self.database.exclusively(session, "models")
            if session.get(VersionRow, version.id) is None:
                if session.get(AliasRow, model.name):
                    raise Conflict(f"{model.name!r} is an alias.", fix="Choose another name for the model.")
                if session.get(ModelRow, model.name) is None:
                    session.add(
                        ModelRow(
                            name=model.name,
                            title=model.title,
                            description=model.description,
                            languages=list(model.languages),
                        )
                    )
                    session.flush()
                row = _row(model.name, version)
                session.add(row)
                session.flush()
                mark_newcomer(session, row)
        return self.get(version.id)

    def set_alias(self, name: str, target: str, *, why: str = "set by hand", instead_of: str | None = None) -> Alias:
        """Point the alias at what `target` means now: a version's id, a model or another alias. Ends a canary.

        Raises ModelNotFound, InvalidRequest, or Conflict if a model has the alias's name, or if it no longer means the
        version `instead_of`.
        """
        check_name(name)
        version_id = self.resolve(target).id
        with self.database.write() as session:
            self.database.exclusively(session, "models")
            if session.get(ModelRow, name):
                raise Conflict(f"{name!r} is a model.", fix="Choose another name for the alias.")
            self._found(session, target, VersionRow.id == version_id)
            row = session.get(AliasRow, name)
            if instead_of is not None and (row is None or row.version_id != instead_of):
                raise Conflict(f"{name!r} no longer means {instead_of}.", fix="Compare with what it means now.")
            if row is None:
                row = AliasRow(name=name, version_id=version_id, canary_version_id=None, canary_share=0.0)
                row.updated_at = now()
                session.add(row)
                session.add(AliasMoveRow(id=new_id("mv"), alias=name, before=None, after=version_id, why=why))
                session.flush()
            else:
                end_canary(session, row, "ended", why)
                point(session, row, version_id, why)
            return alias_of(row)

    def remove_alias(self, name: str) -> None:
        """Forget an alias; its canary ends. Raises ModelNotFound."""
        with self.database.write() as session:
            self.database.exclusively(session, "models")
            row = found_alias(session, name)
            end_canary(session, row, "ended", "the alias was removed")
            session.delete(row)

    def set_canary(
        self, name: str, target: str, *, share: float, rules: Mapping[str, object], cycle_id: str | None = None
    ) -> str:
        """Let what `target` means now answer a share of the alias's conversations, and give the canary's id.

        `rules` are kept with it for who decides on it. Raises ModelNotFound, InvalidRequest, Conflict if the alias
        has a canary.
        """
        version_id = self.resolve(target).id
        with self.database.write() as session:
            self.database.exclusively(session, "models")
            row = found_alias(session, name)
            self._found(session, target, VersionRow.id == version_id)
            return begin_canary(session, row, version_id, share=share, rules=rules, cycle_id=cycle_id)

    def end_canary(self, canary_id: str, outcome: CanaryOutcome, reason: str) -> bool:
        """End it, and where it is promoted move the alias, in one transaction. False where it had ended before."""
        with self.database.write() as session:
            self.database.exclusively(session, "models")
            canary = session.get(CanaryRow, canary_id)
            if canary is None or canary.outcome is not None:
                return False
            row = found_alias(session, canary.alias)
            end_canary(session, row, outcome, reason)
            if outcome == "promoted":
                point(session, row, canary.version_id, reason)
            return True

    def rollback(self, name: str, *, why: str = "rolled back by hand") -> Alias:
        """Take the newest change of the alias back: its canary, or else its last move.

        Answers under way end on the engine that they began on. Raises ModelNotFound for no such alias or a version
        that is no longer there, Conflict where there is nothing to go back to.
        """
        with self.database.write() as session:
            self.database.exclusively(session, "models")
            row = found_alias(session, name)
            if row.canary_version_id is not None:
                end_canary(session, row, "rolled_back", why)
                return alias_of(row)
            before = version_before(moves_of(session, name))
            if before is None:
                raise Conflict(
                    f"{name!r} has not been moved, so there is nothing to go back to.",
                    fix=f"`rixin models alias {name} MODEL` points it elsewhere.",
                )
            there = session.get(VersionRow, before)
            if there is None or (there.folder is not None and not (self.home / there.folder).is_dir()):
                raise ModelNotFound(
                    f"{before}, which {name!r} meant before, has been removed from this machine.",
                    fix=f"Pull it again, or point the alias elsewhere: `rixin models alias {name} MODEL`.",
                )
            point(session, row, before, why)
            return alias_of(row)

    def moves(self, name: str) -> list[AliasMove]:
        """What the alias has meant, the oldest first. Raises ModelNotFound."""
        with self.database.read() as session:
            if session.get(AliasRow, name) is None:
                raise ModelNotFound(f"There is no alias {name!r}.", param="model")
            return moves_of(session, name)

    def forget(self, version_id: str, *, force: bool = False) -> None:
        """Take a version out of the registry, and its model with its last version; files are not touched.

        Those that descend from it keep its parents and what it learned from (`pass_on`). Raises ModelNotFound, or
        Conflict naming who needs it: aliases that mean it, try it as a canary or would go back to it, assistants, Runs
        under way. With `force` aliases that mean it go too, and canaries of it end.
        """
        with self.database.write() as session:
            self.database.exclusively(session, "models")
            row, model = self._found(session, version_id, VersionRow.id == version_id)
            needed = needed_by(session, row.id)
            if needed and not force:
                raise Conflict(
                    f"{row.model_name} ({row.id}) is needed by {', '.join(needed)}.",
                    fix="Move the alias, change the assistant or end the run first, or use --force.",
                )
            pointing = or_(AliasRow.version_id == row.id, AliasRow.canary_version_id == row.id)
            for alias in session.scalars(select(AliasRow).where(pointing)).all():
                end_canary(session, alias, "ended", f"{row.id} was removed")
                if alias.version_id == row.id:
                    session.delete(alias)
            pass_on(session, row)
            session.flush()
            session.delete(row)
            session.flush()
            if session.scalar(select(func.count()).where(VersionRow.model_name == model.name)) == 0:
                session.delete(model)

    def _found(self, session: Session, name: str, condition: ColumnElement[bool]) -> tuple[VersionRow, ModelRow]:
        statement = _versions().where(condition).order_by(VersionRow.created_at.desc()).limit(1)
        found = session.execute(statement).first()
        if found is None:
            models = session.scalars(select(ModelRow.name).order_by(ModelRow.name)).all()
            aliases = session.scalars(select(AliasRow.name).order_by(AliasRow.name)).all()
            there = ", ".join([*aliases, *models]) or "none yet"
            raise ModelNotFound(f"There is no model {name!r}.", fix=f"There are: {there}.", param="model")
        return found

    def _version(self, row: VersionRow, model: ModelRow) -> Version:
        return Version(
            id=row.id,
            model_name=row.model_name,
            title=model.title,
            description=model.description,
            languages=tuple(model.languages),
            source=row.source,
            sha256=row.sha256,
            bytes=row.bytes,
            engine=row.engine,
            format=row.format,
            licence=row.licence,
            parameters=row.parameters,
            context_length=row.context_length,
            template_hash=row.template_hash,
            parents=tuple(row.parents),
            card=row.card,
            folder=self.home / row.folder if row.folder else None,
            config=row.config,
            created_at=row.created_at,
        )


def check_name(name: str) -> None:
    """Raises InvalidRequest for a name that a model or alias can't have."""
    if not _NAME.fullmatch(name) or name.startswith("v_"):
        raise InvalidRequest(
            f"{name!r} can't be a name.",
            fix="Use small letters, digits, '.', '_' and '-', 96 at most, not beginning with v_.",
            param="name",
        )


def _versions() -> Select[VersionRow, ModelRow]:
    return select(VersionRow, ModelRow).join(ModelRow, ModelRow.name == VersionRow.model_name)


def _row(model: str, version: NewVersion) -> VersionRow:
    return VersionRow(
        id=version.id,
        model_name=model,
        source=version.source,
        sha256=version.sha256,
        bytes=version.bytes,
        engine=version.engine,
        format=version.format,
        licence=version.licence,
        parameters=version.parameters,
        context_length=version.context_length,
        template_hash=version.template_hash,
        parents=list(version.parents),
        card=dict(version.card or {}),
        folder=version.folder,
        config=dict(version.config or {}),
    )
