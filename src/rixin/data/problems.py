"""What is wrong with a row: where it is, which field, and what to do about it."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RowProblem:
    """One fault. `line` is counted from 1 (of a Parquet file, the row); None means the file as a whole.

    `field` is a path like `messages[2].content`, None where the whole row is meant.
    """

    file: Path
    line: int | None
    field: str | None
    message: str
    fix: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line is not None else str(self.file)
        return f"{place}: {self.field + ': ' if self.field else ''}{self.message} {self.fix}"


class Fault(Exception):
    """A RowProblem on its way up, before anyone has said of which file and line."""

    def __init__(self, message: str, fix: str, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix
        self.field = field

    def at(self, file: Path, line: int | None) -> RowProblem:
        """The problem, with its place; what it quotes of the row can be printed."""
        field = None if self.field is None else _printable(self.field)
        return RowProblem(file, line, field, _printable(self.message), _printable(self.fix))


def _printable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


class Misplaced(Fault):
    """A fault that knows its line: after it the rest of the file can't be read."""

    def __init__(self, fault: Fault, line: int) -> None:
        super().__init__(fault.message, fault.fix, fault.field)
        self.line = line
