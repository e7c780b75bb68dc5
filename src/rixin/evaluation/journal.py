"""Answers that were given, kept as they come: an evaluation that was cut off asks no model twice for an item."""

import hashlib
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
from msgspec import Struct, structs

from rixin.errors import InvalidRequest

SYNC_EVERY = 64


class Given(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One answer or score. `text` for generated ones, `logprob` and `greedy` for scored ones.

    `at` is when it was kept, in seconds since that try (`attempt`, from 0) began.
    """

    key: str
    text: str | None = None
    logprob: float | None = None
    greedy: bool = False
    prompt_tokens: int = 0
    answer_tokens: int = 0
    seconds: float = 0.0
    at: float = 0.0
    attempt: int = 0


class _Head(Struct, frozen=True, kw_only=True):
    """What the answers belong to: another Version or other settings make them worthless."""

    about: str


def key_of(*parts: object) -> str:
    """A request's name in the journal: the same request has the same."""
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:32]


class Journal:
    """A file of one JSON object a line, of which the last may be torn. One process at a time writes to it."""

    def __init__(self, path: Path, *, about: str) -> None:
        """Open or create it. Raises InvalidRequest if it holds the answers of something else than `about`."""
        self._path = path
        self._given: dict[str, Given] = {}
        self._unsynced = 0
        self._tries: dict[int, float] = {}
        self._began = time.monotonic()
        whole = self._read(about) if path.exists() else 0
        self._file = path.open("r+b" if path.exists() else "w+b")
        self._file.truncate(whole)
        self._file.seek(whole)
        if not whole:
            self._write(msgspec.json.encode(_Head(about=about)))

    def _read(self, about: str) -> int:
        whole = 0
        with self._path.open("rb") as lines:
            for line in lines:
                if not line.endswith(b"\n"):
                    break  # cut off while it was written
                try:
                    if whole:
                        given = msgspec.json.decode(line, type=Given)
                        self._given[given.key] = given
                        self._tries[given.attempt] = given.at
                    elif msgspec.json.decode(line, type=_Head).about != about:
                        raise InvalidRequest(
                            "These answers were given by another Version, suite or setting.", where=str(self._path)
                        )
                except msgspec.MsgspecError:
                    break
                whole += len(line)
        return whole

    def __len__(self) -> int:
        return len(self._given)

    @property
    def seconds(self) -> float:
        """How long this and all earlier tries took, each up to its last answer."""
        return sum(self._tries.values()) + time.monotonic() - self._began

    def get(self, key: str) -> Given | None:
        """The answer to this request, if it was given already."""
        return self._given.get(key)

    def add(self, given: Given) -> None:
        """Keep an answer: from here on no kill of this process loses it, nor a power cut more than the last few."""
        at = round(time.monotonic() - self._began, 3)
        kept = structs.replace(given, at=at, attempt=max(self._tries, default=-1) + 1)
        self._given[kept.key] = kept
        self._write(msgspec.json.encode(kept))

    def _write(self, line: bytes) -> None:
        self._file.write(line + b"\n")
        self._file.flush()
        self._unsynced += 1
        if self._unsynced >= SYNC_EVERY:
            os.fsync(self._file.fileno())
            self._unsynced = 0

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
