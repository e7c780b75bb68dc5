"""Where in a text something personal stands."""

import re
from typing import Literal

from msgspec import Struct

Kind = Literal["email", "phone", "id_card", "bank_card", "passport", "account", "plate", "ip", "secret", "name"]


class Found(Struct, frozen=True, kw_only=True):
    """`text[start:stop]` (code points) is of this kind."""

    kind: Kind
    start: int
    stop: int


def found(kind: Kind, match: re.Match[str], group: str | int = 0) -> Found:
    """A match, or one of its groups."""
    return Found(kind=kind, start=match.start(group), stop=match.end(group))
