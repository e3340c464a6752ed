"""Rows of a workbook (.xlsx, .xls, .ods), as a process of its own reads them.

The process has the memory and the time that `LIMITS` gives it; what it does not survive is said
to be over them. See `workbook_child`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

from huying.common import limits
from huying.node.confined import confined
from huying.node.sheets import workbook_child
from huying.node.sheets.errors import SheetError
from huying.node.sheets.raw_rows import RawRow, RawTable, raw_row

__all__ = ["REFUSALS", "read_workbook"]

LIMITS: Final = (
    limits.SHEET_READER_BYTES_MAX,
    limits.SHEET_READER_SECONDS_MAX,
    limits.SHEET_MEMBERS_MAX,
    limits.SHEET_UNPACKED_BYTES_MAX,
    limits.SHEET_COLUMNS_MAX,
    limits.SHEET_CELL_CHARACTERS_MAX,
)

REFUSALS: Final = {
    "damaged": "工作簿已损坏或不完整,请重新导出后再试"
    " · the workbook is damaged or cut short: export it again",
    "encrypted": "工作簿有密码,请去掉密码后另存"
    " · the workbook is encrypted: save it without a password",
    "empty": "工作簿里没有工作表 · the workbook has no sheet",
    "no-sheet": "没有这个名称的工作表,请核对 · the workbook has no sheet of that name",
    "members": f"工作簿内部文件超过 {limits.SHEET_MEMBERS_MAX} 个,拒绝读取"
    f" · the workbook packs more than {limits.SHEET_MEMBERS_MAX} files: refused",
    "unpacked": f"工作簿解压后超过 {limits.SHEET_UNPACKED_BYTES_MAX >> 20} MiB,请拆分或另存为 CSV"
    f" · over {limits.SHEET_UNPACKED_BYTES_MAX >> 20} MiB unpacked: split it, or save it as CSV",
}
_KILLED: Final = (
    "读取工作簿所需的内存或时间超过上限,请另存为 CSV 后重试"
    " · reading the workbook takes more memory or time than allowed: save it as CSV, then retry"
)
_INEXACT: Final = (
    "数字超过 15 位,表格软件已丢失末位;请把该列设为文本后重新填写"
    " · a number of over 15 digits, which the spreadsheet has rounded: make the column text"
)


def read_workbook(path: Path, sheet: str) -> tuple[RawTable, Iterator[RawRow]]:
    """The sheet named so (the first one for ""), and its rows, blank ones left out.

    Raises SheetError, here or from the iterator.
    """
    lines = _lines(path, sheet)
    about = next(lines)
    table = RawTable(
        sheet=about["sheet"],
        first_column=about["column"],
        merged=tuple((a, b, c, d) for a, b, c, d in about["merged"]),
    )
    return table, _rows(lines)


def _rows(lines: Iterator[Any]) -> Iterator[RawRow]:
    for number, cells, inexact in lines:
        row = raw_row(number, cells, tuple((place, _INEXACT) for place in inexact))
        if any(row.cells) or row.faults:
            yield row


def _lines(path: Path, sheet: str) -> Iterator[Any]:
    """What the child writes, its last word apart. Raises SheetError where that never comes."""
    with (
        path.open("rb") as file,
        confined(workbook_child.__file__, (*LIMITS, sheet), file) as child,
    ):
        assert child.stdout is not None
        yield from _documents(child.stdout)


def _documents(stream: IO[bytes]) -> Iterator[Any]:
    for line in stream:
        document = json.loads(line) if line.endswith(b"\n") else None
        if isinstance(document, dict) and "refused" in document:
            raise SheetError(REFUSALS[document["refused"]])
        if isinstance(document, dict) and "count" in document:
            return
        if document is None:
            break
        yield document
    raise SheetError(_KILLED)
