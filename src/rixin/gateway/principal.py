"""Who is asking."""

from dataclasses import dataclass
from typing import Literal

Role = Literal["admin", "member"]


@dataclass(frozen=True)
class Principal:
    """A person, through a browser (`key_id` None) or a program with one of their keys."""

    user_id: str
    role: Role
    key_id: str | None = None
