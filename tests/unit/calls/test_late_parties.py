"""Whoever joins a call late holds all of it, over real engines and stores."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from huying.common.calls import CallStage, CallState, fold
from huying.common.calls.call_drafts import raise_draft, step_draft
from huying.common.calls.call_parties import summary
from huying.common.effects import Append, Appended, DraftEntry, Operate, Operated
from huying.common.errors import Code, HuyingError
from huying.common.membership.trust import RotateFeed
from huying.wire.v1 import calls_pb2, feed_pb2
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE, TinyNetwork
from tests.support.trusted_network import signer

OTHER_TOWN, OTHER_VILLAGE = "370830101000", "370830101201"
LEAD = "水务局"
CALL = calls_pb2.Call(sequencer=COUNTY, category="供水", title="停水", village=VILLAGE)


class Calls:
    """The tree with a second branch, and what its desks write."""

    def __init__(self) -> None:
        self.network = TinyNetwork(also=(OTHER_TOWN, OTHER_VILLAGE))
        (receipt,) = self.network.append(TOWN, raise_draft(TOWN, CALL))
        self.call = receipt.record

    def state(self, code: str, call: bytes = b"", caller: str = TOWN) -> CallState:
        store = self.network.stores[code]
        return fold(store.sequenced_steps(COUNTY, caller, call or self.call))

    def step(self, call: bytes = b"", caller: str = TOWN, **kind: Any) -> calls_pb2.CallStep:
        return calls_pb2.CallStep(call=call or self.call, caller=caller, **kind)

    def do(self, writer: str = COUNTY, **kind: Any) -> None:
        """A desk writes a step; raises what it is refused with."""
        draft = step_draft(writer, COUNTY, self.state(writer), self.step(**kind))
        self.network.append(writer, draft)

    def rotate(self) -> None:
        """The county goes on under another key."""
        network = self.network
        rotate = Operate(object(), RotateFeed(signer(COUNTY, 2)))
        effects = network.engines[COUNTY].step([rotate])
        (answer,) = (one for one in effects if isinstance(one, Operated))
        assert answer.error is None
        network._effects(COUNTY, [one for one in effects if one is not answer])
        network.run()

    def join(self, code: str) -> None:
        party = summary(code, calls_pb2.PARTY_ROLE_CO_HANDLER, CALL)
        self.do(party=party)


@pytest.fixture
def calls() -> Iterator[Calls]:
    made = Calls()
    yield made
    made.network.close()


def test_a_village_of_another_town_joins_and_folds_to_the_countys_state(calls: Calls) -> None:
    """The earlier steps come by disclosure, the later ones by selector; nothing falls between."""
    calls.do(dispatch={"department": LEAD, "co_handlers": ["环境局"]})
    calls.do(accept={"department": LEAD})
    assert calls.state(OTHER_VILLAGE) == CallState()
    calls.join(OTHER_VILLAGE)
    calls.do(answer={"department": LEAD, "text": "已修复"})
    calls.do(TOWN, confirm={"resolved": True, "satisfaction": 5})
    county = calls.state(COUNTY)
    assert county.stage is CallStage.CONFIRMED
    assert county.joined == (OTHER_VILLAGE,)
    for code in (TOWN, VILLAGE, OTHER_TOWN, OTHER_VILLAGE):  # the other town lies between
        assert calls.state(code) == county, code
    assert (county.missing_count, county.step_count) == (0, 6)


def test_a_newcomer_sees_what_it_lacks_until_it_has_it(calls: Calls) -> None:
    """A gap must be shown, not folded over."""
    calls.do(dispatch={"department": LEAD})
    calls.join(OTHER_TOWN)
    whole = calls.network.stores[OTHER_TOWN].sequenced_steps(COUNTY, TOWN, calls.call)
    assert fold(whole).missing_count == 0
    assert fold(whole[2:]).missing_count == 2


def test_a_party_that_joins_after_the_countys_key_changed_reads_both_epochs(calls: Calls) -> None:
    """A call outlives a key; its earlier steps stand in another feed."""
    calls.do(dispatch={"department": LEAD})
    calls.rotate()
    calls.do(accept={"department": LEAD})
    calls.join(OTHER_TOWN)
    calls.do(answer={"department": LEAD, "text": "已修复"})
    county = calls.state(COUNTY)
    assert county.received_at is not None
    assert county.answered_at is not None
    assert county.received_at.epoch < county.answered_at.epoch
    for code in (TOWN, VILLAGE, OTHER_TOWN):
        assert calls.state(code) == county, code


def test_a_duplicate_is_merged_and_its_caller_reads_on_in_the_other_call(calls: Calls) -> None:
    """并案 in one commit: the duplicate ends, and its caller is a party to the other call."""
    network = calls.network
    duplicate = calls_pb2.Call(sequencer=COUNTY, category="供水", title="也停水")
    (receipt,) = network.append(OTHER_TOWN, raise_draft(OTHER_TOWN, duplicate))
    calls.do(dispatch={"department": LEAD})
    merge = calls.step(receipt.record, OTHER_TOWN, merge={"into": calls.call, "into_caller": TOWN})
    party = calls.step(party=summary(OTHER_TOWN, calls_pb2.PARTY_ROLE_MERGED_CALLER, CALL))
    kind, type_ = feed_pb2.KIND_STEP, feed_pb2.RECORD_TYPE_CALL_STEP
    receipts = network.append(
        COUNTY, DraftEntry(kind, type_, merge), DraftEntry(kind, type_, party)
    )
    assert len(receipts) == 2  # the disclosure that goes along was not asked for
    ended = calls.state(OTHER_TOWN, receipt.record, OTHER_TOWN)
    assert (ended.stage, ended.merged_into) == (CallStage.MERGED, (TOWN, calls.call))
    calls.do(answer={"department": LEAD, "text": "已修复"})
    assert calls.state(OTHER_TOWN) == calls.state(COUNTY)
    assert calls.state(OTHER_TOWN).stage is CallStage.ANSWERED


def test_of_two_who_act_at_once_at_one_engine_one_wins_and_the_other_is_told(calls: Calls) -> None:
    """Both drafted on the same call as they saw it; the engine decides, in one request or two."""
    calls.do(dispatch={"department": LEAD})
    seen = calls.state(COUNTY)
    accept = step_draft(COUNTY, COUNTY, seen, calls.step(accept={"department": LEAD}))
    objection = {"department": LEAD, "reason": "不属本部门职责"}
    objected = step_draft(COUNTY, COUNTY, seen, calls.step(objection=objection))
    engine = calls.network.engines[COUNTY]
    size = engine.replica.own.size

    def ask(*requests: tuple[DraftEntry, ...]) -> list[HuyingError | None]:
        effects = engine.step([Append(number, drafts) for number, drafts in enumerate(requests)])
        return [one.error for one in effects if isinstance(one, Appended)]

    (both,) = ask((accept, objected))
    assert both is not None
    assert engine.replica.own.size == size
    won, told = ask((accept,), (objected,))
    assert won is None
    assert told is not None
    assert told.code is both.code is Code.WRONG_STAGE
    assert "HANDLING" in told.detail
    assert engine.replica.own.size == size + 1


def test_a_request_that_is_repeated_is_answered_with_what_was_written(calls: Calls) -> None:
    """A desk whose line broke asks again; its step must be neither lost, doubled nor refused."""
    seen = calls.state(COUNTY)
    draft = step_draft(
        COUNTY, COUNTY, seen, calls.step(dispatch={"department": LEAD}), request_id=bytes(16)
    )
    (first,) = calls.network.append(COUNTY, draft)
    (second,) = calls.network.append(COUNTY, draft)
    assert (second.index, second.repeated) == (first.index, True)
    assert calls.state(COUNTY).void_count == 0
