"""The door: who may come in, as a person or as a program."""

from rixin.gateway.accounts import Accounts
from rixin.gateway.keys import Key, Keys, NewKey
from rixin.gateway.principal import Principal, Role
from rixin.gateway.sessions import Login, LoginSession
from rixin.gateway.tokens import same
from rixin.gateway.users import User, name_key

__all__ = [
    "Accounts",
    "Key",
    "Keys",
    "Login",
    "LoginSession",
    "NewKey",
    "Principal",
    "Role",
    "User",
    "name_key",
    "same",
]
