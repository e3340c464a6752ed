"""Forced browsing: what a person reaches who types addresses of others, or stays too long."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncGenerator, Iterator
from typing import Any, cast
from urllib.parse import quote

import pytest

from huying.hub.web.site import PAGES
from huying.node.web.ledger.sheet_jobs import Jobs
from huying.node.web.live import STREAMS_OF_PERSON_MAX, LiveHub, Viewer
from huying.node.web.page import Page
from huying.wire.v1 import calls_pb2, feed_pb2
from tests.support.console_site import PASSWORD, forms_of, text_of
from tests.support.tiny_network import COUNTY, GRID, TOWN, VILLAGE, put
from tests.unit.console.hostile_town import call, hostile_town
from tests.unit.console.ledger_desk import household, resident
from tests.unit.console.town_desk import OTHER_VILLAGE, REPORTER, Town


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
    for address, step in (
        (addresses[0], "handle/close"),
        (addresses[1], "steps/confirm"),
        (provision, "open"),
    ):
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


def test_a_request_about_another_grid_waits_on_nobody_s_task_list(town: Town) -> None:
    """A clerk of one grid reads who asks about whom in theirs; of the next one, nothing."""
    event = town.event()
    row = town.served.readers[TOWN].get_event(VILLAGE, event)
    assert row is not None
    town.town.sign_in("clerk", login="asks-for-tasks", actor="镇-9")
    place = f"/provisions/ask?origin={quote(row.origin, safe='')}&index={row.index}"
    page = town.town.get(f"{place}&fields=reporter_phone")
    asked = town.town.fill(page, "/provisions/ask", purpose="核实情况-KANARI")
    provision = asked.headers["location"].partition("?")[0]
    town.served.settle()
    for login, area, is_seen in (
        ("own-tasks", GRID, True),
        ("all-tasks", "", True),
        ("next-tasks", f"{VILLAGE}002", False),
    ):
        town.village.sign_in("village_clerk", login=login, area=area)
        assert (provision in town.village.get("/tasks").text) is is_seen, login
        assert (town.village.get(provision).status_code == 200) is is_seen, login
    town.village.sign_out()


def test_who_looks_at_a_reporter_is_in_the_trail(town: Town) -> None:
    """Once in ten minutes for each person, however often the open page loads itself again."""
    event = town.event().hex()
    village, path = town.village, f"/events/{VILLAGE}/{event}"
    site = village.site
    town.village.sign_in("worker", login="looker")
    for _ in range(3):
        assert REPORTER in town.village.get(path).text
    town.village.sign_in("worker", login="looker-on")
    assert town.village.get(f"/tasks/events/{event}").status_code == 200
    assert town.village.get(path).status_code == 200
    trail = site.audit.page(action="event-view", object_=event)
    assert [one.actor for one in trail] == ["looker-on", "looker"]
    village.clock.seconds += 601
    assert town.village.get(f"{path}/history").status_code == 200
    assert len(site.audit.page(action="event-view", object_=event)) == 3
    # What holds nobody's name is no such look.
    plain = {"description_full": "", "reporter_name": "", "reporter_phone": ""}
    bare = town.event(**plain).hex()
    assert town.village.get(f"/events/{VILLAGE}/{bare}").status_code == 200
    assert site.audit.page(action="event-view", object_=bare) == ()
    town.village.sign_out()


def test_who_writes_into_the_ledger_is_in_the_trail(town: Town) -> None:
    """The feed names nobody, so without the trail nobody could say who changed a resident."""
    village = town.village
    village.sign_in("worker", login="ledger-writer")
    added = village.fill(
        village.get("/ledger/new"), "/ledger/new", number="W1", head_name="王五", grid=GRID
    )
    house = added.headers["location"].partition("?")[0]
    assert village.fill(village.get(f"{house}/add"), "/add", name="王小五").status_code == 303
    assert village.fill(village.get(f"{house}/edit"), "/edit", number="W2").status_code == 303
    resident_path = re.search(r"/ledger/residents/[0-9a-f]{32}", village.get(house).text)
    assert resident_path is not None
    person = resident_path[0]
    assert village.fill(village.get(person), person, name="王小六").status_code == 303
    wrote = {
        (row.action, row.object_)
        for row in village.site.audit.page(actor="ledger-writer", count=50)
        if not row.action.endswith("-view")
    }
    record, one = house.rpartition("/")[2], person.rpartition("/")[2]
    assert wrote == {
        *(("household-add", record), ("household-change", record)),
        *(("resident-add", one), ("resident-change", one)),
    }
    village.sign_out()


# --- every address --------------------------------------------------------------------------------

# Parts of addresses that name no record of a village: accounts, feeds, links and pages of help.
UNBOUND = {"person", "token", "code", "name"}
OTHER_TOWN = "370830101000"
INSIDERS: dict[str, tuple[str, ...]] = {
    VILLAGE: ("worker", "village_clerk"),
    TOWN: ("clerk", "principal"),
    COUNTY: ("centre",),
}
OUTSIDERS: tuple[tuple[str, tuple[str, ...], dict[str, str]], ...] = (
    (VILLAGE, INSIDERS[VILLAGE], {"area": f"{VILLAGE}002"}),
    (TOWN, INSIDERS[TOWN], {"area": OTHER_VILLAGE}),
    (COUNTY, ("centre", "director"), {"area": OTHER_TOWN}),
    (COUNTY, ("department",), {"department": "县民政局"}),
)


def bound_pages() -> list[Page]:
    """The pages whose address names a record."""
    return [
        page
        for page in PAGES
        if (parts := set(re.findall(r"\{(\w+)\}", page.path))) and not parts & UNBOUND
    ]


def records_of(town: Town) -> dict[str, str]:
    """What addresses name: one record of each kind, of the village's first grid."""
    event, order = town.event(), town.order(41)
    (house,) = town.append(VILLAGE, put(*household("091", GRID)))
    (person,) = town.append(VILLAGE, put(*resident(house.record, "张生成", GRID)))
    draft = calls_pb2.CallDraft(
        category="道路",
        title="草稿",
        village=VILLAGE,
        grid=GRID,
        actor="镇-起草",
        state=calls_pb2.DRAFT_STATE_WAITING,
    )
    (drafted,) = town.append(TOWN, put(feed_pb2.RECORD_TYPE_CALL_DRAFT, draft))
    row = town.served.readers[TOWN].get_event(VILLAGE, event)
    assert row is not None
    town.town.sign_in("clerk", login="asks-everything", actor="镇-10")
    place = f"/provisions/ask?origin={quote(row.origin, safe='')}&index={row.index}"
    asking = town.town.get(f"{place}&fields=reporter_phone")
    asked = town.town.fill(asking, "/provisions/ask", purpose="核实情况")
    jobs = Jobs(town.village.site.console.folder)
    job = jobs.begin("somebody", "台账.csv", ".csv", town.village.clock.now())
    jobs.save(job)
    town.served.settle()
    return {
        "call": call(town).hex(),
        "event": event.hex(),
        "order": order.hex(),
        "household": house.record.hex(),
        "resident": person.record.hex(),
        "draft": drafted.record.hex(),
        "job": job.id,
        "home": VILLAGE,
        "record": asked.headers["location"].partition("?")[0].rpartition("/")[2],
        "step": "confirm",
        "n": "0",
        "sha256": "0" * 64,
    }


def test_no_address_leads_beyond_an_area_or_a_department(town: Town) -> None:
    """Every page that names a record, asked for and sent to by who may have others of its kind."""
    known = records_of(town)
    missing: set[str] = set()
    reached: set[str] = set()
    for code, roles in INSIDERS.items():
        console = town.consoles[code]
        person = console.sign_in(*roles, login=f"insider-{code}")
        for page in bound_pages():
            if "GET" in page.methods and {page.needs, page.also} & person.permissions:
                status = console.get(page.path.format(**known)).status_code
                (reached if status in (200, 303) else missing).add(page.name)
    for code, roles, fields in OUTSIDERS:
        console = town.consoles[code]
        person = console.sign_in(*roles, login=f"outsider-{code}-{roles[0]}", **fields)
        for page in bound_pages():
            path = page.path.format(**known)
            for method in page.methods:
                sent = {
                    "request_id": secrets.token_hex(16),
                    "version": "0",
                    "to": known["household"],
                }
                answer = console.get(path) if method == "GET" else console.post(path, sent)
                has = page.needs in person.permissions or page.also in person.permissions
                assert answer.status_code == (404 if has else 403), (method, path, fields)
        console.sign_out()
    # Of another's import, of an entry and of a picture there is none here: see their own tests.
    elsewhere = {"order-import-file", "order-import-errors", "order-import-faulty"}
    elsewhere |= {"sheet", "sheet-errors", "sheet-faulty"}
    assert missing - reached - elsewhere <= {"call-proof", "media", "draft-file"}, "nothing there"


# --- the live stream ------------------------------------------------------------------------------


def test_nobody_hears_of_a_call_beyond_their_scope_nor_is_seen_at_it(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever knew a call's id could watch it stir, and stand in its list of who is looking."""
    raised = call(town).hex()
    viewers: list[Viewer] = []

    async def stream(viewer: Viewer) -> AsyncGenerator[str]:
        viewers.append(viewer)
        yield "{}"

    monkeypatch.setattr(town.town.site.live, "stream", stream)
    path = f"/live?topic=calls&topic=call:{raised}&topic=anything&topic=presence:{'0' * 32}"
    town.town.sign_in("clerk", login="listener")
    assert town.town.get(f"{path}&call={raised}").status_code == 200
    town.town.sign_in("clerk", login="eavesdropper", area=OTHER_VILLAGE)
    assert town.town.get(f"{path}&call={raised}").status_code == 200
    heard, other = viewers
    assert heard.topics == {"calls", f"call:{raised}", f"presence:{raised}"}
    assert other.topics == {"calls"}
    assert other.call == ""
    town.town.sign_out()


def test_a_stream_ends_with_its_session(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """A handset that was signed out from elsewhere must not go on hearing, or be seen at a call."""
    county, heard = town.county, []
    person = county.sign_in("director", login="lost-handset")

    async def stream(_viewer: Viewer) -> AsyncGenerator[str]:
        for number in range(4):
            heard.append(number)
            yield str(number)
            county.clock.seconds += 31
            if number == 1:
                county.site.sessions.end_all(person.id)

    monkeypatch.setattr(county.site.live, "stream", stream)
    answer = county.get("/live?topic=calls")
    assert re.findall(r"data: (\d)", answer.text) == ["0", "1"]
    assert heard == [0, 1, 2]
    county.sign_out()


def test_one_person_s_streams_leave_room_for_the_others() -> None:
    """Five hundred streams of one account would have been all there are."""

    async def play() -> None:
        hub = LiveHub(cast("Any", None))
        first = hub.stream(Viewer("first", "p", frozenset({"calls"})))
        await anext(first)
        more = [
            hub.stream(Viewer(f"{number}", "p", frozenset({"calls"})))
            for number in range(STREAMS_OF_PERSON_MAX)
        ]
        for one in more:
            await anext(one)
        with pytest.raises(StopAsyncIteration):
            await asyncio.wait_for(anext(first), 1)
        other = hub.stream(Viewer("other", "q", frozenset({"calls"}), seen=hub.count))
        await anext(other)
        hub.stir(["calls"])
        assert "calls" in await asyncio.wait_for(anext(other), 1)

    asyncio.run(play())
