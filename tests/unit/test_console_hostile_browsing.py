"""Forced browsing: what a person reaches who types addresses of others, or stays too long."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.unit.console_ledger import household
from tests.unit.console_site import PASSWORD, forms_of, text_of
from tests.unit.console_town import OTHER_VILLAGE, Town
from tests.unit.hostile_town import call, hostile_town
from tests.unit.tiny_network import GRID, TOWN, VILLAGE, put


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with hostile_town(tmp_path_factory.mktemp("hostile")) as made:
        yield made


def test_who_is_bound_to_another_village_finds_nothing_by_any_address(town: Town) -> None:
    """Forced browsing on the town's shared node: the refusal is that of what is not there."""
    event, order, raised = town.event(), town.order(7), call(town)
    town.town.sign_in("clerk", login="asker", actor="镇-7")
    row = town.served.readers[TOWN].get_event(VILLAGE, event)
    assert row is not None
    place = f"/provisions/ask?origin={quote(row.origin, safe='')}&index={row.index}"
    page = town.town.get(f"{place}&fields=reporter_phone")
    asked = town.town.fill(page, "/provisions/ask", purpose="回访")
    assert asked.status_code == 303, text_of(asked.text)
    provision = asked.headers["location"].partition("?")[0]
    town.served.settle()
    addresses = [
        f"/events/{VILLAGE}/{event.hex()}",
        f"/calls/{raised.hex()}",
        f"/orders/{order.hex()}",
        provision,
        f"/calls/new?event={event.hex()}",
        f"{place}&fields=reporter_phone",
    ]
    for address in addresses:
        assert town.town.get(address).status_code == 200, address
    town.town.sign_in("clerk", "principal", login="elsewhere-all", area=OTHER_VILLAGE)
    for address in addresses:
        answer = town.town.get(address)
        assert answer.status_code == 404, address
        assert "路灯" not in answer.text
        assert "村口" not in answer.text
    for address, step in ((addresses[1], "steps/confirm"), (provision, "open")):
        answer = town.town.post(f"{address}/{step}", {"request_id": "ab" * 16, "text": "x"})
        assert answer.status_code == 404, (address, step)


def test_a_worker_of_another_grid_finds_no_household(town: Town) -> None:
    """Households are at the village's node alone; there the grids stand side by side."""
    (receipt,) = town.append(VILLAGE, put(*household("077", GRID)))
    path = f"/ledger/households/{receipt.record.hex()}"
    town.village.sign_in("worker", login="own-grid", area=GRID)
    assert town.village.get(path).status_code == 200
    town.village.sign_in("worker", login="next-grid", area=f"{VILLAGE}002")
    assert town.village.get(path).status_code == 404
    assert town.village.get(f"{path}/edit").status_code == 404


def test_an_answer_whose_session_ran_out_stands_in_its_form_again(town: Town) -> None:
    """Half an hour over one paragraph is a normal afternoon; none of it may be lost."""
    raised = call(town).hex()
    county = town.county
    county.sign_in("centre", login="slow")
    page = county.get(f"/calls/{raised}")
    forms = [one for one in forms_of(page.text) if "/steps/" in one.action]
    form = next(one for one in forms if "draft_key" in one.fields)
    field = next(name for name, value in form.fields.items() if name in ("text", "reason", "note"))
    county.clock.seconds += 31 * 60
    typed = "已派人到现场,晚上回复"
    answer = county.post(form.action, {**form.fields, field: typed})
    assert answer.status_code == 401
    back = re.search(r'href="(/sign-in\?next=[^"]+)"', answer.text)
    assert back is not None
    done = county.fill(county.get(back[1]), "/sign-in", login="slow", password=PASSWORD)
    assert done.status_code == 303
    assert typed in county.get(done.headers["location"]).text
    county.sign_out()


def test_every_page_has_the_way_out(town: Town) -> None:
    town.county.sign_in("centre", login="leaving")
    for path in ("/", "/account", "/queue", "/calls", "/wall", "/no-permission", "/people"):
        answer = town.county.get(path)
        if answer.status_code == 200:
            assert 'action="/sign-out"' in answer.text, path
