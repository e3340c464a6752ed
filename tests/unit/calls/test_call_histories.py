"""Whatever people do to calls, in whatever order it arrives: one state, one winner.

What must hold is looked at after every act and at the end. A failure names its seed.
"""

from __future__ import annotations

import random

import pytest

from huying.common.calls import CallStage, advance, fold
from huying.common.calls.call_state import CallState, VoidReason
from huying.wire.v1 import calls_pb2, policy_pb2
from tests.support.call_desk import (
    COUNTY,
    LEAD,
    ONE,
    OTHER_TOWN,
    THIRD_TOWN,
    TOWN,
    TWO,
    VILLAGE,
    Desk,
    step_of,
)
from tests.unit.calls.call_history import ACTS, CALLS, History

SHARDS, HISTORIES = 8, 125


def check_one_state(history: History) -> None:
    """Every party, from what it may read, in any order: the county's state, and nothing missing."""
    desk, chance = history.desk, history.random
    for call, caller in CALLS:
        state = desk.state(call, caller)
        steps = desk.sequenced_steps(COUNTY, caller, call)
        slowly = CallState()
        for step in steps:
            slowly = advance(slowly, step)
        assert slowly == fold(steps) == state
        assert state.missing_count == 0
        for party in state.parties:
            held = desk.held_by(party, call, caller)
            arrived = [*held, *(chance.choice(held) for _ in held)]
            chance.shuffle(arrived)
            assert fold(arrived) == state, f"{party} sees another state"
        outside = {TOWN, OTHER_TOWN, THIRD_TOWN, VILLAGE} - {caller, *state.parties}
        if VILLAGE in state.parties:
            outside.discard(TOWN)  # on the way to the village
        for stranger in outside:
            seen = desk.held_by(stranger, call, caller)
            assert {int(one.call_step.took.reason) for one in seen} <= {VoidReason.NOT_A_PARTY}
            assert fold(seen) == CallState()


def check_told(history: History) -> None:
    """Every proposal that arrived has one answer, and none has two."""
    desk = history.desk
    while history.on_the_way:
        history._deliver()
    while desk.pending_proposals(COUNTY, 1):
        history.take(100)
    tooks = [
        (one.message.took.ref.origin, one.message.took.ref.index)
        for one in desk.written
        if isinstance(one.message, calls_pb2.CallStep) and one.message.HasField("took")
    ]
    assert sorted(tooks) == sorted({(one.origin, one.index) for one in desk.arrived})


@pytest.mark.parametrize("shard", range(SHARDS))
def test_every_history_ends_in_one_state_everywhere(shard: int):
    """Any interleaving, any order of arrival: the same state at every node that is a party."""
    seen: set[CallStage] = set()
    for seed in range(shard * HISTORIES, (shard + 1) * HISTORIES):
        history = History(seed)
        try:
            for _ in range(ACTS):
                history.act()
            check_told(history)
            check_one_state(history)
        except BaseException:
            print(f"seed {seed}")
            raise
        seen.update(state.stage for state in history.states)
    assert seen == set(CallStage), "the histories go nowhere"


def test_the_order_of_two_feeds_changes_who_wins_and_nothing_else():
    """Withdrawn first or merged first: whichever the sequencer meets first counts, and is final."""
    for seed in range(200):
        outcomes = []
        for turned in (False, True):
            desk = Desk()
            desk.raise_(ONE, TOWN)
            desk.raise_(TWO, OTHER_TOWN)
            chance = random.Random(seed)
            kinds = chance.sample(["withdraw", "urge", "confirm"], 2)
            messages = [
                step_of(ONE, TOWN, **{kinds[0]: {}}),
                step_of(TWO, OTHER_TOWN, **{kinds[1]: {}}),
            ]
            order = [(TOWN, messages[0], ONE), (OTHER_TOWN, messages[1], TWO)]
            for home, message, call in reversed(order) if turned else order:
                desk.arrive(home, message, call, home)
            desk.take_all()
            outcomes.append((desk.state(ONE, TOWN).stage, desk.state(TWO, OTHER_TOWN).stage))
        assert outcomes[0] == outcomes[1]  # different calls don't touch each other


def test_urgency_of_a_call_is_the_centres_last_word():
    """The caller asks, the centre decides; the fold keeps the newest word."""
    desk = Desk()
    desk.raise_(urgency=policy_pb2.URGENCY_ROUTINE)
    desk.do(dispatch={"department": LEAD, "urgency": policy_pb2.URGENCY_CRITICAL})
    assert desk.state().urgency == policy_pb2.URGENCY_CRITICAL
