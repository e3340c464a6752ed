"""What nodes do about provisions by themselves: rules, expiry, the end of what was sealed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from huying.common.effects import DraftEntry
from huying.common.provisions.home import WithdrawProvision
from huying.common.provisions.places import Place
from huying.common.provisions.terms import request_record
from huying.node.desk.departments import department_record
from huying.node.provision_keeper import Keeper
from huying.node.provision_rules import ProvisionRule
from huying.wire.v1 import calls_pb2, feed_pb2, policy_pb2, provision_pb2
from tests.support.late_network import EVERYBODY, LateNetwork, late_network
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE, put
from tests.unit.provisions.provision_desk import DAY, DECISION, KEY, PHONE, Desk

wire = provision_pb2
LEAD = "县交通局"
RULE = ProvisionRule("回访", ("reporter_phone",), (LEAD,), "open_call_lead")


class _Runtime:
    """`Runtime.operate` over one engine of the network."""

    def __init__(self, network: LateNetwork, code: str) -> None:
        self._network = network
        self._code = code
        self.operations: list[Any] = []

    async def operate(self, operation: Any) -> Any:
        self.operations.append(operation)
        return self._network.operate(self._code, operation)


class Kept(Desk):
    """The desk, with a keeper at each node."""

    def __init__(self, network: LateNetwork) -> None:
        super().__init__(network)
        self.runtimes = {code: _Runtime(network, code) for code in EVERYBODY}
        self.keepers = {code: self.keeper(code) for code in EVERYBODY}

    def keeper(self, code: str, rules: Sequence[ProvisionRule] = ()) -> Keeper:
        """A node's keeper, as after a start."""
        return Keeper(code, rules, self.network.stores[code], self.runtimes[code])

    def round(self, code: str) -> tuple[int, int]:
        """One round at a node: how many wait, and when the next thing ends, in seconds from now."""
        now = int(self.network.clock.seconds * 1e6)
        waiting, ends = asyncio.run(self.keepers[code].round(now))
        return waiting, (ends - now) // 1_000_000 if ends else 0

    def decision(self, code: str, record: bytes) -> Any:
        """What a node knows of the decision; None: none came."""
        row = self.network.stores[code].get_record(DECISION, VILLAGE, record)
        return None if row is None else wire.ProvisionDecision.FromString(row.message)

    def record(self, place: Place) -> bytes:
        """The record id of a request."""
        return request_record(COUNTY, self.message(COUNTY, place))

    def publish(self, key: bytes = KEY.public_key) -> None:
        """The county says whose key it is."""
        message = policy_pb2.Department(name=LEAD, hpke_key=key)
        draft = put(feed_pb2.RECORD_TYPE_DEPARTMENT, message, department_record(LEAD))
        self.network.append(COUNTY, draft)

    def call(self, event: bytes) -> bytes:
        """A call of the town about the village's event, which the department leads."""
        call = calls_pb2.Call(
            sequencer=COUNTY, category="道路", title="回访", village=VILLAGE, event=event,
            raised_micros=5,
        )  # fmt: skip
        draft = put(feed_pb2.RECORD_TYPE_CALL, call, to=(f"={VILLAGE}",))
        record = self.network.append(TOWN, draft)[0].record
        dispatch = calls_pb2.Dispatch(department=LEAD)
        step = calls_pb2.CallStep(call=record, caller=TOWN, actor="c01", dispatch=dispatch)
        kind, type_ = feed_pb2.KIND_STEP, feed_pb2.RECORD_TYPE_CALL_STEP
        to = (f"={TOWN}", f"={VILLAGE}")
        self.network.append(COUNTY, DraftEntry(kind, type_, step, to=to))
        return record


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kept]:
    async def here(function: Any, *values: Any) -> Any:
        return function(*values)

    monkeypatch.setattr(asyncio, "to_thread", here)  # the store belongs to this thread
    with late_network(tmp_path) as network:
        yield Kept(network)


def test_the_lead_of_an_open_call_gets_it_by_the_rule(kept: Kept) -> None:
    """And the ledger says by which; without a rule, or without the call, a clerk decides."""
    kept.publish()
    kept.keepers[VILLAGE] = kept.keeper(VILLAGE, [RULE])
    call = kept.call(kept.event)
    plain = kept.asked()
    named = kept.asked(call=call, caller=TOWN)
    assert kept.round(VILLAGE)[0] == 1
    store = kept.network.stores[VILLAGE]
    first, second = (store.get_provision(kept.record(one)) for one in (plain, named))
    assert first is not None
    assert first.decision is None
    assert second is not None
    assert second.decision is not None
    assert second.decision.message.decided_by == "rule:回访"
    place = second.decision.origin, second.decision.index
    assert kept.looked(named, place).reporter_phone == PHONE


def test_a_call_that_comes_after_the_request_is_seen(kept: Kept) -> None:
    """The town's feed and the county's travel apart; nobody has to ask twice."""
    kept.publish()
    kept.keepers[VILLAGE] = kept.keeper(VILLAGE, [RULE])
    call = kept.call(bytes(16))  # about something else
    request = kept.asked(call=call, caller=TOWN)
    assert kept.round(VILLAGE)[0] == 1
    right = kept.call(kept.event)
    again = kept.asked(call=right, caller=TOWN)
    assert kept.round(VILLAGE)[0] == 1
    assert kept.decision(COUNTY, kept.record(again)) is not None
    assert kept.decision(COUNTY, kept.record(request)) is None


def test_what_nobody_decides_in_time_is_denied_as_expired(kept: Kept) -> None:
    """Whoever asked must not wait for ever."""
    request = kept.asked()
    assert kept.round(VILLAGE) == (1, int(2 * DAY) - 1)
    assert kept.round(COUNTY) == (0, 0)
    kept.network.wait(2 * DAY)
    assert kept.round(VILLAGE) == (0, 0)
    decision = kept.decision(COUNTY, kept.record(request))
    assert decision.reason == wire.DENIAL_REASON_EXPIRED
    assert kept.round(VILLAGE) == (0, 0)


def test_a_request_for_anothers_entry_is_answered_with_not_held(kept: Kept) -> None:
    """The county has its fields wrong, and is told at once."""
    message = kept.message(COUNTY, kept.asked())
    message.leaf_hash = bytes(32)
    request = kept.forge(message)
    assert kept.round(VILLAGE)[0] == 1
    decision = kept.decision(COUNTY, kept.record(request))
    assert decision.reason == wire.DENIAL_REASON_NOT_HELD


@pytest.mark.parametrize("first", [COUNTY, VILLAGE])
def test_what_was_sealed_goes_on_both_sides_whoever_notices_first(kept: Kept, first: str) -> None:
    """By the county's clock at the county, by the village's everywhere; with one receipt."""
    request = kept.asked()
    decision = kept.decide(request)
    assert kept.round(VILLAGE) == (0, int(2 * DAY) - 2)
    assert kept.round(COUNTY) == (0, int(2 * DAY) - 2)
    assert kept.holders(decision) == set(EVERYBODY)
    kept.network.wait(2 * DAY)
    kept.round(first)
    assert kept.holders(decision) == ({TOWN, VILLAGE} if first == COUNTY else set())
    for code in EVERYBODY * 2:
        kept.round(code)
    kept.network.wait()
    assert kept.holders(decision) == set()
    (receipt,) = kept.receipts(VILLAGE)
    assert receipt.use == wire.PROVISION_USE_DROPPED
    kept.network.check()


def test_a_withdrawal_is_receipted_by_who_held_it(kept: Kept) -> None:
    """The village reads that the county has it no more."""
    request = kept.asked()
    approval = kept.decide(request)
    kept.network.operate(VILLAGE, WithdrawProvision(request, approval, "v02"))
    kept.network.wait()
    kept.round(COUNTY)
    (receipt,) = kept.receipts(VILLAGE)
    assert receipt.use == wire.PROVISION_USE_DROPPED


def test_an_idle_node_writes_nothing(kept: Kept) -> None:
    """A round a minute for years must leave no trace."""
    kept.decide(kept.asked())
    kept.asked(actor="d08")  # which waits for a person
    for code in EVERYBODY:
        kept.round(code)
        before = len(kept.runtimes[code].operations)
        kept.round(code)
        assert len(kept.runtimes[code].operations) == before
