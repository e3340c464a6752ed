"""The ledger's spreadsheets in the browser: checked before anything is written, written once.

Villages keep their ledgers in files of every kind. A row that is wrong is named as the spreadsheet
shows it; a cut import goes on where it ended.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from python_calamine import CalamineWorkbook

from huying.common.errors import Code, HuyingError
from huying.node.web.ledger import ledger_book, ledger_records, sheet_pages
from huying.wire.v1 import records_pb2
from tests.support.console_site import ConsoleUnderTest, text_of
from tests.support.served_network import ServedNetwork
from tests.support.tiny_network import VILLAGE
from tests.unit.console.ledger_desk import (
    FIRST,
    HEALTH,
    ID_NUMBER,
    PHONE,
    append,
    grids,
    household,
    resident,
)
from tests.unit.console.sheet_desk import (
    OTHER_ID,
    book_of,
    confirm,
    csv_of,
    holdings,
    people,
    row,
    upload,
)


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
    assert broken.status_code == 503
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
            assert confirm(site, page).status_code == 503
    for page in pages:
        confirm(site, site.get(page.url.path))
    names = [one.name for _, _, one in holdings(network).residents]
    assert names.count("两个窗口") == 1
    assert len([one for one in holdings(network).households if one[1] == "60"]) == 1


def test_the_same_fault_of_many_rows_is_said_once(site: ConsoleUnderTest) -> None:
    """A hundred lines of one sentence hide the line that matters."""
    rows = [row("", f"无{number}", 户主=f"各{number}") for number in range(20)]
    page = upload(site, "同错.csv", csv_of(*rows, row("90", "?", 性别="?")))
    text = text_of(page.text)
    assert text.count("没有户号") == 1
    assert "12、13 行,等 20 行" in text
    assert "第 22 行 性别" in text


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
