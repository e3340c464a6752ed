"""What an order's history tells: who wrote what and when, to whom it is, and never the contact."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from huying.node.store import feed_walk
from huying.node.web.calling import order_history
from huying.wire.v1 import hotline_pb2
from tests.support.console_site import text_of
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE
from tests.unit.console.order_desk import know_keys, order_page
from tests.unit.console.town_desk import HOSTILE, OTHER_VILLAGE, PHONE, Town, open_town


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with open_town(tmp_path_factory.mktemp("orders")) as opened:
        know_keys(opened)
        yield opened


def again(town: Town, number: int, **fields: object) -> None:
    """The county imports the order again, as its source has it by now."""
    order = hotline_pb2.Order(
        **{  # type: ignore[arg-type]  # a test's own fields
            "source": "12345",
            "source_id": f"{number:06d}",
            "handler": VILLAGE,
            "category": "路灯",
            "descriptor": f"第{number}号路灯不亮",
            "created_micros": int(town.served.network.clock.now() * 1e6) - 3_600_000_000,
            "contact_name": "来电人生成",
            "contact_phone": PHONE,
            **fields,
        }
    )
    request = hotline_pb2.ImportOrdersRequest()
    request.rows.add(number=number, order=order)
    town.desk(COUNTY, "ImportOrders", request)


def assign(town: Town, order: bytes, handler: str) -> None:
    town.county.sign_in("centre")
    page = town.county.get(f"/orders/{order.hex()}/assign")
    assert town.county.fill(page, "/assign", handler=handler, reason="改派").status_code == 303


def take(town: Town, code: str, role: str, order: bytes, step: str, **fields: str) -> None:
    town.consoles[code].sign_in(role)
    page = order_page(town, code, order)
    assert town.consoles[code].fill(page, f"/steps/{step}", **fields).status_code == 303


def told(town: Town, code: str, order: bytes, query: str = "", status: int = 200) -> str:
    answer = town.consoles[code].get(f"/orders/{order.hex()}/history{query}")
    assert answer.status_code == status
    assert PHONE not in answer.text
    assert "来电人生成" not in answer.text
    return answer.text


def kinds(page: str) -> list[str]:
    return re.findall(r'<strong class="turn-kind">([^<]+)</strong>', page)


@pytest.fixture(scope="module")
def order(town: Town) -> bytes:
    """One that was changed at its source, returned, given to the town, settled and put right."""
    order = town.order(
        71, created_micros=int(town.served.network.clock.now() * 1e6) - 3_600 * 10**6
    )
    clock = town.served.network.clock
    clock.seconds += 60
    again(town, 71, description="还是不亮")
    clock.seconds += 60
    take(town, VILLAGE, "village_clerk", order, "take")
    clock.seconds += 60
    take(town, VILLAGE, "village_clerk", order, "return", reason="灯归镇里管")
    clock.seconds += 60
    assign(town, order, TOWN)
    clock.seconds += 60
    take(town, TOWN, "clerk", order, "settle", text="换了灯泡")
    clock.seconds += 60
    take(town, TOWN, "clerk", order, "settle", text="换了灯泡和开关")
    return order


WHOLE = ["导入", "再次导入,有改动", "接收", "退回", "改派", "办结", "更正办理结果"]


def test_the_county_reads_the_whole_life_of_an_order(town: Town, order: bytes) -> None:
    """Whoever is asked what became of it need not ask three offices."""
    town.county.sign_in("centre")
    link = f"/orders/{order.hex()}/history"
    assert f'href="{link}"' in order_page(town, COUNTY, order).text
    page = told(town, COUNTY, order)
    assert kinds(page) == WHOLE
    text = text_of(page)
    assert "诉求 (空) → 还是不亮" in text
    assert "灯归镇里管" in text
    assert "换了灯泡和开关" in text
    assert "测-village_clerk" in text  # of another node: as the feed has it
    assert re.search(r"改派 \S+ · 测试centre", text)  # of this one: by its trail
    assert "没有找完" not in text


def test_a_handler_before_reads_what_was_its_own(town: Town, order: bytes) -> None:
    """What it said stands in its own feed; its people are named."""
    town.village.sign_in("village_clerk")
    page = told(town, VILLAGE, order)
    assert kinds(page)[:4] == WHOLE[:4]
    assert "退回 义桥村 · 测试village_clerk" in text_of(page)


def test_who_is_bound_to_an_area_is_not_told_what_others_had(town: Town) -> None:
    """An order that came from another village tells nothing of its time there."""
    order = town.order(72, handler=TOWN, descriptor="镇里的灯", category="镇上的事")
    town.served.network.clock.seconds += 60
    take(town, TOWN, "clerk", order, "take")
    assign(town, order, VILLAGE)
    town.town.sign_in("clerk", login="one-village", area=VILLAGE)
    page = told(town, TOWN, order)
    assert kinds(page) == ["一个版本", "改派"]
    assert "不归你看" in page
    turns = page.split("<ol", 1)[1]
    assert "镇上的事" not in turns
    assert "→" not in turns  # nor what it was before
    town.town.sign_in("clerk", login="elsewhere", area=OTHER_VILLAGE)
    told(town, TOWN, order, status=404)


def test_orders_are_told_to_who_may_read_them(town: Town, order: bytes) -> None:
    """By hand-made addresses."""
    town.village.sign_in("technician")
    told(town, VILLAGE, order, status=403)
    town.county.sign_in("centre")
    told(town, COUNTY, bytes(16), status=404)
    told(town, COUNTY, order, "?before=x", status=400)


def test_a_history_goes_on_where_its_bound_cut_it(
    town: Town, order: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A county's feed is long: a piece at a time, and the page says how far it came."""
    monkeypatch.setattr(order_history, "HISTORY_SCAN_SECONDS_MAX", 0.0)
    monkeypatch.setattr(feed_walk, "CHUNK", 2)
    town.county.sign_in("centre")
    page = told(town, COUNTY, order)
    assert "再往前看" in page
    seen = kinds(page)
    while found := re.search(r'href="[^"]+(\?before=[^"]+)"', page):
        page = told(town, COUNTY, order, found[1])
        seen = [*kinds(page), *seen]
    assert "导入" in seen
    assert "回到最新的" in page


def test_what_stands_in_an_order_is_text_in_its_history(town: Town) -> None:
    """Of the other system's table, and of the handler."""
    order = town.order(73, descriptor=HOSTILE, description=HOSTILE, agency=HOSTILE)
    take(town, VILLAGE, "village_clerk", order, "settle", text=HOSTILE)
    town.county.sign_in("centre")
    page = told(town, COUNTY, order)
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert page.count("&lt;script&gt;alert(1)") >= 4
