"""Local accounts: the first administrator, logins, and who may use this Workspace."""

import ipaddress
import logging
from datetime import timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from rixin.errors import Conflict, LoginFailed, NotEnoughDisk, PermissionDenied, StoreUnavailable
from rixin.gateway.keys import Keys
from rixin.gateway.passwords import Passwords, check_password
from rixin.gateway.sessions import (
    Login,
    LoginSession,
    close_session,
    close_sessions,
    find_session,
    open_session,
    renew_session,
)
from rixin.gateway.throttle import Throttle
from rixin.gateway.tokens import hash_of, new_token
from rixin.gateway.users import (
    ADMINISTRATORS,
    User,
    add_user,
    check_administrators,
    check_role,
    clean_name,
    find_user,
    has_administrator,
    name_key,
    user_of,
)
from rixin.store import Database, SetupTokenRow, UserRow, now

SETUP_TOKEN_LIVES = timedelta(hours=24)
FREE_ATTEMPTS = 5
FREE_ATTEMPTS_OF_ADDRESS = 50

log = logging.getLogger(__name__)


class Accounts:
    """All methods are synchronous; those that take a password take about 0.1 s. Whether the caller may is the
    caller's to ask (`User.role`)."""

    def __init__(self, database: Database, keys: Keys) -> None:
        self._database = database
        self._keys = keys
        self._passwords = Passwords()
        self._attempts = Throttle(FREE_ATTEMPTS)
        self._attempts_of_address = Throttle(FREE_ATTEMPTS_OF_ADDRESS)

    def setup_needed(self) -> bool:
        """Whether there is no administrator yet."""
        with self._database.read() as session:
            return not has_administrator(session)

    def create_setup_token(self) -> str:
        """A token for the setup link, good for a day and for one administrator. Raises Conflict if there is one."""
        token = new_token()
        with self._database.write() as session:
            self._database.exclusively(session, ADMINISTRATORS)
            if has_administrator(session):
                raise Conflict("There is an administrator already.", fix="Ask them for an account.")
            session.execute(delete(SetupTokenRow).where(SetupTokenRow.expires_at <= now()))
            session.add(SetupTokenRow(token_hash=hash_of(token), expires_at=now() + SETUP_TOKEN_LIVES))
        return token

    def redeem_setup(self, token: str, name: str, password: str) -> Login:
        """Make the first administrator and log them in; of several callers at once only one succeeds.

        Raises PermissionDenied for a token that is wrong, used or expired, InvalidRequest for name and password.
        """
        with self._database.read() as session:
            _check_setup_token(session, token)
        name = clean_name(name)
        check_password(password, name)
        password_hash = self._passwords.hash(password)
        with self._database.write() as session:
            self._database.exclusively(session, ADMINISTRATORS)
            _check_setup_token(session, token)
            user = add_user(session, name, password_hash, "admin")
            session.execute(delete(SetupTokenRow))
            return open_session(session, user)

    def login(self, name: str, password: str, address: str) -> Login:
        """Raises LoginFailed, and RateLimited after too many of them for this name from this `address`."""
        network = _network(address)
        attempt = f"{network} {hash_of(name_key(name))}"
        self._attempts_of_address.admit(network)
        self._attempts.admit(attempt)
        with self._database.read() as session:
            user = session.scalars(
                select(UserRow).where(UserRow.name_key == name_key(name), UserRow.disabled.is_(False))
            ).one_or_none()
        known = user.password_hash if user is not None else None
        if not self._passwords.matches(known, password) or user is None or known is None:
            raise LoginFailed("The name or the password is wrong.")
        self._attempts.forget(attempt)
        self._attempts_of_address.forgive(network)
        renewed = self._passwords.hash(password) if self._passwords.is_outdated(known) else None
        with self._database.write() as session:
            row = session.get(UserRow, user.id, with_for_update=True)
            if row is None or row.disabled or row.password_hash != known:
                raise LoginFailed("The name or the password is wrong.")
            row.password_hash = renewed or known
            return open_session(session, row)

    def session(self, token: str) -> LoginSession | None:
        """Who is logged in with this token, if anyone; use moves the session's end on."""
        with self._database.read() as session:
            found, due = find_session(session, token)
        if due:
            try:
                with self._database.write() as session:
                    renew_session(session, token)
            except (StoreUnavailable, NotEnoughDisk) as error:
                log.warning("A login session could not be renewed: %s", error)
        return found

    def logout(self, token: str) -> None:
        """End this session."""
        with self._database.write() as session:
            close_session(session, token)

    def users(self) -> list[User]:
        """Everyone, in the order in which they came."""
        with self._database.read() as session:
            return [user_of(row) for row in session.scalars(select(UserRow).order_by(UserRow.id))]

    def create_user(self, name: str, password: str, role: str) -> User:
        """Raises InvalidRequest, and Conflict if the name is taken."""
        name = clean_name(name)
        check_password(password, name)
        password_hash = self._passwords.hash(password)
        with self._database.write() as session:
            return user_of(add_user(session, name, password_hash, role))

    def update_user(
        self, user_id: str, *, role: str | None = None, password: str | None = None, disabled: bool | None = None
    ) -> User:
        """Change what is given; a new password or `disabled` logs them out everywhere.

        Raises NotFound, InvalidRequest, and Conflict rather than leave no administrator.
        """
        password_hash = self._new_hash(user_id, password) if password is not None else None
        with self._database.write() as session:
            self._database.exclusively(session, ADMINISTRATORS)
            row = find_user(session, user_id)
            row.role = check_role(role) if role is not None else row.role
            row.disabled = row.disabled if disabled is None else disabled
            row.password_hash = password_hash or row.password_hash
            check_administrators(session)
            if password_hash is not None or disabled:
                close_sessions(session, user_id)
            changed = user_of(row)
        self._keys.forget()
        return changed

    def delete_user(self, user_id: str) -> None:
        """Remove someone with their keys and conversations. Raises NotFound, Conflict for the last administrator."""
        with self._database.write() as session:
            self._database.exclusively(session, ADMINISTRATORS)
            find_user(session, user_id)
            session.execute(delete(UserRow).where(UserRow.id == user_id))
            check_administrators(session)
        self._keys.forget()

    def change_password(self, user_id: str, old: str, new: str, *, token: str | None = None) -> None:
        """Change one's own password and log out everywhere, but not in the session with `token`.

        Raises LoginFailed if `old` is wrong, RateLimited after too many of those, InvalidRequest, NotFound.
        """
        attempt = f"password of {user_id}"
        self._attempts.admit(attempt)
        with self._database.read() as session:
            known = find_user(session, user_id).password_hash
        if not self._passwords.matches(known, old):
            raise LoginFailed("The old password is wrong.", param="old")
        self._attempts.forget(attempt)
        password_hash = self._new_hash(user_id, new)
        with self._database.write() as session:
            row = find_user(session, user_id)
            if row.password_hash != known:
                raise Conflict("The password was changed by someone else just now.", fix="Try again.")
            row.password_hash = password_hash
            close_sessions(session, user_id, but=token)

    def _new_hash(self, user_id: str, password: str) -> str:
        with self._database.read() as session:
            name = find_user(session, user_id).name
        check_password(password, name)
        return self._passwords.hash(password)


def _check_setup_token(session: Session, token: str) -> None:
    row = session.get(SetupTokenRow, hash_of(token))
    if row is None or row.expires_at <= now() or has_administrator(session):
        raise PermissionDenied(
            "The setup link is wrong, used or too old.",
            fix="While there is no administrator, `rixin up` prints a new one.",
        )


def _network(address: str) -> str:
    """The part of an address that one person holds: all of IPv4, the first half of IPv6."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(parsed.ipv4_mapped or ipaddress.ip_network((parsed.packed[:8] + bytes(8), 64)))
    return str(parsed)
