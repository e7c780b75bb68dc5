"""Random secrets: given out once, kept as their hash."""

import hashlib
import hmac
import secrets


def new_token() -> str:
    """256 random bits as URL-safe text."""
    return secrets.token_urlsafe(32)


def hash_of(token: str) -> str:
    """SHA-256 in hex. A fast hash is right here: 256 random bits can't be guessed."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def csrf_of(session_token: str) -> str:
    """The token that a page of this session must send back; it can't be made without the session's own token."""
    return hmac.new(session_token.encode("utf-8", "surrogatepass"), b"rixin csrf", hashlib.sha256).hexdigest()


def same(a: str, b: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(a.encode("utf-8", "surrogatepass"), b.encode("utf-8", "surrogatepass"))
