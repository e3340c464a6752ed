"""The audit trail a second time, on the log: whoever takes console.db away takes no copy of it.

Each row is said once it is written, with its number and its hash. A collector that keeps the lines
elsewhere has then what to compare the trail with: a number that is missing there, or another hash,
shows who altered what. Rows that `huying user` wrote are said when the console writes its next one,
or starts. Which row was said last stands in a small file; a line may come twice, and none is left
out while the file is there.

A log goes further than the trail, so it names people by their pseudonym alone, and has no words.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, select

from huying.common import limits
from huying.node import logs
from huying.node.web.schema import ACCOUNTS, AUDIT
from huying.node.web.store import ConsoleStore

__all__ = ["FILE_NAME", "Told"]

FILE_NAME: Final = "audit.told"
_PAGE_ROWS: Final = 200
_ACCOUNT: Final = "account:"
_MICROS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class _Mark:
    """The last row that was said."""

    number: int
    hash_: str


class Told:
    """Says what is new in the trail. For several threads."""

    def __init__(self, store: ConsoleStore) -> None:
        self._store = store
        self._file: Final = store.folder / FILE_NAME
        self._lock = threading.Lock()
        self._mark: _Mark | None = None

    def catch_up(self) -> int:
        """Say every row that was not said yet; how many. Raises as `ConsoleStore` does."""
        count = 0
        with self._lock:
            mark = self._mark or self._read()
            while rows := self._after(mark):
                for row in rows:
                    logs.say("console_audit", **row)
                mark = _Mark(rows[-1]["number"], rows[-1]["head"])
                count += len(rows)
            if mark is not None and mark != self._mark:
                self._mark = mark
                self._note(mark)
        return count

    def _after(self, mark: _Mark | None) -> Sequence[dict[str, Any]]:
        """The next rows as they are said. Of another trail, or an unknown one, the newest."""
        with self._store.reading() as connection:
            number = _start(connection, mark)
            query = select(AUDIT).where(AUDIT.c.number > number)
            query = query.order_by(AUDIT.c.number).limit(_PAGE_ROWS)
            rows = connection.execute(query).mappings().all()
            names = {row["actor"] for row in rows} | {_login(row["object"]) for row in rows}
            accounts = select(ACCOUNTS.c.login, ACCOUNTS.c.actor).where(ACCOUNTS.c.login.in_(names))
            actors = {row.login: row.actor for row in connection.execute(accounts)}
        return [_said(row, actors) for row in rows]

    def _read(self) -> _Mark | None:
        try:
            number, hash_ = self._file.read_text("ascii").split()
            return _Mark(int(number), hash_)
        except (OSError, ValueError):
            return None

    def _note(self, mark: _Mark) -> None:
        # A full disk must not refuse what the trail has taken: those lines are said again.
        with contextlib.suppress(OSError):
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
            with os.fdopen(os.open(self._file, flags, 0o600), "w") as file:
                file.write(f"{mark.number} {mark.hash_}\n")


def _start(connection: Connection, mark: _Mark | None) -> int:
    """The number after which to go on."""
    if mark is not None:
        same = select(AUDIT.c.hash).where(AUDIT.c.number == mark.number)
        found = connection.execute(same).scalar()
        if found is not None and found.hex() == mark.hash_:
            return mark.number
    newest = select(AUDIT.c.number).order_by(AUDIT.c.number.desc()).limit(1)
    return int(connection.execute(newest).scalar() or 0) - limits.AUDIT_TOLD_AGAIN_ROWS


def _login(object_: str) -> str:
    return object_.removeprefix(_ACCOUNT)


def _said(row: Mapping[Any, Any], actors: Mapping[str, str]) -> dict[str, Any]:
    actor, object_ = row["actor"], row["object"]
    if actor != "-":
        actor = "cli" if actor.startswith("cli:") else actors.get(actor, "?")
    if object_.startswith(_ACCOUNT) or object_ in actors:
        object_ = _ACCOUNT + actors.get(_login(object_), "?")
    at = datetime.fromtimestamp(row["time_micros"] / _MICROS, UTC)
    return {
        "number": row["number"],
        "at": at.isoformat(timespec="microseconds"),
        "actor": actor,
        "action": row["action"],
        "object": object_,
        "outcome": row["outcome"],
        "head": row["hash"].hex(),
    }
