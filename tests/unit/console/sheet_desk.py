"""Sheets of a village's ledger as people bring them, and the pages that take them."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

import xlsxwriter

from huying.node.web.ledger.ledger_holdings import Holdings, read_holdings
from tests.support.console_site import ConsoleUnderTest
from tests.support.served_network import ServedNetwork
from tests.support.tiny_network import VILLAGE
from tests.unit.console.ledger_desk import FIRST

HEADER = (
    "网格",
    "户号",
    "户主",
    "住址",
    "姓名",
    "性别",
    "出生日期",
    "身份证号",
    "电话",
    "重点人群",
)
OTHER_ID = "11010519491231002X"  # the example of GB 11643-1999


def holdings(served: ServedNetwork) -> Holdings:
    return read_holdings(served.readers[VILLAGE], VILLAGE)


def people(served: ServedNetwork) -> dict[str, Any]:
    """Residents by name."""
    return {one.name: one for _, _, one in holdings(served).residents}


def csv_of(*rows: Sequence[str], encoding: str = "utf-8", header: Sequence[str] = HEADER) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([header, *rows])
    return text.getvalue().encode(encoding)


def book_of(*rows: Sequence[Any], header: Sequence[str] = HEADER) -> bytes:
    data = io.BytesIO()
    with xlsxwriter.Workbook(data, {"in_memory": True}) as made:
        page = made.add_worksheet()
        for number, row in enumerate([header, *rows]):
            page.write_row(number, 0, row)
    return data.getvalue()


def upload(site: ConsoleUnderTest, name: str, data: bytes) -> Any:
    """The page after the upload: that of the import, or the refusal."""
    fields = {"request_id": "ab" * 16}
    answer = site.post("/ledger/sheets/upload", fields, files={"table": (name, data)})
    return site.get(answer.headers["Location"]) if answer.status_code == 303 else answer


def confirm(site: ConsoleUnderTest, page: Any, **fields: str) -> Any:
    """The page after the import was confirmed."""
    answer = site.fill(page, "/write", **fields)
    return site.get(answer.headers["Location"]) if answer.status_code == 303 else answer


def row(number: str, name: str, **more: str) -> tuple[str, ...]:
    values = {"网格": FIRST, "户号": number, "户主": f"户主{number}", "姓名": name, **more}
    return tuple(values.get(column, "") for column in HEADER)


def merged_book(*blocks: Sequence[Sequence[str]]) -> bytes:
    """As villages keep it: a title, and a household's cells merged over its people."""
    header = ("序号", "户号", "户主", "网格", "姓名", "关系", "出生年月", "身份证号码")
    data = io.BytesIO()
    with xlsxwriter.Workbook(data, {"in_memory": True}) as made:
        page = made.add_worksheet()
        page.merge_range(0, 0, 0, len(header) - 1, "民情台账")
        page.write_row(1, 0, header)
        line = 2
        for block in blocks:
            for offset, cells in enumerate(block):
                page.write_row(line + offset, 0, cells)
            if len(block) > 1:
                for column in (1, 2, 3):
                    page.merge_range(line, column, line + len(block) - 1, column, block[0][column])
            line += len(block)
    return data.getvalue()
