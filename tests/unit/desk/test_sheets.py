"""Tables in and out: what offices really save is read, and what they must not open as is, isn't."""

from __future__ import annotations

import datetime
import tracemalloc
from pathlib import Path

import pytest
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st

from huying.node.sheets import (
    Import,
    OnError,
    RowError,
    Sheet,
    SheetError,
    match_columns,
    read_sheet,
    write_table,
)
from huying.node.sheets.writing import neutral, restored

TABLE = "序号,事项名称,牵头部门\n1,道路维修,交通运输局\n2,饮水安全,水利局\n"


def saved(tmp_path: Path, name: str, data: bytes | str) -> Path:
    """A file with this content."""
    path = tmp_path / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def contents(sheet: Sheet) -> list[list[str]]:
    """The cells of all rows, in the header's order."""
    return [[row.cells.get(name, "?") for name in sheet.header] for row in sheet.rows]


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "gb18030", "gbk", "utf-16", "utf-16-le", "utf-16-be"]
)
def test_an_encoding_is_found_without_being_told(tmp_path: Path, encoding: str) -> None:
    """Spreadsheets of different years and settings save the same table in all of these."""
    sheet = read_sheet(saved(tmp_path, "a.csv", TABLE.encode(encoding)))
    assert sheet.header == ("序号", "事项名称", "牵头部门")
    assert contents(sheet) == [["1", "道路维修", "交通运输局"], ["2", "饮水安全", "水利局"]]


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_separator_and_line_end_are_found(tmp_path: Path, delimiter: str, end: str) -> None:
    text = TABLE.replace(",", delimiter).replace("\n", end)
    assert len(contents(read_sheet(saved(tmp_path, "a.csv", text)))) == 2
    assert len(read_sheet(saved(tmp_path, "a.csv", text)).header) == 3


def test_rows_are_numbered_as_the_spreadsheet_shows_them(tmp_path: Path) -> None:
    """A title above, a blank row between and a line break in a cell shift no number."""
    text = '某县职责清单,,\n序号,事项名称,牵头部门\n1,"道路\n维修",甲局\n,,\n2,饮水,乙局\n'
    sheet = read_sheet(saved(tmp_path, "a.csv", text))
    assert sheet.header_row == 2
    assert [row.number for row in sheet.rows] == [3, 5]


def workbook(path: Path, *, merged: bool = False) -> Path:
    """A workbook as an office keeps it: a title over the table, dates, formulas, numbers."""
    with xlsxwriter.Workbook(str(path)) as book:
        page = book.add_worksheet("清单")
        page.merge_range("B2:F2", "某县乡镇履行职责清单")
        if merged:
            page.merge_range("B3:B4", "序号")
            page.merge_range("C3:D3", "责任单位")
            page.write_row("C4", ["牵头部门", "配合部门"])
            page.merge_range("E3:E4", "日期")
            page.merge_range("F3:F4", "数")
        else:
            page.write_row("B3", ["序号", "牵头部门", "配合部门", "日期", "数"])
        page.write_formula("B5", "=1+1", None, 2)
        page.write_string("C5", "=cmd|' /C calc'!A0")
        page.write_formula("D5", '=HYPERLINK("http://example.org","乙局")', None, "乙局")
        page.write_datetime(
            "E5", datetime.date(2026, 11, 22), book.add_format({"num_format": "yyyy/m/d"})
        )
        page.write_number("F5", 1.5)
        book.add_worksheet("说明").write("A1", "无")
    return path


@pytest.mark.parametrize("merged", [False, True])
def test_a_workbook_is_read_as_text_and_its_formulas_as_values(
    tmp_path: Path, merged: bool
) -> None:
    """A formula's text would be a way to make the reader, or the next one, compute something."""
    sheet = read_sheet(workbook(tmp_path / "a.xlsx", merged=merged))
    assert sheet.header == ("序号", "牵头部门", "配合部门", "日期", "数")
    assert sheet.sheet == "清单"
    (row,) = sheet.rows
    assert row.number == 5
    assert row.cells == {
        "序号": "2",
        "牵头部门": "=cmd|' /C calc'!A0",
        "配合部门": "乙局",
        "日期": "2026-11-22",
        "数": "1.5",
    }


def test_a_sheet_is_chosen_by_name_and_a_wrong_name_is_said(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx")
    assert read_sheet(path, sheet="说明").header == ("无",)
    with pytest.raises(SheetError, match="no sheet of that name"):
        read_sheet(path, sheet="没有")


def test_a_hundred_thousand_rows_are_read_in_bounded_memory(tmp_path: Path) -> None:
    """A town's machine has two gigabytes; the file may not be held in any of them."""
    path = tmp_path / "large.csv"
    with path.open("w", encoding="gb18030") as file:
        file.write("编号,内容,时间\n")
        file.writelines(f"{n},路灯不亮需要维修{n},2026-11-22\n" for n in range(100_000))
    tracemalloc.start()
    try:
        count = sum(1 for _ in read_sheet(path).rows)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 100_000
    assert peak < 4 << 20


def test_more_rows_than_allowed_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, "a.csv", "a,b\n" + "1,2\n" * 11)
    assert len(list(read_sheet(path, rows_max=11).rows)) == 11
    with pytest.raises(SheetError, match="more than 10 rows"):
        list(read_sheet(path, rows_max=10).rows)


def test_a_row_at_fault_has_no_cells_and_says_row_and_column(tmp_path: Path) -> None:
    """A caller that forgets to look at the errors must not take half of a row."""
    text = f"编号,内容\n1,好\n2,a\0b\n3,{'长' * 40_000}\n4,五,六\n5,好\n"
    rows = list(read_sheet(saved(tmp_path, "a.csv", text)).rows)
    assert [bool(row.errors) for row in rows] == [False, True, True, True, False]
    assert [(row.errors[0].number, row.errors[0].column) for row in rows[1:4]] == [
        (3, "内容"), (4, "内容"), (5, "C"),
    ]  # fmt: skip
    assert all(not row.cells for row in rows[1:4])
    assert str(rows[1].errors[0]).startswith("第 3 行「内容」:含有空字符")


def test_a_number_that_the_spreadsheet_rounded_is_no_identifier(tmp_path: Path) -> None:
    """An ID of 18 digits typed as a number has lost its last three: to take it would be worse."""
    path = tmp_path / "a.xlsx"
    with xlsxwriter.Workbook(str(path)) as book:
        page = book.add_worksheet()
        page.write_row(0, 0, ["编号", "内容"])
        page.write_row(1, 0, [123456789012345678, "甲"])
        page.write_row(2, 0, [123456789012345, "乙"])
    first, second = read_sheet(path).rows
    assert (first.errors[0].number, first.errors[0].column) == (2, "编号")
    assert second.cells["编号"] == "123456789012345"


def test_columns_are_matched_by_any_of_their_names() -> None:
    """Each office names them in its own way; width, case, remarks and line breaks don't count."""
    wanted = {"title": ("事项名称", "事项"), "lead": ("牵头部门", "主办部门"), "note": ("备注",)}
    assert match_columns(["事项 名称(必填)", "主办部门*"], wanted, required=("title", "lead")) == {
        "title": "事项 名称(必填)",
        "lead": "主办部门*",
    }
    assert match_columns(["TITLE", "Lead"], wanted) == {"title": "TITLE", "lead": "Lead"}


def test_missing_doubled_and_equal_columns_are_named(tmp_path: Path) -> None:
    wanted = {"title": ("事项名称", "事项"), "lead": ("牵头部门",)}
    with pytest.raises(SheetError) as missing:
        match_columns(["序号"], wanted, required=("title", "lead"), number=2)
    assert [(e.number, e.column) for e in missing.value.errors] == [
        (2, "事项名称"),
        (2, "牵头部门"),
    ]
    assert "也可写作 事项" in missing.value.detail
    with pytest.raises(SheetError) as doubled:
        match_columns(["事项", "事项名称"], wanted)
    assert doubled.value.errors[0].column == "事项名称"
    with pytest.raises(SheetError) as equal:
        read_sheet(saved(tmp_path, "a.csv", "内容,编号,内容\n1,2,3\n"))
    assert "A, C" in equal.value.detail


def test_an_import_keeps_good_rows_or_none(tmp_path: Path) -> None:
    """Which of the two is the user's choice, and all errors are shown at once either way."""
    path = saved(tmp_path, "a.csv", "a,b\n1,\n2,x\n3,\n4,y\0\n")

    def tried(on_error: OnError) -> tuple[Import, list[str]]:
        importing, kept = Import(on_error), []
        for row in importing.rows(read_sheet(path)):
            if not row.cells["b"]:
                importing.reject(row.number, "b", "空 · empty")
            if not importing.is_rejected(row.number):
                kept.append(row.cells["a"])
        return importing, kept

    skipping, kept = tried(OnError.SKIP)
    skipping.finish()
    assert (kept, skipping.accepted, skipping.rejected) == (["2"], 1, 3)
    stopping, _ = tried(OnError.STOP)
    with pytest.raises(SheetError) as stopped:
        stopping.finish()
    assert [error.number for error in stopped.value.errors] == [2, 4, 5]


def test_errors_of_an_import_are_capped(tmp_path: Path) -> None:
    """A file of the wrong kind has as many errors as rows: nobody reads them all."""
    path = saved(tmp_path, "a.csv", "a,b\n" + "1,\0\n" * 50)
    skipping = Import(OnError.SKIP, errors_max=5)
    assert not list(skipping.rows(read_sheet(path)))
    assert (len(skipping.errors), skipping.rejected) == (5, 50)
    with pytest.raises(SheetError):
        skipping.finish()
    with pytest.raises(SheetError) as stopped:
        list(Import(OnError.STOP, errors_max=5).rows(read_sheet(path)))
    assert len(stopped.value.errors) == 5


def test_an_error_is_said_in_chinese_first() -> None:
    error = SheetError("表有误 · at fault", [RowError(3, "内容", "空 · empty")])
    assert error.advice.zh == "表有误"
    assert error.detail.splitlines() == ["at fault", "第 3 行「内容」:空 · row 3, 内容: empty"]


CELLS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(CELLS)
def test_no_cell_that_is_written_begins_as_a_formula(text: str) -> None:
    """What an attacker wrote into a call's title must not run in the county's spreadsheet."""
    written = neutral(text)
    assert not written.startswith(tuple("=+-@\t\r\n\0\uff1d\uff0b\uff0d\uff20"))
    kept = zip(restored(written), text, strict=True)
    assert all(read == char or (read == "\ufffd" and not char.isprintable()) for read, char in kept)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(CELLS, CELLS), max_size=5), st.sampled_from([".csv", ".xlsx"]))
def test_what_is_written_reads_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], ending: str
) -> None:
    """An exported list that is imported again is the same list."""
    path = tmp_path_factory.mktemp("round") / f"a{ending}"
    allowed = [
        tuple("".join(c for c in cell if c.isprintable()).strip() or "空" for cell in row)
        for row in rows
    ]
    assert write_table(path, ["甲", "乙"], allowed) == len(rows)
    assert [tuple(row.cells.values()) for row in read_sheet(path).rows] == allowed


@pytest.mark.parametrize("ending", [".csv", ".xlsx"])
def test_numbers_stay_numbers_and_text_that_looks_like_a_formula_stays_text(
    tmp_path: Path, ending: str
) -> None:
    path = tmp_path / f"a{ending}"
    write_table(path, ["甲", "=乙"], [[-1.5, "=1+1"], [None, "'=x"], [3, "@sum"]])
    sheet = read_sheet(path)
    assert sheet.header == ("甲", "=乙")
    assert contents(sheet) == [["-1.5", "=1+1"], ["", "'=x"], ["3", "@sum"]]
    if ending == ".csv":
        assert path.read_bytes().startswith(b"\xef\xbb\xbf")
        assert '"\'=1+1"' in path.read_text("utf-8-sig")


def test_another_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SheetError, match="must end in"):
        write_table(tmp_path / "a.pdf", ["a"], [])
