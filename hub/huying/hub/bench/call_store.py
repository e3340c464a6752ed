"""A county's database of many calls, filled at once: the same rows as calls one by one would give.

The entries have their real compartments and commitments; nothing is signed, and of each call the
county's steps stand together in its feed, which no list and no measure looks at. The same calls go
into the rival's tables (`huying.hub.bench.rival`).
"""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Any, Final, NamedTuple

from huying.common import codes
from huying.common.feed.audience import slot_of, split
from huying.common.feed.leaf import (
    HEAD_SLOT,
    commitment,
    commitment_prefix,
    encode_leaf,
    make_opening,
    pack_openings,
)
from huying.common.state import FeedState
from huying.hub.bench import rival
from huying.hub.bench.lives import LEAD, NEXT, Life, Step, lives
from huying.node.store.call_fold import FOLDED_NAMES, turn_row
from huying.node.store.call_schema import (
    CALL_STEPS,
    CALL_TURNS,
    CALLS,
    NOTHING_DUE,
    PROPOSAL_ACCEPTED,
    PROPOSAL_NONE,
    STEP_RAISE,
)
from huying.node.store.database import sqlite_url
from huying.node.store.schema import ENTRIES, SCHEMA_REVISION, entry_place
from huying.node.store.statements import insert_sql
from huying.node.store.store import SqlStore
from huying.wire.v1 import calls_pb2, feed_pb2

__all__ = ["COUNTY", "NETWORK", "NOW_MICROS", "Size", "build", "event_of"]

NETWORK: Final = "bench.example"
COUNTY: Final = "370830000000"
WEEK: Final = 7 * 24 * 3600 * 10**6
WEEKS: Final = 35  # eight months
NOW_MICROS: Final = 1_788_330_600_000_000  # Wednesday, 2026-09-02, 14:30 in Beijing
_CATEGORIES: Final = tuple(f"第{number:02d}类" for number in range(1, 28))
_BATCH: Final = 2000  # calls between two commits
_JITTER: Final = 30 * 60 * 10**6
# Where a step's own fields stand at either writer: they have one audience.
_STEP_SLOT: Final = slot_of(calls_pb2.CallStep.DESCRIPTOR, codes.Level.COUNTY, "call")
_VERSION: Final = 4  # of what is built: raise it where that changes
_VILLAGES: Final = 10  # of each town


@dataclass(frozen=True, slots=True)
class Size:
    """How much is built."""

    calls: int = 260_000
    departments: int = 60
    towns: int = 25

    def department(self, number: int) -> str:
        """The name of a department, from 0."""
        return f"第{number + 1:02d}局"

    def town(self, number: int) -> str:
        """The code of a town, from 0."""
        return f"3708301{number:02d}000"


class _Plan(NamedTuple):
    """One call before it is written."""

    call: bytes
    start: int
    life: Life
    town: int
    department: int
    following: int
    category: str


def event_of(call: bytes) -> bytes:
    """The id of the village's event that a call came of."""
    return call[::-1]


def build(folder: Path, size: Size, seed: int = 1) -> tuple[Path, bool]:
    """The database's file, built unless the folder has it; and whether it was built now."""
    wanted = {
        "size": [size.calls, size.departments, size.towns],
        "seed": seed,
        "schema": SCHEMA_REVISION,
        "version": _VERSION,
    }
    done, file = folder / "built.json", folder / "node.db"
    if done.exists() and json.loads(done.read_text()) == wanted:
        return file, False
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    SqlStore.open(sqlite_url(file)).close()
    _fill(file, size, seed)
    done.write_text(json.dumps(wanted))
    return file, True


def _plans(size: Size, seed: int) -> list[_Plan]:
    """By call id, which is the order of the tables; beginning at any time of the eight months."""
    chance = random.Random(seed)
    choices = lives(seed)
    weights = list(accumulate(life.share for life in choices))
    plans = []
    for life in chance.choices(choices, cum_weights=weights, k=size.calls):
        last = (NOW_MICROS - life.start_micros) // WEEK
        start = life.start_micros + WEEK * chance.randint(last - WEEKS, last)
        start = min(start + chance.randrange(_JITTER), NOW_MICROS - 60 * 10**6)
        department, following = chance.sample(range(size.departments), 2)
        town, category = chance.randrange(size.towns), chance.choice(_CATEGORIES)
        call = chance.randbytes(16)
        plans.append(_Plan(call, start, life, town, department, following, category))
    return sorted(plans)


def _fill(file: Path, size: Size, seed: int) -> None:
    store = SqlStore.open(sqlite_url(file))
    homes = [COUNTY, *(size.town(number) for number in range(size.towns))]
    with store.transaction():
        feeds = {code: store.create_feed(codes.origin(NETWORK, code, 1)).feed_id for code in homes}
    store.close()
    plans = _plans(size, seed)
    # A town's feed has its calls in the order of time, and each proposal after them.
    order = sorted(range(len(plans)), key=lambda at: plans[at].start)
    sizes = dict.fromkeys(homes, 0)
    raised_at = [0] * len(plans)
    for at in order:
        town = size.town(plans[at].town)
        raised_at[at] = sizes[town]
        sizes[town] += 1
    connection = sqlite3.connect(file, isolation_level=None)
    for pragma in ("synchronous = OFF", "cache_size = -600000", "journal_mode = WAL"):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    indexes = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        " AND tbl_name IN ('calls', 'call_steps')"
    ).fetchall()
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    rival.create(connection)
    sql = {t.name: insert_sql(t, "sqlite") for t in (ENTRIES, CALLS, CALL_STEPS, CALL_TURNS)}
    sql |= rival.INSERTS
    rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in sql}
    writer = _Writer(size, feeds, sizes, rows)
    for first in range(0, len(plans), _BATCH):
        for at in range(first, min(first + _BATCH, len(plans))):
            writer.write(plans[at], raised_at[at])
        connection.execute("BEGIN")
        for name, statement in sql.items():
            connection.executemany(statement, rows[name])
            rows[name].clear()
        connection.execute("COMMIT")
    for _, statement in indexes:
        connection.execute(statement)
    rival.index(connection)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    connection.close()
    store = SqlStore.open(sqlite_url(file))
    with store.transaction():
        for feed in store.feeds():
            store.put_feed(
                FeedState(
                    feed_id=feed.feed_id,
                    origin=feed.origin,
                    size=sizes[codes.parse_origin(feed.origin).code],
                )
            )
    store.close()


class _Writer:
    """Turns plans into rows."""

    def __init__(
        self,
        size: Size,
        feeds: dict[str, int],
        sizes: dict[str, int],
        rows: dict[str, list[tuple[Any, ...]]],
    ) -> None:
        self._size = size
        self._feeds = feeds
        self._origins = {code: codes.origin(NETWORK, code, 1) for code in feeds}
        self._sizes = sizes
        self._rows = rows

    def write(self, plan: _Plan, raised_at: int) -> None:
        caller = self._size.town(plan.town)
        village = f"{caller[:9]}{201 + plan.call[0] % _VILLAGES}"
        names = {
            LEAD: self._size.department(plan.department),
            NEXT: self._size.department(plan.following),
            "": "",
        }
        steps = [s for s in plan.life.steps if plan.start + s.after_micros <= NOW_MICROS]
        call = calls_pb2.Call(
            sequencer=COUNTY,
            category=plan.category,
            title="村东头自来水管道破裂,多户停水,请协调抢修",
            description="管道位于村东主路下方,村里已关闭支阀,仍有渗漏,需要开挖更换,请派专业队伍。",
            grid=f"{village}{plan.call[1] % 4 + 1:03}",
            village=village,
            event=event_of(plan.call),
            raised_micros=plan.start - 60 * 10**6,
        )
        sent = plan.start - 30 * 10**6
        slots = self._entry(caller, raised_at, plan.call, call, sent)
        self._step_row(plan, caller, caller, raised_at, sent, STEP_RAISE, PROPOSAL_ACCEPTED)
        for step in steps:
            self._write_step(plan, caller, raised_at, step, names)
        shift = plan.start - plan.life.start_micros
        columns = {
            name: _shifted(name, value, shift, names) for name, value in steps[-1].columns.items()
        }
        content = (COUNTY, plan.category, call.grid, call.village, call.raised_micros)
        place = (self._feeds[caller], 1, raised_at, sent)
        self._rows["calls"].append(
            (
                *(plan.call, caller, *place, int(feed_pb2.KIND_PUT), slots, 0, *content),
                *(columns[name] for name in FOLDED_NAMES),
            )
        )
        for turn in steps[-1].turns:
            moved = replace(
                turn,
                department=names[turn.department],
                **{
                    name: getattr(turn, name) + shift
                    for name in turn.__slots__
                    if name.endswith("_micros") and getattr(turn, name)
                },
            )
            self._rows["call_turns"].append(turn_row(plan.call, caller, COUNTY, moved))
        rival.add(self._rows, plan.call, caller, call, columns, steps, shift, names)

    def _write_step(
        self, plan: _Plan, caller: str, raised_at: int, step: Step, names: dict[str, str]
    ) -> None:
        shift = plan.start - plan.life.start_micros
        message = calls_pb2.CallStep()
        message.CopyFrom(step.message)
        message.call, message.caller = plan.call, caller
        for mark in message.clocks:
            mark.due_micros += shift if mark.due_micros else 0
        kind = message.WhichOneof("step") or ""
        body = getattr(message, kind)
        if hasattr(body, "department"):
            body.department = names[body.department]
        if kind == "dispatch":
            body.deadline_micros += shift
            body.co_handlers[:] = [names[one] for one in body.co_handlers]
        at = plan.start + step.after_micros
        index = raised_at
        if step.proposed:
            index = self._next(caller)
            proposal = message.took.WhichOneof("proposal") or ""
            own = calls_pb2.CallStep(call=plan.call, caller=caller)
            getattr(own, proposal).CopyFrom(getattr(message.took, proposal))
            self._entry(caller, index, _record(plan, index), own, at - 10**6)
            self._step_row(plan, caller, caller, index, at - 10**6, proposal, PROPOSAL_ACCEPTED)
        proposed_at = index
        if kind == "took":
            message.took.ref.origin = self._origins[caller]
            message.took.ref.index = proposed_at
        index = self._next(COUNTY)
        self._entry(COUNTY, index, _record(plan, index), message, at)
        state = PROPOSAL_ACCEPTED if kind == "took" else PROPOSAL_NONE
        self._step_row(plan, caller, COUNTY, index, at, kind, state, proposed_at)

    def _next(self, home: str) -> int:
        self._sizes[home] += 1
        return self._sizes[home] - 1

    def _entry(self, home: str, index: int, record: bytes, message: Any, at: int) -> bytes:
        """Adds an entry; pairs (slot, state), as `calls` keeps them."""
        is_call = isinstance(message, calls_pb2.Call)
        head = feed_pb2.Head(
            kind=feed_pb2.KIND_PUT if is_call else feed_pb2.KIND_STEP,
            type=feed_pb2.RECORD_TYPE_CALL if is_call else feed_pb2.RECORD_TYPE_CALL_STEP,
            record=record,
            time_micros=at,
        )
        bodies = [(HEAD_SLOT, head.SerializeToString())]
        if is_call:
            bodies += split(message, int(codes.level(home)))
        else:
            # Everything that such a step has is shared by the parties.
            bodies.append((_STEP_SLOT, message.SerializeToString()))
        openings = [make_opening(slot, record, body) for slot, body in bodies]
        prefix = commitment_prefix(self._origins[home])
        slots = [slot for slot, _ in bodies]
        leaf = encode_leaf(slots, [commitment(prefix, opening) for opening in openings])
        place = entry_place(self._feeds[home], index)
        self._rows["entries"].append((place, leaf, None, pack_openings(openings)))
        return b"".join(bytes((slot, 1)) for slot in slots)

    def _step_row(
        self,
        plan: _Plan,
        caller: str,
        home: str,
        index: int,
        at: int,
        step: str,
        state: int,
        proposed_at: int = 0,
    ) -> None:
        took = (self._origins[caller], proposed_at) if step == "took" else ("", 0)
        place = (self._feeds[home], index, home, 1, at)
        self._rows["call_steps"].append((plan.call, caller, *place, step, *took, state, 0))


def _record(plan: _Plan, index: int) -> bytes:
    return plan.call[:8] + index.to_bytes(8, "big")


def _shifted(name: str, value: str | int, shift: int, names: dict[str, str]) -> str | int:
    if isinstance(value, str):
        # A department, or the helpers between line feeds.
        return "\n".join(names.get(one, one) for one in value.split("\n"))
    if name.endswith("_micros") and value not in (0, NOTHING_DUE):
        return value + shift
    return value
