"""`rixin keys`: how programs get in, from the machine itself."""

import sys
from datetime import UTC, datetime, timedelta

from cyclopts import App

from rixin.errors import Conflict, InvalidRequest, NotFound
from rixin.gateway import Accounts, User
from rixin.workspace import open_workspace

app = App(name="keys", help="Make, list and revoke API keys.")


@app.command
def create(name: str, *, user: str | None = None, days: int | None = None) -> None:
    """Make a key and print it; it is shown only now.

    Parameters
    ----------
    name
        What it is for.
    user
        Whose key it is; may be left out where there is only one account.
    days
        After how many days it expires; never, if left out.
    """
    if days is not None and not 0 < days <= 3650:
        raise InvalidRequest("--days is from 1 to 3650.")
    with open_workspace() as workspace:
        person = owner(workspace.accounts, user)
        expires_at = None if days is None else datetime.now(UTC) + timedelta(days=days)
        made = workspace.keys.create(person.id, name, expires_at=expires_at)
    print(made.secret)
    print(f"A key of {person.name}, {_expiry(expires_at)}. Keep it: it can't be shown again.", file=sys.stderr)


@app.command(name="list")
def show() -> None:
    """List all keys; `*` stands for the part that nobody knows."""
    with open_workspace() as workspace:
        names = {person.id: person.name for person in workspace.accounts.users()}
        keys = workspace.keys.list()
    for key in keys:
        used = f"used {key.last_used_at:%Y-%m-%d}" if key.last_used_at else "never used"
        print(f"{key.id}  {key.prefix}*  {names[key.owner_id]}  {key.name!r}  {_expiry(key.expires_at)}, {used}")
    if not keys:
        print("There are no keys. `rixin keys create NAME` makes one.", file=sys.stderr)


@app.command
def revoke(key: str) -> None:
    """End a key. A running server follows within 5 seconds.

    Parameters
    ----------
    key
        Its id, as `rixin keys list` shows it.
    """
    with open_workspace() as workspace:
        workspace.keys.revoke(key)


def owner(accounts: Accounts, name: str | None) -> User:
    """The account of this name, or the only one. Raises NotFound, Conflict."""
    users = accounts.users()
    if not users:
        raise NotFound("There is no account yet.", fix="`rixin up` prints the link that makes the first.")
    if name is None:
        if len(users) > 1:
            raise Conflict("There are several accounts.", fix="Name one with --user.")
        return users[0]
    for user in users:
        if user.name.casefold() == name.casefold():
            return user
    raise NotFound(f"There is no account {name!r}.")


def _expiry(expires_at: datetime | None) -> str:
    return f"until {expires_at:%Y-%m-%d}" if expires_at else "without an end"
