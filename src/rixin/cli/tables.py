"""Columns for a person, tabs for a pipe, JSON for a program."""

import json
import sys
import unicodedata
from collections.abc import Sequence


def print_table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Columns on a terminal; elsewhere tabs and no head, for `cut`."""
    if not sys.stdout.isatty():
        for row in rows:
            print("\t".join(row))
        return
    widths = [max(_width(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row in (head, *rows):
        cells = [cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)]
        print("  ".join(cells).rstrip())


def _width(text: str) -> int:
    """Cells on a terminal, where a Chinese character takes two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def print_json(value: object) -> None:
    """Readable JSON."""
    print(json.dumps(value, ensure_ascii=False, indent=2))


def size_of(amount: int) -> str:
    """Bytes for a person."""
    return f"{amount / 1e6:,.1f} MB" if amount < 10e6 else f"{amount / 1e6:,.0f} MB"
