"""Hotline orders in the browser: lists, steps, the caller's contact, assigning, importing."""

from __future__ import annotations

import dataclasses
import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from python_calamine import CalamineWorkbook

from huying.common.limits import ORDER_IMPORT_SECONDS, ORDER_IMPORTS_MAX
from huying.common.orders import order_record
from huying.hub.web.order_jobs import Job, JobFolder, JobState
from huying.hub.web.order_runs import runs_of
from huying.node import keys
from huying.wire.v1 import hotline_pb2
from tests.support.console_site import forms_of, text_of
from tests.support.tiny_network import COUNTY, GRID, TOWN, VILLAGE, pin
from tests.unit.console.town_desk import HOSTILE, OTHER_VILLAGE, PHONE, Town, open_town, wait_for

MAPPING = """\
source = "s"
[columns]
source_id = "id"
created = "at"
category = "kind"
description = "what"
contact_phone = "phone"
[handler]
column = "who"
"""
HEADER = "id,at,kind,what,phone,who\n"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with open_town(tmp_path_factory.mktemp("orders")) as opened:
        know_keys(opened)
        yield opened


def know_keys(town: Town) -> None:
    """The county knows to which keys it seals, as a parent's word tells it in a real network."""

    async def add() -> None:
        roster = town.served.network.engines[COUNTY].roster
        for code in (TOWN, VILLAGE):
            key = keys.load_hpke(town.served.configs[code].keys_dir).public_key
            roster.add(dataclasses.replace(pin(code), hpke_key=key))

    town.served.thread.run(add())


def order_page(town: Town, code: str, order: bytes, status: int = 200) -> Any:
    answer = town.consoles[code].get(f"/orders/{order.hex()}")
    assert answer.status_code == status
    return answer


def view(town: Town, code: str, order: bytes) -> hotline_pb2.OrderView:
    request = hotline_pb2.ShowOrderRequest(record=order, actor="test")
    shown: hotline_pb2.OrderView = town.desk(code, "ShowOrder", request).order
    return shown


# --- lists ------------------------------------------------------------------------------------


def test_each_tier_lists_what_it_handles_and_the_county_lists_all(town: Town) -> None:
    """A clerk's list is the town's own work; the villages' orders are one press away."""
    villages, towns = town.order(1), town.order(2, TOWN)
    town.county.sign_in("centre")
    text = town.county.get("/orders").text
    assert villages.hex() in text
    assert towns.hex() in text
    town.town.sign_in("clerk")
    text = town.town.get("/orders").text
    assert towns.hex() in text
    assert villages.hex() not in text
    assert villages.hex() in town.town.get("/orders?whose=all").text
    town.village.sign_in("village_clerk")
    text = town.village.get("/orders").text
    assert villages.hex() in text
    assert towns.hex() not in text


def test_the_list_is_narrowed_by_what_its_filters_say(town: Town) -> None:
    """Open, overdue, by status, by handler, near-duplicates: each leaves out the others."""
    now = int(town.served.network.clock.now() * 1e6)
    day = 86_400_000_000
    late = town.order(11, due_micros=now - day, created_micros=now - 9 * day)
    calm = town.order(12, due_micros=now + day, created_micros=now - 20 * day)
    done = town.order(13, TOWN, source_closed_micros=now, created_micros=now - 30 * day)
    town.county.sign_in("centre")

    def shown(query: str) -> set[bytes]:
        text = town.county.get(f"/orders?{query}").text
        return {one for one in (late, calm, done) if one.hex() in text}

    assert shown("show=open") == {late, calm}
    assert shown("show=overdue") == {late}
    assert shown(f"handler={TOWN}") == {done}
    assert shown("status=taken") == set()
    assert shown("status=sent&show=overdue") == {late}
    for wrong in ("show=x", "status=x", "handler=1", "page=zz", "whose=x"):
        assert town.county.get(f"/orders?{wrong}").status_code == 400


def test_an_order_is_found_by_its_number_and_by_its_words(town: Town) -> None:
    """Who calls again says the number that the hotline gave them."""
    order = town.order(880, TOWN, source_id="HL-880-77", descriptor="下水道返味")
    other = town.order(881, TOWN, source_id="HL-881-77", descriptor="树挡信号灯")
    town.town.sign_in("clerk")
    for words in ("HL-880", "hl-880-77", "下水道"):
        listed = town.town.get("/orders", params={"q": words}).text
        assert order.hex() in listed
        assert other.hex() not in listed
    assert "没有符合条件的工单" in town.town.get("/orders?q=查无此单").text
    assert order.hex() not in town.town.get(f"/orders?q={PHONE}").text


def test_orders_are_taken_as_a_file_without_the_callers(town: Town) -> None:
    """The list as the screen has it, for whoever sees it; the contact stays sealed."""
    order = town.order(890, TOWN, source_id="HL-890", descriptor="=路灯")
    below = town.order(891, VILLAGE, source_id="HL-891")
    town.town.sign_in("clerk")
    assert "/orders/export?format=csv" in town.town.get("/orders").text
    ours = town.town.get("/orders/export?format=csv").content.decode("utf-8-sig")
    assert "HL-890" in ours
    assert "'=路灯" in ours
    assert "HL-891" not in ours
    every = town.town.get("/orders/export?format=csv&whose=all").text
    assert "HL-891" in every
    assert PHONE not in every
    assert "来电人生成" not in every
    assert len(town.audited(TOWN, "orders-export")) == 2
    town.village.sign_in("worker", login="one-grid", area=GRID)
    assert town.village.get("/orders/export").status_code in (403, 404)
    town.town.sign_in("clerk", login="export-elsewhere", area=OTHER_VILLAGE)
    other = town.town.get("/orders/export?format=csv&whose=all").text
    assert "HL-890" not in other
    assert order != below


def test_two_orders_that_look_alike_stand_side_by_side(town: Town) -> None:
    """Whoever handles the second one sees the first, and what came of it."""
    first = town.order(21, descriptor="西街井盖破损", description="西街井盖破了一个角,有危险")
    second = town.order(22, descriptor="西街井盖破损", description="西街井盖破了一个角,很危险")
    assert view(town, COUNTY, second).order.near_duplicate_of == first
    town.village.sign_in("village_clerk")
    text = text_of(order_page(town, VILLAGE, second).text)
    assert "较早的一张" in text
    assert "有危险" in text
    assert "很危险" in text
    assert second.hex() in town.village.get("/orders?show=near").text
    assert first.hex() not in town.village.get("/orders?show=near").text.replace(
        f"/orders/{second.hex()}", ""
    )


# --- the caller's contact ---------------------------------------------------------------------


def test_the_contact_shows_just_after_a_press_and_each_look_is_written_down(town: Town) -> None:
    """No page holds it by itself; the trail has the look before the node opens the seal."""
    order = town.order(31)
    for code, role in ((VILLAGE, "village_clerk"), (COUNTY, "centre")):
        console = town.consoles[code]
        console.sign_in(role)
        page = order_page(town, code, order)
        assert PHONE not in page.text
        assert PHONE not in console.get("/orders").text
        before = len(town.audited(code, "order-contact"))
        shown = console.fill(page, "/contact")
        assert PHONE in shown.text
        assert "来电人生成" in shown.text
        assert shown.headers["Cache-Control"] == "no-store"
        assert town.audited(code, "order-contact")[before:] == [(order.hex(), "done")]
        assert PHONE not in order_page(town, code, order).text
        again = console.get(f"/orders/{order.hex()}/contact")
        assert again.headers["Location"] == f"/orders/{order.hex()}", "a reload shows it no more"


def test_a_town_on_the_way_opens_no_contact_of_its_village(town: Town) -> None:
    """The page offers nothing, and a request made by hand is told who could."""
    order = town.order(32)
    town.town.sign_in("clerk")
    page = order_page(town, TOWN, order)
    assert "/contact" not in page.text
    answer = town.town.post(f"/orders/{order.hex()}/contact")
    assert PHONE not in answer.text
    assert "加密给别的单位" in answer.text


def test_with_the_node_away_nobody_sees_a_contact(tmp_path: Path) -> None:
    """Where no log would say who looked, there is nothing to look at; lists go on."""
    with open_town(tmp_path) as alone:
        know_keys(alone)
        order = alone.order(1)
        alone.village.sign_in("village_clerk")
        page = alone.village.get(f"/orders/{order.hex()}")
        alone.served.stop_servers()
        assert alone.village.get("/orders").status_code == 200
        for action in ("/contact", "/steps/take"):
            answer = alone.village.fill(page, action)
            assert answer.status_code == 503
            assert PHONE not in answer.text
            assert 'role="alert"' in answer.text


# --- who may ----------------------------------------------------------------------------------


def test_a_person_of_another_village_finds_no_order(town: Town) -> None:
    """Forced browsing from one village's order to another's, by every address."""
    order = town.order(41)
    town.town.sign_in("clerk", login="elsewhere", area=OTHER_VILLAGE)
    assert order.hex() not in town.town.get("/orders?whose=all").text
    assert town.town.get(f"/orders?handler={VILLAGE}").status_code == 404
    order_page(town, TOWN, order, status=404)
    looked = len(town.audited(TOWN, "order-contact"))
    for action in ("contact", "steps/take", "steps/settle", "steps/return"):
        answer = town.town.post(f"/orders/{order.hex()}/{action}", {"text": "x"})
        assert answer.status_code == 404
    assert len(town.audited(TOWN, "order-contact")) == looked


def test_who_is_bound_to_a_grid_sees_no_orders_and_is_told_why(town: Town) -> None:
    """An order names a village and no grid, so it is not known to be theirs."""
    order = town.order(42)
    town.village.sign_in("worker", login="grid-worker", area=GRID)
    answer = town.village.get("/orders")
    assert "工单不分网格" in answer.text
    assert order.hex() not in answer.text
    order_page(town, VILLAGE, order, status=404)


def test_orders_are_nobody_s_who_does_not_handle_them(town: Town) -> None:
    """Departments and directors have no business with a caller's order."""
    order = town.order(43)
    for role, more in (("department", {"department": "城管局"}), ("director", {}), ("admin", {})):
        town.county.sign_in(role, **more)
        assert town.county.get("/orders").status_code == 403
        order_page(town, COUNTY, order, status=403)
        assert town.county.post(f"/orders/{order.hex()}/contact").status_code == 403
        assert town.county.get("/orders/import").status_code == 403
    town.town.sign_in("clerk")
    assert town.town.get("/orders/import").status_code == 403
    assert town.town.get(f"/orders/{order.hex()}/assign").status_code == 403
    answer = town.town.post(f"/orders/{order.hex()}/assign", {"handler": TOWN})
    assert answer.status_code == 403
    assert town.audited(TOWN, "order-assign") == []


# --- steps ------------------------------------------------------------------------------------


def test_a_village_takes_and_settles_an_order_and_the_county_sees_it(town: Town) -> None:
    """The result goes up with the village's own event behind it; numbers in it are masked."""
    order, event = town.order(51), town.event(descriptor="修路灯")
    town.village.sign_in("village_clerk")
    assert town.village.fill(order_page(town, VILLAGE, order), "/steps/take").status_code == 303
    page = order_page(town, VILLAGE, order)
    assert "修路灯" in page.text
    answer = town.village.fill(
        page, "/steps/settle", text=f"已修好,可打 {PHONE}", event=event.hex()
    )
    assert answer.headers["location"].endswith("notice=masked")
    seen = view(town, COUNTY, order)
    assert seen.status == hotline_pb2.ORDER_STATUS_SETTLED
    assert (seen.text, seen.event) == ("已修好,可打 〔手机号〕", event)
    assert seen.actor == "测-village_clerk"
    town.county.sign_in("centre")
    told = order_page(town, COUNTY, order).text
    assert "已修好" in told
    assert f"/events/{VILLAGE}/{event.hex()}" in told
    assert (order.hex(), "done") in town.audited(VILLAGE, "order-settle")


def test_a_step_sent_twice_is_written_once(town: Town) -> None:
    """A double click says the same thing, which stands so already."""
    order = town.order(52)
    town.village.sign_in("village_clerk")
    page = order_page(town, VILLAGE, order)
    for step, fields in (("take", {}), ("settle", {"text": "已修好"})):
        assert town.village.fill(page, f"/steps/{step}", **fields).status_code == 303
        size = town.feed_size(VILLAGE)
        again = town.village.fill(page, f"/steps/{step}", **fields)
        assert again.headers["location"].endswith("notice=unchanged")
        assert town.feed_size(VILLAGE) == size
        assert town.audited(VILLAGE, f"order-{step}").count((order.hex(), "done")) == 1


def test_a_return_needs_a_reason_and_what_was_typed_stays(town: Town) -> None:
    """Nothing is written without one; a step that does not follow is refused with words."""
    order = town.order(53)
    town.village.sign_in("village_clerk")
    page = order_page(town, VILLAGE, order)
    empty = town.village.fill(page, "/steps/return")
    assert empty.status_code == 400
    returned = town.village.fill(page, "/steps/return", reason="不在我村")
    assert returned.status_code == 303
    late = town.village.fill(page, "/steps/settle", text="其实修好了")
    assert late.status_code == 409
    assert "其实修好了" in late.text
    assert view(town, COUNTY, order).status == hotline_pb2.ORDER_STATUS_RETURNED
    assert town.village.post(f"/orders/{order.hex()}/steps/forge").status_code == 404


def test_only_the_handler_takes_a_step(town: Town) -> None:
    """By hand-made requests of the county and of the town on the way."""
    order = town.order(54)
    for code, role in ((COUNTY, "centre"), (TOWN, "clerk")):
        town.consoles[code].sign_in(role)
        assert "/steps/" not in order_page(town, code, order).text
        answer = town.consoles[code].post(f"/orders/{order.hex()}/steps/take")
        assert answer.status_code == 403
    assert view(town, COUNTY, order).status == hotline_pb2.ORDER_STATUS_SENT


def test_hostile_text_is_shown_as_text(town: Town) -> None:
    """Of the other system's table, of the caller, and of the handler."""
    order = town.order(
        55, category=HOSTILE, descriptor=HOSTILE, description=HOSTILE, agency=HOSTILE,
        source_status=HOSTILE, contact_name=HOSTILE,
    )  # fmt: skip
    town.village.sign_in("village_clerk")
    page = order_page(town, VILLAGE, order)
    assert town.village.fill(page, "/steps/settle", text=HOSTILE).status_code == 303
    town.county.sign_in("centre")
    pages = [
        town.village.get("/orders"),
        order_page(town, VILLAGE, order),
        town.village.fill(page, "/contact"),
        town.county.get("/orders"),
        order_page(town, COUNTY, order),
        town.county.get(f"/orders/{order.hex()}/assign"),
    ]
    for answer in pages:
        assert "<script>alert" not in answer.text
        assert "<img src=x" not in answer.text
        assert "&lt;script&gt;alert(1)" in answer.text


# --- assigning --------------------------------------------------------------------------------


def test_the_county_gives_an_order_to_another_handler(town: Town) -> None:
    """The new one opens the contact, the one before does not any more; a repeat writes nothing."""
    order = town.order(61)
    town.county.sign_in("centre")
    page = town.county.get(f"/orders/{order.hex()}/assign")
    sent = town.county.fill(page, "/assign", handler=TOWN, reason="由镇里办")
    assert sent.status_code == 303
    size = town.feed_size(COUNTY)
    again = town.county.fill(page, "/assign", handler=TOWN, reason="由镇里办")
    assert again.headers["location"].endswith("notice=unchanged")
    assert town.feed_size(COUNTY) == size
    assert town.audited(COUNTY, "order-assign").count((order.hex(), "done")) == 1
    town.town.sign_in("clerk")
    assert PHONE in town.town.fill(order_page(town, TOWN, order), "/contact").text
    town.village.sign_in("village_clerk")
    answer = town.village.post(f"/orders/{order.hex()}/contact")
    assert PHONE not in answer.text
    assert town.village.post(f"/orders/{order.hex()}/steps/take").status_code == 403


def test_an_order_goes_to_no_one_beyond_the_network(town: Town) -> None:
    """A division without a node, or one elsewhere, is refused; the choice stays."""
    order = town.order(62)
    town.county.sign_in("centre")
    page = town.county.get(f"/orders/{order.hex()}/assign")
    for handler in (OTHER_VILLAGE, "370831000000", "x"):
        answer = town.county.fill(page, "/assign", handler=handler, reason="试试")
        assert answer.status_code == 400
        assert "试试" in answer.text
    assert view(town, COUNTY, order).order.handler == VILLAGE


# --- importing --------------------------------------------------------------------------------


def row(
    number: int, *, who: str = VILLAGE, what: str = "一号灯不亮", at: str = "2023-10-01"
) -> str:
    return f"i{number},{at},路灯,{what},{PHONE},{who}\n"


def upload(
    town: Town, table: bytes, name: str = "工单.csv", own: str = MAPPING, **more: str
) -> Any:
    page = town.county.get("/orders/import")
    (form,) = [one for one in forms_of(page.text) if one.action == "/orders/import"]
    files = {"sheet": (name, table)}
    if own:
        files["mapping_file"] = ("map.toml", own.encode())
    return town.county.post("/orders/import", {**form.fields, **more}, files=files)


def settled(town: Town, location: str) -> Any:
    """The file's page, once nothing works on it any more."""

    def look() -> Any:
        page = town.county.get(location)
        assert page.status_code == 200
        return None if "http-equiv" in page.text else page

    return wait_for(look)


def imported(town: Town, number: int) -> bool:
    record = order_record("s", f"i{number}")
    return bool(town.served.readers[COUNTY].find_orders(record))


def test_a_table_with_bad_rows_keeps_the_good_ones_out_until_confirmed(town: Town) -> None:
    """As on the command line: first all errors, nothing written, then somebody says so."""
    town.county.sign_in("centre")
    table = HEADER + row(1) + row(2, who="nowhere") + row(3, at="2023-11-05") + row(1)
    sent = upload(town, table.encode())
    assert sent.status_code == 303, text_of(sent.text)
    size = town.feed_size(COUNTY)
    page = settled(town, sent.headers["location"])
    told = text_of(page.text)
    assert "2 行有误,还没有写入任何内容" in told
    assert "不是12位区划代码" in told
    assert "编号与第 2 行相同" in told
    assert town.feed_size(COUNTY) == size
    assert not imported(town, 1)
    errors = town.county.get(sent.headers["location"] + "/errors.csv")
    assert errors.headers["content-type"].startswith("text/csv")
    assert [line.split(",")[0] for line in errors.text.splitlines()] == ["\ufeffrow", "3", "5"]
    assert PHONE not in errors.text
    assert "只导入无误的 2 行" in page.text
    assert town.county.fill(page, "/confirm").status_code == 303
    done = settled(town, sent.headers["location"])
    assert "导入完成" in done.text
    assert imported(town, 1)
    assert imported(town, 3)
    assert not imported(town, 2)
    size = town.feed_size(COUNTY)
    assert town.county.fill(page, "/confirm").status_code == 303
    settled(town, sent.headers["location"])
    assert town.feed_size(COUNTY) == size
    job = sent.headers["location"].rpartition("/")[2]
    assert town.audited(COUNTY, "orders-import") == [(job, "done")]


def test_the_refused_rows_come_back_are_mended_and_are_taken(town: Town) -> None:
    """Whoever mends forty rows of ten thousand wants these forty, and brings that file."""
    town.county.sign_in("centre")
    table = HEADER + row(71) + row(72, who="nowhere")
    location = upload(town, table.encode()).headers["location"]
    page = settled(town, location)
    assert f"{location}/faulty.xlsx" in page.text
    sent = town.county.get(f"{location}/faulty.xlsx")
    book = CalamineWorkbook.from_filelike(io.BytesIO(sent.content))
    cells = book.get_sheet_by_index(0).to_python()
    assert cells[0] == ["错误 / 怎么改", "原来的行号", *HEADER.strip().split(",")]
    assert "不是12位区划代码" in cells[1][0]
    assert [line[1:3] for line in cells[1:]] == [[3, "i72"]]
    job = location.rpartition("/")[2]
    assert town.audited(COUNTY, "orders-faulty") == [(job, "done")]
    (file,) = (town.county.config.console_dir / "imports" / job).glob("faulty.*")
    assert file.stat().st_mode & 0o077 == 0
    cells[1][cells[0].index("who")] = VILLAGE
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as made:
        sheet = made.add_worksheet()
        for number, line in enumerate(cells):
            sheet.write_row(number, 0, line)
    again = settled(town, upload(town, out.getvalue(), "mended.xlsx").headers["location"])
    assert "全部行无误" in again.text
    town.county.fill(again, "/confirm")
    settled(town, again.url.path)
    assert imported(town, 72)
    town.county.sign_in("centre", login="another")
    assert town.county.get(f"{location}/faulty.xlsx").status_code == 404
    town.county.sign_in("centre")
    town.county.post(f"{location}/drop")
    assert not file.exists()


def test_the_table_itself_goes_when_it_was_imported(town: Town) -> None:
    """It holds callers' contacts; until then nobody but the console's user reads it."""
    town.county.sign_in("centre")
    sent = upload(town, (HEADER + row(11, at="2023-08-01")).encode())
    page = settled(town, sent.headers["location"])
    folder = town.county.config.console_dir / "imports"
    job = sent.headers["location"].rpartition("/")[2]
    assert folder.stat().st_mode & 0o777 == 0o700
    for path in (folder / job).iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
    assert list((folder / job).glob("sheet.*"))
    town.county.fill(page, "/confirm")
    settled(town, sent.headers["location"])
    assert not list((folder / job).glob("sheet.*"))
    assert PHONE.encode() not in b"".join(one.read_bytes() for one in (folder / job).iterdir())


def test_a_file_is_its_owner_s_alone_and_one_form_is_one_file(town: Town) -> None:
    """Another person of the same role sees nothing of it; a double click uploads once."""
    town.county.sign_in("centre")
    page = town.county.get("/orders/import")
    (form,) = [one for one in forms_of(page.text) if one.action == "/orders/import"]
    files = {"sheet": ("a.csv", (HEADER + row(21)).encode()), "mapping_file": ("m", MAPPING)}
    first = town.county.post("/orders/import", form.fields, files=files)
    second = town.county.post("/orders/import", form.fields, files=files)
    location = first.headers["location"]
    assert second.headers["location"] == location
    shown = settled(town, location)
    town.county.sign_in("centre", login="another")
    for path in (location, f"{location}/errors.csv"):
        assert town.county.get(path).status_code == 404
    for action in ("confirm", "drop"):
        assert town.county.post(f"{location}/{action}").status_code == 404
    assert location not in town.county.get("/orders/import").text
    town.county.sign_in("centre", login="bound", area=TOWN)
    assert town.county.get("/orders/import").status_code == 404
    town.county.sign_in("centre")
    assert town.county.fill(shown, "/drop").status_code == 303
    assert town.county.get(location).status_code == 404
    assert not imported(town, 21)


def bomb() -> bytes:
    """A workbook that unpacks to more than anybody's table."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(3):
            archive.writestr(f"xl/{number}.xml", bytes(100 * 1024 * 1024))
    return out.getvalue()


def test_files_that_are_no_table_are_refused_with_words(town: Town) -> None:
    """A zip bomb, a page by another name, a table without the mapping's columns, no good row."""
    town.county.sign_in("centre")
    size = town.feed_size(COUNTY)
    for name, data, words in (
        ("b.xlsx", bomb(), "解压"),
        ("p.csv", b"<html><script>alert(1)</script></html>", "与后缀"),
        ("c.csv", b"a,b\n1,2\n", "缺少"),
        ("n.csv", (HEADER + row(31, who="x")).encode(), "没有一行可以导入"),
    ):
        sent = upload(town, data, name)
        assert sent.status_code == 303
        page = settled(town, sent.headers["location"])
        assert words in page.text, (name, text_of(page.text))
        assert "/confirm" not in page.text
        town.county.fill(page, "/drop")
    for name, own in (("a.exe", MAPPING), ("a.csv", ""), ("a", MAPPING)):
        answer = upload(town, b"x", name, own, mapping="../../etc")
        assert answer.status_code == 400, name
    assert town.feed_size(COUNTY) == size


def test_names_in_a_table_are_shown_as_text_and_never_become_formulas(town: Town) -> None:
    """The file's name, and the columns of its errors, are somebody else's words."""
    town.county.sign_in("centre")
    mapping = MAPPING.replace('"what"', "'=cmd|<script>alert(1)</script>'")
    header = HEADER.replace("what", "=cmd|<script>alert(1)</script>")
    sent = upload(
        town,
        (header + row(41) + row(42, what="字" * 5000)).encode(),
        "../<img src=x onerror=alert(1)>.csv",
        own=mapping,
    )
    page = settled(town, sent.headers["location"])
    assert "<script>alert" not in page.text
    assert "<img src=x" not in page.text
    assert "<h1>&lt;img src=x onerror=alert(1)&gt;.csv</h1>" in page.text
    assert "&lt;script&gt;alert(1)" in page.text
    errors = town.county.get(sent.headers["location"] + "/errors.csv").text
    assert ",=cmd" not in errors
    assert "'=cmd" in errors
    town.county.fill(page, "/drop")


def test_a_mapping_at_fault_names_its_line(town: Town) -> None:
    """Who wrote the mapping mends it, so the page says where."""
    town.county.sign_in("centre")
    sent = upload(town, (HEADER + row(51)).encode(), own=MAPPING.replace("[columns]", "[colums]"))
    page = settled(town, sent.headers["location"])
    assert "mapping.toml line 2" in page.text
    town.county.fill(page, "/drop")


def test_an_import_that_was_cut_off_says_so_and_is_done_by_pressing_again(town: Town) -> None:
    """The pages were started again in the middle; nothing pretends to go on, nothing doubles."""
    town.county.sign_in("centre")
    sent = upload(town, (HEADER + row(61, at="2023-07-01")).encode())
    location = sent.headers["location"]
    settled(town, location)
    runs = runs_of(town.county.site)
    assert town.county.person is not None
    job = runs.jobs.find(location.rpartition("/")[2], town.county.person.id)
    assert job is not None
    runs.jobs.save(dataclasses.replace(job, state=JobState.IMPORTING))
    page = town.county.get(location)
    assert "中途被打断" in page.text
    assert not imported(town, 61)
    town.county.fill(page, "/confirm")
    assert "导入完成" in settled(town, location).text
    assert imported(town, 61)


def test_files_wait_an_hour_and_just_a_few_of_them(tmp_path: Path) -> None:
    """What holds contacts does not lie about, and nobody fills the disk with it."""
    folder = JobFolder(tmp_path / "imports")
    for number in range(ORDER_IMPORTS_MAX):
        folder.begin(Job(f"{number:032x}", "p", "a", "m", 100.0), io.BytesIO(b"x"), ".csv")
    full = Job("f" * 32, "p", "a", "m", 101.0)
    with pytest.raises(Exception, match="BUSY"):
        folder.begin(full, io.BytesIO(b"x"), ".csv")
    folder.busy.add(f"{0:032x}")
    later = dataclasses.replace(full, created=100.0 + ORDER_IMPORT_SECONDS + 1)
    folder.begin(later, io.BytesIO(b"x"), ".csv")
    assert [one.id for one in folder.of("p")] == [later.id, f"{0:032x}"]


def test_what_lies_in_the_imports_folder_is_asked_by_whole_ids_alone(town: Town) -> None:
    """No part of an address becomes a path."""
    town.county.sign_in("centre")
    for name in ("..%2f..%2fkeys", "state.json", "0" * 31, "A" * 32 + "g"):
        assert town.county.get(f"/orders/import/{name}").status_code == 404
    assert re.fullmatch("[0-9a-f]{32}", Job("a" * 32, "", "", "", 0.0).id)
