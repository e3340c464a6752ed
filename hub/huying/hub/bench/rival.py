"""The same questions, asked of tables that somebody would write without this program's projections.

Two designs, in plain SQLite over the same calls:

- *history*: one table of calls and one of steps, with its key by call. Each step carries the state
  that it left (department, open, due), so how a call stands is what its newest step says.
- *state*: one row for each call with how it stands, and an index by department.

Both are given more than a naive design has: they need not fold anything.
"""

from __future__ import annotations

import sqlite3
from typing import Any, Final

from huying.hub.bench.lives import Step
from huying.wire.v1 import calls_pb2

__all__ = [
    "INSERTS",
    "add",
    "create",
    "history_measures",
    "index",
    "list_by_history",
    "list_by_state",
]

INSERTS: Final = {
    "rival_calls": "INSERT INTO rival_calls VALUES (?,?,?,?,?,?,?,?,?)",
    "rival_steps": "INSERT INTO rival_steps VALUES (?,?,?,?,?,?,?,?,?,?,?)",
}


def create(connection: sqlite3.Connection) -> None:
    """The tables, empty."""
    connection.executescript(
        """
        CREATE TABLE rival_calls (
            id BLOB PRIMARY KEY, caller TEXT, category TEXT, title TEXT, description TEXT,
            raised INTEGER, department TEXT, open INTEGER, due INTEGER
        );
        CREATE TABLE rival_steps (
            call BLOB, number INTEGER, at INTEGER, kind TEXT, department TEXT, open INTEGER,
            due INTEGER, accept_due INTEGER, answer_due INTEGER, resolved INTEGER, stars INTEGER,
            PRIMARY KEY (call, number)
        );
        """
    )


def index(connection: sqlite3.Connection) -> None:
    """The one index that everybody makes."""
    connection.execute("CREATE INDEX rival_by_department ON rival_calls (department)")


def add(
    rows: dict[str, list[tuple[Any, ...]]],
    call_id: bytes,
    caller: str,
    call: calls_pb2.Call,
    columns: dict[str, str | int],
    steps: list[Step],
    shift: int,
    names: dict[str, str],
) -> None:
    """The rows of one call."""
    state = tuple(columns[name] for name in ("department", "open", "due_micros"))
    content = (call.category, call.title, call.description, call.raised_micros)
    rows["rival_calls"].append((call_id, caller, *content, *state))
    for number, step in enumerate(steps, 1):
        then = step.columns
        kind: str = step.message.WhichOneof("step") or ""
        if kind == "took":
            kind = str(step.message.took.WhichOneof("proposal") or "")
        confirm = step.message.took.confirm
        due, accept_due, answer_due = (
            value + shift if isinstance(value, int) and 0 < value < 2**62 else value
            for value in (then["due_micros"], then["accept_due_micros"], then["deadline_micros"])
        )
        rows["rival_steps"].append(
            (
                call_id,
                number,
                int(columns["received_micros"]) + step.after_micros,
                kind,
                names[str(then["department"])],
                then["open"],
                due,
                accept_due,
                answer_due,
                int(confirm.resolved),
                confirm.satisfaction,
            )
        )


_BY_HISTORY: Final = """
    SELECT c.id, c.caller, c.category, c.title, c.description, c.raised, s.due
    FROM rival_steps s JOIN rival_calls c ON c.id = s.call
    WHERE s.department = ? AND s.open = 1
      AND s.number = (SELECT max(number) FROM rival_steps WHERE call = s.call)
    ORDER BY s.due, c.id LIMIT ?
"""
_BY_STATE: Final = """
    SELECT id, caller, category, title, description, raised, due FROM rival_calls
    WHERE department = ? AND open = 1 ORDER BY due, id LIMIT ?
"""


def list_by_history(connection: sqlite3.Connection, department: str, limit: int) -> list[bytes]:
    """The ids of a department's open calls by deadline, from the newest step of each call."""
    return [row[0] for row in connection.execute(_BY_HISTORY, (department, limit))]


def list_by_state(connection: sqlite3.Connection, department: str, limit: int) -> list[bytes]:
    """The same from the table of how calls stand."""
    return [row[0] for row in connection.execute(_BY_STATE, (department, limit))]


_MEASURES: Final = """
    WITH given AS (
        SELECT call, number, department, accept_due, answer_due FROM rival_steps
        WHERE kind = 'dispatch'
          AND (accept_due BETWEEN :start AND :stop OR answer_due BETWEEN :start AND :stop)
    ), done AS (
        SELECT g.*,
          (SELECT min(at) FROM rival_steps s WHERE s.call = g.call AND s.number > g.number
             AND s.kind IN ('accept', 'objection', 'answer')) AS accepted,
          (SELECT min(at) FROM rival_steps s WHERE s.call = g.call AND s.number > g.number
             AND s.kind = 'answer') AS answered
        FROM given g
    )
    SELECT department,
      sum(accept_due BETWEEN :start AND :stop),
      sum(accept_due BETWEEN :start AND :stop AND accepted <= accept_due),
      sum(answer_due BETWEEN :start AND :stop),
      sum(answer_due BETWEEN :start AND :stop AND answered <= answer_due)
    FROM done GROUP BY department
"""
_FOLLOW_UPS: Final = """
    SELECT department, count(*), sum(resolved), sum(stars > 0), sum(stars >= 4)
    FROM rival_steps WHERE kind = 'confirm' AND at BETWEEN :start AND :stop GROUP BY department
"""


def history_measures(connection: sqlite3.Connection, start: int, stop: int) -> int:
    """Four of a month's rates by department, by comparing times; how many departments."""
    span = {"start": start, "stop": stop - 1}
    found = connection.execute(_MEASURES, span).fetchall()
    return max(len(found), len(connection.execute(_FOLLOW_UPS, span).fetchall()))
