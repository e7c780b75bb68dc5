"""Who writes to a Library: one at a time among all processes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from rixin.errors import Conflict


@contextmanager
def alone(root: Path, library_id: str, name: str) -> Iterator[None]:
    """The one writer of this Library among all processes; who dies lets go."""
    folder = root / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"{library_id}.lock", thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise Conflict(
            f"The Library {name!r} is being ingested or tuned by somebody else.", fix="Try again when that is done."
        ) from None
    try:
        yield
    finally:
        lock.release()
