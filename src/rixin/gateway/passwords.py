"""Passwords: what is accepted, and how they are kept.

Source: NIST SP 800-63B-4, section 3.1.1 (length decides, no composition rules); RFC 9106 (argon2id).
"""

import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from rixin.errors import InvalidRequest, RateLimited

MIN_CHARACTERS = 8
MAX_BYTES = 1024
_PARALLEL = 4
_WAIT_S = 10.0


def check_password(password: str, name: str) -> None:
    """Raises InvalidRequest unless it has 8 characters, at most 1,024 bytes, and isn't the name."""
    if len(password) < MIN_CHARACTERS:
        raise InvalidRequest(f"A password needs at least {MIN_CHARACTERS} characters.", param="password")
    if len(_bytes(password)) > MAX_BYTES:
        raise InvalidRequest(f"A password has at most {MAX_BYTES} bytes.", param="password")
    if password.casefold() == name.casefold():
        raise InvalidRequest("The password must not be the name.", param="password")


class Passwords:
    """Hashes with argon2id. Each takes 64 MiB for a moment, so only a few are made at once."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._slots = threading.BoundedSemaphore(_PARALLEL)

    def hash(self, password: str) -> str:
        """The salted hash, with its parameters in it."""
        with self._slot():
            return self._hasher.hash(_bytes(password))

    def matches(self, known: str | None, password: str) -> bool:
        """Whether `password` made the hash `known`; None takes just as long and is False."""
        given = _bytes(password)
        if len(given) > MAX_BYTES:
            return False
        nobody = self._nobody  # made for every first caller, known or not
        with self._slot():
            try:
                return self._hasher.verify(known or nobody, given) and known is not None
            except (VerificationError, InvalidHashError):
                return False

    def is_outdated(self, known: str) -> bool:
        """Whether the hash was made with weaker parameters than today's."""
        return self._hasher.check_needs_rehash(known)

    @cached_property
    def _nobody(self) -> str:
        return self._hasher.hash("nobody's password")

    @contextmanager
    def _slot(self) -> Iterator[None]:
        if not self._slots.acquire(timeout=_WAIT_S):
            raise RateLimited("Too many passwords are being checked at once.", retry_after_s=_WAIT_S)
        try:
            yield
        finally:
            self._slots.release()


def _bytes(password: str) -> bytes:
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
