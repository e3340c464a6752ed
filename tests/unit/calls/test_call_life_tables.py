"""The tables of calls after a whole life: objection, rework, cards, reopening, a late party."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine

from huying.common.calls.call_state import CallStage, ClockKind
from huying.common.calls.call_turns import Objection, Outcome, TurnCause, TurnKind
from huying.common.errors import Code
from huying.common.policies import shipped_policy
from huying.node.store import call_projection, database
from huying.node.store.call_fold import fold_call
from huying.node.store.database import sqlite_url
from huying.node.store.projection_check import check_projections
from huying.node.store.projection_rebuild import rebuild
from huying.node.store.schema import (
    CALL_STEPS,
    CALL_TURNS,
    PROPOSAL_ACCEPTED,
    PROPOSAL_NONE,
    PROPOSAL_ORPHAN,
    PROPOSAL_PENDING,
    PROPOSAL_VOID,
)
from huying.node.store.store import SqlStore
from huying.wire.v1 import calls_pb2
from tests.support.call_desk import (
    COUNTY,
    HELPER,
    LEAD,
    ONE,
    OTHER_TOWN,
    SECOND,
    TOWN,
    VILLAGE,
    Desk,
    feed_of,
    step_of,
)
from tests.unit.calls.call_tables import OCTOBER, Entry, entries_of, new_store, shown, tables, told


def whole_life() -> Desk:
    """A call that meets everything, and another that is merged into it."""
    policy = shipped_policy()
    policy.review_required = True
    desk = Desk(policy)
    desk.clock.seconds = OCTOBER
    desk.raise_()
    desk.propose(confirm={"resolved": True})  # too early: void
    desk.do(admit={})
    desk.do(dispatch={"department": LEAD, "co_handlers": [HELPER]})
    desk.do(objection={"department": LEAD, "reason": "不属本局职责"})
    desk.do(ruling={"upheld": True, "reason": "是"})
    desk.do(dispatch={"department": SECOND})
    desk.do(accept={"department": SECOND})
    desk.do(supplement_request={"department": SECOND, "text": "在哪里"})
    desk.propose(supplement={"text": "村东"})
    helper = {"code": OTHER_TOWN, "role": calls_pb2.PARTY_ROLE_CO_HANDLER}
    desk.do(party={**helper, "category": "供水", "title": "停水", "village": VILLAGE})
    desk.do(answer={"department": SECOND, "text": "修好了"})
    desk.do(review={"sent": False, "reason": "请说明原因"})
    desk.run_out(ClockKind.ANSWER)
    desk.run_out(ClockKind.YELLOW)
    desk.do(answer={"department": SECOND, "text": "管道破裂,已修好"})
    desk.do(review={"sent": True})
    desk.propose(confirm={"resolved": False, "satisfaction": 2})
    desk.do(answer={"department": SECOND, "text": "再次修好"})
    desk.do(review={"sent": True})
    desk.propose(confirm={"resolved": True, "satisfaction": 5})
    desk.propose(rate={"satisfaction": 4, "manner": 3})
    desk.propose(reopen={"reason": "又停了"})
    desk.do(urge={"reason": "请尽快"})
    desk.propose(urge={"reason": "请尽快"})
    desk.do(note={"department": SECOND, "text": "已派人"})
    return desk


@cache
def life() -> list[Entry]:
    return entries_of(whole_life())


@cache
def expected() -> list:
    store = told(life(), cuts=range(len(life())))
    found = tables(store)
    store.close()
    return found


def turns(store) -> list:
    with store.reading() as connection:
        return connection.execute(CALL_TURNS.select().order_by(CALL_TURNS.c.number)).fetchall()


def test_the_row_says_how_the_call_stands():
    """What a list shows and filters by is folded from the sequencer's steps, all of it."""
    store = told(life())
    row, steps = shown(store)
    assert (row.stage, row.open, row.department) == (CallStage.UNRESOLVED, 1, SECOND)
    assert (row.objections, row.reworks, row.reopens, row.urges) == (1, 1, 1, 2)
    assert (row.card, row.satisfaction, row.manner) == (calls_pb2.CARD_COLOUR_YELLOW, 4, 3)
    assert row.breaches == 1 << ClockKind.ANSWER | 1 << ClockKind.YELLOW
    assert (row.due_clock, row.overdue) == (ClockKind.ANSWER, 0)
    assert row.due_micros == row.timer_micros == row.deadline_micros > row.answered_micros
    assert 0 < row.received_micros < row.admitted_micros < row.dispatched_micros
    assert row.dispatched_micros < row.accepted_micros < row.first_answered_micros
    assert row.first_answered_micros < row.answered_micros < row.confirmed_micros
    assert (row.ended_micros, row.resolved, row.missing, row.late) == (0, 2, 0, 0)
    states = [(step.home, step.step, step.state) for step in steps]
    assert [state for home, step, state in states if step == "urge" and home == COUNTY] == [
        PROPOSAL_NONE
    ]
    proposed = [(step, state) for home, step, state in states if home == TOWN]
    assert proposed == [
        ("raise", PROPOSAL_ACCEPTED),
        ("confirm", PROPOSAL_VOID),
        *((step, PROPOSAL_ACCEPTED) for step in ("supplement", "confirm", "confirm", "rate")),
        *((step, PROPOSAL_ACCEPTED) for step in ("reopen", "urge")),
    ]
    store.close()


def test_every_turn_has_a_row():
    """Both sides are measured by their turns: who had the call, until when, and what came of it."""
    store = told(life())
    found = turns(store)
    duty, supplement, confirm = TurnKind.DUTY, TurnKind.SUPPLEMENT, TurnKind.CONFIRM
    assert [(row.kind, row.cause, row.department, row.outcome) for row in found] == [
        (duty, TurnCause.DISPATCH, LEAD, Outcome.DROPPED),
        (duty, TurnCause.DISPATCH, SECOND, Outcome.LATE),
        (supplement, TurnCause.NONE, SECOND, Outcome.MET),
        (confirm, TurnCause.NONE, SECOND, Outcome.MET),
        (duty, TurnCause.UNRESOLVED, SECOND, Outcome.MET),
        (confirm, TurnCause.NONE, SECOND, Outcome.MET),
        (duty, TurnCause.REOPENED, SECOND, Outcome.OPEN),
    ]
    assert [row.accept_outcome for row in found[:2]] == [Outcome.MET, Outcome.MET]
    assert [row.objection for row in found[:2]] == [Objection.UPHELD, Objection.NONE]
    assert [bool(row.yellow_micros) for row in found[:2]] == [False, True]
    assert [(row.resolved, row.sequel, row.satisfaction, row.reworks) for row in found[3:6:2]] == [
        (2, TurnCause.UNRESOLVED, 2, 1),
        (1, TurnCause.REOPENED, 4, 0),
    ]
    assert all(row.ended_micros for row in found[:6])
    assert found[6].ended_micros == 0
    store.close()


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_every_order_of_arrival_gives_the_same_tables(data):
    """Step by step or all at once, early or late: every node shows one call, and measures one."""
    count = len(life())
    order = data.draw(st.permutations(range(count)))
    cuts = data.draw(st.sets(st.integers(0, count)))
    store = told(life(), order, cuts)
    assert tables(store) == expected()
    store.close()


def test_a_step_in_order_moves_the_call_on_without_reading_those_before(monkeypatch):
    """A call of a thousand notes must not cost its writer a thousand times its length."""
    folds: list[bytes] = []

    def counted(connection, call, caller, sequencer):
        folds.append(call)
        return fold_call(connection, call, caller, sequencer)

    monkeypatch.setattr(call_projection, "fold_call", counted)
    store = told(life(), cuts=range(len(life())))
    assert len(folds) == 1  # when the call itself came
    assert tables(store) == expected()
    store.close()


def test_what_a_broken_transaction_told_is_forgotten():
    """The memory of a fold may never be ahead of the tables."""
    entries = life()
    store, feeds = new_store(entries)
    applied = [entry.applied(feeds[entry.origin]) for entry in entries]
    with store.transaction():
        store.apply(applied[:-3])

    def apply_and_break() -> None:
        with store.transaction():
            store.apply(applied[-3:-1])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        apply_and_break()
    with store.transaction():
        store.apply(applied[-1:])
    straight = told([*entries[:-3], entries[-1]])
    assert tables(store) == tables(straight)
    store.close()
    straight.close()


def test_the_check_and_the_rebuild_agree_with_what_was_applied():
    """The check compares every table of calls; a rebuild makes the same ones."""
    store = told(life(), cuts=range(0, 30, 3))
    notes: list = []
    assert check_projections(store, lambda *note: notes.append(note)) > len(life())
    assert notes == []
    with store.transaction():
        rebuild(store)
    assert tables(store) == expected()
    with store.transaction(), store.reading() as connection:
        connection.execute(CALL_TURNS.update().where(CALL_TURNS.c.number == 2).values(outcome=2))
    check_projections(store, lambda *note: notes.append(note))
    assert notes == [(f"call {ONE.hex()} turn 2", "call_turns has a row that differs in outcome")]
    store.close()


# An upgrade.


def schema_of(path) -> set[tuple[str, str]]:
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
        # Whole lines, whose order within a table is all that a way there and back may change.
        return {(name, line.strip().rstrip(",")) for name, sql in rows for line in sql.split("\n")}


def migrate_to(path, revision: str, move=command.upgrade) -> None:
    engine = create_engine(sqlite_url(path))
    with engine.begin() as connection:
        config = Config()
        folder = Path(database.__file__).with_name("migrations")
        config.set_main_option("script_location", str(folder))
        config.attributes["connection"] = connection
        move(config, revision)
    engine.dispose()


def test_a_database_of_the_release_before_has_its_calls_after_the_upgrade(tmp_path):
    """The migration can't fold; the store does, in the same transaction, when it is opened.

    A record whose type the older program did not know was quarantined; now it counts.
    """
    before, path = tmp_path / "before.db", tmp_path / "node.db"
    migrate_to(before, "0006")
    policy = shipped_policy()
    policy.version = 3
    entry = Entry(feed_of(COUNTY), 100, b"p" * 16, policy, 7)
    store, feeds = new_store([*life(), entry], sqlite_url(path))
    county = feeds[feed_of(COUNTY)]
    with store.transaction():
        store.apply([one.applied(feeds[one.origin]) for one in life()])
        store.quarantine(county, entry.index, Code.UNKNOWN_TYPE, "type 20", 1.0)
    store.close()
    migrate_to(path, "0006", command.downgrade)
    assert schema_of(path) == schema_of(before)
    store = SqlStore.open(sqlite_url(path))
    assert tables(store) == expected()
    assert store.policy(COUNTY).version == 3
    notes: list = []
    check_projections(store, lambda *note: notes.append(note))
    assert notes == []
    store.close()


# Late parties.


@cache
def party_view() -> list[Entry]:
    """What a node reads that joined late: the sequencer's steps from the party step on."""
    own = [entry for entry in life() if entry.origin == feed_of(COUNTY)]
    at = next(i for i, e in enumerate(own) if e.message.WhichOneof("step") == "party")
    return own[at:]


def test_a_late_party_sees_the_call_by_its_summary():
    """It never gets the call's own entry, and has to show something."""
    store = told(party_view())
    row, _ = shown(store)
    assert (row.late, row.sequencer, row.caller, row.slots) == (1, COUNTY, TOWN, b"")
    call = calls_pb2.Call.FromString(row.message)
    assert (call.title, call.category, call.sequencer) == ("停水", "供水", COUNTY)
    assert row.index == party_view()[0].index
    store.close()


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_a_summary_and_the_call_itself_may_come_in_any_order(data):
    """The call's own entry takes the summary's place, whenever it is disclosed."""
    entries = [*party_view(), life()[0], life()[1]]
    order = data.draw(st.permutations(range(len(entries))))
    cuts = data.draw(st.sets(st.integers(0, len(entries))))
    store, straight = told(entries, order, cuts), told(entries)
    assert tables(store) == tables(straight)
    assert shown(store)[0].late == 0
    store.close()
    straight.close()


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_a_late_party_folds_in_any_order(data):
    """Without the call's own entry, too."""
    order = data.draw(st.permutations(range(len(party_view()))))
    cuts = data.draw(st.sets(st.integers(0, len(party_view()))))
    store, straight = told(party_view(), order, cuts), told(party_view())
    assert tables(store) == tables(straight)
    store.close()
    straight.close()


def test_an_erased_summary_leaves_no_row():
    """What it said is gone; the steps stay, as those of a call that is not here."""
    urge = next(e for e in reversed(life()) if e.origin == feed_of(TOWN))
    entries = [*party_view(), urge]  # and a proposal of the caller's
    store, feeds = new_store(entries)
    with store.transaction():
        store.apply([entry.applied(feeds[entry.origin]) for entry in entries])
    assert store.get_call(ONE) is not None
    with store.transaction():
        bare = calls_pb2.CallStep(call=ONE, caller=TOWN)
        store.apply([entries[0].applied(feeds[entries[0].origin], bare, b"\x03")])
    assert store.get_call(ONE) is None
    with store.reading() as connection:
        assert connection.execute(CALL_TURNS.select()).fetchall() == []
        proposal = connection.execute(CALL_STEPS.select().where(CALL_STEPS.c.home == TOWN)).one()
    assert proposal.state == PROPOSAL_ORPHAN
    store.close()


def test_just_a_node_above_the_caller_makes_a_call_appear():
    """A village that writes a party step invents no call of its neighbour's."""
    step = party_view()[0]
    for liar in (OTHER_TOWN, "370830101201", TOWN):
        forged = step._replace(origin=feed_of(liar), index=0)
        store = told([forged])
        assert store.get_call(ONE) is None
        assert tables(store)[0] == []
        store.close()


# Lists and counts.


def test_a_proposal_of_every_kind_waits_for_its_sequencer():
    """Withdrawals and urges are taken as confirmations are.

    The sequencer's own urge is no proposal, and a step that only a sequencer takes is none from
    anybody else.
    """
    kinds = ("confirm", "supplement", "rate", "reopen", "withdraw", "urge")
    call = life()[0]
    steps = [
        Entry(
            feed_of(TOWN),
            index,
            bytes([index]) * 16,
            step_of(**{kind: {}}),
            5,
        )
        for index, kind in enumerate((*kinds, "note"), 2)
    ]
    own = [Entry(feed_of(COUNTY), 0, b"u" * 16, step_of(urge={}), 6)]
    for order in (None, range(8, -1, -1)):
        store = told([call, *steps, *own], order, range(9))
        pending = store.pending_proposals(COUNTY, 20)
        assert [one.index for one in pending] == [1, *range(2, 8)]
        with store.reading() as connection:
            rows = connection.execute(CALL_STEPS.select()).fetchall()
        assert {row.step for row in rows if row.state == PROPOSAL_PENDING} == {*kinds, "raise"}
        assert {row.step for row in rows if row.state == PROPOSAL_NONE} == {"note", "urge"}
        store.close()
