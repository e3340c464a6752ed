"""Hotline orders between a county, a town and two villages."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from huying.common.errors import Code, HuyingError
from huying.common.feed.hpke import SealKey
from huying.common.limits import COMMIT_ENTRIES_MAX, ORDER_COMPARISONS_MAX
from huying.common.orders import open_contact, order_record, seal_contact
from huying.wire.v1 import feed_pb2, hotline_pb2
from tests.support.carried_network import seal_key, sealed_pin
from tests.support.tiny_network import COUNTY, NETWORK, TOWN, VILLAGE
from tests.support.trusted_network import OTHER
from tests.unit.desk.hotline_network import CREATED, PHONE, HotlineNetwork, order

pb = hotline_pb2
NEW, CHANGED, SAME, ERASED, REFUSED = 1, 2, 3, 4, 5
FIRST = order_record("12345", "000001")


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HotlineNetwork]:
    made = HotlineNetwork(tmp_path, monkeypatch)
    yield made
    made.close()


def outcomes(response) -> list[int]:
    return [row.outcome for row in response.rows]


# --- the way down and up ----------------------------------------------------------------------


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


# --- importing again --------------------------------------------------------------------------


def test_the_same_content_again_writes_nothing(net: HotlineNetwork) -> None:
    """A nightly job imports the same export for months."""
    net.imports(order(1), order(2))
    size = net.size()
    assert outcomes(net.imports(order(1), order(2))) == [SAME, SAME]
    assert net.size() == size


def test_changed_content_is_a_new_version_of_the_same_order(net: HotlineNetwork) -> None:
    """The other system goes on writing: status, due time."""
    net.imports(order())
    assert outcomes(net.imports(order(source_status="催办"))) == [CHANGED]
    (view,) = net.orders(VILLAGE)
    assert view.order.source_status == "催办"
    assert outcomes(net.imports(order())) == [CHANGED]
    assert outcomes(net.imports(order(source_status="催办"))) == [CHANGED]
    assert net.orders(VILLAGE)[0].order.source_status == "催办"


def test_one_id_twice_in_a_batch_is_refused_with_both_rows(net: HotlineNetwork) -> None:
    """Which of the two counts is for a person to say."""
    response = net.imports(order(1), order(2), order(1, source_status="x"))
    assert outcomes(response) == [NEW, NEW, REFUSED]
    assert (response.rows[2].number, response.rows[2].field) == (4, "source_id")
    assert "row 2" in response.rows[2].detail


def test_all_or_nothing_writes_nothing_where_a_row_is_refused(net: HotlineNetwork) -> None:
    """The API is as strict as the command line before it."""
    size = net.size()
    bad = order(2, description=f"回电{PHONE}")
    assert outcomes(net.imports(order(1), bad, all_or_nothing=True)) == [NEW, REFUSED]
    assert net.size() == size
    assert outcomes(net.imports(order(1), bad)) == [NEW, REFUSED]
    assert len(net.orders(COUNTY)) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"sealed_contact": b"x"},
        {"near_duplicate_of": b"x" * 16},
        {"imported_handler": VILLAGE},
        {"contact_erased": True},
        {"handler": "370831000000"},
        {"description": "长" * 5000},
        {"descriptor": "长" * 3000, "description": "长" * 3000},
    ],
)
def test_what_the_node_fills_or_can_not_hold_is_refused(net: HotlineNetwork, fields) -> None:
    """An importer that could seal by itself could seal to itself."""
    assert outcomes(net.imports(order(**fields))) == [REFUSED]


def test_a_dry_run_counts_and_writes_nothing(net: HotlineNetwork) -> None:
    """One looks before one leaps."""
    net.imports(order(1))
    size = net.size()
    response = net.imports(order(1), order(2), order(3), dry_run=True)
    assert outcomes(response) == [SAME, NEW, NEW]
    assert not response.written
    assert net.size() == size


def test_a_batch_is_bounded(net: HotlineNetwork) -> None:
    """One transaction holds up everybody else."""
    for count in (0, COMMIT_ENTRIES_MAX + 1):
        with pytest.raises(HuyingError) as caught:
            net.imports(*(order(n) for n in range(count)))
        assert caught.value.code is Code.INVALID_ARGUMENT


@settings(max_examples=8, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32), size=st.integers(1, 18))
def test_any_split_and_repeat_of_a_file_ends_in_the_same_orders(
    seed: int, size: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A file that is cut, sent twice and out of order says what it says; likeness included."""
    rng = random.Random(seed)
    rows = [
        order(
            n,
            created_micros=CREATED + rng.randrange(3) * 86_400_000_000,
            contact_phone=f"1600000000{rng.randrange(3)}",
            contact_address=rng.choice(["", "甲路", "乙路"]),
            descriptor=rng.choice(["路灯不亮", "路灯不亮了", "水渠堵塞"]),
            category=rng.choice(["路灯", "水利"]),
            handler=rng.choice([VILLAGE, OTHER, TOWN]),
        )
        for n in range(size)
    ]
    pieces: list[list] = []
    for _ in range(2):
        shuffled = rng.sample(rows, len(rows))
        while shuffled:
            cut = rng.randrange(1, len(shuffled) + 1)
            pieces.append(shuffled[:cut])
            shuffled = shuffled[cut:]
    rng.shuffle(pieces)
    found = []
    for parts in ([rows], pieces):
        with pytest.MonkeyPatch.context() as patch:
            net = HotlineNetwork(tmp_path_factory.mktemp("net"), patch)
            for part in parts:
                assert REFUSED not in outcomes(net.imports(*part))
            views = net.orders(COUNTY)
            found.append({v.record: v.order.SerializeToString(deterministic=True) for v in views})
            before = net.size()
            net.imports(*rows)
            assert net.size() == before
            net.close()
    assert found[0] == found[1]


# --- the contact ------------------------------------------------------------------------------


def test_the_contact_opens_at_the_handler_and_where_it_was_imported(net: HotlineNetwork) -> None:
    """The caller's phone only to the handler; each look is in the log, without what was seen."""
    net.imports(order())
    for code in (VILLAGE, COUNTY):
        shown = net.show(code, FIRST)
        assert shown.contact_state == pb.CONTACT_STATE_SHOWN
        assert shown.contact.phone == PHONE
    assert net.show(TOWN, FIRST).contact_state == pb.CONTACT_STATE_WITHHELD
    assert not net.show(TOWN, FIRST).HasField("contact")
    for code in (COUNTY, VILLAGE):
        (view,) = net.orders(code)
        assert view.has_contact
        assert PHONE not in str(view)
        assert not view.order.sealed_contact
    looks = [values for event, values in net.said if event == "contact_shown"]
    assert [values["order"] for values in looks] == [FIRST.hex()] * 2
    assert PHONE not in str(net.said)


def test_the_contact_is_nowhere_on_the_way(net: HotlineNetwork) -> None:
    """The canary: databases and logs of all but the importer, and every frame."""
    net.imports(order(), order(2, handler=TOWN))
    net.step(VILLAGE, "settle_order", FIRST, text="办结")
    marks = [PHONE.encode(), "来电人1生成".encode(), "生成路1号".encode()]
    assert len(net.network.sent) > 3
    for mark in marks:
        assert not any(mark in frame for _, _, frame in net.network.sent)
        for code in (TOWN, VILLAGE, OTHER):
            for path in net.file(code).parent.glob(net.file(code).name + "*"):
                assert mark not in path.read_bytes()
    own = b"".join(
        path.read_bytes() for path in net.file(COUNTY).parent.glob(net.file(COUNTY).name + "*")
    )
    assert all(mark in own for mark in marks), "a search that finds nothing anywhere proves nothing"


def test_a_sealed_contact_opens_for_its_own_order_and_handler_alone() -> None:
    """The town on the way could put one order's seal into another, if the seal did not say."""
    contact = pb.HotlineContact(phone=PHONE)
    key = seal_key(VILLAGE)
    about: dict[str, Any] = {
        "network": NETWORK,
        "home": COUNTY,
        "record": FIRST,
        "handler": VILLAGE,
    }
    sealed = seal_contact(contact, key.public_key, **about)
    assert open_contact(sealed, [seal_key(TOWN), key], **about) == contact
    wrong = [
        {**about, "record": b"\x01" * 16},
        {**about, "home": TOWN},
        {**about, "handler": OTHER},
        {**about, "network": "other.example"},
    ]
    for other in wrong:
        with pytest.raises(HuyingError) as caught:
            open_contact(sealed, [key], **other)
        assert caught.value.code is Code.KEY
    for keys in ([], [seal_key(TOWN)]):
        with pytest.raises(HuyingError):
            open_contact(sealed, keys, **about)
    assert isinstance(key, SealKey)


def test_without_the_handlers_key_the_order_goes_without_contact(net: HotlineNetwork) -> None:
    """It says so; and once the key is known, importing again mends it."""
    unknown = "370830108209"
    response = net.imports(order(handler=unknown))
    assert response.rows[0].without_contact
    assert outcomes(net.imports(order(handler=unknown))) == [SAME]
    handlers = net.ask(COUNTY, "list_handlers", pb.ListHandlersRequest()).handlers
    assert {one.code: one.has_key for one in handlers}[VILLAGE]
    net.network.engine(COUNTY).roster.add(sealed_pin(unknown))
    response = net.imports(order(handler=unknown))
    assert outcomes(response) == [CHANGED]
    assert not response.rows[0].without_contact


def test_a_contact_that_was_erased_does_not_come_back(net: HotlineNetwork) -> None:
    """The next night's import must not undo a person's right."""
    from huying.common.late.requests import EraseRecord
    from huying.common.orders import CONTACT_FIELDS

    net.imports(order())
    fields = (*CONTACT_FIELDS, "sealed_contact")
    net.network.result(COUNTY, EraseRecord(FIRST, fields, "本人要求"))
    assert net.show(VILLAGE, FIRST).contact_state == pb.CONTACT_STATE_ERASED
    net.imports(order())
    net.imports(order(source_status="催办"))
    assert outcomes(net.imports(order(source_status="催办"))) == [SAME]
    net.imports(order(source_status="再催"))
    for code in (COUNTY, VILLAGE):
        assert net.show(code, FIRST).contact_state != pb.CONTACT_STATE_SHOWN
    assert net.show(COUNTY, FIRST).contact_state == pb.CONTACT_STATE_ERASED
    assert (
        PHONE.encode()
        not in net.nodes[COUNTY].reader.find_orders(FIRST)[0].order.SerializeToString()
    )


def test_a_flag_does_not_bring_an_erased_contact_back(net: HotlineNetwork) -> None:
    """A new version that another order caused keeps what was erased in mind."""
    from huying.common.late.requests import EraseRecord

    net.imports(order(5))
    record = order_record("12345", "000005")
    net.network.result(COUNTY, EraseRecord(record, ("contact_name",)))
    older = order(4, descriptor=order(5).descriptor)
    assert net.imports(older).flagged == 1
    assert outcomes(net.imports(order(5), order(5, source_id="9", source_status="x")))[0] == SAME
    net.imports(order(5, source_status="催办"))
    assert net.show(COUNTY, record).contact.name == ""


def test_a_crowd_of_like_orders_is_imported_again_without_a_write(net: HotlineNetwork) -> None:
    """A street that is dark is called about a hundred times; comparisons are bounded."""
    crowd = [order(n, descriptor="全街路灯不亮", created_micros=CREATED + n) for n in range(40)]
    for part in (crowd[30:], crowd[:7], crowd[7:30]):
        net.imports(*part)
    near = net.orders(COUNTY, filter=pb.ORDER_FILTER_NEAR_DUPLICATE, limit=1000)
    assert len(near) == 39
    size = net.size()
    assert outcomes(net.imports(*crowd)) == [SAME] * 40
    assert net.size() == size


def test_an_order_that_says_nothing_new_changes_no_likeness(net: HotlineNetwork) -> None:
    """A part of a file sees less of the crowd than the whole did, and must not judge again."""
    lamp = {"descriptor": "全街路灯不亮"}
    others = [order(n, descriptor=f"{n}" * 5) for n in range(2, 2 + ORDER_COMPARISONS_MAX)]
    first, last = order(1, **lamp), order(90, **lamp)
    net.imports(first, *others, last)
    assert net.orders(COUNTY, filter=pb.ORDER_FILTER_NEAR_DUPLICATE) == []
    size = net.size()
    assert outcomes(net.imports(first, last)) == [SAME, SAME]
    assert net.size() == size


def test_an_order_that_was_erased_whole_stays_erased(net: HotlineNetwork) -> None:
    """What is past its retention is not imported from an old file."""
    from huying.common.late.requests import EraseRecord

    net.imports(order())
    net.network.result(COUNTY, EraseRecord(FIRST))
    assert outcomes(net.imports(order(), order(2))) == [ERASED, NEW]


# --- assigning --------------------------------------------------------------------------------


def test_assigning_seals_anew_and_erases_what_the_old_handler_held(net: HotlineNetwork) -> None:
    """One transaction: nobody holds two, and the old handler learns that it is not its own."""
    net.imports(order())
    sealed = net.nodes[VILLAGE].reader.find_orders(FIRST)[0].order.sealed_contact
    assert sealed
    net.step(VILLAGE, "return_order", FIRST, text="不属本村")
    net.assign(FIRST, OTHER)
    shown = net.show(OTHER, FIRST)
    assert (shown.contact_state, shown.contact.phone) == (pb.CONTACT_STATE_SHOWN, PHONE)
    assert shown.order.status == pb.ORDER_STATUS_SENT
    (at_county,) = net.orders(COUNTY)
    assert at_county.status == pb.ORDER_STATUS_SENT
    assert at_county.text == ""
    at_old = net.show(VILLAGE, FIRST)
    assert at_old.order.order.handler == OTHER
    assert at_old.contact_state == pb.CONTACT_STATE_WITHHELD
    with pytest.raises(HuyingError) as caught:
        net.step(VILLAGE, "take_order", FIRST)
    assert caught.value.code is Code.NOT_A_PARTY
    for code in (VILLAGE, TOWN, COUNTY):
        entries = net.nodes[code].reader.connection()
        with entries as connection:
            held = connection.exec_driver_sql("SELECT openings FROM entries").scalars().all()
        assert not any(one and sealed in one for one in held), code


def test_importing_again_keeps_an_assignment_until_the_file_says_another(
    net: HotlineNetwork,
) -> None:
    """The file's old handler is no news; a new one is."""
    net.imports(order())
    net.assign(FIRST, OTHER)
    assert outcomes(net.imports(order())) == [SAME]
    assert outcomes(net.imports(order(source_status="催办"))) == [CHANGED]
    assert outcomes(net.imports(order(source_status="催办"))) == [SAME]
    assert net.orders(COUNTY)[0].order.handler == OTHER
    assert net.show(OTHER, FIRST).contact.phone == PHONE
    assert outcomes(net.imports(order(handler=TOWN))) == [CHANGED]
    assert net.orders(COUNTY)[0].order.handler == TOWN
    assert net.show(TOWN, FIRST).contact.phone == PHONE
    assert net.show(OTHER, FIRST).contact_state == pb.CONTACT_STATE_WITHHELD


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
