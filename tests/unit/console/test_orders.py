"""Hotline orders in the browser: lists, who sees them, and the caller's contact."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.console_site import text_of
from tests.support.tiny_network import COUNTY, GRID, TOWN, VILLAGE
from tests.unit.console.order_desk import know_keys, order_page, view
from tests.unit.console.town_desk import OTHER_VILLAGE, PHONE, Town, open_town


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with open_town(tmp_path_factory.mktemp("orders")) as opened:
        know_keys(opened)
        yield opened


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
