"""What a handler does with an order, and how the county gives it to another one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from huying.wire.v1 import hotline_pb2
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE
from tests.unit.console.order_desk import know_keys, order_page, view
from tests.unit.console.town_desk import HOSTILE, OTHER_VILLAGE, PHONE, Town, open_town


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with open_town(tmp_path_factory.mktemp("orders")) as opened:
        know_keys(opened)
        yield opened


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
