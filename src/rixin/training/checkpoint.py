"""Checkpoints: a folder for each, complete or not there at all."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from safetensors import safe_open
from torch import Tensor

from rixin.training.tensor_file import write_tensors

Json: TypeAlias = "str | int | float | bool | Sequence[Json] | Mapping[str, Json] | None"
TENSORS = "state.safetensors"
MANIFEST = "state.json"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One whose hashes were found right. `step` is how many batches were done with; `state` is all but the tensors."""

    step: int
    path: Path
    state: Mapping[str, Json]

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Name and values, one after the other."""
        with safe_open(self.path / TENSORS, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118  # not a mapping
                yield name, file.get_tensor(name)


class Checkpoints:
    """The checkpoints of one Run, in `folder`/step-N.

    Each is written under a temporary name, synced, renamed. It holds the tensors (safetensors) and a manifest (JSON)
    with their hash and its own, so that half-written or damaged ones are recognised.
    """

    def __init__(self, folder: Path, *, keep: int) -> None:
        self._folder = folder
        self._keep = keep

    def save(
        self, step: int, tensors: Iterable[tuple[str, Tensor]], state: Mapping[str, Json], *, needed_from: int
    ) -> Path:
        """Write the checkpoint of `step`; then delete all but the newest and what a rollback may need.

        That is the newest up to step `needed_from`, and the one after it, which takes its place in time.

        Raises OSError (a full disk, say), and then everything is as it was before.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        temporary = self._folder / f".writing-{step}"
        shutil.rmtree(temporary, ignore_errors=True)
        try:
            temporary.mkdir()
            digest, size = write_tensors(temporary / TENSORS, tensors)
            body: dict[str, Json] = {"format": FORMAT, "step": step, "sha256": digest, "bytes": size, **state}
            _write(temporary / MANIFEST, json.dumps({"hash": _hash(body), "body": body}, indent=1).encode())
            sync_folder(temporary)
            target = self._folder / f"step-{step}"
            if target.exists():
                self._remove(target)
            temporary.rename(target)
            sync_folder(self._folder)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        self._prune(needed_from)
        return target

    def newest(self, tell: Callable[[str], None], *, at_most: int | None = None) -> Checkpoint | None:
        """The newest undamaged checkpoint, of step `at_most` or before; `tell` hears of each that is damaged."""
        for step in reversed(self.steps()):
            if at_most is None or step <= at_most:
                checkpoint = self._read(step, tell)
                if checkpoint is not None:
                    return checkpoint
        return None

    def steps(self) -> list[int]:
        """The steps of which there is a checkpoint, undamaged or not, ascending."""
        names = [path.name.removeprefix("step-") for path in self._folder.glob("step-*")]
        return sorted(int(name) for name in names if name.isdecimal())

    def forget_after(self, step: int) -> None:
        """Delete the checkpoints of later steps."""
        for later in self.steps():
            if later > step:
                self._remove(self._folder / f"step-{later}")

    def _prune(self, needed_from: int) -> None:
        steps = self.steps()
        base = max((step for step in steps if step <= needed_from), default=-1)
        kept = {*steps[-self._keep :], base, next((step for step in steps if step > base), base)}
        for step in steps:
            if step not in kept:
                self._remove(self._folder / f"step-{step}")

    def _remove(self, path: Path) -> None:
        """Delete a checkpoint such that none is ever half there under its name."""
        going = path.with_name(f".deleting-{path.name}")
        shutil.rmtree(going, ignore_errors=True)
        path.rename(going)
        shutil.rmtree(going)

    def _read(self, step: int, tell: Callable[[str], None]) -> Checkpoint | None:
        path = self._folder / f"step-{step}"
        try:
            manifest = json.loads((path / MANIFEST).read_bytes())
            body = manifest["body"]
            if manifest["hash"] != _hash(body) or body["step"] != step or body["format"] != FORMAT:
                raise ValueError("its manifest is not what was written")
            with (path / TENSORS).open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != body["sha256"]:
                    raise ValueError("its tensors are not what was written")
        except (OSError, ValueError, KeyError, TypeError) as problem:
            tell(f"The checkpoint of step {step} is damaged and was not used: {problem}.")
            return None
        return Checkpoint(step, path, body)


def write_json(path: Path, value: Json) -> None:
    """Replace a small JSON file as a whole. Raises OSError, and then the old one is still there."""
    temporary = path.with_name(f".{path.name}.writing")
    _write(temporary, json.dumps(value, indent=1).encode())
    temporary.replace(path)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Make a rename in this folder outlast a power cut."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _hash(body: Json) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
