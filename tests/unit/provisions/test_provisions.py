"""Provisions: a village's field, asked for by the county, given or denied, and gone again.

Three engines over real stores on disk; what each step does at every node, and what nobody may do.
"""

from __future__ import annotations

from typing import Any

import pytest

from huying.common.errors import Code
from huying.common.late.requests import EraseRecord
from huying.common.limits import PROVISION_SECONDS_MAX
from huying.common.provisions.asker import DropProvision
from huying.common.provisions.home import (
    DecideProvision,
    EndProvision,
    SettleProvision,
    WithdrawProvision,
)
from huying.common.provisions.terms import request_record
from huying.wire.v1 import feed_pb2, records_pb2
from tests.support.late_network import refusal
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE, identity
from tests.unit.provisions.provision_desk import DAY, DECISION, PHONE, RECEIPT, REQUEST, Desk, wire


def test_the_numbers_of_the_types_are_the_wires() -> None:
    """They are written as numbers above."""
    assert feed_pb2.RECORD_TYPE_PROVISION_REQUEST == REQUEST
    assert feed_pb2.RECORD_TYPE_PROVISION_DECISION == DECISION
    assert feed_pb2.RECORD_TYPE_PROVISION_RECEIPT == RECEIPT


def test_a_field_is_asked_for_given_looked_at_and_gone_again(desk: Desk) -> None:
    """The whole life: the value is at the county for the one look, and nowhere but in the seal."""
    network = desk.network
    request = desk.asked()
    assert desk.message(VILLAGE, request).fields == ["reporter_phone"]
    decision = desk.decide(request)
    assert desk.holders(decision) == {COUNTY, TOWN, VILLAGE}
    shown = desk.looked(request, decision)
    assert shown == records_pb2.Event(reporter_phone=PHONE)
    (receipt,) = desk.receipts(VILLAGE)
    assert (receipt.use, receipt.actor) == (wire.PROVISION_USE_SHOWN, "d07")
    network.wait(2 * DAY)
    network.operate(COUNTY, DropProvision(request, decision))
    assert desk.holders(decision) == {TOWN, VILLAGE}
    network.operate(VILLAGE, EndProvision(decision))
    network.wait()
    assert desk.holders(decision) == set()
    assert [one.use for one in desk.receipts(VILLAGE)][-1] == wire.PROVISION_USE_DROPPED
    for code in (COUNTY, TOWN):
        assert network.on_disk(code, PHONE) == []
    assert network.on_disk(VILLAGE, PHONE)
    network.check()


@pytest.mark.parametrize(
    ("more", "code", "word"),
    [
        ({"fields": ("category",)}, Code.NOT_ALONE, "shares its compartment"),
        ({"fields": ("reporter_name",)}, Code.NOT_ALONE, "description_full"),
        ({"fields": ()}, Code.INVALID_ARGUMENT, "name what is asked for"),
        ({"fields": ("shoe_size",)}, Code.INVALID_ARGUMENT, "no field"),
        ({"fields": ("address",), "at": TOWN}, Code.INVALID_ARGUMENT, "not withheld"),
        ({"index": 99}, Code.NOT_FOUND, "nothing of it is held"),
        ({"purpose": "打 13900001234 回访"}, Code.INVALID_ARGUMENT, "purpose"),
        ({"expires_micros": 1}, Code.INVALID_ARGUMENT, "past"),
        ({"expires_micros": 2**62}, Code.INVALID_ARGUMENT, "30 days"),
        ({"at": VILLAGE}, Code.INVALID_ARGUMENT, "ask downward"),
    ],
)
def test_what_can_not_be_asked_for_is_refused_where_it_is_asked(
    desk: Desk, more: dict[str, Any], code: Code, word: str
) -> None:
    """A request that nobody could meet would wait at the home for its whole time."""
    at = more.pop("at", COUNTY)
    error = refusal(lambda: desk.asked(at, **more))
    assert (error.code, word in error.detail) == (code, True), error.detail
    assert PHONE not in error.detail


def test_fields_that_share_a_compartment_are_asked_for_together(desk: Desk) -> None:
    """One opening shows all of its fields, so all of them are named, and named to the clerk."""
    request = desk.asked(fields=("description_full", "reporter_name", "reporter_phone"))
    shown = desk.looked(request, desk.decide(request))
    assert (shown.reporter_phone, shown.reporter_name) == (PHONE, "KANARI-REPORTER")
    assert shown.category == ""


def test_a_short_name_stands_for_the_one_field_that_ends_in_it(desk: Desk) -> None:
    """`phone` of an event is its reporter's; the request says the full name."""
    request = desk.asked(fields=("phone",))
    assert desk.message(VILLAGE, request).fields == ["reporter_phone"]


def test_the_same_request_is_written_once(desk: Desk) -> None:
    """A second try after a lost answer must not wait at the village twice."""
    until = int((desk.network.clock.seconds + DAY) * 1e6)
    assert desk.asked(expires_micros=until) == desk.asked(expires_micros=until)


def test_a_town_asks_as_well(desk: Desk) -> None:
    """The village's event is withheld from the town, too."""
    request = desk.asked(TOWN)
    decision = desk.decide(request)
    revealed, _ = desk.network.operate(TOWN, desk.look(request, decision))
    assert PHONE.encode() in revealed.message


def test_what_was_erased_can_not_be_asked_for(desk: Desk) -> None:
    """It is gone at its home."""
    desk.network.operate(VILLAGE, EraseRecord(desk.event, ("reporter_phone",)))
    assert refusal(desk.asked).code is Code.NOT_FOUND


def test_a_request_is_decided_once(desk: Desk) -> None:
    """Of two clerks who decide at once one wins, and the other is told."""
    request = desk.asked()
    decision = desk.decide(request)
    for verdict in (wire.PROVISION_VERDICT_APPROVED, wire.PROVISION_VERDICT_DENIED):
        step = DecideProvision(request, verdict, "v03", wire.DENIAL_REASON_OTHER)
        error = refusal(lambda: desk.network.operate(VILLAGE, step))  # noqa: B023
        assert error.code is Code.WRONG_STAGE
    assert desk.last(VILLAGE) == decision
    assert not desk.network.operate(VILLAGE, SettleProvision(desk.asked(actor="d08")))


def test_a_denial_says_why_and_gives_nothing(desk: Desk) -> None:
    """The responder reads the reason instead of a value."""
    request = desk.asked()
    denied = wire.PROVISION_VERDICT_DENIED
    reason = wire.DENIAL_REASON_WRONG_PERSON
    desk.network.operate(VILLAGE, DecideProvision(request, denied, "v02", reason, "不是此人"))
    decision = desk.last(VILLAGE)
    held = desk.message(COUNTY, decision)
    assert (held.reason, held.text, list(held.sealed)) == (reason, "不是此人", [])
    error = refusal(lambda: desk.looked(request, decision))
    assert (error.code, "denied" in error.detail) == (Code.WRONG_STAGE, True)


def test_what_is_approved_too_late_is_refused_and_the_node_says_so(desk: Desk) -> None:
    """A person who was on leave must not give what nobody may use any more."""
    request = desk.asked()
    desk.network.wait(3 * DAY)
    assert refusal(lambda: desk.decide(request)).code is Code.WRONG_STAGE
    assert desk.network.operate(VILLAGE, SettleProvision(request, "any rule"))
    held = desk.message(COUNTY, desk.last(VILLAGE))
    assert held.verdict == wire.PROVISION_VERDICT_DENIED
    assert held.reason == wire.DENIAL_REASON_EXPIRED
    assert held.decided_by == f"node:{VILLAGE}"


def test_consent_that_is_withdrawn_ends_it_everywhere(desk: Desk) -> None:
    """Within seconds, not at its expiry; and who had given it is still written down."""
    request = desk.asked()
    approval = desk.decide(request)
    desk.network.operate(VILLAGE, WithdrawProvision(request, approval, "v02", "本人撤回"))
    desk.network.wait()
    assert desk.holders(approval) == set()
    withdrawal = (approval[0], approval[1] + 1)
    held = desk.message(COUNTY, withdrawal)
    assert held.verdict == wire.PROVISION_VERDICT_WITHDRAWN
    assert (held.approval.origin, held.approval.index) == approval
    # A county that looks by the old approval finds nothing in it, either.
    assert refusal(lambda: desk.looked(request, withdrawal)).code is Code.WRONG_STAGE
    assert refusal(lambda: desk.looked(request, approval)).code is Code.NOT_FOUND
    again = WithdrawProvision(request, approval, "v02")
    assert refusal(lambda: desk.network.operate(VILLAGE, again)).code is Code.WRONG_STAGE
    desk.network.check()


def test_a_request_that_says_one_thing_and_asks_another_is_denied(desk: Desk) -> None:
    """The clerk reads the names of the fields; what is sealed must follow from them alone."""
    honest = desk.message(COUNTY, desk.asked())
    others = desk.message(COUNTY, desk.asked(fields=("reporter_name", "description_full")))
    wrong_slots = wire.ProvisionRequest()
    wrong_slots.CopyFrom(honest)
    wrong_slots.slots = bytes(sorted(honest.slots + others.slots))
    wrong_leaf = wire.ProvisionRequest()
    wrong_leaf.CopyFrom(honest)
    wrong_leaf.leaf_hash = bytes(32)
    wrong_record = wire.ProvisionRequest()
    wrong_record.CopyFrom(honest)
    wrong_record.record = bytes(16)
    wrong_home = wire.ProvisionRequest()
    wrong_home.CopyFrom(honest)
    wrong_home.entry.origin = identity(TOWN).origin
    for message in (wrong_slots, wrong_leaf, wrong_record, wrong_home):
        place = desk.forge(message)
        error = refusal(lambda: desk.decide(place))  # noqa: B023
        assert (error.code, "NOT_HELD" in error.detail) == (Code.NOT_FOUND, True)
        assert desk.network.operate(VILLAGE, SettleProvision(place, "a rule"))
        held = desk.message(COUNTY, desk.last(VILLAGE))
        assert held.reason == wire.DENIAL_REASON_NOT_HELD
        assert not held.sealed


def test_a_request_under_anothers_id_is_no_request(desk: Desk) -> None:
    """Or a town could bar the way to the county's: the decision carries the request's id."""
    message = desk.message(COUNTY, desk.asked())
    place = desk.forge(message, record=request_record(TOWN, message))
    assert refusal(lambda: desk.decide(place)).code is Code.NOT_FOUND
    assert desk.network.stores[VILLAGE].get_provision(request_record(TOWN, message)) is None


def test_nothing_is_given_longer_than_the_limit_whatever_was_asked(desk: Desk) -> None:
    """A hostile county asks for a hundred years; the home seals for thirty days."""
    message = desk.message(COUNTY, desk.asked())
    message.expires_micros = 2**62
    decision = desk.message(COUNTY, desk.decide(desk.forge(message)))
    now = desk.network.clock.seconds * 1e6
    assert decision.expires_micros <= now + PROVISION_SECONDS_MAX * 1e6
