"""Counting what departments and towns are measured by; docs/MEASURES.md has the definitions.

Each count is of turns, or calls, one of whose times lies in the month. The tables are read once for
all counts together, over a connection that reads only: the writer never waits for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, case, func, literal_column, or_
from sqlalchemy import select as select_of

from huying.common.calls.call_state import CallStage
from huying.common.calls.call_turns import Objection, Outcome, TurnCause, TurnKind
from huying.common.codes import is_within
from huying.common.measures import DepartmentMeasures, Ratio, TownMeasures
from huying.node.store.call_schema import CALL_TURNS, CALLS
from huying.node.store.queries import Queries
from huying.node.store.schema import RECORDS
from huying.wire.v1 import feed_pb2

__all__ = ["TURN_MEASURES", "Dimension", "MeasureQueries", "Measured", "MeasuredTurn"]

Dimension = Literal["department", "town", "category", "all"]

_T: Final = CALL_TURNS.c
_HOUSEHOLDS: Final = RECORDS[feed_pb2.RECORD_TYPE_HOUSEHOLD]


class Measured(NamedTuple):
    """What was counted for one department, town or category; "" where it has none."""

    key: str
    departments: DepartmentMeasures
    towns: TownMeasures


class MeasuredTurn(NamedTuple):
    """One turn that a rate counts, and whether it is of the numerator."""

    call: bytes
    caller: str
    category: str
    grid: str
    village: str
    department: str
    begun_micros: int
    due_micros: int
    ended_micros: int
    satisfaction: int
    met: int  # 1: of the numerator


# What a measure of turns is counted from: its denominator, and of that the numerator; a count has
# one condition for both.
TURN_MEASURES: Final[Mapping[str, tuple[str, str]]] = {
    "duties": ("duties", "duties"),
    "undecided": ("undecided", "undecided"),
    "response": ("response_due", "responded"),
    "on_time": ("answer_due", "answer_met"),
    "resolved": ("followed_up", "resolved"),
    "satisfied": ("rated", "satisfied"),
    "returned": ("dispatched", "returned"),
    "returned_upheld": ("upheld", "upheld"),
    "reworked": ("answers", "reworked"),
    "reopened": ("answers", "reopened"),
    "yellow_cards": ("yellow", "yellow"),
    "red_cards": ("red", "red"),
    "supplement_late": ("supplement_due", "supplement_late"),
    "confirm_in_window": ("confirm_due", "confirm_met"),
}


class _Span(NamedTuple):
    start: int
    stop: int

    def has(self, column: ColumnElement[int]) -> ColumnElement[bool]:
        return and_(column >= self.start, column < self.stop)


class MeasureQueries(Queries):
    """Measures of the calls that one node answers."""

    def measures(
        self, sequencer: str, by: Dimension, start_micros: int, stop_micros: int, stars_min: int
    ) -> list[Measured]:
        """What is counted in [start, stop), by key; one row for "all", even where nothing is.

        `stars_min`: a rating of so many stars or more is satisfied. By department, the measures of
        towns are all of nothing: a town has no department.
        """
        span = _Span(start_micros, stop_micros)
        with self._reading() as connection:
            turns = _rows(connection, _turns(sequencer, by, span, stars_min))
            calls: dict[str, Mapping[str, int]] = {}
            residents: dict[str, int] = {}
            if by != "department":
                calls = _rows(connection, _calls(sequencer, by, span))
            if by in ("town", "all"):
                residents = _residents(connection)
        keys = sorted(turns.keys() | calls.keys() | ({""} if by == "all" else set()))
        towns = {key: sequencer if by == "all" else key for key in keys}
        return [
            Measured(
                key,
                _department_measures(turns.get(key, {})),
                _town_measures(
                    turns.get(key, {}) if by != "department" else {},
                    calls.get(key, {}),
                    sum(n for home, n in residents.items() if is_within(home, towns[key])),
                ),
            )
            for key in keys
        ]

    def measured_turns(
        self,
        sequencer: str,
        measure: str,
        by: Dimension,
        key: str,
        start_micros: int,
        stop_micros: int,
        stars_min: int,
        limit: int,
        *,
        is_met: bool | None = None,
    ) -> list[MeasuredTurn]:
        """The turns that one figure of `measures` counts, the newest first, at most `limit`.

        `measure` is a key of TURN_MEASURES; `key` that of the row, and of no account for "all".
        With `is_met` just those that are of the numerator, or just those that are not.
        """
        conditions = _conditions(_Span(start_micros, stop_micros), stars_min)
        counted, met = (conditions[name] for name in TURN_MEASURES[measure])
        query = (
            select_of(
                _T.call,
                _T.caller,
                CALLS.c.category,
                CALLS.c.grid,
                CALLS.c.village,
                _T.department,
                _T.begun_micros,
                _T.due_micros,
                _T.ended_micros,
                _T.satisfaction,
                case((met, 1), else_=0),
            )
            .select_from(CALL_TURNS)
            .join(CALLS, and_(CALLS.c.record == _T.call, CALLS.c.home == _T.caller))
            .where(_T.sequencer == sequencer, counted)
            .order_by(_T.begun_micros.desc(), _T.call)
            .limit(limit)
        )
        if is_met is not None:
            query = query.where(met if is_met else ~met)
        columns = {"department": _T.department, "town": _T.caller, "category": CALLS.c.category}
        if by != "all":
            query = query.where(columns[by] == key)
        with self._reading() as connection:
            found = connection.execute(query).fetchall()
        return [MeasuredTurn(*row) for row in found]


def _rows(connection: Connection, query: Any) -> dict[str, Mapping[str, int]]:
    found = connection.execute(query).mappings()
    rows = {
        str(row["key"]): {name: row[name] or 0 for name in row if name != "key"} for row in found
    }
    return {key: row for key, row in rows.items() if key or any(row.values())}


def _times(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(case((condition, 1), else_=0))


def _key(by: Dimension, columns: Mapping[str, ColumnElement[str]]) -> ColumnElement[str]:
    return columns.get(by, literal_column("''")).label("key")


_DUTY: Final = _T.kind == int(TurnKind.DUTY)
_SUPPLEMENT: Final = _T.kind == int(TurnKind.SUPPLEMENT)
_CONFIRM: Final = _T.kind == int(TurnKind.CONFIRM)
_MET: Final = int(Outcome.MET)
_DECIDED: Final = (_MET, int(Outcome.LATE))


def _conditions(span: _Span, stars_min: int) -> dict[str, ColumnElement[bool]]:
    """Which turns each count takes."""
    begun, ended = span.has(_T.begun_micros), span.has(_T.ended_micros)
    due, accept_due = span.has(_T.due_micros), span.has(_T.accept_due_micros)
    decided = _T.outcome.in_(_DECIDED)
    dispatched = and_(_DUTY, begun, _T.cause == int(TurnCause.DISPATCH))
    answered = and_(_CONFIRM, begun)
    followed = and_(_CONFIRM, ended)
    return {
        "duties": and_(_DUTY, begun),
        "undecided": and_(_DUTY, due, _T.outcome == int(Outcome.OPEN)),
        "response_due": and_(_DUTY, accept_due, _T.accept_outcome.in_(_DECIDED)),
        "responded": and_(_DUTY, accept_due, _T.accept_outcome == _MET),
        "answer_due": and_(_DUTY, due, decided),
        "answer_met": and_(_DUTY, due, _T.outcome == _MET),
        "followed_up": and_(followed, _T.resolved > 0),
        "resolved": and_(followed, _T.resolved == 1),
        "rated": and_(followed, _T.satisfaction > 0),
        "satisfied": and_(followed, _T.satisfaction >= max(stars_min, 1)),
        "dispatched": dispatched,
        "returned": and_(dispatched, _T.objection != int(Objection.NONE)),
        "upheld": and_(dispatched, _T.objection == int(Objection.UPHELD)),
        "answers": answered,
        "reworked": and_(answered, _T.reworks > 0),
        "reopened": and_(answered, _T.sequel == int(TurnCause.REOPENED)),
        "yellow": and_(_DUTY, span.has(_T.yellow_micros)),
        "red": and_(_DUTY, span.has(_T.red_micros)),
        "supplement_due": and_(_SUPPLEMENT, due, decided),
        "supplement_met": and_(_SUPPLEMENT, due, _T.outcome == _MET),
        "supplement_late": and_(_SUPPLEMENT, due, _T.outcome == int(Outcome.LATE)),
        "confirm_due": and_(_CONFIRM, due, decided),
        "confirm_met": and_(_CONFIRM, due, _T.outcome == _MET),
    }


def _turns(sequencer: str, by: Dimension, span: _Span, stars_min: int) -> Any:
    times = (_T.begun_micros, _T.ended_micros, _T.due_micros, _T.accept_due_micros)
    in_span = [span.has(column) for column in (*times, _T.yellow_micros, _T.red_micros)]
    conditions = _conditions(span, stars_min)
    columns = {"department": _T.department, "town": _T.caller, "category": CALLS.c.category}
    counts = [_times(condition).label(name) for name, condition in conditions.items()]
    key = _key(by, columns)
    query = select_of(key, *counts).select_from(CALL_TURNS)
    if by == "category":
        query = query.join(CALLS, and_(CALLS.c.record == _T.call, CALLS.c.home == _T.caller))
    # What has no time in the month is in no count: most rows are passed over by this alone.
    return query.where(_T.sequencer == sequencer, or_(*in_span)).group_by(key)


def _calls(sequencer: str, by: Dimension, span: _Span) -> Any:
    stages = ("declined", CallStage.DECLINED), ("withdrawn", CallStage.WITHDRAWN)
    counts = [
        _times(CALLS.c.stage == int(stage)).label(name)
        for name, stage in (*stages, ("merged", CallStage.MERGED))
    ]
    key = _key(by, {"town": CALLS.c.home, "category": CALLS.c.category})
    return (
        select_of(key, func.count().label("calls"), *counts)
        .where(CALLS.c.sequencer == sequencer, span.has(CALLS.c.received_micros))
        .group_by(key)
    )


def _residents(connection: Connection) -> dict[str, int]:
    """How many residents the households here have, by home."""
    query = (
        select_of(_HOUSEHOLDS.c.home, func.sum(_HOUSEHOLDS.c.resident_count))
        .where(_HOUSEHOLDS.c.kind != int(feed_pb2.KIND_DELETE))
        .group_by(_HOUSEHOLDS.c.home)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def _department_measures(row: Mapping[str, int]) -> DepartmentMeasures:
    if not row:
        return DepartmentMeasures()
    return DepartmentMeasures(
        duties=row["duties"],
        undecided=row["undecided"],
        response=Ratio(row["responded"], row["response_due"]),
        on_time=Ratio(row["answer_met"], row["answer_due"]),
        resolved=Ratio(row["resolved"], row["followed_up"]),
        satisfied=Ratio(row["satisfied"], row["rated"]),
        returned=Ratio(row["returned"], row["dispatched"]),
        returned_upheld=row["upheld"],
        reworked=Ratio(row["reworked"], row["answers"]),
        reopened=Ratio(row["reopened"], row["answers"]),
        yellow_cards=row["yellow"],
        red_cards=row["red"],
    )


def _town_measures(
    turns: Mapping[str, int], calls: Mapping[str, int], residents: int
) -> TownMeasures:
    received = calls.get("calls", 0)
    supplements = turns.get("supplement_due", 0)
    return TownMeasures(
        calls=received,
        residents=residents,
        declined=Ratio(calls.get("declined", 0), received),
        withdrawn=Ratio(calls.get("withdrawn", 0), received),
        merged=calls.get("merged", 0),
        supplement_late=Ratio(supplements - turns.get("supplement_met", 0), supplements),
        confirm_in_window=Ratio(turns.get("confirm_met", 0), turns.get("confirm_due", 0)),
    )
