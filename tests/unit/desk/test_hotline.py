"""Hotline orders between a county, a town and two villages: the way down, and the result up."""

from __future__ import annotations

import pytest

from huying.common.errors import Code, HuyingError
from huying.wire.v1 import feed_pb2
from huying.wire.v1 import hotline_pb2 as pb
from tests.support.tiny_network import COUNTY, NETWORK, TOWN, VILLAGE
from tests.support.trusted_network import OTHER
from tests.unit.desk.hotline_network import (
    CREATED,
    FIRST,
    NEW,
    PHONE,
    HotlineNetwork,
    order,
    outcomes,
)


def test_an_order_goes_down_is_settled_and_its_result_comes_up(net: HotlineNetwork) -> None:
    """乡呼县应 the other way round: the whole course, seen from both ends."""
    assert outcomes(net.imports(order())) == [NEW]
    (at_village,) = net.orders(VILLAGE)
    assert at_village.record == FIRST
    assert at_village.status == pb.ORDER_STATUS_SENT
    net.step(VILLAGE, "take_order", FIRST, actor="v1")
    assert net.orders(COUNTY)[0].status == pb.ORDER_STATUS_TAKEN
    done = net.step(VILLAGE, "settle_order", FIRST, text=f"已修好,回电{PHONE}", actor="v1")
    assert done.masked
    for code in (VILLAGE, TOWN, COUNTY):
        (view,) = net.orders(code, filter=pb.ORDER_FILTER_RESULT)
        assert (view.status, view.text) == (pb.ORDER_STATUS_SETTLED, "已修好,回电〔手机号〕")
        assert view.result_micros
    assert net.orders(OTHER) == []


def test_only_the_handler_takes_settles_and_returns(net: HotlineNetwork) -> None:
    """A county that settled its own orders would measure itself."""
    net.imports(order())
    for code in (COUNTY, TOWN):
        with pytest.raises(HuyingError) as caught:
            net.step(code, "settle_order", FIRST, text="办结")
        assert caught.value.code is Code.NOT_A_PARTY
    with pytest.raises(HuyingError) as caught:
        net.step(OTHER, "take_order", FIRST)
    assert caught.value.code is Code.NOT_FOUND


def test_steps_follow_each_other_and_a_repeat_writes_nothing(net: HotlineNetwork) -> None:
    """What is settled is not returned afterwards; a second click is not a second entry."""
    net.imports(order())
    net.step(VILLAGE, "return_order", FIRST, text="不属本村")
    with pytest.raises(HuyingError) as caught:
        net.step(VILLAGE, "settle_order", FIRST, text="办结")
    assert caught.value.code is Code.WRONG_STAGE
    net.step(VILLAGE, "take_order", FIRST)
    with pytest.raises(HuyingError) as caught:
        net.step(VILLAGE, "settle_order", FIRST, text=" ")
    assert caught.value.code is Code.INVALID_ARGUMENT
    net.step(VILLAGE, "settle_order", FIRST, text="办结")
    size = net.size(VILLAGE)
    assert net.step(VILLAGE, "settle_order", FIRST, text="办结").unchanged
    assert net.size(VILLAGE) == size
    with pytest.raises(HuyingError) as caught:
        net.step(VILLAGE, "return_order", FIRST, text="退回")
    assert caught.value.code is Code.WRONG_STAGE


def test_a_result_links_an_event_of_the_handler_alone(net: HotlineNetwork) -> None:
    """倒查 asks whether the grid knew before: the link must lead somewhere."""
    net.imports(order())
    event = net.network.report(1).receipts[0].record
    done = net.step(VILLAGE, "settle_order", FIRST, text="办结", event=event)
    assert done.order.event == event
    with pytest.raises(HuyingError, match="event: "):
        net.step(VILLAGE, "settle_order", FIRST, text="改", event=b"\x01" * 16)


def test_lists_show_what_is_overdue_open_and_like_another(net: HotlineNetwork) -> None:
    """What the desk looks at every morning."""
    net.imports(
        order(1, due_micros=CREATED + 5),
        order(2, due_micros=2**61),
        order(3, due_micros=CREATED + 5, source_closed_micros=CREATED + 4),
        order(4, descriptor="第1号路灯不亮"),
    )
    overdue = net.orders(COUNTY, filter=pb.ORDER_FILTER_OVERDUE)
    assert [view.order.source_id for view in overdue] == ["000001"]
    assert overdue[0].overdue
    assert len(net.orders(COUNTY, filter=pb.ORDER_FILTER_OPEN)) == 3
    near = net.orders(COUNTY, filter=pb.ORDER_FILTER_NEAR_DUPLICATE)
    assert "000004" in [view.order.source_id for view in near]
    net.step(VILLAGE, "settle_order", FIRST, text="办结")
    assert net.orders(COUNTY, filter=pb.ORDER_FILTER_OVERDUE) == []


def test_pages_hold_every_order_once(net: HotlineNetwork) -> None:
    """An export goes by pages."""
    net.imports(*(order(n, created_micros=CREATED + n // 3) for n in range(25)))
    found, token = [], b""
    while True:
        request = pb.ListOrdersRequest(limit=4, page_token=token)
        page = net.ask(COUNTY, "list_orders", request)
        found += [view.order.source_id for view in page.orders]
        token = page.next_page_token
        if not token:
            break
    assert sorted(found) == [f"{n:06d}" for n in range(25)]


def test_only_the_importer_assigns_and_only_below(net: HotlineNetwork) -> None:
    """A village can't push its orders to the next."""
    net.imports(order())
    request = pb.AssignOrderRequest(record=FIRST, handler=OTHER)
    with pytest.raises(HuyingError) as caught:
        net.ask(TOWN, "assign_order", request)
    assert caught.value.code is Code.NOT_A_PARTY
    # The last one is of nobody: an order that went there would be nowhere.
    for handler in (COUNTY, "370831000000", "370830999201"):
        with pytest.raises(HuyingError) as caught:
            net.assign(FIRST, handler)
        assert caught.value.code is Code.INVALID_ARGUMENT


def test_an_order_is_addressed_to_its_handler_alone(net: HotlineNetwork) -> None:
    """What the head says is what the network delivers."""
    net.imports(order())
    feed = net.nodes[COUNTY].reader
    rows, _ = feed.changes(f"{NETWORK}/feed/{COUNTY}/e1", 0, 100, [feed_pb2.RECORD_TYPE_ORDER])
    assert len(rows) == 1
    assert net.nodes[OTHER].reader.find_orders(FIRST) == []
