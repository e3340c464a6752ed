"""The rows that an import refused, as a workbook to mend: the clerk's own rows, and what to do.

Forty rows of a register of six thousand are wrong. Nobody finds them by a list of row numbers in a
table that was sorted since; with the rows themselves it is an hour's work.
"""

from __future__ import annotations

import io
from typing import Any

import pytest
import xlsxwriter
from python_calamine import CalamineWorkbook

from huying.common import limits
from huying.node.web.ledger import sheet_jobs
from tests.support.console_site import ConsoleUnderTest, text_of
from tests.support.served_network import ServedNetwork
from tests.unit.console.ledger_desk import FIRST
from tests.unit.console.sheet_desk import (
    HEADER,
    book_of,
    confirm,
    csv_of,
    holdings,
    people,
    row,
    upload,
)

BAD_ID = "110105194912310021"


def faulty_of(site: ConsoleUnderTest, page: Any) -> tuple[bytes, list[list[Any]]]:
    """The workbook of the refused rows: as a file, and its cells."""
    answer = site.get(f"{page.url.path}/faulty.xlsx")
    assert answer.status_code == 200
    assert 'filename="ledger-faulty-rows.xlsx"' in answer.headers["Content-Disposition"]
    book = CalamineWorkbook.from_filelike(io.BytesIO(answer.content))
    return answer.content, book.get_sheet_by_index(0).to_python()


def mended(cells: list[list[Any]], *changes: tuple[int, str, str]) -> bytes:
    """The workbook after somebody changed cells: (line from 1, column, text)."""
    for line, column, text in changes:
        cells[line][cells[0].index(column)] = text
    data = io.BytesIO()
    with xlsxwriter.Workbook(data, {"in_memory": True}) as made:
        page = made.add_worksheet()
        for number, line_cells in enumerate(cells):
            page.write_row(number, 0, line_cells)
    return data.getvalue()


def test_the_refused_rows_come_back_are_mended_and_are_taken(
    network: ServedNetwork, site: ConsoleUnderTest
) -> None:
    """The whole way: import the good ones, mend the rest in the file one got, bring that file."""
    data = csv_of(
        row("10", "好人"),
        row("10", "坏证件", 身份证号=BAD_ID, 电话="13900003333"),
        row("11", "坏两处", 性别="?", 出生日期="去年"),
        header=HEADER,
    )
    page = confirm(site, upload(site, "村.csv", data), on_error="skip")
    assert "有 2 行没有导入" in page.text
    assert "下载有误的行" in page.text  # after the table itself is gone
    _, cells = faulty_of(site, page)
    assert cells[0] == ["错误 / 怎么改", "原来的行号", *HEADER]
    assert [line[1] for line in cells[1:]] == [3, 4]
    assert cells[1][0] == "身份证号:身份证号末位校验不符,请核对"
    assert cells[2][0].split("\n") == [
        "性别:只能填 男 或 女",
        "出生日期:不是日期,请写成 1950-01-31",
    ]
    assert cells[1][2:] == list(row("10", "坏证件", 身份证号=BAD_ID, 电话="13900003333"))
    data = mended(cells, (1, "身份证号", "11010519491231002X"), (2, "性别", "女"))
    page = upload(site, "改过.xlsx", data)
    text = text_of(page.text)
    assert "1 行可以导入" in text
    assert "没有用到" not in text  # our own two columns are no news to anybody
    _, cells = faulty_of(site, page)  # what is wrong still comes back, with our columns once
    assert cells[0] == ["错误 / 怎么改", "原来的行号", *HEADER]
    assert cells[1][0] == "出生日期:不是日期,请写成 1950-01-31"
    confirm(site, page, on_error="skip")
    data = mended(cells, (1, "出生日期", "1990.1.2"))
    confirm(site, upload(site, "再改.xlsx", data))
    found = people(network)
    assert found["坏证件"].household == holdings(network).households[FIRST, "10"][0]
    assert (found["坏两处"].sex, found["坏两处"].birth_date) == ("女", "1990-01-02")


def test_a_row_below_merged_cells_keeps_its_household(
    network: ServedNetwork, site: ConsoleUnderTest
) -> None:
    """Alone in a workbook, nobody would know whose it is."""
    page = upload(
        site,
        "合并.csv",
        csv_of(row("20", "户主二十"), ("", "", "", "", "其妻", "?", "", "", "", "")),
    )
    _, cells = faulty_of(site, page)
    line = dict(zip(cells[0], cells[1], strict=True))
    assert (line["网格"], line["户号"], line["户主"]) == (FIRST, "20", "户主20")


def test_a_number_that_was_rounded_does_not_come_back_as_a_true_one(
    site: ConsoleUnderTest,
) -> None:
    """As text its invented last digits would pass for a number, one time in eleven."""
    line: list[Any] = list(row("21", "科学计数"))
    line[HEADER.index("身份证号")] = 370830196503020012
    page = upload(site, "数值.xlsx", book_of(line))
    data, cells = faulty_of(site, page)
    shown = cells[1][cells[0].index("身份证号")]
    assert shown == "3.70830196503020E+17"
    again = upload(site, "没改.xlsx", data)
    assert "表格软件把号码变成了数值" in text_of(again.text)


def test_no_cell_of_it_becomes_a_formula(site: ConsoleUnderTest) -> None:
    """The file is opened at once, in a program that evaluates."""
    hostile = '=cmd|"/c calc"!A1'
    header = (*HEADER, "@SUM(1)")
    data = csv_of((*row("22", hostile, 性别="?"), "+1"), header=header)
    workbook, cells = faulty_of(site, upload(site, "公式.csv", data))
    line = dict(zip(cells[0], cells[1], strict=True))
    assert line["姓名"] == f"'{hostile}"
    assert line["'@SUM(1)"] == "'+1"
    again = upload(site, "公式.xlsx", workbook)
    _, cells = faulty_of(site, again)
    assert dict(zip(cells[0], cells[1], strict=True))["姓名"] == f"'{hostile}"


def test_it_is_the_importers_alone_written_down_and_gone_with_the_import(
    network: ServedNetwork, site: ConsoleUnderTest
) -> None:
    """It holds whole ID numbers: not even a colleague gets it, and it does not lie about."""
    page = upload(site, "留存.csv", csv_of(row("23", "留存", 身份证号=BAD_ID)))
    path = f"{page.url.path}/faulty.xlsx"
    faulty_of(site, page)
    (written,) = site.site.audit.page(action="ledger-faulty", count=1)
    assert (written.object_, written.detail) == (page.url.path.split("/")[-1], "rows 1")
    assert BAD_ID not in repr(site.site.audit.page())
    (file,) = (site.store.folder / "imports" / page.url.path.split("/")[-1]).glob("faulty.*")
    assert file.stat().st_mode & 0o077 == 0
    good = upload(site, "好.csv", csv_of(row("23", "没错")))
    assert "下载有误的行" not in good.text
    assert site.get(f"{good.url.path}/faulty.xlsx").status_code == 404
    site.sign_in("village_clerk", login="colleague")
    assert site.get(path).status_code == 404
    site.sign_in("worker")
    assert site.get(path).status_code == 404
    network.network.clock.seconds += limits.LEDGER_IMPORT_KEPT_SECONDS + 1
    site.sign_in("village_clerk")
    site.get("/ledger/sheets")
    assert not file.exists()


def test_there_are_not_more_of_them_than_fit(
    site: ConsoleUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was imported takes no place among those that wait; its refused rows do."""
    monkeypatch.setattr(sheet_jobs, "LEDGER_FAULTY_FILES_MAX", 2)
    pages = [
        upload(site, f"{number}.csv", csv_of(row("24", f"人{number}", 性别="?")))
        for number in range(3)
    ]
    assert len(list((site.store.folder / "imports").glob("*/faulty.xlsx"))) == 2
    assert site.get(f"{pages[2].url.path}/faulty.xlsx").status_code == 200
    # Their pages stay, and the list of what is wrong with them.
    assert all("只能填 男 或 女" in site.get(page.url.path).text for page in pages)
    site.post("/ledger/sheets/drop", {})
