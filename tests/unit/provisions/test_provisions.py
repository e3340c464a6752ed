"""Provisions: a village's field, asked for by the county, given, looked at, and gone again.

Three engines over real stores on disk; what each step does at every node, and what nobody may do.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from huying.common.errors import Code
from huying.common.feed import hpke
from huying.common.feed.hpke import SealKey
from huying.common.feed.leaf import unpack_openings
from huying.common.late.requests import EraseRecord
from huying.common.limits import PROVISION_SECONDS_MAX
from huying.common.provisions.asker import AskProvision, DropProvision, RevealProvision
from huying.common.provisions.home import (
    DecideProvision,
    EndProvision,
    SettleProvision,
    WithdrawProvision,
)
from huying.common.provisions.places import Place, sealed_slot
from huying.common.provisions.terms import request_record, seal_info
from huying.wire.v1 import calls_pb2, feed_pb2, provision_pb2, records_pb2
from tests.support.late_network import EVERYBODY, LateNetwork, late_network, refusal
from tests.support.places import ROOT
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE, event, identity, put

wire = provision_pb2
DAY = 86_400.0
PHONE = "13900004321"
KEY = SealKey(bytes(range(32)))
VECTOR_INFO = (
    "687579696e672f70726f766973696f6e2f76310a09612e6578616d706c651e612e6578616d706c652f666565"
    "642f3337303833303130383230312f6531000000000000000702020202020202020202020202020202020202"
    "020202020202020202020202020d030303030303030303030303030303030303030303030303030303030303"
    "030349d2923e1e37f78af4330a1eadc410a2b1ee435b7c390c7612dde5bb367e7d410006651728988000"
)
VECTOR_SEALED = (
    "d76d2d37a375ef99fbc5dee03a539dcf8cab224c756bf2fb3aa5f2b16151a04fb2e51ee0a75d4588220f8e2d"
    "110d55a3d1cf1da1a84e4c3b64c22d739b314e95f7e62c86a8da6619"
)
REQUEST, DECISION, RECEIPT = 24, 25, 26  # of feed_pb2.RecordType, held by a test


class Shifted:
    """A clock that differs from another by some seconds."""

    def __init__(self, clock: Any, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds

    def now(self) -> float:
        """Wall time."""
        return float(self._clock.now() + self._seconds)

    def monotonic(self) -> float:
        """As the other's."""
        return float(self._clock.monotonic())


class Desk:
    """The three nodes, and one event of the village whose reporter has a phone."""

    def __init__(self, network: LateNetwork) -> None:
        self.network = network
        message = event(1)
        message.reporter_phone = PHONE
        message.reporter_name = "KANARI-REPORTER"
        (receipt,) = network.append(VILLAGE, put(feed_pb2.RECORD_TYPE_EVENT, message))
        self.origin, self.index, self.event = receipt.origin, receipt.index, receipt.record

    def ask(self, **more: Any) -> AskProvision:
        values: dict[str, Any] = {
            "origin": self.origin,
            "index": self.index,
            "fields": ("reporter_phone",),
            "purpose": "回访",
            "department": "县交通局",
            "actor": "d07",
            "recipient_key": KEY.public_key,
            "expires_micros": int((self.network.clock.seconds + 2 * DAY) * 1e6),
        }
        return AskProvision(**values | more)

    def asked(self, at: str = COUNTY, **more: Any) -> Place:
        receipt = self.network.operate(at, self.ask(**more))
        return receipt.origin, receipt.index

    def decide(
        self, place: Place, verdict: Any = wire.PROVISION_VERDICT_APPROVED, at: str = VILLAGE
    ) -> Place:
        """Where the decision stands."""
        self.network.operate(at, DecideProvision(place, verdict, "v02"))
        return self.last(at)

    def last(self, code: str) -> Place:
        origin = identity(code).origin
        feed = self.network.stores[code].feed(origin)
        assert feed is not None
        return origin, feed.size - 1

    def look(self, request: Place, decision: Place, **more: Any) -> RevealProvision:
        values: dict[str, Any] = {"department": "县交通局", "actor": "d07", "key": KEY} | more
        return RevealProvision(request, decision, **values)

    def looked(self, request: Place, decision: Place, **more: Any) -> records_pb2.Event:
        revealed, _ = self.network.operate(COUNTY, self.look(request, decision, **more))
        return records_pb2.Event.FromString(revealed.message)

    def forge(self, message: Any, record: bytes = b"") -> Place:
        """Where a request stands that the county wrote by hand."""
        made = wire.ProvisionRequest()
        made.CopyFrom(message)
        record = record or request_record(COUNTY, made)
        draft = put(REQUEST, made, record, (f"={VILLAGE}",))
        (receipt,) = self.network.append(COUNTY, draft)
        return receipt.origin, receipt.index

    def message(self, code: str, place: Place) -> Any:
        """What a node holds of an entry of a provision."""
        origin, index = place
        feed = self.network.stores[code].feed(origin)
        assert feed is not None
        (stored,) = self.network.stores[code].entries(feed.feed_id, index, index + 1)
        openings = unpack_openings(stored.openings)
        kind = feed_pb2.Head.FromString(openings[0][17:]).type
        made: dict[int, Any] = {
            REQUEST: wire.ProvisionRequest,
            DECISION: wire.ProvisionDecision,
            RECEIPT: wire.ProvisionReceipt,
        }
        return made[kind].FromString(b"".join(opening[17:] for opening in openings[1:]))

    def receipts(self, code: str) -> list[Any]:
        """The receipts that a node holds, oldest first."""
        page = self.network.stores[code].list_records(RECEIPT)
        rows = sorted(page.rows, key=lambda row: row.index)
        return [wire.ProvisionReceipt.FromString(row.message) for row in rows]

    def holders(self, decision: Place) -> set[str]:
        """The nodes that hold what was sealed."""
        slot = sealed_slot(VILLAGE)
        return {
            code for code in EVERYBODY if slot in self.network.slots(code, decision[1], VILLAGE)
        }


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with late_network(tmp_path) as network:
        yield Desk(network)


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


# --- asking ----------------------------------------------------------------------------------


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


# --- deciding --------------------------------------------------------------------------------


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


# --- looking ---------------------------------------------------------------------------------


def test_each_that_may_not_look_is_told_why_and_no_look_is_written(desk: Desk) -> None:
    """Another department, another key, another request's decision."""
    first, second = desk.asked(), desk.asked(actor="d08")
    approved = desk.decide(first)
    other = desk.decide(second)
    refused: list[tuple[dict[str, Any], Place, Code]] = [
        ({"department": "县民政局"}, approved, Code.NOT_ENTITLED),
        ({"key": SealKey(bytes(32))}, approved, Code.KEY),
        ({}, other, Code.NOT_FOUND),
        ({}, (approved[0], 0), Code.NOT_FOUND),
    ]
    for more, decision, code in refused:
        error = refusal(lambda: desk.looked(first, decision, **more))  # noqa: B023
        assert error.code is code, error
        assert PHONE not in str(error)
    assert desk.receipts(COUNTY) == []


def test_every_look_is_written_before_the_value_is_there(desk: Desk) -> None:
    """A look that can't be written down does not happen."""
    request = desk.asked()
    decision = desk.decide(request)
    desk.network.engines[COUNTY].state = "recovering"
    assert refusal(lambda: desk.looked(request, decision)).code is Code.RECOVERING
    desk.network.engines[COUNTY].state = "live"
    for actor in ("d07", "d09"):
        desk.looked(request, decision, actor=actor)
    assert [one.actor for one in desk.receipts(VILLAGE)] == ["d07", "d09"]


@pytest.mark.parametrize("part", ["the seal", "the slot", "the hash"])
def test_a_decision_that_was_tampered_with_shows_nothing(desk: Desk, part: str) -> None:
    """Even by the home itself: what it seals now must be what it committed to then."""
    request = desk.asked()
    decision = desk.message(VILLAGE, desk.decide(request))
    asked = desk.message(VILLAGE, request)
    code = Code.KEY
    if part == "the seal":
        sealed = bytearray(decision.sealed[0].sealed)
        sealed[-1] ^= 1
        decision.sealed[0].sealed = bytes(sealed)
    elif part == "the slot":
        decision.sealed[0].slot = 5
        code = Code.NOT_FOUND
    else:
        other = hpke.seal(
            bytes(asked.slots[:1])
            + bytes(16)
            + records_pb2.Event(reporter_phone="13999999999").SerializeToString(),
            KEY.public_key,
            seal_info(asked, asked.slots[0], decision.request_hash, decision.expires_micros),
        )
        decision.sealed[0].sealed = other
        code = Code.OPENING_MISMATCH
    (receipt,) = desk.network.append(VILLAGE, put(DECISION, decision, decision.request_record))
    place = receipt.origin, receipt.index
    error = refusal(lambda: desk.looked(request, place))
    assert error.code is code
    assert desk.receipts(COUNTY) == []


def test_clocks_that_differ_end_it_early_or_late_by_no_more_than_that(desk: Desk) -> None:
    """The county's clock ends it at the county, the village's everywhere."""
    network = desk.network
    request = desk.asked()
    decision = desk.decide(request)
    county = network.engines[COUNTY]
    for hours, shown in ((-1, True), (+1, False)):
        network.clock.seconds += 2 * DAY - 1800 - 60 if hours < 0 else 0
        county.clock = Shifted(network.clock, hours * 3600.0)
        if shown:
            assert desk.looked(request, decision).reporter_phone == PHONE
        else:
            assert refusal(lambda: desk.looked(request, decision)).code is Code.WRONG_STAGE
    county.clock = Shifted(network.clock, -3600.0)
    network.clock.seconds += 1900
    assert desk.looked(request, decision).reporter_phone == PHONE, "an hour behind: still open"
    network.operate(VILLAGE, EndProvision(decision))
    assert refusal(lambda: desk.looked(request, decision)).code is Code.NOT_FOUND


def test_what_was_dropped_here_does_not_come_back(desk: Desk) -> None:
    """The home may be cut off for weeks: its erasure comes late, and nobody waits for it."""
    network = desk.network
    request = desk.asked()
    decision = desk.decide(request)
    network.wait(2 * DAY)
    for _ in range(2):
        network.operate(COUNTY, DropProvision(request, decision))
    assert len(desk.receipts(VILLAGE)) == 1
    assert desk.holders(decision) == {TOWN, VILLAGE}
    network.wait(DAY)
    assert desk.holders(decision) == {TOWN, VILLAGE}
    network.check()


def test_the_ledger_is_not_erased_within_three_years(desk: Desk) -> None:
    """Who got what is a record that the law asks for; the value itself goes at any time."""
    request = desk.asked()
    decision = desk.decide(request)
    record = desk.message(VILLAGE, decision).request_record
    erase = EraseRecord(record, (), "tidy up")
    for code in (COUNTY, VILLAGE):
        assert refusal(lambda: desk.network.operate(code, erase)).code is Code.INVALID_ARGUMENT  # noqa: B023
    desk.network.clock.seconds += 1100 * DAY
    desk.network.operate(VILLAGE, erase)


# --- bytes -----------------------------------------------------------------------------------


def test_the_bytes_that_it_is_sealed_under_are_those_of_the_specification() -> None:
    """Another implementation has to make the same; docs/DISCLOSURE.md has this vector."""
    request = vector_request()
    info = seal_info(request, 0x0D, bytes([3]) * 32, 1_800_000_000_000_000)
    assert info.hex() == VECTOR_INFO
    page = ROOT / "docs" / "DISCLOSURE.md"
    assert VECTOR_INFO in "".join(page.read_text("utf-8").split())
    assert KEY.open(bytes.fromhex(VECTOR_SEALED), info) == b"\x0d" + bytes(16) + b"opening"


def test_a_seal_opens_for_nothing_but_what_it_was_made_for() -> None:
    """Each field, and each byte, of what it is bound to."""
    request = vector_request()
    told: Any = (request, 0x0D, bytes([3]) * 32, 1_800_000_000_000_000)
    info = seal_info(*told)
    sealed = bytes.fromhex(VECTOR_SEALED)
    for at in range(len(info)):
        for data, bound in (
            (sealed, info[:at] + bytes((info[at] ^ 1,)) + info[at + 1 :]),
            (sealed[:at] + bytes((sealed[at] ^ 1,)) + sealed[at + 1 :], info)
            if at < len(sealed)
            else (sealed[:-1], info),
        ):
            assert refusal(lambda: KEY.open(data, bound)).code is Code.KEY  # noqa: B023
    changes: tuple[dict[str, Any], ...] = (
        {"origin": "b.example/feed/370830108201/e1"},
        {"origin": "a.example/feed/370830108201/e2"},
        {"index": 8},
        {"leaf_hash": bytes([9]) * 32},
        {"recipient_key": bytes([9]) * 32},
    )
    changed = [seal_info(vector_request(**one), 0x0D, told[2], told[3]) for one in changes]
    changed.append(seal_info(request, 0x0C, told[2], told[3]))
    changed.append(seal_info(request, 0x0D, bytes([4]) * 32, told[3]))
    changed.append(seal_info(request, 0x0D, told[2], told[3] + 1))
    assert len({info, *changed}) == 9
    for bound in changed:
        assert refusal(lambda: KEY.open(sealed, bound)).code is Code.KEY  # noqa: B023


def vector_request(**more: Any) -> Any:
    """The request of the vector, with some of it changed."""
    request = wire.ProvisionRequest(
        home=VILLAGE,
        entry=calls_pb2.EntryRef(
            origin=more.pop("origin", "a.example/feed/370830108201/e1"),
            index=more.pop("index", 7),
        ),
        leaf_hash=bytes([2]) * 32,
        slots=b"\x0d",
        recipient_key=KEY.public_key,
    )
    for name, value in more.items():
        setattr(request, name, value)
    return request
