"""Rows for a person: as they are, or as a model is given them."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
from rich.console import Console
from rich.text import Text

from rixin.cli.paint import printable
from rixin.cli.tables import print_json
from rixin.data import AnyExample, PreferenceExample, TextExample, Turn, pieces_of, render_example

if TYPE_CHECKING:
    from rixin.text import Tokens

OPEN, CLOSE = "⟦", "⟧"


def print_rows(facts: object, examples: Sequence[AnyExample], *, as_json: bool) -> None:
    """What is known of a dataset (None of a file), and its rows."""
    if as_json:
        print_json({"dataset": facts, "rows": [msgspec.to_builtins(example) for example in examples]})
        return
    console = _console()
    if isinstance(facts, dict):
        width = max(map(len, facts))
        for key, value in facts.items():
            if value not in (None, "", []):
                shown = ", ".join(value) if isinstance(value, list) else value
                console.print(Text(printable(f"{key.replace('_', ' '):<{width}}  {shown}")))
    for example in examples:
        console.print(Text(f"\n{example.source}", style="bold"))
        for who, said in _parts(example):
            console.print(Text.assemble((f"{who}: ", "cyan"), printable(said)))


def print_masks(tokens: "Tokens", examples: Sequence[AnyExample], *, as_json: bool) -> None:
    """Each row as the model is given it: what is learned is coloured, and stands between two marks."""
    found = [(example, name, rendered) for example in examples for name, rendered in render_example(tokens, example)]
    if as_json:
        rows = [
            {
                "source": example.source,
                "part": name,
                "tokens": rendered.tokens,
                "predict": rendered.predict,
                "pieces": [msgspec.to_builtins(piece) for piece in pieces_of(tokens, rendered)],
            }
            for example, name, rendered in found
        ]
        print(msgspec.json.encode(rows).decode())  # in one line: a column of token ids helps nobody
        return
    console = _console()
    for example, name, rendered in found:
        count = f"{sum(rendered.predict):,} of {len(rendered.tokens):,} tokens are learned"
        console.print(Text(f"{example.source}, {name}: {count}", style="bold"))
        shown = Text()
        for piece in pieces_of(tokens, rendered):
            text = printable(piece.text)
            shown.append(f"{OPEN}{text}{CLOSE}" if piece.learned else text, style="green" if piece.learned else "dim")
        console.print(shown)
        console.print()


def one_line(example: AnyExample, width: int = 160) -> str:
    """A row as one line, cut at so many characters."""
    said = " / ".join(f"{who}: {said}" for who, said in _parts(example))
    line = printable(" ".join(said.split()))
    return line if len(line) <= width else f"{line[: width - 1]}…"


def _console() -> Console:
    """Wraps nothing in a pipe: a line there is a line of the row."""
    return Console(soft_wrap=True, highlight=False, file=sys.stdout)


def _parts(example: AnyExample) -> list[tuple[str, str]]:
    if isinstance(example, TextExample):
        return [("text", example.text)]
    fields: dict[str, object] = {name: getattr(example, name) for name in example.__struct_fields__ if name != "source"}
    parts: list[tuple[str, str]] = []
    for name, value in fields.items():
        if isinstance(value, tuple) and value and isinstance(value[0], Turn):
            shown = f"{name} " if isinstance(example, PreferenceExample) and name != "prompt" else ""
            parts += [(f"{shown}{turn.role}", _said(turn)) for turn in value]
        elif isinstance(value, tuple):
            parts += [(name, tool.name) for tool in value]
        elif value is not None:
            parts.append((name, str(value)))
    return parts


def _said(turn: Turn) -> str:
    calls = [f"{call.name}({call.arguments})" for call in turn.tool_calls]
    return "\n".join([turn.content, *calls] if turn.content else calls)
