"""Sheets as village offices keep them: titles, merged cells, notes, numbers that a program changed.

What is certain is read; what is not is said by row; what is no row of the ledger is passed over,
and told.
"""

from __future__ import annotations

import io
from typing import Any

import xlsxwriter

from huying.node.web.ledger.ledger_columns import canonical_id
from tests.support.console_site import ConsoleUnderTest, text_of
from tests.support.served_network import ServedNetwork
from tests.unit.console.ledger_desk import FIRST, SECOND
from tests.unit.console.sheet_desk import (
    OTHER_ID,
    confirm,
    csv_of,
    holdings,
    merged_book,
    people,
    row,
    upload,
)


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


def messy_book() -> bytes:
    """A register as one village keeps it, with what its clerk did to it over the years."""
    data = io.BytesIO()
    with xlsxwriter.Workbook(data, {"in_memory": True}) as made:
        page = made.add_worksheet("台账")
        page.merge_range(0, 0, 0, 9, "义桥村 2026 年民情台账")
        page.write_row(1, 0, ["填报单位:义桥村", "", "", "", "填报时间:2026.11"])
        header = (
            "序号",
            "网格",
            "户号",
            "户主",
            "姓名",
            "性别",
            "出生年月",
            "身份证",
            "手机",
            "银行卡",
        )
        page.write_row(2, 0, header)
        lines: list[tuple[Any, ...]] = [
            (1, "第一网格", "101", "王 强", "王 强", "男", "1965.3.2", "", "139 0000 1111", ""),
            (
                2,
                "第一网格",
                "101",
                "王强",
                "李 芳",
                2,
                "1967/8/9 0:00",
                "",
                "",
                6228480402564890018,
            ),
            (3, "第一网格", "102", "赵六", "赵六", "男", "", "370830650302123", "", ""),
            (4, "第一网格", "103", "钱七", "钱七", "", "", 370830196503020013, "", ""),
            (5, "", "", "", "钱妻", "女", "1970年1月5号", "", "", ""),
        ]
        for number, line in enumerate(lines, start=3):
            page.write_row(number, 0, line)
        page.write_row(9, 0, header)  # printed anew on the second page
        page.write_row(10, 0, (6, "第一网格", "104", "孙八", "孙八", "女", "1980-02-03"))
        page.write(10, 10, "已核")  # in a column that has no name
        page.write_row(11, 0, ("合计", "", "4 户", "", "6 人"))
        page.merge_range(13, 0, 13, 9, "备注:本表只登记常住人口")
        page.write_row(14, 0, ("填表人:张三", "", "", "", "审核人:李四"))
    return data.getvalue()


def test_a_register_as_a_village_keeps_it_is_read_as_it_was_meant(
    network: ServedNetwork, site: ConsoleUnderTest
) -> None:
    """A clerk who must first clean a table by hand goes back to paper: what is certain is read."""
    page = upload(site, "义桥村台账.xlsx", messy_book())
    text = text_of(page.text)
    assert "5 行可以导入" in text, text
    assert "1 行有问题" in text
    assert "第 7 行 身份证 数字超过 15 位" in text
    assert "跳过 4 行" in text
    assert "第 10、12、14、15 行" in text
    assert "没有用到、不导入的列:序号、银行卡" in text
    confirm(site, page, on_error="skip")
    found = people(network)
    assert {"王强", "李芳", "赵六", "钱妻", "孙八"} <= found.keys()
    assert "钱七" not in found
    assert found["王强"].birth_date == "1965-03-02"
    assert (found["李芳"].sex, found["李芳"].birth_date) == ("女", "1967-08-09")
    assert (found["赵六"].sex, found["赵六"].birth_date) == ("男", "1965-03-02")
    # Whose head could not be read is in the household nevertheless.
    assert found["钱妻"].household == holdings(network).households[FIRST, "103"][0]
    assert found["钱妻"].birth_date == "1970-01-05"


def test_the_same_person_by_an_old_and_a_new_number_is_one(
    network: ServedNetwork, site: ConsoleUnderTest
) -> None:
    """Registers begun before 1999 hold 15 digits: the card of today is the same person."""
    old = csv_of(row("110", "老号", 身份证号="370830550607123"))
    confirm(site, upload(site, "老.csv", old))
    card = canonical_id("370830550607123")
    assert card[:17] == "37083019550607123"
    again = upload(site, "新.csv", csv_of(row("110", "老 号", 身份证号=card)))
    assert "1 人已在台账" in text_of(again.text)
    wrong = upload(site, "错.csv", csv_of(row("110", "不对", 身份证号="370830551307123")))
    assert "15 位身份证号里的出生日期不对" in wrong.text


def test_full_width_digits_are_the_same_household_and_a_bare_number_is_none(
    network: ServedNetwork, site: ConsoleUnderTest
) -> None:
    """Input methods write 120 in two ways; a sentence under the first column is no household."""
    page = upload(
        site,
        "全角.csv",
        csv_of(
            row("\uff11\uff12\uff10", "甲一", 户主="全角", 电话="\uff11\uff1390000 2222"),
            row("120", "乙一", 户主="全 角", 出生日期="1950年1月31日"),
            ("", "以上为常住人口"),
        ),
    )
    text = text_of(page.text)
    assert "2 行可以导入" in text
    assert "1 户新增" in text
    assert "只有户号,没有户主、住址和姓名" in text
    confirm(site, page, on_error="skip")
    assert people(network)["甲一"].phone == "1390000 2222"


def test_a_title_of_two_cells_is_not_taken_for_the_header(site: ConsoleUnderTest) -> None:
    """Who filled it in and when stands in one line above the header of many a form."""
    data = "单位:义桥村,时间:11 月\r\n".encode() + csv_of(row("121", "标题下"))
    assert "1 行可以导入" in text_of(upload(site, "标题.csv", data).text)
    nothing = upload(site, "缺列.csv", "单位:义桥村,时间:11 月\r\n姓名,电话\r\n甲,1\r\n".encode())
    assert nothing.status_code == 400
    assert "第 2 行「户号」:缺少这一列" in nothing.text


def test_a_dash_is_nothing_and_a_grid_goes_by_its_number(
    network: ServedNetwork, site: ConsoleUnderTest
) -> None:
    """无, 不详 and / are how a form says that there is nothing: no number, and no fault."""
    none = {"身份证号": "无", "电话": "/", "出生日期": "不详", "性别": "—", "重点人群": "无"}
    page = upload(
        site,
        "无.csv",
        csv_of(
            row("130", "什么都没有", 网格="1网格", **none),
            row("131", "二格的", 网格="第 二 网格"),
            row("132", "三格的", 网格="三网格"),
            row("133", "缺日", 出生日期="1970.1"),
        ),
    )
    text = text_of(page.text)
    assert "2 行可以导入" in text, text
    assert "第 4 行 网格 没有这个网格" in text
    assert "第 5 行 出生日期 只有年月,没有日" in text
    confirm(site, page, on_error="skip")
    found = people(network)
    person = found["什么都没有"]
    assert (person.grid, person.id_number, person.phone) == (FIRST, "", "")
    assert (person.birth_date, person.sex, person.key_population) == ("", "", "")
    assert found["二格的"].grid == SECOND
