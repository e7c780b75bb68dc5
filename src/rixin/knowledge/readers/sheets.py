"""Spreadsheets (.xlsx, .xlsm, .xlsb, .xls, .ods): a page and a heading a sheet, its cells as a table."""

import datetime
from collections.abc import Iterator
from io import BytesIO

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, PasswordError, SheetTypeEnum

from rixin.knowledge.documents import Block, Document
from rixin.knowledge.readers.source import Source, finish
from rixin.knowledge.readers.tables import MAX_CELLS, table_blocks

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def read_sheets(source: Source) -> Document:
    try:
        with CalamineWorkbook.from_filelike(BytesIO(source.data)) as book:
            blocks: list[Block] = []
            for number, meta in enumerate(book.sheets_metadata, 1):
                source.alive()
                if meta.typ != SheetTypeEnum.WorkSheet:
                    continue
                blocks.extend(_sheet(source, book.get_sheet_by_name(meta.name), number))
    except PasswordError as error:
        raise source.encrypted() from error
    except CalamineError as error:
        raise source.broken(error) from error
    return finish(source, blocks, MEDIA_TYPE, title=source.stem)


def _sheet(source: Source, sheet: CalamineSheet, number: int) -> Iterator[Block]:
    if sheet.total_height * sheet.total_width > 20 * MAX_CELLS:
        raise source.too_large(f"a sheet of {sheet.total_height:,} rows and {sheet.total_width:,} columns")
    rows = [[_shown(cell) for cell in row] for row in sheet.to_python(skip_empty_area=False)]
    for (top, left), (bottom, right) in sheet.merged_cell_ranges or ():
        if top >= len(rows) or (bottom - top + 1) * (right - left + 1) > MAX_CELLS:
            continue
        text = rows[top][left] if left < len(rows[top]) else ""
        for row in rows[top : bottom + 1]:
            for column in range(left, min(right + 1, len(row))):
                row[column] = text
    blocks = table_blocks(rows, page=number)
    if blocks:
        yield Block(kind="heading", text=sheet.name, level=1, page=number)
        yield from blocks


def _shown(value: object) -> str:
    """As a person would write it: whole numbers without a point, midnight without a time."""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, datetime.datetime):
        return value.date().isoformat() if value.time() == datetime.time() else value.isoformat(" ", "seconds")
    return str(value)
