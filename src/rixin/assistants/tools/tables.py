"""Questions to uploaded tables, in SQL: read-only, in a process of their own."""

import asyncio
import contextlib
import json
import os
import sys
from pathlib import Path

import msgspec

from rixin.assistants.tools.tool import Arguments, Sheet, ToolContext, ToolResult

SECONDS = 25.0
MAX_SHEETS = 32
MAX_OUTPUT = 4 << 20
_SCRIPT = Path(__file__).with_name("table_query.py")


class _Answer(msgspec.Struct, kw_only=True):
    columns: list[str] = []
    rows: list[list[str]] = []
    tables: list[str] = []
    more: bool = False
    error: str | None = None


class TableQuery:
    """DuckDB on the conversation's sheets. Without `sql` it says which tables and columns there are."""

    name = "query_table"
    description = (
        "Answers a SELECT (DuckDB SQL) on the uploaded tables; without `sql` it lists their names and columns. "
        "用 SQL 查询上传的表格；不给 sql 时列出表名和列名。"
    )
    parameters = (
        '{"type":"object","properties":{"sql":{"type":"string","maxLength":4000,'
        '"description":"one SELECT; names in double quotes"}},"additionalProperties":false}'
    )
    side_effects = False

    async def call(self, arguments: Arguments, context: ToolContext) -> ToolResult:
        if not context.sheets:
            return ToolResult(error="No table was uploaded.")
        if len(context.sheets) > MAX_SHEETS:
            return ToolResult(error=f"More than {MAX_SHEETS} tables can't be asked at once.")
        answer = await _ask([*context.sheets], str(arguments.get("sql") or ""))
        if answer.error is not None:
            return ToolResult(error=answer.error)
        if answer.tables:
            return ToolResult(text="\n".join(answer.tables))
        lines = [_line(answer.columns), _line(["---"] * len(answer.columns)), *map(_line, answer.rows)]
        if answer.more:
            lines.append(f"… (the first {len(answer.rows)} rows)")
        return ToolResult(text="\n".join(lines))


async def _ask(sheets: list[Sheet], sql: str) -> _Answer:
    """Run the query in its process; it is killed when it takes too long, or when nobody waits any more."""
    asked = {"sheets": [[sheet.name, str(sheet.path.absolute())] for sheet in sheets], "sql": sql}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-s", str(_SCRIPT)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={"PATH": os.environ.get("PATH", ""), "HOME": "/nonexistent", "LANG": "C.UTF-8", "PYTHONUTF8": "1"},
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(SECONDS):
            output, _ = await process.communicate(json.dumps(asked).encode())
    except TimeoutError:
        return _Answer(error=f"The query took longer than {SECONDS:g} seconds.")
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await asyncio.shield(process.wait())
    if not output or len(output) > MAX_OUTPUT:
        return _Answer(error="The query needed too much memory or time, and was stopped.")
    return msgspec.json.decode(output, type=_Answer)


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in cells) + " |"
