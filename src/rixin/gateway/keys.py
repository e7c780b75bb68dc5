"""API keys: how a program enters."""

import logging
import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from sqlalchemy import or_, select, update

from rixin.errors import AuthenticationFailed, InvalidRequest, NotEnoughDisk, NotFound, StoreUnavailable
from rixin.gateway.principal import Principal, Role
from rixin.gateway.tokens import hash_of, new_token
from rixin.store import ApiKeyRow, Database, UserRow, new_id, now

PREFIX = "rx-"
SHOWN_CHARACTERS = 10
MAX_NAME = 100
CACHE_S = 5.0
USED_EVERY = timedelta(minutes=1)
_BOUND = 10_000

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Key:
    """What may be shown of a key; `prefix` is how its secret begins."""

    id: str
    owner_id: str
    name: str
    prefix: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class NewKey:
    """A key at the only moment at which its secret is known."""

    key: Key
    secret: str


@dataclass(frozen=True)
class _Known:
    principal: Principal
    expires_at: datetime | None
    until: float


class Keys:
    """A key is trusted for `CACHE_S` after it was looked up: that long one revoked by another process may live."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._known: dict[str, _Known] = {}
        self._forgotten = 0
        self._used: dict[str, datetime] = {}

    def create(self, owner_id: str, name: str, *, expires_at: datetime | None = None) -> NewKey:
        """Make a key. Raises InvalidRequest, NotFound if there is no such owner."""
        name = name.strip()
        if not 0 < len(name) <= MAX_NAME:
            raise InvalidRequest(f"A key's name has from 1 to {MAX_NAME} characters.", param="name")
        if expires_at is not None and expires_at <= now():
            raise InvalidRequest("The key would have expired already.", param="expires_at")
        secret = PREFIX + new_token()
        row = ApiKeyRow(
            id=new_id("key"),
            owner_id=owner_id,
            name=name,
            prefix=secret[:SHOWN_CHARACTERS],
            secret_hash=hash_of(secret),
            expires_at=expires_at,
        )
        with self._database.write() as session:
            if session.get(UserRow, owner_id, with_for_update={"key_share": True}) is None:
                raise NotFound(f"There is no user {owner_id!r}.")
            session.add(row)
        return NewKey(key=_key_of(row), secret=secret)

    def list(self, owner_id: str | None = None) -> list[Key]:
        """The keys of one owner, or of all, that are not revoked; the newest first."""
        query = select(ApiKeyRow).where(ApiKeyRow.revoked_at.is_(None)).order_by(ApiKeyRow.id.desc())
        if owner_id is not None:
            query = query.where(ApiKeyRow.owner_id == owner_id)
        with self._database.read() as session:
            return [_key_of(row) for row in session.scalars(query)]

    def revoke(self, key_id: str, *, owner_id: str | None = None) -> None:
        """End a key now; with `owner_id`, only if it is theirs. Raises NotFound."""
        query = update(ApiKeyRow).where(ApiKeyRow.id == key_id, ApiKeyRow.revoked_at.is_(None))
        if owner_id is not None:
            query = query.where(ApiKeyRow.owner_id == owner_id)
        with self._database.write() as session:
            if session.scalar(query.values(revoked_at=now()).returning(ApiKeyRow.id)) is None:
                raise NotFound(f"There is no key {key_id!r}.")
        self.forget()

    def verify(self, secret: str) -> Principal:
        """Whose key this is. Raises AuthenticationFailed if it is unknown, revoked, expired, or its owner disabled."""
        hashed = hash_of(secret)
        known = self._known.get(hashed)
        if known is None or known.until < time.monotonic():
            known = self._look_up(hashed)
        if known.expires_at is not None and known.expires_at <= now():
            raise AuthenticationFailed("The API key has expired.", fix="Make a new one.")
        self._note_use(known.principal.key_id or "")
        return known.principal

    def forget(self) -> None:
        """Look every key up again: a key, or a key's owner, was changed."""
        with self._lock:
            self._known.clear()
            self._forgotten += 1

    def _look_up(self, hashed: str) -> _Known:
        forgotten = self._forgotten
        query = (
            select(ApiKeyRow.id, ApiKeyRow.owner_id, ApiKeyRow.expires_at, UserRow.role)
            .join(UserRow, UserRow.id == ApiKeyRow.owner_id)
            .where(ApiKeyRow.secret_hash == hashed, ApiKeyRow.revoked_at.is_(None), UserRow.disabled.is_(False))
        )
        with self._database.read() as session:
            row = session.execute(query).one_or_none()
        if row is None:
            raise AuthenticationFailed("The API key is unknown or revoked.", fix="`rixin keys create` makes one.")
        principal = Principal(user_id=row.owner_id, role=cast(Role, row.role), key_id=row.id)
        known = _Known(principal, row.expires_at, time.monotonic() + CACHE_S)
        with self._lock:
            if forgotten == self._forgotten:  # else what was read may be older than the revocation
                if len(self._known) >= _BOUND:
                    self._known.clear()
                self._known[hashed] = known
        return known

    def _note_use(self, key_id: str) -> None:
        moment = now()
        with self._lock:
            last = self._used.get(key_id)
            if last is not None and moment - last < USED_EVERY:
                return
            if len(self._used) >= _BOUND:
                self._used.clear()
            self._used[key_id] = moment
        stale = or_(ApiKeyRow.last_used_at.is_(None), ApiKeyRow.last_used_at <= moment - USED_EVERY)
        try:
            with self._database.write() as session:
                session.execute(update(ApiKeyRow).where(ApiKeyRow.id == key_id, stale).values(last_used_at=moment))
        except (StoreUnavailable, NotEnoughDisk) as error:
            log.warning("The use of key %s could not be noted: %s", key_id, error)


def _key_of(row: ApiKeyRow) -> Key:
    return Key(
        id=row.id,
        owner_id=row.owner_id,
        name=row.name,
        prefix=row.prefix,
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
    )
