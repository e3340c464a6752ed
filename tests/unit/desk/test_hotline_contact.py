"""The contact of a hotline order: open at its handler and where it was imported, and nowhere else.

It is the phone number of somebody who complained. It travels sealed, follows the order to another
handler, and does not come back once it was erased.
"""

from __future__ import annotations

from typing import Any

import pytest

from huying.common.errors import Code, HuyingError
from huying.common.feed.hpke import SealKey
from huying.common.orders import open_contact, order_record, seal_contact
from huying.wire.v1 import hotline_pb2 as pb
from tests.support.carried_network import seal_key, sealed_pin
from tests.support.tiny_network import COUNTY, NETWORK, TOWN, VILLAGE
from tests.support.trusted_network import OTHER
from tests.unit.desk.hotline_network import (
    CHANGED,
    FIRST,
    PHONE,
    SAME,
    HotlineNetwork,
    order,
    outcomes,
)


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
