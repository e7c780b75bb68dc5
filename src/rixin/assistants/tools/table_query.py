"""A process that answers one SELECT on CSV files and workbooks: `python -P -s table_query.py`, JSON in, JSON out.

It stands alone (standard library, duckdb, calamine), so that it starts fast. The walls, from the outside in: the
kernel's limits on memory, time and files written; DuckDB without external access, extensions or changes to its
settings; one statement, which DuckDB's own parser says is a SELECT. Nothing that a sheet or a question holds can reach
a file but the sheets, the network, or another process's data.
"""

import csv
import io
import json
import os
import resource
import sys

import duckdb

MEMORY_BYTES = 1 << 30
DUCKDB_MEMORY = "512MB"
CPU_S = 20
MAX_ROWS = 200
MAX_CELL = 500
WORKBOOKS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "memory_limit": DUCKDB_MEMORY,
    "threads": 1,
    "temp_directory": "",
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "allow_persistent_secrets": False,
    "python_enable_replacements": False,
}


def main() -> None:
    """Read the request, load the sheets, answer. What went wrong is in `error`; the exit status is 0 then too."""
    asked = json.load(sys.stdin)
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S + 1))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    try:
        answer = _answer(asked["sheets"], asked["sql"])
    except (duckdb.Error, ValueError, OSError, MemoryError) as error:
        answer = {"error": str(error).strip()[:1000] or type(error).__name__}
    sys.stdout.write(json.dumps(answer, ensure_ascii=False))


def _answer(sheets: list[list[str]], sql: str) -> dict[str, object]:
    tables = [table for name, path in sheets for table in _files(name, path)]
    # Before a table is read: what a file's content could bring about is bound already.
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    connection = duckdb.connect(":memory:", config=_SETTINGS)
    for name, path in tables:
        read = "SELECT * FROM read_csv(?, header = true, strict_mode = false)"
        connection.execute(f"CREATE TABLE {_quoted(name)} AS {read}", [path])
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    if not sql:
        return {"tables": [_described(connection, _quoted(name)) for name, _ in tables]}
    statements = connection.extract_statements(sql)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise ValueError("Only one SELECT can be asked.")
    result = connection.execute(statements[0])
    rows = result.fetchmany(MAX_ROWS + 1)
    return {
        "columns": [column[0] for column in result.description or ()],
        "rows": [[_cell(value) for value in row] for row in rows[:MAX_ROWS]],
        "more": len(rows) > MAX_ROWS,
    }


def _files(name: str, path: str) -> list[tuple[str, str]]:
    """Names of tables and CSV files: of a workbook one a sheet, in memory."""
    if not path.lower().endswith(WORKBOOKS):
        return [(name, path)]
    import python_calamine

    try:
        with python_calamine.CalamineWorkbook.from_path(path) as book:
            found = [(sheet, book.get_sheet_by_name(sheet).to_python()) for sheet in book.sheet_names]
    except (python_calamine.CalamineError, python_calamine.PasswordError) as error:
        raise ValueError(f"The workbook {name!r} can't be read: {error}") from None
    tables = []
    filled = [(sheet, rows) for sheet, rows in found if rows]
    for sheet, rows in filled:
        file = os.memfd_create("sheet")
        with io.TextIOWrapper(os.fdopen(os.dup(file), "wb"), encoding="utf-8", newline="") as text:
            csv.writer(text).writerows(rows)
        tables.append((name if len(filled) == 1 else f"{name} {sheet}", f"/proc/self/fd/{file}"))
    return tables


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _described(connection: duckdb.DuckDBPyConnection, table: str) -> str:
    columns = connection.execute(f"DESCRIBE {table}").fetchall()
    ((count,),) = connection.execute(f"SELECT count(*) FROM {table}").fetchall()  # noqa: S608 - quoted
    return f"{table} ({count} rows): " + ", ".join(f'"{column[0]}" {column[1]}' for column in columns)


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return text if len(text) <= MAX_CELL else text[:MAX_CELL] + "…"


if __name__ == "__main__":
    main()
