"""The household ledger's pages: what is shown to whom, what a form changes, what is written down.

Real pages over the real API of a small network. A clerk trusts that an edit changes what was
edited, and a resident that nobody sees a number by passing by.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any

import pytest

from huying.wire.v1 import feed_pb2
from tests.support.console_site import ConsoleUnderTest, at_once, text_of
from tests.support.served_network import ServedNetwork
from tests.support.tiny_network import TOWN, VILLAGE
from tests.unit.console.ledger_desk import (
    FIRST,
    HEALTH,
    ID_NUMBER,
    PHONE,
    SECOND,
    append,
    grids,
    household,
    resident,
    stored,
)

HOUSEHOLD = feed_pb2.RECORD_TYPE_HOUSEHOLD
RESIDENT = feed_pb2.RECORD_TYPE_RESIDENT
VISIT = feed_pb2.RECORD_TYPE_VISIT
HOSTILE = "\"><script>alert(1)</script>{{7*7}}'--"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedNetwork]:
    with pytest.MonkeyPatch.context() as patch:
        network = ServedNetwork(tmp_path_factory.mktemp("ledger"), patch)
        grids(network)
        yield network
        network.close()


@pytest.fixture
def site(served: ServedNetwork) -> Iterator[ConsoleUnderTest]:
    with ConsoleUnderTest(served, VILLAGE) as console:
        console.sign_in("village_clerk")
        yield console


@pytest.fixture
def home(served: ServedNetwork) -> tuple[bytes, bytes]:
    """A household of the first grid, and who lives there."""
    (place,) = append(served, household("7"))
    (person,) = append(served, resident(place, "张秀英"))
    return place, person


def audits(site: ConsoleUnderTest, action: str) -> list[str]:
    """The objects of the audit rows of an action, newest first."""
    rows = site.site.audit.page(count=200)
    return [row.object_ for row in rows if row.action == action]


def test_the_list_finds_by_grid_words_key_population_and_days_without_a_visit(
    served: ServedNetwork, site: ConsoleUnderTest
) -> None:
    """Each filter is what a grid worker asks in the morning; none may hide a household wrongly."""
    one, two = append(served, household("101", FIRST), household("202", SECOND))
    append(served, resident(two, "李四", SECOND, key_population="残疾人、低保"))

    def listed(**query: str) -> str:
        page = site.get("/ledger", params=query)
        assert page.status_code == 200
        return str(page.text)

    assert "义桥村101号" in listed(q="101")
    assert "义桥村202号" not in listed(q="101")
    assert "义桥村202号" in listed(grid=SECOND)
    assert "义桥村101号" not in listed(grid=SECOND)
    assert "义桥村202号" in listed(population="低保")
    assert "义桥村101号" not in listed(population="低保")
    page = site.get(f"/ledger/households/{one.hex()}")
    sent = site.fill(page, "/visits", text="身体好", visited="2023-11-14T00:00")
    assert sent.status_code == 303
    assert "义桥村101号" not in listed(days="30", q="101")
    assert "义桥村202号" in listed(days="30")


def test_numbers_are_in_no_list_and_masked_until_shown(
    site: ConsoleUnderTest, home: tuple[bytes, bytes]
) -> None:
    """Who passes a screen sees no ID or phone number, and each one shown leaves a row."""
    place, person = home
    address = f"/ledger/households/{place.hex()}"
    seen = len(audits(site, "household-view"))
    site.get(address)
    assert len(audits(site, "household-view")) == seen + 1
    for page in (site.get("/ledger"), site.get(address), site.get(f"{address}/edit")):
        assert page.status_code == 200
        assert ID_NUMBER not in page.text
        assert PHONE not in page.text
        assert HEALTH not in page.text
    page = site.get(f"/ledger/residents/{person.hex()}")
    assert ID_NUMBER not in page.text
    assert PHONE not in page.text
    assert HEALTH not in page.text
    assert "3708**********1237" in page.text
    assert "139****4321" in page.text

    shown = site.post(f"{address}/show", {"of": person.hex(), "what": "numbers"})
    assert ID_NUMBER in shown.text
    assert HEALTH not in shown.text
    assert shown.headers["Cache-Control"] == "no-store"
    assert audits(site, "show-numbers")[0] == person.hex()
    shown = site.post(f"{address}/show", {"of": person.hex(), "what": "health"})
    assert HEALTH in shown.text
    assert ID_NUMBER not in shown.text
    assert audits(site, "show-health")[0] == person.hex()
    assert audits(site, "household-view")[0] == place.hex()
    rows = site.site.audit.page(count=200)
    assert not any(ID_NUMBER in row.detail or PHONE in row.detail for row in rows)


def test_a_number_typed_into_the_search_is_not_searched_for(site: ConsoleUnderTest) -> None:
    """It would stand in the address, in the browser's history, and nowhere should it be shown."""
    page = site.get("/ledger", params={"q": PHONE})
    assert "不按身份证号" in page.text
    assert PHONE not in page.text


def test_a_change_of_one_field_keeps_every_other(
    served: ServedNetwork, site: ConsoleUnderTest, home: tuple[bytes, bytes]
) -> None:
    """A put replaces the whole record, so what the form does not show would be lost silently."""
    place, person = home
    before = stored(served, RESIDENT, person)
    page = site.get(f"/ledger/residents/{person.hex()}")
    assert site.fill(page, person.hex(), name="张秀英改").status_code == 303
    after = stored(served, RESIDENT, person)
    assert after.name == "张秀英改"
    before.name = after.name
    assert after == before

    before = stored(served, HOUSEHOLD, place)
    page = site.get(f"/ledger/households/{place.hex()}/edit")
    assert site.fill(page, "/edit", address="义桥村八号").status_code == 303
    after = stored(served, HOUSEHOLD, place)
    before.address = "义桥村八号"
    assert after == before
    # A hand-made form that sends one field alone changes that one alone.
    page = site.get(f"/ledger/residents/{person.hex()}")
    version = re.search(r'name="version" value="(\d+)"', page.text)
    assert version is not None
    fields = {"request_id": "ab" * 16, "version": version[1], "sex": "男"}
    assert site.post(f"/ledger/residents/{person.hex()}", fields).status_code == 303
    changed = stored(served, RESIDENT, person)
    assert (changed.sex, changed.name, changed.id_number) == ("男", "张秀英改", ID_NUMBER)
    assert changed.key_population == "空巢老人"
    assert changed.health == HEALTH


def test_key_populations_are_ticked_and_typed_and_secrets_cleared_by_their_box(
    served: ServedNetwork, site: ConsoleUnderTest, home: tuple[bytes, bytes]
) -> None:
    """One person may be of several, and what the county's list lacks can be typed."""
    _, person = home
    page = site.get(f"/ledger/residents/{person.hex()}")
    sent = site.fill(
        page, person.hex(), population="残疾人", population_other="独居、孤儿", clear_phone="1"
    )
    assert sent.status_code == 303
    found = stored(served, RESIDENT, person)
    assert found.key_population == "残疾人、独居、孤儿"
    assert found.phone == ""
    assert found.id_number == ID_NUMBER


def test_two_people_who_save_one_record_at_the_same_moment(
    served: ServedNetwork, site: ConsoleUnderTest, home: tuple[bytes, bytes]
) -> None:
    """Both had looked before either wrote; and of a count that two raise, one would be lost."""
    place, person = home
    path = f"/ledger/residents/{person.hex()}"
    one, two = site.get(path), site.get(path)
    answers = at_once(
        site,
        lambda: site.fill(one, person.hex(), name="甲改的名"),
        lambda: site.fill(two, person.hex(), phone="13900007777"),
    )
    assert sorted(each.status_code for each in answers) == [303, 409]
    after = stored(served, RESIDENT, person)
    assert (after.name == "甲改的名") + (after.phone == "13900007777") == 1

    count = stored(served, HOUSEHOLD, place).resident_count
    pages = [site.get(f"/ledger/households/{place.hex()}/add") for _ in range(2)]
    sends = [
        functools.partial(site.fill, page, "/add", name=f"新生儿{number}")
        for number, page in enumerate(pages)
    ]
    assert [each.status_code for each in at_once(site, *sends)] == [303, 303]
    assert stored(served, HOUSEHOLD, place).resident_count == count + 2


def test_two_people_at_one_record_the_second_is_told(
    served: ServedNetwork, site: ConsoleUnderTest, home: tuple[bytes, bytes]
) -> None:
    """Or the second would undo what the first wrote without seeing it."""
    _, person = home
    first = site.get(f"/ledger/residents/{person.hex()}")
    second = site.get(f"/ledger/residents/{person.hex()}")
    assert site.fill(first, person.hex(), name="先改").status_code == 303
    late = site.fill(second, person.hex(), birth_date="1951-02-03")
    assert late.status_code == 409
    assert "1951-02-03" in late.text
    assert stored(served, RESIDENT, person).name == "先改"


def test_a_form_sent_twice_writes_once(served: ServedNetwork, site: ConsoleUnderTest) -> None:
    """A double click, and the back button, make no second household, resident or visit."""
    page = site.get("/ledger/new")
    size = next(f.size for f in served.readers[VILLAGE].feeds() if VILLAGE in f.origin)
    for _ in range(2):
        sent = site.fill(page, "/ledger/new", number="55", head_name="王五", grid=FIRST)
        assert sent.status_code == 303
    place = sent.headers["Location"].split("/")[3].split("?")[0]
    page = site.get(f"/ledger/households/{place}/add")
    for _ in range(2):
        assert site.fill(page, "/add", name="王小五").status_code == 303
    page = site.get(f"/ledger/households/{place}")
    for _ in range(2):
        assert site.fill(page, "/visits", text="看望").status_code == 303
    # The household; the resident, and the count that the county sees; the visit.
    after = next(f.size for f in served.readers[VILLAGE].feeds() if VILLAGE in f.origin)
    assert after == size + 4
    assert stored(served, HOUSEHOLD, bytes.fromhex(place)).resident_count == 1


def test_whoever_leaves_is_in_no_list_and_the_count_follows(
    served: ServedNetwork, site: ConsoleUnderTest, home: tuple[bytes, bytes]
) -> None:
    """The end takes two steps without any script, and a household ends when nobody lives there."""
    place, person = home
    assert "还有成员" in site.get(f"/ledger/households/{place.hex()}/end").text
    page = site.get(f"/ledger/residents/{person.hex()}/end")
    assert "张秀英" in page.text
    assert "抹除" in page.text
    for _ in range(2):
        assert site.fill(page, "/end").status_code == 303
    page = site.get(f"/ledger/households/{place.hex()}")
    assert "张秀英" not in page.text
    assert stored(served, HOUSEHOLD, place).resident_count == 0
    page = site.get(f"/ledger/households/{place.hex()}/end")
    assert site.fill(page, "/end").status_code == 303
    assert site.get(f"/ledger/households/{place.hex()}").status_code == 404
    assert audits(site, "household-end") == [place.hex()]


def test_a_resident_moves_to_another_household_and_is_counted_once(
    served: ServedNetwork, site: ConsoleUnderTest, home: tuple[bytes, bytes]
) -> None:
    """迁户: what is known of them goes along, both counts follow, a second press moves nobody."""
    place, person = home
    (other,) = append(served, household("迁8", SECOND, resident_count=0))
    assert "没有符合的户" in site.get(f"/ledger/residents/{person.hex()}/move?q=没有").text
    page = site.get(f"/ledger/residents/{person.hex()}/move", params={"q": "迁8"})
    for _ in range(2):
        sent = site.fill(page, "/move/to", to=other.hex())
        assert sent.status_code == 303
        assert other.hex() in sent.headers["Location"]
    moved = stored(served, RESIDENT, person)
    assert (moved.household, moved.grid, moved.health) == (other, SECOND, HEALTH)
    assert stored(served, HOUSEHOLD, place).resident_count == 0
    assert stored(served, HOUSEHOLD, other).resident_count == 1
    assert audits(site, "resident-move") == [person.hex()]
    text = text_of(site.get(f"/ledger/households/{other.hex()}").text)
    assert "张秀英" in text
    assert "从 户主7 户号 7" in text
    assert "张秀英" not in site.get(f"/ledger/households/{place.hex()}").text
    # Who filled the form in before somebody else wrote is told, and moves nobody.
    late = site.fill(page, "/move/to", to=place.hex(), request_id="cf" * 16)
    assert late.status_code == 400
    assert stored(served, RESIDENT, person).household == other


def test_a_household_that_goes_to_another_grid_takes_its_people_along(
    served: ServedNetwork, site: ConsoleUnderTest, home: tuple[bytes, bytes]
) -> None:
    """Else the worker of the new grid would see the house and not who lives there."""
    place, person = home
    page = site.get(f"/ledger/households/{place.hex()}/edit")
    for _ in range(2):
        assert site.fill(page, "/edit", grid=SECOND).status_code == 303
    assert stored(served, RESIDENT, person).grid == SECOND
    site.sign_in("worker", login="grid-two", area=SECOND)
    assert "张秀英" in site.get(f"/ledger/households/{place.hex()}").text


def test_a_form_reads_what_people_type_and_says_what_is_wrong(
    served: ServedNetwork, site: ConsoleUnderTest
) -> None:
    """A slip of a finger in an ID number is found by its last character, at the door, not later."""
    (place,) = append(served, household("码1", resident_count=0))
    page = site.get(f"/ledger/households/{place.hex()}/add")
    wrong = site.fill(page, "/add", name="码一", id_number="110105197106150011")
    assert wrong.status_code == 400
    assert '<a href="#f-id_number">身份证号</a>' in wrong.text
    assert "末位校验不符" in text_of(wrong.text)
    wrong = site.fill(page, "/add", name="码一", birth_date="去年")
    assert "请写成 1950-01-31" in text_of(wrong.text)
    sent = site.fill(page, "/add", name="码一", id_number="11010519710615 0010")
    assert sent.status_code == 303
    people = served.readers[VILLAGE].residents_of(VILLAGE, place)
    one = stored(served, RESIDENT, people[0].record)
    assert (one.id_number, one.birth_date, one.sex) == ("110105197106150010", "1971-06-15", "男")
    # One person is not entered twice, neither here nor in another household.
    page = site.get(f"/ledger/households/{place.hex()}/add")
    twin = site.fill(page, "/add", name="又一个", id_number="110105197106150010")
    assert twin.status_code == 400
    assert "台账里已有人用这个身份证号" in text_of(twin.text)
    page = site.get(f"/ledger/residents/{people[0].record.hex()}")
    assert site.fill(page, people[0].record.hex(), birth_date="1971.7.1").status_code == 303
    assert stored(served, RESIDENT, people[0].record).birth_date == "1971-07-01"


def test_hostile_words_are_shown_as_words(served: ServedNetwork, site: ConsoleUnderTest) -> None:
    """Names come from tables that strangers made, and must run nowhere."""
    place, *_ = append(served, household(HOSTILE, head_name=HOSTILE, address=HOSTILE, phone="1"))
    append(served, resident(place, HOSTILE, key_population=HOSTILE, health=HOSTILE))
    page = site.get(f"/ledger/households/{place.hex()}")
    site.fill(page, "/visits", text=HOSTILE)
    paths = (
        "/ledger",
        f"/ledger?q={HOSTILE}",
        f"/ledger?population={HOSTILE}",
        f"/ledger/households/{place.hex()}",
        f"/ledger/households/{place.hex()}/edit",
        "/ledger/visits",
    )
    for path in paths:
        text = site.get(path).text
        assert "<script>alert" not in text, path
        assert "&lt;script&gt;" in text, path


def test_a_worker_of_a_grid_sees_that_grid_alone(
    served: ServedNetwork, site: ConsoleUnderTest
) -> None:
    """Another grid's households are not there: not listed, not opened, not written."""
    mine, other = append(served, household("301", FIRST), household("302", SECOND))
    (person,) = append(served, resident(other, "不可见", SECOND))
    site.sign_in("worker", login="grid-one", area=FIRST)
    page = site.get("/ledger")
    assert "义桥村301号" in page.text
    assert "义桥村302号" not in page.text
    assert "第二网格" not in page.text
    assert "义桥村302号" not in site.get("/ledger", params={"grid": SECOND}).text
    assert site.get(f"/ledger/households/{mine.hex()}").status_code == 200
    for path in (
        f"/ledger/households/{other.hex()}",
        f"/ledger/households/{other.hex()}/edit",
        f"/ledger/households/{other.hex()}/add",
        f"/ledger/residents/{person.hex()}",
        f"/ledger/residents/{person.hex()}/end",
        f"/ledger/residents/{person.hex()}/move",
    ):
        assert site.get(path).status_code == 404, path
    (own,) = append(served, resident(mine, "本网格人"))
    page = site.get(f"/ledger/residents/{own.hex()}/move?q=302")
    assert "义桥村302号" not in page.text
    page = site.get(f"/ledger/residents/{own.hex()}/move?q=")
    moving = {"request_id": "cb" * 16, "version": "1", "to": other.hex()}
    assert site.post(f"/ledger/residents/{own.hex()}/move/to", moving).status_code == 404
    fields = {"request_id": "cd" * 16, "of": person.hex(), "what": "numbers"}
    assert site.post(f"/ledger/households/{other.hex()}/show", fields).status_code == 404
    # Neither by way of a household of the own grid,
    shown = site.post(f"/ledger/households/{mine.hex()}/show", fields)
    assert shown.status_code == 404
    assert ID_NUMBER not in shown.text
    # nor can a household be moved into another grid.
    page = site.get(f"/ledger/households/{mine.hex()}/edit")
    assert site.fill(page, "/edit", grid=SECOND).status_code == 400
    meeting = {"request_id": "ce" * 16, "grid": SECOND, "visited": "2023-11-14T00:00", "text": "x"}
    assert site.post("/ledger/visits/meeting", meeting).status_code == 404


def test_who_lives_in_another_household_is_not_shown_by_this_one(
    served: ServedNetwork, site: ConsoleUnderTest, home: tuple[bytes, bytes]
) -> None:
    """The trail says which household was looked at; it must be the one whose person is shown."""
    _, person = home
    (other,) = append(served, household("909"))
    fields = {"of": person.hex(), "what": "numbers"}
    shown = site.post(f"/ledger/households/{other.hex()}/show", fields)
    assert shown.status_code == 303
    assert ID_NUMBER not in shown.text


def test_no_other_role_and_no_other_tier_has_a_ledger(
    served: ServedNetwork, site: ConsoleUnderTest, home: tuple[bytes, bytes]
) -> None:
    """The wrong role is refused a hand-made form, too; a town's node has nothing to show at all."""
    place, person = home
    site.sign_in("technician")
    show = f"/ledger/households/{place.hex()}/show"
    fields = {"of": person.hex(), "what": "numbers", "request_id": "ef" * 16}
    assert site.get("/ledger").status_code == 403
    assert site.post(show, fields).status_code == 403
    with ConsoleUnderTest(served, TOWN) as town:
        town.sign_in("clerk")
        assert town.get("/ledger").status_code == 403
        # An account with a village's role, made behind the program's back.
        town.sign_in("village_clerk")
        assert town.get("/ledger").status_code == 404
        assert town.get(f"/ledger/households/{place.hex()}").status_code == 404
        assert town.post(show, fields).status_code == 404


def test_pages_read_while_the_node_is_away_and_keep_what_is_typed(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clerk in a house without reception must not lose the visit that was typed."""
    network = ServedNetwork(tmp_path, monkeypatch)
    grids(network)
    (place,) = append(network, household("1"))
    with ConsoleUnderTest(network, VILLAGE) as site:
        site.sign_in("village_clerk")
        page = site.get(f"/ledger/households/{place.hex()}")
        network.stop_servers()
        assert "户主1" in site.get("/ledger").text
        sent = site.fill(page, "/visits", text="门前积水,已记下")
        assert sent.status_code >= 400
        assert "门前积水,已记下" in sent.text
    network.close()


def test_a_meeting_is_written_and_listed(served: ServedNetwork, site: ConsoleUnderTest) -> None:
    """Meetings belong to the grid's work as visits do, and name no household."""
    page = site.get("/ledger/visits")
    sent = site.fill(page, "/meeting", grid=FIRST, text="议:修路。电话13900001111")
    assert sent.status_code == 303
    text = text_of(site.get("/ledger/visits").text)
    assert "议事会" in text
    assert "议:修路" in text
    assert "13900001111" not in text
