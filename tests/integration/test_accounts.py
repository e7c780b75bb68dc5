"""Who may come in as a person, on SQLite and on PostgreSQL."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial

import pytest
from argon2 import PasswordHasher
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

import rixin.gateway.accounts as accounts_module
import rixin.gateway.passwords as passwords_module
import rixin.gateway.sessions as sessions_module
from rixin.errors import Conflict, InvalidRequest, LoginFailed, NotFound, PermissionDenied, RateLimited, RixinError
from rixin.gateway import Accounts, Keys, Login, User
from rixin.gateway.users import clean_name, name_key
from rixin.store import ConversationRow, Database, LoginSessionRow, SetupTokenRow, new_id, now

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real cost is test_passwords.py's; here it would only take time."""
    cheap = partial(PasswordHasher, time_cost=1, memory_cost=64, parallelism=1)
    monkeypatch.setattr(passwords_module, "PasswordHasher", cheap)


@pytest.fixture
def accounts(database: Database) -> Accounts:
    return Accounts(database, Keys(database))


@pytest.fixture
def admin(accounts: Accounts) -> User:
    return accounts.redeem_setup(accounts.create_setup_token(), "Ada", PASSWORD).session.user


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    """Move the clock that sessions and setup tokens are measured by."""
    ahead = timedelta()

    def move(by: timedelta) -> None:
        nonlocal ahead
        ahead += by

    def clock() -> datetime:
        return now() + ahead

    monkeypatch.setattr(accounts_module, "now", clock)
    monkeypatch.setattr(sessions_module, "now", clock)
    return move


def log_in(accounts: Accounts, name: str = "ada", password: str = PASSWORD, address: str = "10.0.0.1") -> Login:
    return accounts.login(name, password, address)


def test_the_setup_link_makes_the_first_administrator_and_works_once(accounts: Accounts) -> None:
    assert accounts.setup_needed()
    token = accounts.create_setup_token()
    login = accounts.redeem_setup(token, "Ada", PASSWORD)
    assert (login.session.user.name, login.session.user.role) == ("Ada", "admin")
    assert accounts.session(login.token) == login.session
    assert not accounts.setup_needed()
    with pytest.raises(PermissionDenied):
        accounts.redeem_setup(token, "Eve", PASSWORD)
    with pytest.raises(Conflict):
        accounts.create_setup_token()


def test_only_one_of_many_who_race_becomes_the_first_administrator(accounts: Accounts) -> None:
    tokens = [accounts.create_setup_token(), accounts.create_setup_token()]

    def redeem(number: int) -> str:
        try:
            return accounts.redeem_setup(tokens[number % 2], f"racer {number}", PASSWORD).session.user.name
        except PermissionDenied:
            return ""

    with ThreadPoolExecutor(6) as pool:
        winners = [name for name in pool.map(redeem, range(6)) if name]
    assert len(winners) == 1
    assert [user.name for user in accounts.users()] == winners


def test_a_setup_token_is_stored_hashed_expires_and_can_not_be_guessed(
    accounts: Accounts, database: Database, later: Callable[[timedelta], None]
) -> None:
    token = accounts.create_setup_token()
    with database.read() as session:
        assert token not in str(session.scalars(select(SetupTokenRow.token_hash)).all())
    for wrong in ("", "x", token[:-1], token + "a", "\0", "\ud800"):
        with pytest.raises(PermissionDenied):
            accounts.redeem_setup(wrong, "Eve", PASSWORD)
    later(timedelta(hours=25))
    with pytest.raises(PermissionDenied):
        accounts.redeem_setup(token, "Eve", PASSWORD)


def test_a_refused_password_does_not_use_the_setup_token_up(accounts: Accounts) -> None:
    token = accounts.create_setup_token()
    with pytest.raises(InvalidRequest):
        accounts.redeem_setup(token, "Ada", "short")
    assert accounts.redeem_setup(token, "Ada", PASSWORD)


@pytest.mark.parametrize(
    ("password", "why"),
    [("1234567", "at least 8"), ("x" * 1025, "1024 bytes"), ("密" * 342, "1024 bytes"), ("GRACE HOPPER", "the name")],
)
def test_passwords_that_are_too_weak_or_too_long_are_refused(
    accounts: Accounts, admin: User, password: str, why: str
) -> None:
    with pytest.raises(InvalidRequest, match=why):
        accounts.create_user("Grace Hopper", password, "member")


def test_a_password_may_have_any_characters_and_1024_bytes(accounts: Accounts, admin: User) -> None:
    for number, password in enumerate(["        ", "密码密码密码密码", "x" * 1024, "nul \0 inside"]):
        accounts.create_user(f"user {number}", password, "member")
        assert log_in(accounts, f"user {number}", password)


def test_names_are_compared_without_case_and_width(accounts: Accounts, admin: User) -> None:
    assert log_in(accounts, " ＡＤＡ ").session.user.id == admin.id
    with pytest.raises(Conflict):
        accounts.create_user("ａｄａ", PASSWORD, "member")
    for wrong in ("", "   ", "a" * 65, "a\0b", "a\u202eb", "zero\u200bwidth"):
        with pytest.raises(InvalidRequest):
            accounts.create_user(wrong, PASSWORD, "member")


@given(st.text(max_size=80))
def test_a_cleaned_name_is_the_same_name_and_stays_clean(name: str) -> None:
    try:
        clean = clean_name(name)
    except InvalidRequest:
        return
    assert clean_name(clean) == clean
    assert name_key(clean) == name_key(name) == name_key(name_key(name))
    assert clean.isprintable()


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(name=st.text(max_size=12))
def test_any_name_is_taken_or_refused_never_broken(database: Database, name: str) -> None:
    accounts = Accounts(database, Keys(database))
    try:
        user = accounts.create_user(name, "a password " * 2, "member")
    except (InvalidRequest, Conflict):
        return
    assert accounts.login(name, "a password " * 2, "::1").session.user.id == user.id
    accounts.update_user(user.id, role="admin")
    assert user.name in [known.name for known in accounts.users()]


def test_wrong_passwords_and_unknown_names_fail_alike(accounts: Accounts, admin: User) -> None:
    messages = set()
    for name, password in (("ada", "wrong password"), ("nobody", PASSWORD), ("ada", "x" * 5000)):
        with pytest.raises(LoginFailed) as raised:
            log_in(accounts, name, password)
        messages.add(type(raised.value).__name__ + str(raised.value))
    assert messages == {"LoginFailedThe name or the password is wrong."}
    with pytest.raises(InvalidRequest):
        log_in(accounts, "a\0da")


def test_guessing_is_slowed_down_for_that_name_and_address_only(accounts: Accounts, admin: User) -> None:
    for _ in range(accounts_module.FREE_ATTEMPTS):
        with pytest.raises(LoginFailed):
            log_in(accounts, password="wrong password")
    for name in ("ada", "ADA"):
        with pytest.raises(RateLimited) as raised:
            log_in(accounts, name)
        assert 0 < raised.value.retry_after_s <= 1
    assert log_in(accounts, address="10.0.0.2")
    with pytest.raises(LoginFailed):
        log_in(accounts, name="bob")


def test_many_guesses_at_once_are_no_way_around_the_throttle(accounts: Accounts, admin: User) -> None:
    def guess(number: int) -> str:
        try:
            log_in(accounts, password=f"guess number {number}")
        except RixinError as error:
            return type(error).__name__
        return "in"

    with ThreadPoolExecutor(12) as pool:
        outcomes = list(pool.map(guess, range(12)))
    assert outcomes.count("LoginFailed") <= accounts_module.FREE_ATTEMPTS + 1
    assert set(outcomes) == {"LoginFailed", "RateLimited"}


def test_a_success_forgets_the_failures_before_it(accounts: Accounts, admin: User) -> None:
    for _ in range(2):
        for _ in range(accounts_module.FREE_ATTEMPTS - 1):
            with pytest.raises(LoginFailed):
                log_in(accounts, password="wrong password")
        log_in(accounts)


def test_one_address_can_not_try_many_names(accounts: Accounts, admin: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts_module, "FREE_ATTEMPTS_OF_ADDRESS", 6)
    accounts = Accounts(accounts._database, Keys(accounts._database))
    for number in range(6):
        with pytest.raises(LoginFailed):
            log_in(accounts, f"name {number}", address=f"2001:db8:1:2::{number}")
    with pytest.raises(RateLimited):
        log_in(accounts, "name 7", address="2001:db8:1:2:ffff::1")
    with pytest.raises(LoginFailed):
        log_in(accounts, "name 7", address="2001:db8:1:3::1")


def test_sessions_are_stored_hashed_and_end_at_logout(accounts: Accounts, database: Database, admin: User) -> None:
    login = log_in(accounts)
    with database.read() as session:
        assert login.token not in str(session.scalars(select(LoginSessionRow.token_hash)).all())
    other = log_in(accounts)
    assert login.session.csrf != other.session.csrf
    accounts.logout(login.token)
    accounts.logout("unknown")
    assert accounts.session(login.token) is None
    assert accounts.session(other.token) is not None
    for wrong in ("", other.token[:-1], "\0", "\ud800"):
        assert accounts.session(wrong) is None


def test_a_session_lives_with_use_dies_without_and_never_passes_its_longest_life(
    accounts: Accounts, database: Database, admin: User, later: Callable[[timedelta], None]
) -> None:
    used, unused = log_in(accounts), log_in(accounts)
    began = used.session.expires_at - sessions_module.IDLE
    for _ in range(8):
        later(timedelta(days=10))
        assert accounts.session(used.token) is not None
    assert accounts.session(unused.token) is None
    session = accounts.session(used.token)
    assert session is not None
    assert session.expires_at == began + sessions_module.LONGEST
    later(timedelta(days=10))
    assert accounts.session(used.token) is None
    log_in(accounts)
    with database.read() as reading:
        assert len(reading.scalars(select(LoginSessionRow)).all()) == 1, "expired sessions are cleared away"


def test_using_a_session_does_not_write_every_time(
    accounts: Accounts, admin: User, later: Callable[[timedelta], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    renewals = []
    monkeypatch.setattr(accounts_module, "renew_session", lambda session, token: renewals.append(token))
    login = log_in(accounts)
    accounts.session(login.token)
    assert renewals == []
    later(timedelta(hours=7))
    accounts.session(login.token)
    assert renewals == [login.token]


def test_users_are_created_changed_and_removed(accounts: Accounts, database: Database, admin: User) -> None:
    user = accounts.create_user("Grace", PASSWORD, "member")
    assert [known.name for known in accounts.users()] == ["Ada", "Grace"]
    assert accounts.update_user(user.id, role="admin").role == "admin"
    with pytest.raises(InvalidRequest):
        accounts.update_user(user.id, role="root")
    with pytest.raises(InvalidRequest):
        accounts.create_user("Bob", PASSWORD, "root")
    with database.write() as session:
        session.add(ConversationRow(id=new_id("cnv"), owner_id=user.id))
    login = log_in(accounts, "grace")
    accounts.delete_user(user.id)
    assert accounts.session(login.token) is None
    with database.read() as session:
        assert session.scalars(select(ConversationRow)).all() == []
    for change in (lambda: accounts.delete_user(user.id), lambda: accounts.update_user(user.id, role="member")):
        with pytest.raises(NotFound):
            change()


def test_the_last_administrator_can_not_be_removed_demoted_or_disabled(accounts: Accounts, admin: User) -> None:
    other = accounts.create_user("Grace", PASSWORD, "admin")
    accounts.update_user(other.id, disabled=True)
    for change in (
        lambda: accounts.delete_user(admin.id),
        lambda: accounts.update_user(admin.id, role="member"),
        lambda: accounts.update_user(admin.id, disabled=True),
    ):
        with pytest.raises(Conflict, match="last administrator"):
            change()
    assert log_in(accounts).session.user.role == "admin"


def test_two_administrators_who_demote_each_other_leave_one(accounts: Accounts, admin: User) -> None:
    other = accounts.create_user("Grace", PASSWORD, "admin")

    def demote(user_id: str) -> bool:
        try:
            accounts.update_user(user_id, role="member")
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(demote, [admin.id, other.id]))
    assert sorted(outcomes) == [False, True]


def test_a_disabled_user_is_out_at_once_and_can_not_log_in(accounts: Accounts, admin: User) -> None:
    user = accounts.create_user("Grace", PASSWORD, "member")
    login = log_in(accounts, "grace")
    accounts.update_user(user.id, disabled=True)
    assert accounts.session(login.token) is None
    with pytest.raises(LoginFailed, match="name or the password"):
        log_in(accounts, "grace")
    accounts.update_user(user.id, disabled=False)
    assert log_in(accounts, "grace")


def test_a_new_password_logs_out_everywhere_else(accounts: Accounts, admin: User) -> None:
    here, there = log_in(accounts), log_in(accounts)
    with pytest.raises(LoginFailed):
        accounts.change_password(admin.id, "wrong password", "a new password")
    with pytest.raises(InvalidRequest):
        accounts.change_password(admin.id, PASSWORD, "short")
    accounts.change_password(admin.id, PASSWORD, "a new password", token=here.token)
    assert accounts.session(here.token) is not None
    assert accounts.session(there.token) is None
    with pytest.raises(LoginFailed):
        log_in(accounts)
    assert log_in(accounts, password="a new password")
    accounts.update_user(admin.id, password="yet another one")
    assert accounts.session(here.token) is None
