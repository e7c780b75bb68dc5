"""Questions to uploaded tables: right answers, and no way to anything else."""

import asyncio
import time
import zipfile
from pathlib import Path

import pytest

from rixin.assistants.tools import Sheet, ToolContext, ToolResult
from rixin.assistants.tools.tables import TableQuery


@pytest.fixture
def context(tmp_path: Path) -> ToolContext:
    people = tmp_path / "people.csv"
    people.write_text('姓名,部门,工资\n张三,外科,12000.50\n李四,内科,9800\n王五,外科,"11,000"\n赵六|x,内科,8000\n')
    (tmp_path / "secret.csv").write_text("a\nhidden\n")
    return ToolContext(sheets=(Sheet(name="员工", path=people), Sheet(name='odd "name"', path=people)))


def ask(context: ToolContext, sql: str | None = None) -> ToolResult:
    return asyncio.run(TableQuery().call({} if sql is None else {"sql": sql}, context))


def test_tables_are_told_and_asked(context: ToolContext) -> None:
    told = ask(context).text
    assert told.startswith('"员工" (4 rows): "姓名" VARCHAR, "部门" VARCHAR')
    assert '"odd ""name""" (4 rows)' in told
    answer = ask(context, 'SELECT "部门", count(*) AS n FROM "员工" GROUP BY 1 ORDER BY 1').text
    assert answer == "| 部门 | n |\n| --- | --- |\n| 内科 | 2 |\n| 外科 | 2 |"
    assert "赵六\\|x" in ask(context, 'SELECT "姓名" FROM "员工"').text
    assert "the first 200 rows" in ask(context, "SELECT * FROM range(100000)").text


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('{folder}/secret.csv')",
        "SELECT * FROM '{folder}/secret.csv'",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM read_csv('http://127.0.0.1:1/x.csv')",
        "COPY (SELECT 1) TO '{folder}/out.csv'",
        "ATTACH '{folder}/x.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "PRAGMA database_list",
        'DROP TABLE "员工"',
        'DELETE FROM "员工"',
        "SELECT 1; SELECT 2",
        "EXPORT DATABASE '{folder}/e'",
        "SELECT getenv('HOME')",
        "CREATE TABLE t AS SELECT 1",
        "SELECT nonsense(",
        "",
    ],
)
def test_only_a_select_on_the_sheets_is_answered(context: ToolContext, tmp_path: Path, sql: str) -> None:
    before = sorted(tmp_path.iterdir())
    result = ask(context, sql.format(folder=tmp_path))
    assert result.error or not sql
    assert "hidden" not in result.text
    assert "root:" not in result.text
    assert sorted(tmp_path.iterdir()) == before


def test_a_query_that_takes_the_machines_memory_is_stopped(context: ToolContext) -> None:
    assert ask(context, "SELECT list(a.range) FROM range(100000000) a").error
    assert ask(context, "SELECT repeat('x', 2000000000)").error


def test_a_query_without_end_is_stopped(context: ToolContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rixin.assistants.tools.tables.SECONDS", 0.7)
    begun = time.monotonic()
    endless = "SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE (a.range * b.range) % 7 = 3"
    assert "took longer" in str(ask(context, endless).error)
    assert time.monotonic() - begun < 5


def test_a_sheet_that_is_no_table_is_an_error_and_not_an_end(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"\x00\xff\xfe" * 1000)
    result = ask(ToolContext(sheets=(Sheet(name="x", path=tmp_path / "x.csv"),)), "SELECT * FROM x")
    assert result.error or result.text
    assert ask(ToolContext(sheets=(Sheet(name="x", path=tmp_path / "gone.csv"),)), "SELECT 1").error
    assert ask(ToolContext(), "SELECT 1").error == "No table was uploaded."


def test_each_sheet_of_a_workbook_is_a_table(tmp_path: Path) -> None:
    path = tmp_path / "book.xlsx"
    workbook(path, {"一月": [["客户", "金额"], ["甲", 12.5], ["乙", 7]], "二月": [["客户", "金额"], ["甲", 1]]})
    context = ToolContext(sheets=(Sheet(name="账", path=path),))
    told = ask(context)
    assert told.text == (
        '"账 一月" (2 rows): "客户" VARCHAR, "金额" DOUBLE\n"账 二月" (1 rows): "客户" VARCHAR, "金额" DOUBLE'
    )
    both = 'SELECT sum("金额") AS s FROM (FROM "账 一月" UNION ALL FROM "账 二月")'
    assert ask(context, both).text.endswith("| 20.5 |")
    path.write_bytes(path.read_bytes()[:300])
    assert "can't be read" in str(ask(context).error)


def workbook(path: Path, sheets: dict[str, list[list[object]]]) -> None:
    """The least that is an .xlsx: no library that writes them is at hand."""
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006/"
    kinds = "application/vnd.openxmlformats-officedocument.spreadsheetml."
    with zipfile.ZipFile(path, "w") as book:
        overrides = "".join(
            f'<Override PartName="/xl/worksheets/sheet{at}.xml" ContentType="{kinds}worksheet+xml"/>'
            for at in range(1, len(sheets) + 1)
        )
        book.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{package}content-types"><Default Extension="rels" '
            'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Override PartName="/xl/workbook.xml" ContentType="{kinds}sheet.main+xml"/>{overrides}</Types>',
        )
        relation = f'<Relationships xmlns="{package}relationships">'
        book.writestr(
            "_rels/.rels",
            f'{relation}<Relationship Id="r0" Type="{office}/officeDocument" '
            'Target="xl/workbook.xml"/></Relationships>',
        )
        names = "".join(f'<sheet name="{name}" sheetId="{at}" r:id="r{at}"/>' for at, name in enumerate(sheets, 1))
        book.writestr(
            "xl/workbook.xml", f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>{names}</sheets></workbook>'
        )
        targets = "".join(
            f'<Relationship Id="r{at}" Type="{office}/worksheet" Target="worksheets/sheet{at}.xml"/>'
            for at in range(1, len(sheets) + 1)
        )
        book.writestr("xl/_rels/workbook.xml.rels", f"{relation}{targets}</Relationships>")
        for at, rows in enumerate(sheets.values(), 1):
            cells = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
            book.writestr(
                f"xl/worksheets/sheet{at}.xml", f'<worksheet xmlns="{main}"><sheetData>{cells}</sheetData></worksheet>'
            )


def cell(value: object) -> str:
    return (
        f"<c><v>{value}</v></c>"
        if isinstance(value, int | float)
        else (f'<c t="inlineStr"><is><t>{value}</t></is></c>')
    )
