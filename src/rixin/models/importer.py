"""From a GGUF file or a folder to a model folder under RIXIN_HOME/models: whole or not at all, and only once."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import msgspec

from rixin.errors import ExportMismatch, MalformedModel, NotEnoughDisk, RixinError, TemplateError, UnsupportedModel
from rixin.models.blobs import sync
from rixin.models.facts import Facts, read_facts
from rixin.models.lines import Done, Failed, Line, Step
from rixin.models.progress import Progress, Reporter, silent

_ERRORS: Mapping[str, type[RixinError]] = {
    kind.__name__: kind for kind in (MalformedModel, UnsupportedModel, TemplateError, NotEnoughDisk, ExportMismatch)
}


def prepare(source: Path, folder: Path, report: Reporter = silent, *, request: bytes | None = None) -> Facts:
    """Make `folder` from `source`, unless it is there already; the caller holds the lock on it.

    `request` is a TrainedRequest in JSON where `source` is what a training left. Raises MalformedModel,
    UnsupportedModel, TemplateError, NotEnoughDisk, ExportMismatch; then there is no folder.
    """
    if facts := read_facts(folder):
        return facts
    folder.parent.mkdir(parents=True, exist_ok=True)
    for abandoned in folder.parent.glob(f".{folder.name}.*"):  # by a process that was killed; the lock is ours now
        shutil.rmtree(abandoned, ignore_errors=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        facts = _run(source, temporary, report, request)
        temporary.chmod(0o755)
        if folder.exists():  # of an older recipe, or half removed
            shutil.rmtree(folder)
        temporary.replace(folder)
        sync(folder.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return facts


def _run(source: Path, folder: Path, report: Reporter, request: bytes | None) -> Facts:
    command = [sys.executable, "-m", "rixin.models.prepare", str(source), str(folder)]
    if request is not None:
        command.append("-")
    with (
        tempfile.TemporaryFile() as asked,
        tempfile.TemporaryFile() as said,
        _started(command, request or b"", asked, said) as process,
    ):
        assert process.stdout is not None
        try:
            for text in process.stdout:
                line = msgspec.json.decode(text, type=Line)
                if isinstance(line, Done):
                    return line.facts
                if isinstance(line, Failed):
                    raise _ERRORS[line.kind](line.message, where=_readable(line.where, source, folder), fix=line.fix)
                if isinstance(line, Step):
                    report(Progress("preparing", line.done, line.total, note=line.note))
        except BaseException:  # Ctrl-C too: the process must not go on alone
            process.kill()
            raise
        process.wait()
        said.seek(0)
        last = said.read().decode(errors="replace").strip().splitlines()[-1:]
    reason = last[0] if last else f"exit status {process.returncode}"
    raise MalformedModel(f"Preparing the model broke off: {reason}.", where=str(source))


def _started(command: list[str], request: bytes, asked: IO[bytes], said: IO[bytes]) -> subprocess.Popen[bytes]:
    asked.write(request)
    asked.seek(0)
    return subprocess.Popen(command, stdin=asked, stdout=subprocess.PIPE, stderr=said)


def _readable(where: str | None, source: Path, folder: Path) -> str | None:
    """The temporary folder is gone when a person reads this."""
    return where.replace(str(folder), str(source)) if where else None
