"""What a hostile party, an intruder or a loss leaves in a call, and what the others make of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from unittest import mock

import pytest

from huying.common import writer
from huying.common.calls import fold
from huying.common.calls.call_state import CallStage, CallState, ClockKind, VoidReason
from huying.common.calls.call_turns import Turn
from huying.common.effects import Append, Appended, DraftEntry
from huying.common.errors import Code, HuyingError
from huying.common.policies import shipped_policy
from huying.hub.sequencer import CallSequencer
from huying.node.integrity.fsck import check
from huying.node.store.store import SqlStore
from huying.wire.v1 import calls_pb2
from tests.support.call_desk import LEAD, Desk, step_of
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE, TinyNetwork, raise_call, step

_LAST = 2**32 - 1  # of the numbers and generations that a step can print


class Hostile(TinyNetwork):
    """The county, the town and the village; whoever wants to writes whatever it wants to."""

    def force(self, code: str, draft: DraftEntry) -> None:
        """Write without a rule, as a program would that somebody made for it."""
        parties = (f"={TOWN}", f"={VILLAGE}")
        addressed = replace(draft, to=parties)
        unruled = mock.patch.object(writer, "check_write")
        uncompleted = mock.patch.object(CallSequencer, "complete", return_value=(addressed,))
        with unruled, uncompleted:
            effects = self.engines[code].step([Append(object(), (addressed,))])
        self._effects(code, effects)
        self.run()

    def state(self, call: bytes, code: str = COUNTY) -> CallState:
        return fold(self.stores[code].sequenced_steps(COUNTY, TOWN, call))

    def check(self, call: bytes) -> None:
        """All say the same of the call, and every store is sound."""
        for code, store in self.stores.items():
            assert self.state(call, code) == self.state(call)
            assert check(store).problems == []


@pytest.fixture
def network() -> Iterator[Hostile]:
    made = Hostile()
    yield made
    made.close()


def intruders_step(call: bytes, *, number: int, generation: int) -> DraftEntry:
    mark = calls_pb2.ClockMark(
        clock=calls_pb2.CLOCK_ACCEPT,
        generation=generation,
        event=calls_pb2.CLOCK_EVENT_STARTED,
        due_micros=1,
    )
    note = calls_pb2.Note(text="x")
    return step(call, note=note, number=number, clocks=[mark])


def test_the_last_number_of_all_stops_neither_its_call_nor_the_others(network):
    """Written with a stolen key, it would else break every transaction of the county for good."""
    poisoned, other = raise_call(network), raise_call(network)
    network.force(COUNTY, intruders_step(poisoned, number=_LAST, generation=_LAST))
    network.append(COUNTY, step(poisoned, dispatch=calls_pb2.Dispatch(department=LEAD)))
    urge = calls_pb2.Urge(reason="急")
    network.append(TOWN, step(poisoned, urge=urge), step(other, urge=urge))
    assert (network.state(poisoned).urges, network.state(other).urges) == (1, 1)
    assert network.state(poisoned).stage is CallStage.DISPATCHED
    accept = network.state(poisoned).clock(ClockKind.ACCEPT)
    assert accept is not None
    assert accept.generation == _LAST
    network.check(poisoned)


def test_a_proposal_costs_the_county_the_same_however_many_came_before(network, monkeypatch):
    """Else a town that has sent thousands keeps the county busy with a few entries a second."""
    call = raise_call(network)

    def read_all(*_: object) -> object:
        raise AssertionError("every step of the call is read")

    with monkeypatch.context() as patch:
        patch.setattr(SqlStore, "sequenced_steps", read_all)
        for number in range(3):
            network.append(TOWN, step(call, urge=calls_pb2.Urge(reason=str(number))))
        network.append(COUNTY, step(call, admit=calls_pb2.Admit()))
    assert (network.state(call).urges, network.state(call).step_count) == (3, 5)
    network.check(call)


def test_what_was_undone_is_in_no_ones_fold(network, monkeypatch):
    """The fold that is kept goes back with the transaction: else a number would be left out."""
    call = raise_call(network)
    county = network.engines[COUNTY]
    monkeypatch.setattr(
        county.replica, "commit", mock.Mock(side_effect=HuyingError(Code.DISK_FULL, "full"))
    )
    admit = step(call, admit=calls_pb2.Admit())
    effects = county.step([Append("lost", (admit, step(call, note=calls_pb2.Note(text="x"))))])
    (answer,) = (one for one in effects if isinstance(one, Appended))
    assert answer.error is not None
    monkeypatch.undo()
    store = network.stores[COUNTY]
    with store.transaction():
        assert store.folding(COUNTY, TOWN, call).state == network.state(call)
    network.append(COUNTY, admit)
    assert network.state(call).step_count == 2
    assert check(store).problems == []


def test_a_county_that_asks_again_and_again_does_not_wear_out_its_towns(network, monkeypatch):
    """Each request begins a turn, and what a step costs must not grow with their square."""
    call = raise_call(network)
    network.append(COUNTY, step(call, dispatch=calls_pb2.Dispatch(department=LEAD)))
    network.append(COUNTY, step(call, accept=calls_pb2.Accept(department=LEAD)))
    compared = 0
    same = Turn.__eq__

    def counted(one: Turn, other: object) -> bool:
        nonlocal compared
        compared += 1
        return same(one, other)

    monkeypatch.setattr(Turn, "__eq__", counted)
    rounds = 20
    request = calls_pb2.SupplementRequest(department=LEAD, text="补充照片")
    for _ in range(rounds):
        network.append(COUNTY, step(call, supplement_request=request))
        network.append(COUNTY, step(call, resume=calls_pb2.Resume(department=LEAD)))
    steps = 2 * rounds * len(network.stores)
    assert compared <= steps * (rounds + 2)
    network.check(call)


def test_a_party_a_hundred_times_is_four_parties(network):
    """Every step names all parties, and an entry has four selectors."""
    call = raise_call(network)
    for number in range(100):
        code = f"370830108{300 + number}"
        party = calls_pb2.Party(code=code, role=calls_pb2.PARTY_ROLE_CO_HANDLER)
        network.force(COUNTY, step(call, party=party, number=2 + number))
    state = network.state(call)
    assert (len(state.parties), state.void_count) == (4, 98)
    network.append(TOWN, step(call, withdraw=calls_pb2.Withdraw(reason="不用了")))
    network.check(call)


def test_two_calls_merged_into_each_other_end_both(network):
    """Nobody follows one into the other for ever."""
    one, two = raise_call(network), raise_call(network)
    network.append(COUNTY, step(one, merge=calls_pb2.Merge(into=two, into_caller=TOWN)))
    back = calls_pb2.Merge(into=one, into_caller=TOWN)
    network.force(COUNTY, step(two, merge=back, number=2))
    assert {network.state(one).stage, network.state(two).stage} == {CallStage.MERGED}
    network.check(one)
    network.check(two)


def test_an_answer_whose_text_is_gone_is_not_sent_without_it():
    """It stands at the county alone: a restored county, or one that erased it, has it no more."""
    policy = shipped_policy()
    policy.review_required = True
    desk = Desk(policy)
    desk.raise_()
    desk.do(dispatch={"department": LEAD})
    written = desk.do(answer={"department": LEAD, "text": "修好了"})
    written.ClearField("unreviewed_text")
    with pytest.raises(HuyingError) as caught:
        desk.do(review={"sent": True})
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert "review.text" in caught.value.detail
    desk.do(review={"sent": True, "text": "修好了"})
    assert desk.state().stage is CallStage.ANSWERED
    assert desk.propose(confirm={"resolved": True}).reason == VoidReason.NONE
    assert step_of().call == desk.written[0].message.call
