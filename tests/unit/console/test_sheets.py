"""The ledger's spreadsheets in the browser: checked before anything is written, written once.

Villages keep their ledgers in files of every kind. A row that is wrong is named as the spreadsheet
shows it; a cut import goes on where it ended; what goes out can't become a formula or a leak.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from python_calamine import CalamineWorkbook

from huying.common import limits
from huying.common.errors import Code, HuyingError
from huying.node.web.ledger import ledger_book, ledger_records, sheet_jobs, sheet_pages
from huying.node.web.ledger.ledger_holdings import Holdings, read_holdings
from huying.wire.v1 import records_pb2
from tests.support.console_site import ConsoleUnderTest, text_of
from tests.support.served_network import ServedNetwork
from tests.support.tiny_network import VILLAGE
from tests.unit.console.ledger_desk import (
    FIRST,
    HEALTH,
    ID_NUMBER,
    PHONE,
    SECOND,
    append,
    grids,
    household,
    resident,
)

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


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedNetwork]:
    with pytest.MonkeyPatch.context() as patch:
        served = ServedNetwork(tmp_path_factory.mktemp("sheets"), patch)
        grids(served)
        yield served
        served.close()


@pytest.fixture
def site(network: ServedNetwork) -> Iterator[ConsoleUnderTest]:
    with ConsoleUnderTest(network, VILLAGE) as console:
        console.sign_in("village_clerk")
        yield console


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


def test_the_template_can_be_filled_in_and_its_sample_is_passed_over(
    network: ServedNetwork, site: ConsoleUnderTest
) -> None:
    """Whoever fills in what was given out must not be told that it does not fit."""
    data = site.get("/ledger/sheets/template.xlsx").content
    book = CalamineWorkbook.from_filelike(io.BytesIO(data))
    assert book.sheet_names == ["台账", "填写说明"]
    assert book.get_sheet_by_name("台账").to_python()[1][1] == "样例001"
    page = upload(site, "模板.xlsx", data)
    assert page.status_code == 200
    assert "0 行可以导入" in text_of(page.text)
    assert "0 行有问题" in text_of(page.text)


def test_a_good_sheet_is_checked_then_written_whole(
    network: ServedNetwork, site: ConsoleUnderTest
) -> None:
    """One row a person; a household's rows become one household, and the county sees its count."""
    data = book_of(
        row("20", "甲", 性别="男", 出生日期="1980.1.5", 身份证号=OTHER_ID, 重点人群="低保"),
        row("20", "乙", 出生日期="19850203", 电话="139 0000 1111"),
        row("21", ""),
    )
    before = len(holdings(network).households)
    page = upload(site, "一村.xlsx", data)
    text = text_of(page.text)
    assert "3 行可以导入" in text
    assert "2 户新增" in text
    assert "2 人新增" in text
    assert len(holdings(network).households) == before  # nothing is written yet
    done = confirm(site, page)
    assert "导入完成:新增 2 户、2 人" in text_of(done.text)
    found = people(network)
    assert (found["甲"].sex, found["甲"].birth_date) == ("男", "1980-01-05")
    assert found["甲"].id_number == OTHER_ID
    assert found["甲"].key_population == "低保"
    assert found["乙"].birth_date == "1985-02-03"
    house = records_pb2.Household.FromString(holdings(network).households[FIRST, "20"][1])
    assert (house.head_name, house.resident_count) == ("户主20", 2)
    assert found["甲"].household == found["乙"].household
    # What was uploaded is gone; what became of it is told for a day.
    folder = site.store.folder / "imports" / page.url.path.split("/")[-1]
    assert [one.name for one in folder.iterdir()] == ["job.json"]


def test_bad_rows_are_named_as_the_spreadsheet_shows_them(
    network: ServedNetwork, site: ConsoleUnderTest
) -> None:
    """Row, column, what to do; never the value; good rows can be imported without them."""
    bad_id = "110105194912310021"
    data = csv_of(
        row("30", "好人"),
        row("30", "坏日期", 出生日期="去年"),
        row("30", "坏证件", 身份证号=bad_id),
        row("30", "科学计数", 身份证号="1.10105E+17"),
        row("", "无户号"),
        row("31", "外网格", 网格="另一个村"),
        row("30", "坏性别", 性别="?"),
        row("30", "好人"),
        row("30", "别家", 户主="另一个户主"),
    )
    page = upload(site, "坏.csv", data)
    text = text_of(page.text)
    assert "1 行可以导入" in text
    assert "8 行有问题" in text
    for named in (
        "第 3 行 出生日期 不是日期",
        "第 4 行 身份证号 身份证号末位校验不符",
        "第 5 行 身份证号 表格软件把号码变成了数值",
        "第 6 行 户号 没有户号",
        "第 7 行 网格 没有这个网格",
        "第 8 行 性别 只能填 男 或 女",
        "第 9 行 姓名 与第 2 行是同一个人",
        "第 10 行 户主 与第 2 行的同一户填得不一样",
    ):
        assert named in text, named
    assert bad_id not in page.text
    assert "1.10105E" not in page.text
    listed = site.get(f"{page.url.path}/errors.csv")
    assert listed.content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(listed.content.decode("utf-8-sig"))))
    assert rows[1][:2] == ["3", "出生日期"]
    assert len(rows) == 9
    # All or nothing is what a page offers first, and the server holds to it.
    stopped = site.fill(page, "/write")
    assert stopped.status_code == 400
    assert "没有导入任何内容" in stopped.text
    assert "好人" not in people(network)
    done = confirm(site, site.get(page.url.path), on_error="skip")
    assert "有 8 行没有导入" in done.text
    assert "好人" in people(network)
    assert "坏日期" not in people(network)


def test_what_is_there_is_found_and_kept_or_changed_as_chosen(
    network: ServedNetwork, site: ConsoleUnderTest
) -> None:
    """A second import must neither double people nor drop what the sheet does not have."""
    (place,) = append(network, household("40", resident_count=1))
    append(network, resident(place, "旧人"))
    data = csv_of(
        row("40", "旧人改名", 户主="户主40", 身份证号=ID_NUMBER),
        row("40", "新人", 户主="户主40"),
    )
    page = upload(site, "再来.csv", data)
    assert "1 人已在台账" in text_of(page.text)
    assert "1 人新增" in text_of(page.text)
    confirm(site, page)
    found = people(network)
    assert "旧人" in found
    assert "新人" in found
    assert "旧人改名" not in found
    house = records_pb2.Household.FromString(holdings(network).households[FIRST, "40"][1])
    assert house.resident_count == 2
    assert house.phone == PHONE
    page = upload(site, "再来.csv", data)
    confirm(site, page, existing="update")
    changed = people(network)["旧人改名"]
    assert changed.phone == PHONE
    assert changed.health == HEALTH
    assert changed.key_population == "空巢老人"
    # Somebody of another household is not moved by a sheet.
    other = csv_of(row("41", "旧人改名", 身份证号=ID_NUMBER))
    assert "已在台账的另一户" in upload(site, "别户.csv", other).text


def test_an_import_that_is_cut_goes_on_and_writes_each_row_once(
    network: ServedNetwork, site: ConsoleUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Power goes, a network goes, a clerk presses twice: each person is entered once."""
    monkeypatch.setattr(sheet_pages, "LEDGER_IMPORT_ENTRIES_MAX", 5)
    monkeypatch.setattr(sheet_pages, "LEDGER_IMPORT_SECONDS", 0.0)
    data = csv_of(*(row(f"5{number}", f"批量{number}") for number in range(8)))
    page = upload(site, "批量.csv", data)
    real, calls = ledger_records.append, 0

    async def cut(ask: Any, drafts: Any) -> Any:
        nonlocal calls
        calls += 1
        answer = await real(ask, drafts)
        if calls == 2:  # written, and the answer never came
            raise HuyingError(Code.UNREACHABLE, "cut")
        return answer

    monkeypatch.setattr(sheet_pages, "append", cut)
    page = confirm(site, page)
    assert "已写入 5 / 16" in text_of(page.text)
    assert "/static/node/sheet.js" in page.text
    broken = site.fill(page, "/write")
    assert broken.status_code == 400
    assert "已写入 5 / 16" in text_of(broken.text)
    assert "sheet.js" not in broken.text  # it does not go on by itself into the same wall
    page = site.get(page.url.path)
    for _ in range(3):
        page = confirm(site, page)
    assert "导入完成:新增 8 户、8 人" in text_of(page.text)
    names = [one.name for _, _, one in holdings(network).residents if one.name[:2] == "批量"]
    assert sorted(names) == [f"批量{number}" for number in range(8)]
    # The same file again brings nothing new.
    again = upload(site, "批量.csv", data)
    assert "8 人已在台账" in text_of(again.text)
    assert "0 人新增" in text_of(again.text)


def test_the_same_file_planned_twice_is_written_once(
    network: ServedNetwork, site: ConsoleUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two windows confirm one file while the node is away; then both go on."""

    async def away(_ask: Any, _drafts: Any) -> Any:
        raise HuyingError(Code.UNREACHABLE, "away")

    data = csv_of(row("60", "两个窗口"))
    pages = [upload(site, "a.csv", data), upload(site, "b.csv", data)]
    with monkeypatch.context() as patch:
        patch.setattr(sheet_pages, "append", away)
        for page in pages:
            assert confirm(site, page).status_code == 400
    for page in pages:
        confirm(site, site.get(page.url.path))
    names = [one.name for _, _, one in holdings(network).residents]
    assert names.count("两个窗口") == 1
    assert len([one for one in holdings(network).households if one[1] == "60"]) == 1


def test_gb18030_with_title_and_other_names_of_columns_is_read(
    network: ServedNetwork, site: ConsoleUnderTest
) -> None:
    """What an office exports: GB18030, a title above, its own names for the columns."""
    header = ("所属网格", "户编号", "户主姓名", "姓名", "身份证号码", "手机号")
    data = "义桥村台账\r\n".encode("gb18030") + csv_of(
        ("第二网格", "70", "䶮某", "䶮某", OTHER_ID.lower(), "13900002222"),
        encoding="gb18030",
        header=header,
    )
    # The number is entered elsewhere since another test, so another person is taken.
    data = data.replace(OTHER_ID.lower().encode(), b"")
    page = upload(site, "导出.csv", data)
    assert "1 行可以导入" in text_of(page.text), text_of(page.text)
    confirm(site, page)
    assert people(network)["䶮某"].grid == SECOND


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


def test_people_below_a_merged_household_number_belong_to_that_household(
    network: ServedNetwork, site: ConsoleUnderTest
) -> None:
    """Most villages merge a household's cells; its people must not be lost, nor go elsewhere."""
    data = merged_book(
        [
            ("1", "M1", "合户主", "第一网格", "合户主", "户主", "1971.06", "'110105197106150010"),
            ("2", "", "", "", "合配偶", "配偶", "", "110105197201010024"),
            ("3", "", "", "", "合长子", "长子", "2001-02-03", ""),
        ],
        [("4", "M2", "别户主", "第一网格", "别户主", "户主", "", "37083000")],
        [("5", "", "", "", "别人妻", "妻", "", "")],
        [("", "", "", "", "", "", "", "")],
        [("6", "", "", "", "不知哪户", "", "", "")],
    )
    page = upload(site, "合并.xlsx", data)
    text = text_of(page.text)
    assert "读了这些列: 户号、户主、网格、姓名、出生年月、身份证号码" in text
    assert "没有用到、不导入的列:序号、关系" in text
    assert "有 3 行没填户号" in text
    assert "第 6 行 身份证号码 身份证号应为 18 位" in text
    assert "第 9 行 户号 没有户号" in text  # below a blank row nobody knows
    confirm(site, page, on_error="skip")
    found = people(network)
    house = holdings(network).households[FIRST, "M1"][0]
    assert {found[name].household for name in ("合户主", "合配偶", "合长子")} == {house}
    assert found["别人妻"].household == holdings(network).households[FIRST, "M2"][0]
    assert "不知哪户" not in found
    # The number says the rest; a month alone is made a date by it.
    assert (found["合户主"].birth_date, found["合户主"].sex) == ("1971-06-15", "男")
    assert (found["合配偶"].birth_date, found["合配偶"].sex) == ("1972-01-01", "女")
    assert found["合长子"].birth_date == "2001-02-03"


def test_the_same_fault_of_many_rows_is_said_once(site: ConsoleUnderTest) -> None:
    """A hundred lines of one sentence hide the line that matters."""
    rows = [row("", f"无{number}", 户主=f"各{number}") for number in range(20)]
    page = upload(site, "同错.csv", csv_of(*rows, row("90", "?", 性别="?")))
    text = text_of(page.text)
    assert text.count("没有户号") == 1
    assert "12、13 行,等 20 行" in text
    assert "第 22 行 性别" in text


def test_formulas_and_bombs_and_what_is_no_table_are_refused(
    network: ServedNetwork, site: ConsoleUnderTest
) -> None:
    """A stranger's file is read in a process of its own, and shown as text if at all."""
    hostile = row("80", '=cmd|"/c calc"!A1', 户主="<script>alert(1)</script>")
    page = upload(site, "<script>.csv", csv_of(hostile))
    assert "<script>alert" not in page.text
    assert "1 行可以导入" in text_of(page.text)
    confirm(site, page)
    assert '=cmd|"/c calc"!A1' in people(network)
    bomb = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(book_of(row("81", "x")))) as old,
        zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, old.read(name))
        new.writestr("xl/media/bomb.bin", bytes(limits.SHEET_UNPACKED_BYTES_MAX + 1))
    for name, data in (
        ("bomb.xlsx", bomb.getvalue()),
        ("not.xlsx", b"<html>"),
        ("table.exe", b"MZ"),
        ("empty.csv", b""),
        ("no-number.csv", csv_of(("x",), header=("姓名",))),
    ):
        refused = upload(site, name, data)
        assert refused.status_code == 400, name
        assert "refusal" in refused.text, name
    large = upload(site, "large.csv", b"a" * (limits.LEDGER_SHEET_BYTES_MAX + 1))
    assert large.status_code == 400
    assert "文件超过 8 MiB" in large.text
    assert (
        site.post(
            "/ledger/sheets/upload",
            {"request_id": "ab" * 16},
            files={"table": ("x.csv", b"b" * 10**7)},
        ).status_code
        == 413
    )
    assert not list((site.store.folder / "imports").glob("*/table.exe"))


def export(site: ConsoleUnderTest, **fields: Any) -> Any:
    values = {
        "request_id": "ab" * 16,
        "purpose": "核对低保名单",
        "columns": ["number", "name", "id_number", "phone"],
        "format": "csv",
        **fields,
    }
    return site.post("/ledger/sheets/export", values)


def test_an_export_is_masked_neutral_and_written_down(
    network: ServedNetwork, site: ConsoleUnderTest
) -> None:
    """A file is mailed on: without a purpose there is none, and numbers are whole only if asked."""
    (place,) = append(network, household("90"))
    append(network, resident(place, "=1+1", id_number="370830195001011237"))
    masked = export(site)
    assert masked.headers["Content-Disposition"] == 'attachment; filename="ledger.csv"'
    text = masked.content.decode("utf-8-sig")
    assert ID_NUMBER not in text
    assert PHONE not in text
    assert "3708**********1237" in text
    assert '"\'=1+1"' in text
    assert HEALTH not in text
    assert '"=' not in text
    (written,) = site.site.audit.page(action="ledger-export")
    assert "核对低保名单" in written.detail
    assert "masked" in written.detail
    whole = export(site, whole="1", format="xlsx", columns=["name", "id_number", "health"])
    cells = CalamineWorkbook.from_filelike(io.BytesIO(whole.content)).get_sheet_by_index(0)
    flat = [cell for line in cells.to_python() for cell in line]
    assert ID_NUMBER in flat
    assert HEALTH in flat
    assert "'=1+1" in flat
    assert "whole" in site.site.audit.page(action="ledger-export")[0].detail
    bad: tuple[dict[str, Any], ...] = (
        {"purpose": ""},
        {"purpose": "x"},
        {"columns": []},
        {"format": "exe"},
    )
    for fields in bad:
        refused = export(site, **fields)
        assert refused.status_code == 400, fields
        assert "attachment" not in refused.headers.get("Content-Disposition", "")
    assert len(site.site.audit.page(action="ledger-export")) == 2


def test_a_worker_of_a_grid_imports_and_exports_that_grid_alone(
    network: ServedNetwork, site: ConsoleUnderTest
) -> None:
    """The same scope as on the pages: a file is no way round it."""
    (place,) = append(network, household("95", SECOND))
    append(network, resident(place, "别的网格", SECOND))
    site.sign_in("worker", login="grid-one", area=FIRST)
    page = upload(site, "越界.csv", csv_of(row("96", "越界", 网格=SECOND), row("97", "本格")))
    assert "第 2 行 网格 没有这个网格,或不归你管" in text_of(page.text)
    assert "别的网格" not in export(site).content.decode("utf-8-sig")
    assert export(site, grid=SECOND).status_code == 404
    # Another's import is not there.
    site.sign_in("village_clerk")
    assert site.get(page.url.path).status_code == 404
    assert site.post(f"{page.url.path}/write", {"request_id": "ab" * 16}).status_code == 404
    site.sign_in("technician")
    for path in ("/ledger/sheets", "/ledger/sheets/template.xlsx"):
        assert site.get(path).status_code == 403
    assert export(site).status_code == 403


def test_a_clerk_is_told_how_many_sheets_may_wait_and_clears_them(
    site: ConsoleUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One file too many is refused: what then, must stand on the page."""
    site.post("/ledger/sheets/drop", {})
    most = len(list((site.store.folder / "imports").glob("*/table.*"))) + 3
    monkeypatch.setattr(sheet_jobs, "JOBS_MAX", most)
    monkeypatch.setattr(sheet_pages, "JOBS_MAX", most)
    # What is done takes no place.
    confirm(site, upload(site, "先导.csv", csv_of(row("95", "先导入的"))))
    for number in range(3):
        assert upload(site, f"{number}.csv", csv_of(row("96", f"等{number}"))).status_code == 200
    full = upload(site, "再来.csv", csv_of(row("97", "传不上")))
    assert full.status_code == 400
    text = text_of(full.text)
    assert f"最多 {most} 份" in text
    assert "还能再传 0 份" in text
    site.fill(full, "/sheets/drop")
    page = site.get("/ledger/sheets")
    assert "还能再传 3 份" in text_of(page.text)
    assert "先导.csv" in page.text
    assert "0.csv" not in page.text


def test_files_are_their_owners_alone_and_gone_after_a_day(
    network: ServedNetwork, site: ConsoleUnderTest
) -> None:
    """What people uploaded lies on a village's computer no longer than it must."""
    page = upload(site, "留存.csv", csv_of(row("98", "留存")))
    folder = Path(site.store.folder) / "imports"
    files = [one for one in folder.rglob("*") if one.is_file()]
    assert files
    assert all(one.stat().st_mode & 0o077 == 0 for one in files)
    dropped = site.fill(page, "/drop")
    assert dropped.status_code == 303
    assert site.get(page.url.path).status_code == 404
    page = upload(site, "留存.csv", csv_of(row("98", "留存")))
    network.network.clock.seconds += limits.LEDGER_IMPORT_KEPT_SECONDS + 1
    site.sign_in("village_clerk")
    site.get("/ledger/sheets")
    assert site.get(page.url.path).status_code == 404
    assert [one.name for one in folder.iterdir()] == ["salt"]


def test_a_village_of_two_thousand_households_is_listed_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole village by its own import; the list is then fast even when it reads all anew."""
    served = ServedNetwork(tmp_path, monkeypatch)
    grids(served)
    rows = [
        row(f"{number // 3}", f"人{number}", 重点人群="低保" if number % 10 == 0 else "")
        for number in range(6000)
    ]
    with ConsoleUnderTest(served, VILLAGE) as console:
        console.sign_in("village_clerk")
        page = confirm(console, upload(console, "全村.csv", csv_of(*rows)))
        while "继续写入" in page.text:
            page = confirm(console, page)
        assert "新增 2000 户、6000 人" in page.text
        book = ledger_book._read(served.readers[VILLAGE], VILLAGE)
        assert len(book.lines) == 2000
        assert len(book.key_people) == 600
        listed = console.get("/ledger", params={"population": "低保"})
        assert "共 600 户" in text_of(listed.text)
    served.close()
