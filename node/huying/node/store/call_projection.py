"""Calls: the steps as they arrive, and what is derived from those of the sequencer.

A call's entries come over several feeds in any order: a took may be here before its proposal, a
step before its call. So every entry that speaks of a call becomes a row of `call_steps`, and the
rest follows from those rows: what the call stands on, which proposals were taken
(`huying.node.store.call_standing`), the call's state and turns (`huying.node.store.call_fold`). The
result depends on what is here, never on the order in which it came.

Calls are few beside events, so this runs plain SQLAlchemy Core; but its statements are built once,
which costs more than to run them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Any, Final

from sqlalchemy import Connection, and_, bindparam, delete, select, tuple_, update

from huying.common.calls import Folding, Place, SequencedStep
from huying.common.calls.call_turns import Turn
from huying.common.state import Applied
from huying.node.store.call_fold import (
    FOLDED_NAMES,
    UNFOLDED,
    FoldedCall,
    fold_call,
    folded_columns,
    turn_row,
)
from huying.node.store.call_schema import (
    CALL_STEPS,
    CALL_TURNS,
    CALLS,
    PROPOSAL_ACCEPTED,
    PROPOSAL_NONE,
    PROPOSAL_ORPHAN,
    PROPOSAL_VOID,
    STEP_RAISE,
)
from huying.node.store.call_standing import PARTY, PROPOSALS, ProposalMarks, standing_party
from huying.node.store.content import slot_states
from huying.node.store.statements import upsert_sql
from huying.node.store.values import number, text
from huying.wire.v1 import calls_pb2, feed_pb2

__all__ = ["CallProjection", "raised_row"]

FOLDED_KEPT_MAX: Final = 1024  # calls whose state is kept, for their next step
_KEYS: Final = 512  # calls settled between two looks at the list of all

_THE_CALL: Final = and_(
    CALLS.c.record == bindparam("of_call"), CALLS.c.home == bindparam("of_caller")
)
_ROW: Final = select(CALLS.c.sequencer, CALLS.c.late).where(_THE_CALL)
_SET_FOLDED: Final = (
    update(CALLS).where(_THE_CALL).values({name: bindparam(name) for name in FOLDED_NAMES})
)
_DELETE: Final = delete(CALLS).where(_THE_CALL)
_DELETE_TURNS: Final = delete(CALL_TURNS).where(
    CALL_TURNS.c.call == bindparam("of_call"), CALL_TURNS.c.caller == bindparam("of_caller")
)
_STEP_KEY: Final = CALL_STEPS.c.call, CALL_STEPS.c.caller
_NEXT_KEYS: Final = (
    select(*_STEP_KEY)
    .where(tuple_(*_STEP_KEY) > tuple_(bindparam("of_call"), bindparam("of_caller")))
    .distinct()
    .order_by(*_STEP_KEY)
    .limit(_KEYS)
)

# (call, caller): whoever copies another's call id gets a call of its own.
_CallKey = tuple[bytes, str]


def raised_row(entry: Applied) -> tuple[Any, ...]:
    """The part of a call's row that its own entry gives, in the order of the columns."""
    head = entry.head
    message: Any = entry.message
    return (
        head.record,
        entry.home,
        entry.feed_id,
        entry.epoch,
        entry.index,
        number(head.time_micros),
        head.kind,
        slot_states(entry.slots, entry.present, entry.erased),
        0,  # not late
        text(message.sequencer),
        text(message.category),
        text(message.grid),
        text(message.village),
        number(message.raised_micros),
    )


class CallProjection:
    """Writes the tables of calls over the store's connection, inside its transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        dialect = connection.dialect.name
        # The call's own entry takes the place of a party step, whatever their numbers.
        self._put_call = upsert_sql(CALLS, dialect, newer=True, keep=FOLDED_NAMES, unless="late")
        self._put_late = upsert_sql(CALLS, dialect, keep=FOLDED_NAMES)
        self._put_step = upsert_sql(CALL_STEPS, dialect)
        self._put_turn = upsert_sql(CALL_TURNS, dialect)
        self._marks = ProposalMarks(connection)
        self._kept: OrderedDict[_CallKey, tuple[str, FoldedCall]] = OrderedDict()

    def forget(self) -> None:
        """Fold each call anew at its next step: what was written has been undone, or changed."""
        self._kept.clear()

    def folding(self, sequencer: str, caller: str, call: bytes) -> Folding:
        """The fold over what the sequencer wrote of a call, as far as it was applied."""
        kept = self._kept.get((call, caller))
        if kept is None or kept[0] != sequencer:
            return fold_call(self._connection, call, caller, sequencer).folding()
        return kept[1].folding()

    def apply(self, applied: Sequence[Applied], *, settle: bool = True) -> None:
        """Bring the tables up to date. Entries of other types are passed over.

        Without `settle`, just `call_steps` and what the calls' own entries say: for many entries,
        after which `settle_all` does the rest.
        """
        touched: dict[_CallKey, list[Applied]] = {}
        for entry in applied:
            if entry.head.type == feed_pb2.RECORD_TYPE_CALL:
                key = self._raise(entry)
            elif entry.head.type == feed_pb2.RECORD_TYPE_CALL_STEP:
                key = self._step(entry)
            else:
                continue
            touched.setdefault(key, []).append(entry)
        if settle:
            for key, entries in touched.items():
                self._settle(key, entries)

    def settle_all(self) -> None:
        """Derive everything about every call from `call_steps`."""
        last: _CallKey = b"", ""
        while True:
            parameters = {"of_call": last[0], "of_caller": last[1]}
            keys = self._connection.execute(_NEXT_KEYS, parameters).fetchall()
            if not keys:
                return
            for call, caller in keys:
                self._derive((call, caller))
            last = keys[-1][0], keys[-1][1]

    def _raise(self, entry: Applied) -> _CallKey:
        """The call itself, which is also the first proposal."""
        head = entry.head
        row = (*raised_row(entry), *UNFOLDED.values())
        self._connection.exec_driver_sql(self._put_call, row)
        key = head.record, entry.home
        self._put(key, entry, STEP_RAISE, PROPOSAL_ORPHAN)
        return key

    def _step(self, entry: Applied) -> _CallKey:
        message: Any = entry.message
        key = message.call, text(message.caller)
        step = message.WhichOneof("step") or ""
        if step == "took":
            took = message.took
            state = PROPOSAL_ACCEPTED if took.accepted else PROPOSAL_VOID
            self._put(key, entry, step, state, took)
        else:
            self._put(key, entry, step, PROPOSAL_ORPHAN if step in PROPOSALS else PROPOSAL_NONE)
        return key

    def _put(self, key: _CallKey, entry: Applied, step: str, state: int, took: Any = None) -> None:
        self._connection.exec_driver_sql(
            self._put_step,
            (
                *key,
                entry.feed_id,
                entry.index,
                entry.home,
                entry.epoch,
                number(entry.head.time_micros),
                step,
                text(took.ref.origin) if took else "",
                number(took.ref.index) if took else 0,
                state,
                took.reason if took else 0,
            ),
        )

    def _row(self, key: _CallKey) -> tuple[str, bool] | None:
        """The call's sequencer, and whether it stands on a party step; None where not here."""
        found = self._connection.execute(_ROW, _of(key)).first()
        return None if found is None else (found[0], bool(found[1]))

    def _settle(self, key: _CallKey, entries: Sequence[Applied]) -> None:
        """Derive what these new entries change."""
        row = self._row(key)
        late = row is None or row[1]
        if any(_is_raise(entry) or (late and _may_be_party(entry)) for entry in entries):
            self._derive(key)
            return
        if row is None:
            return  # its proposals are orphans, as they were put
        sequencer = row[0]
        self._marks.mark(key, sequencer, entries)
        steps = [entry for entry in entries if entry.home == sequencer]
        if steps:
            self._fold(key, sequencer, steps)

    def _derive(self, key: _CallKey) -> None:
        """Derive everything about a call anew."""
        row = self._row(key)
        if row is None or row[1]:
            row = self._stand_on_party(key, known=row is not None)
        self._marks.mark_all(key, None if row is None else row[0])
        if row is None:
            self._kept.pop(key, None)
        else:
            self._refold(key, row[0])

    def _stand_on_party(self, key: _CallKey, *, known: bool) -> tuple[str, bool] | None:
        """Let a call whose own entry is not here stand on the party step that sums it up."""
        party = standing_party(self._connection, *key)
        if party is not None:
            self._connection.exec_driver_sql(self._put_late, (*party, *UNFOLDED.values()))
            return party[_SEQUENCER_AT], True
        if known:
            self._connection.execute(_DELETE, _of(key))
            self._connection.execute(_DELETE_TURNS, _of(key))
        return None

    def _fold(self, key: _CallKey, sequencer: str, entries: Iterable[Applied]) -> None:
        """Move the call on by its sequencer's new steps, or fold it anew where one comes late."""
        kept = self._kept.get(key)
        steps = {Place(entry.epoch, entry.index): entry for entry in entries}
        if kept is None or kept[0] != sequencer or not kept[1].precedes(min(steps)):
            self._refold(key, sequencer)
            return
        folded = kept[1]
        before = folded.turns
        for place in sorted(steps):
            entry = steps[place]
            step = SequencedStep(entry.index, _message(entry), entry.epoch)
            folded.add(step, number(entry.head.time_micros))
        self._write(key, sequencer, folded)
        # Turns are only added, and keep their places.
        pairs = zip_longest(folded.turns, before)
        self._put_turns(key, sequencer, [new for new, old in pairs if new != old])

    def _refold(self, key: _CallKey, sequencer: str) -> None:
        folded = fold_call(self._connection, *key, sequencer)
        self._write(key, sequencer, folded)
        self._connection.execute(_DELETE_TURNS, _of(key))
        self._put_turns(key, sequencer, folded.turns)

    def _write(self, key: _CallKey, sequencer: str, folded: FoldedCall) -> None:
        self._connection.execute(_SET_FOLDED, {**_of(key), **folded_columns(folded)})
        self._kept[key] = sequencer, folded
        self._kept.move_to_end(key)
        if len(self._kept) > FOLDED_KEPT_MAX:
            self._kept.popitem(last=False)

    def _put_turns(self, key: _CallKey, sequencer: str, turns: Iterable[Turn]) -> None:
        rows = [turn_row(*key, sequencer, turn) for turn in turns]
        if rows:
            self._connection.exec_driver_sql(self._put_turn, rows)


_SEQUENCER_AT: Final = [column.name for column in CALLS.c].index("sequencer")


def _of(key: _CallKey) -> dict[str, Any]:
    return {"of_call": key[0], "of_caller": key[1]}


def _is_raise(entry: Applied) -> bool:
    return entry.head.type == feed_pb2.RECORD_TYPE_CALL


def _may_be_party(entry: Applied) -> bool:
    """A party step, or an entry that may have been one before a part of it was erased."""
    return not _is_raise(entry) and _message(entry).WhichOneof("step") in (PARTY, None)


def _message(entry: Applied) -> calls_pb2.CallStep:
    assert isinstance(entry.message, calls_pb2.CallStep)
    return entry.message
