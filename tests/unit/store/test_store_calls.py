"""A call reads the same at every node, in whatever order its entries arrive."""

from __future__ import annotations

from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from huying.common import codes
from huying.common.calls import CallStage
from huying.common.state import Applied
from huying.node.store.schema import (
    CALL_STEPS,
    CALL_TURNS,
    CALLS,
    PROPOSAL_ACCEPTED,
    PROPOSAL_NONE,
    PROPOSAL_ORPHAN,
    PROPOSAL_PENDING,
    PROPOSAL_VOID,
)
from huying.node.store.store import SqlStore
from huying.wire.v1 import calls_pb2, feed_pb2
from tests.contracts.store_contract import applied_entry, stored
from tests.support.tiny_network import COUNTY, NETWORK, TOWN, VILLAGE, identity

CALL, CALL_STEP = feed_pb2.RECORD_TYPE_CALL, feed_pb2.RECORD_TYPE_CALL_STEP
ID = b"c" * 16
VOID_NOTHING = calls_pb2.VOID_REASON_UNSPECIFIED
TOWN_FEED = identity(TOWN).origin
RAISED = calls_pb2.Call(sequencer=COUNTY, category="道路", village=VILLAGE, raised_micros=3)


def step(caller: str = TOWN, **kind) -> calls_pb2.CallStep:
    return calls_pb2.CallStep(call=ID, caller=caller, **kind)


def took(index: int, proposal: dict, *, accepted: bool = True, reason=VOID_NOTHING):
    ref = calls_pb2.EntryRef(origin=TOWN_FEED, index=index)
    return step(took=calls_pb2.Took(ref=ref, accepted=accepted, reason=reason, **proposal))


CONFIRM = calls_pb2.Confirm(resolved=True, satisfaction=4)
DISPATCH = calls_pb2.Dispatch(department="住建局", deadline_micros=77)
ANSWER = calls_pb2.Answer(department="住建局", text="修好了")
TAKEN_RAISE = took(0, {"raise": calls_pb2.Raise(village=VILLAGE)})

# (writer, index, record id, message)
STORY = [
    (TOWN, 0, ID, RAISED),
    (TOWN, 1, b"", step(confirm=CONFIRM)),
    (TOWN, 2, b"", step(confirm=CONFIRM)),
    (TOWN, 3, b"", step(internal_note="内部")),
    (COUNTY, 0, b"", TAKEN_RAISE),
    (
        COUNTY,
        1,
        b"",
        took(1, {"confirm": CONFIRM}, accepted=False, reason=calls_pb2.VOID_REASON_WRONG_STAGE),
    ),
    (COUNTY, 2, b"", step(dispatch=DISPATCH)),
    (COUNTY, 3, b"", step(answer=ANSWER)),
    (COUNTY, 4, b"", took(2, {"confirm": CONFIRM})),
    (
        COUNTY,
        5,
        b"",
        took(2, {"confirm": CONFIRM}, accepted=False, reason=calls_pb2.VOID_REASON_DUPLICATE),
    ),
    (VILLAGE, 0, b"", took(1, {"confirm": CONFIRM})),  # not the sequencer: counts for nothing
    (VILLAGE, 1, ID, RAISED),  # the same id from another home is another call
]


def told(order: list[int], cuts: set[int]) -> SqlStore:
    """A store that applied the story in this order, in transactions cut at these places."""
    store = SqlStore.open()
    entries: list[Applied] = []
    with store.transaction():
        feeds = {code: store.create_feed(identity(code).origin).feed_id for code in HOMES}
        for home, index, given_id, message in STORY:
            kind = CALL if isinstance(message, calls_pb2.Call) else CALL_STEP
            record = given_id or bytes([len(entries)]) * 16
            entry = applied_entry(feeds[home], index, kind, message, record=record, home=home)
            entries.append(entry)
            store.add_entries(feeds[home], index, [stored(entry)])
    batch: list[Applied] = []
    for place, number in enumerate(order):
        batch.append(entries[number])
        if place in cuts or place == len(order) - 1:
            with store.transaction():
                store.apply(batch)
            batch = []
    return store


def test_a_call_with_anothers_id_stands_behind_the_one_that_was_received() -> None:
    """Whoever learnt an id, from a list or on the telephone, must not put their call before it."""
    forger = "370830101000"
    assert forger < TOWN, "the forger would come first by its code"
    homes = (forger, TOWN, COUNTY)
    story = [(forger, ID, RAISED), (TOWN, ID, RAISED), (COUNTY, b"s" * 16, TAKEN_RAISE)]
    store = SqlStore.open()
    with store.transaction():
        feeds = {code: store.create_feed(identity(code).origin).feed_id for code in homes}
        entries = []
        for home, record, message in story:
            kind = CALL if isinstance(message, calls_pb2.Call) else CALL_STEP
            entry = applied_entry(feeds[home], 0, kind, message, record=record, home=home)
            store.add_entries(feeds[home], 0, [stored(entry)])
            entries.append(entry)
        store.apply(entries)
    found = store.get_call(ID)
    assert found is not None
    assert found[0].caller == TOWN
    forged = store.get_call(ID, forger)
    assert forged is not None
    assert forged[0].received_micros == 0


HOMES = (TOWN, COUNTY, VILLAGE)
IN_ORDER = list(range(len(STORY)))


def tables(store: SqlStore) -> list:
    with store.reading() as connection:
        return [
            sorted(map(tuple, connection.execute(table.select())))
            for table in (CALLS, CALL_STEPS, CALL_TURNS)
        ]


@cache
def expected() -> list:
    """The tables after the story as it was told."""
    store = told(IN_ORDER, set())
    found = tables(store)
    store.close()
    return found


def test_the_story_folds_to_its_end():
    """The order of the sequencer decides: one confirm came too early, the other closed the call."""
    store = told(IN_ORDER, set())
    found = store.get_call(ID)
    assert found is not None
    row, steps = found
    assert row.caller == TOWN
    assert row.stage == CallStage.CONFIRMED
    assert (row.department, row.deadline_micros, row.satisfaction) == ("住建局", 77, 4)
    assert 0 < row.received_micros < row.answered_micros < row.confirmed_micros
    states = {
        (step.origin, step.index): (step.step, step.state, step.void_reason) for step in steps
    }
    assert [states[TOWN_FEED, index] for index in range(4)] == [
        ("raise", PROPOSAL_ACCEPTED, 0),
        ("confirm", PROPOSAL_VOID, 1),
        ("confirm", PROPOSAL_ACCEPTED, 0),
        ("", PROPOSAL_NONE, 0),
    ]
    counts = store.call_counts()
    assert (counts.raised, counts.answered, counts.confirmed) == (2, 1, 1)
    other = store.get_call(ID, VILLAGE)
    assert other is not None
    assert other[0].stage == CallStage.RAISED
    store.close()


@settings(max_examples=40, deadline=None)
@given(order=st.permutations(IN_ORDER), cuts=st.sets(st.integers(0, len(STORY))))
def test_every_order_of_arrival_gives_the_same_call(order, cuts):
    """Feeds arrive over different links; every node must show one state."""
    store = told(order, cuts)
    assert tables(store) == expected()
    store.close()


@settings(max_examples=40, deadline=None)
@given(
    order=st.permutations(IN_ORDER),
    again=st.lists(st.sampled_from(IN_ORDER), max_size=6),
    cuts=st.sets(st.integers(0, len(STORY) + 6)),
)
def test_applying_an_entry_again_changes_nothing(order, again, cuts):
    """A late opening applies its entry a second time."""
    store = told(order + again, cuts)
    assert tables(store) == expected()
    store.close()


def test_a_step_without_its_call_waits_and_is_then_pending():
    """The sequencer judges a proposal once it can know that it is the sequencer."""
    store = told([1], set())
    assert store.pending_proposals(COUNTY, 10) == []
    with store.reading() as connection:
        assert connection.execute(CALL_STEPS.select()).one().state == PROPOSAL_ORPHAN
    store.close()
    store = told([1, 0], {0})
    found = store.pending_proposals(COUNTY, 10)
    assert [(one.index, one.home, one.call, one.caller) for one in found] == [
        (0, TOWN, ID, TOWN),
        (1, TOWN, ID, TOWN),
    ]
    assert found[0].message == RAISED
    assert found[1].message == step(confirm=CONFIRM)
    assert store.pending_proposals(COUNTY, 1) == found[:1]
    assert store.pending_proposals(TOWN, 10) == []
    with store.reading() as connection:
        assert {row.state for row in connection.execute(CALL_STEPS.select())} == {PROPOSAL_PENDING}
    store.close()


def test_what_is_taken_is_pending_no_longer_within_the_same_transaction():
    """The engine asks again after it has written; a proposal is judged once."""
    store = told([0], set())
    feeds = {feed.origin: feed.feed_id for feed in store.feeds()}
    entry = applied_entry(
        feeds[identity(COUNTY).origin], 0, CALL_STEP, TAKEN_RAISE, record=b"\x04" * 16, home=COUNTY
    )
    with store.transaction():
        assert len(store.pending_proposals(COUNTY, 10)) == 1
        store.apply([entry])
        assert store.pending_proposals(COUNTY, 10) == []
        assert len(store.sequenced_steps(COUNTY, TOWN, ID)) == 1
    store.close()


def test_times_are_of_the_entries_that_made_the_call_so_whatever_their_epoch():
    """The sequencer's indexes begin anew with its key; a time must not be of a namesake."""
    county = [codes.origin(NETWORK, COUNTY, epoch) for epoch in (1, 2)]
    written = [
        (TOWN_FEED, TOWN, 1, [(CALL, RAISED)]),
        (county[0], COUNTY, 1, [(CALL_STEP, TAKEN_RAISE), (CALL_STEP, step(dispatch=DISPATCH))]),
        (county[1], COUNTY, 2, [(CALL_STEP, step()), (CALL_STEP, step(answer=ANSWER))]),
    ]
    store = SqlStore.open()
    for number, (origin, home, epoch, messages) in enumerate(written):
        with store.transaction():
            feed_id = store.create_feed(origin).feed_id
            entries = [
                applied_entry(feed_id, index, kind, message, record=ID, home=home, epoch=epoch)
                for index, (kind, message) in enumerate(messages)
            ]
            for entry in entries:
                entry.head.time_micros += 100 * number
            store.add_entries(feed_id, 0, [stored(entry) for entry in entries])
            store.apply(entries)
    found = store.get_call(ID)
    assert found is not None
    assert found[0].stage == CallStage.ANSWERED
    assert found[0].received_micros % 1000 == 100  # index 0 of the first epoch
    assert found[0].answered_micros % 1000 == 201  # index 1 of the second
    store.close()
