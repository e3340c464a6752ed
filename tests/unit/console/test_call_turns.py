"""A call's entries as turns: their order, gaps, what is void, what is on its way."""

from __future__ import annotations

from typing import Any

from huying.node.web.calls.call_conversation import conversation, newest_move, parse_entry_key
from huying.node.web.words import WORDS
from huying.wire.v1 import api_pb2, calls_pb2
from tests.support.tiny_network import COUNTY, TOWN, VILLAGE

CALL = bytes(16)


def feed(code: str) -> str:
    return f"wenshang.example/feed/{code}/e1"


def entry(code: str, index: int, number: int = 0, **said: Any) -> api_pb2.CallStepView:
    step = calls_pb2.CallStep(call=CALL, caller=TOWN, actor="p-01", number=number)
    for name, value in said.items():
        if name == "internal_note":
            step.internal_note = value
        else:
            getattr(step, name).CopyFrom(value)
            getattr(step, name).SetInParent()
    return api_pb2.CallStepView(
        origin=feed(code), index=index, time_micros=1000 * index, step=step, home=code
    )


def raised() -> api_pb2.CallStepView:
    return api_pb2.CallStepView(origin=feed(TOWN), index=0, time_micros=500, home=TOWN)


def took(index: int, number: int, of: int, **proposal: Any) -> api_pb2.CallStepView:
    ref = calls_pb2.EntryRef(origin=feed(TOWN), index=of)
    return entry(COUNTY, index, number, took=calls_pb2.Took(ref=ref, accepted=True, **proposal))


def view(*steps: api_pb2.CallStepView, missing: tuple[int, ...] = ()) -> api_pb2.CallView:
    return api_pb2.CallView(
        call=CALL, caller=TOWN, sequencer=COUNTY, steps=steps, missing_numbers=missing
    )


def test_a_proposal_stands_where_it_was_taken_and_says_how_long_it_was_on_its_way() -> None:
    """The order is the answering node's; the clocks of two nodes are not compared for it."""
    urge = entry(TOWN, 9, urge=calls_pb2.Urge(reason="请抓紧"))
    turns = conversation(
        view(
            urge,
            raised(),
            took(1, 1, 0),
            entry(COUNTY, 2, 2, admit=calls_pb2.Admit()),
            took(3, 3, 9),
        ),
        {},
    )
    assert [turn.kind for turn in turns] == ["raise", "admit", "urge"]
    assert (turns[2].taken_number, turns[2].received_micros) == (3, 3000)
    assert turns[2].transit_seconds == (3000 - 9000) / 1e6  # the writer's clock is ahead
    assert [mark.key for mark in turns[2].marks] == [f"{TOWN}-e1-9", f"{COUNTY}-e1-3"]


def test_steps_that_are_not_here_leave_a_gap_before_the_next_one() -> None:
    """A history that closes over what is missing tells another story."""
    steps = (raised(), took(1, 1, 0), entry(COUNTY, 7, 5, admit=calls_pb2.Admit()))
    turns = conversation(view(*steps, missing=(2, 3, 4)), {})
    assert turns[1].missing == (2, 3, 4)
    assert turns[0].missing == ()


def test_what_is_void_or_on_its_way_comes_last_and_says_so() -> None:
    """Whoever proposed it looks for it; it counts for nothing."""
    late = entry(TOWN, 3, reopen=calls_pb2.Reopen(reason="又坏了"))
    late.pending = True
    void = entry(VILLAGE, 1, urge=calls_pb2.Urge())
    void.void, void.void_reason = True, calls_pb2.VOID_REASON_NOT_A_PARTY
    turns = conversation(view(late, raised(), took(1, 1, 0), void), {})
    assert [(turn.kind, turn.pending, turn.void) for turn in turns] == [
        ("raise", False, False),
        ("reopen", True, False),
        ("urge", False, True),
    ]
    assert turns[2].void_reason == calls_pb2.VOID_REASON_NOT_A_PARTY


def test_what_time_does_is_a_small_line_and_moves_the_call() -> None:
    """A breach is no remark: it is what came before."""
    breach = calls_pb2.Timeout(clock=calls_pb2.CLOCK_ANSWER, generation=1)
    outage = calls_pb2.Outage(from_micros=1, until_micros=2)
    turns = conversation(
        view(
            raised(),
            took(1, 1, 0),
            entry(COUNTY, 2, 2, timeout=breach),
            entry(COUNTY, 3, 3, outage=outage),
        ),
        {},
    )
    assert [turn.is_small for turn in turns] == [False, True, True]
    assert {turn.side for turn in turns[1:]} == {"time"}
    found = newest_move(turns)
    assert found is not None
    assert found.kind == "timeout"


def test_a_note_of_another_node_to_itself_stands_behind_what_that_node_said_before() -> None:
    """It has no number, and its words are not here; at the end it would look like news."""
    note = entry(TOWN, 1, internal_note="")
    turns = conversation(
        view(note, raised(), took(1, 1, 0), entry(COUNTY, 2, 2, admit=calls_pb2.Admit())), {}
    )
    assert [turn.kind for turn in turns] == ["raise", "internal_note", "admit"]
    assert turns[1].is_small


def test_a_taking_whose_proposal_is_not_here_says_what_it_repeats() -> None:
    """Who joined late has the answering node's word alone."""
    steps = took(4, 4, 2, confirm=calls_pb2.Confirm(resolved=True, satisfaction=4, comment="好了"))
    (turn,) = conversation(view(steps), {feed(COUNTY): 5})
    assert turn.kind == "took"
    assert "好了" in [line.value for line in turn.lines]
    assert turn.marks[0].signed


def test_every_step_of_the_wire_has_words_and_a_turn() -> None:
    """A new kind of step must not vanish from the conversation."""
    kinds = [field.name for field in calls_pb2.CallStep.DESCRIPTOR.oneofs[0].fields]
    for number, kind in enumerate(kinds, 1):
        step = entry(COUNTY, number, number)
        getattr(step.step, kind).SetInParent()
        (turn,) = conversation(view(step), {})
        assert turn.kind == kind
        assert kind in WORDS["step"], kind


def test_only_an_entry_of_the_call_has_a_proof_here() -> None:
    """The page must not prove other calls to whoever may see this one."""
    found = view(raised(), took(1, 1, 0))
    found.origin, found.index = feed(TOWN), 0
    assert parse_entry_key(f"{COUNTY}-e1-1", found) == (feed(COUNTY), 1)
    assert parse_entry_key(f"{COUNTY}-e1-2", found) is None
    assert parse_entry_key("../../etc", found) is None
