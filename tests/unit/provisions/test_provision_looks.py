"""Looking at what was given: who may, for how long, what is written of it, and under which bytes.

A value that was given is a person's phone number at a desk far from home. It opens for one request,
until a time, and never without a line in the village's ledger.
"""

from __future__ import annotations

from typing import Any

import pytest

from huying.common.errors import Code
from huying.common.feed import hpke
from huying.common.feed.hpke import SealKey
from huying.common.late.requests import EraseRecord
from huying.common.provisions.asker import DropProvision
from huying.common.provisions.home import EndProvision
from huying.common.provisions.places import Place
from huying.common.provisions.terms import seal_info
from huying.wire.v1 import calls_pb2, records_pb2
from tests.support.late_network import refusal
from tests.support.places import ROOT
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE, put
from tests.unit.provisions.provision_desk import DAY, DECISION, KEY, PHONE, Desk, wire

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
