"""The ledger's forms when something is wrong: every fault at once, each said once, at its field.

A clerk who is told of one fault, mends it, and is told of the next gives up at the third. What is
said on top and again below is read twice, and by a screen reader aloud.
"""

from __future__ import annotations

import re
from typing import Any

from tests.support.console_site import ConsoleUnderTest, text_of
from tests.support.served_network import ServedNetwork
from tests.unit.console.ledger_desk import append, household
from tests.unit.console.sheet_desk import csv_of, upload


def check_faults(page: Any, faults: dict[str, str]) -> None:
    """The page says these faults, field -> sentence: linked from the top, said once, tied."""
    assert page.status_code == 400
    (summary,) = re.findall(
        r'<div class="notice bad"[^>]*id="refusal".*?</div>', page.text, re.DOTALL
    )
    assert re.findall(r'href="#f-(\w+)"', summary) == list(faults)
    assert page.text.count('role="alert"') == 1
    text = text_of(page.text)
    for name, sentence in faults.items():
        assert text.count(sentence) == 1, (sentence, text)
        assert sentence not in text_of(summary)
        (said,) = re.findall(rf'<p class="fault" id="e-{name}">(.*?)</p>', page.text, re.DOTALL)
        assert sentence in said
        assert page.text.count(f'id="f-{name}"') == 1
    # What the summary leads to takes the focus, and says by itself that it is wrong.
    for name in faults.keys() - {"columns"}:
        (field,) = re.findall(rf'<(?:input|select|textarea) id="f-{name}"[^>]*>', page.text)
        assert 'aria-invalid="true"' in field
        assert f"e-{name}" in re.findall(r'aria-describedby="([^"]*)"', field)[0].split()


def test_a_resident_s_form_says_all_that_is_wrong_at_the_fields(
    network: ServedNetwork, site: ConsoleUnderTest
) -> None:
    """Three slips are one round, and what was typed stands there still."""
    (place,) = append(network, household("1"))
    page = site.get(f"/ledger/households/{place.hex()}/add")
    assert "fault" not in page.text
    typed = {"birth_date": "去年", "id_number": "110105197106150011", "phone": "三三"}
    again = site.fill(page, "/add", name="", **typed)
    check_faults(
        again,
        {
            "name": "请填写",
            "birth_date": "不是日期,请写成 1950-01-31",
            "id_number": "身份证号末位校验不符,请核对",
            "phone": "不是电话号码,一格只填一个号码",
        },
    )
    assert "<title>有误:" in again.text
    assert all(f'value="{value}"' in again.text for value in typed.values())
    assert site.fill(again, "/add", name="甲", birth_date="", id_number="", phone="").is_redirect


def test_a_household_s_form_does_so_too_also_for_what_the_node_refuses(
    network: ServedNetwork, site: ConsoleUnderTest
) -> None:
    """Where the fault was found makes no difference to whoever mends it."""
    page = site.get("/ledger/new")
    wrong = site.fill(page, "/new", number="", address="", resident_count="很多")
    check_faults(wrong, {"number": "请填户号或住址", "resident_count": "须为 0 至 1000 的整数"})
    by_node = site.fill(page, "/new", number="长" * 3000, address="")
    check_faults(by_node, {"number": "最多"})


def test_visits_and_meetings_do_so_too(network: ServedNetwork, site: ConsoleUnderTest) -> None:
    """The form stands below much else: without the link nobody finds what is wrong."""
    (place,) = append(network, household("2"))
    page = site.get(f"/ledger/households/{place.hex()}")
    wrong = site.fill(page, "/visits", kind="?", visited="2999-01-01T00:00", text="")
    check_faults(wrong, {"kind": "请选择走访方式", "visited": "走访时间还没到", "text": "请填写"})
    meeting = site.fill(site.get("/ledger/visits"), "/meeting", visited="x", text="")
    check_faults(meeting, {"visited": "走访时间须为日期和时间", "text": "请填写"})


def test_sheets_in_and_out_do_so_too(site: ConsoleUnderTest) -> None:
    """A file that can't be read is named at the field that takes another one."""
    out = site.fill(site.get("/ledger/sheets"), "/export", purpose="", format="exe", columns=[])
    check_faults(
        out,
        {"purpose": "请填写", "columns": "至少勾选一列", "format": "格式须为 xlsx 或 csv"},
    )
    header = upload(site, "缺.csv", csv_of(("甲", "乙"), header=("姓名", "电话")))
    check_faults(header, {"table": "表头不符合要求"})
    assert text_of(header.text).count("第 1 行「户号」:缺少这一列") == 1


def test_a_refusal_of_no_field_is_said_once_on_top(
    network: ServedNetwork, site: ConsoleUnderTest
) -> None:
    """Somebody else was faster: no field is wrong."""
    (place,) = append(network, household("3"))
    page = site.get(f"/ledger/households/{place.hex()}/edit")
    assert site.fill(page, "/edit", head_name="先改").is_redirect
    late = site.post(
        f"/ledger/households/{place.hex()}/edit",
        {"request_id": "cd" * 16, "version": "1", "number": "3", "head_name": "后改"},
    )
    assert late.status_code == 409
    assert late.text.count('role="alert"') == 1
    assert text_of(late.text).count("这条记录刚被别人改过") == 1
    assert "aria-invalid" not in late.text
