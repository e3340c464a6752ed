"""The audit trail: who looked at what, and who decided what, in rows that nobody changes.

Triggers refuse changes, and each row has the SHA-256 over the row before and itself, so a row that
was altered, cut out or put in behind the program's back is found by `verify`. Whoever can write the
file can also compute the whole chain anew; the hash of the newest row, noted elsewhere, shows that
too. Rows are kept for a year, and never for less than the six months of the Cybersecurity Law, §21.

A row names accounts, calls and pages by their ids, never a person's data. In the one cell of words,
`detail`, what looks like a phone or an ID number is masked before it is written.
"""

from __future__ import annotations

import contextlib
import hashlib
import struct
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, delete, func, insert, select, text, update

from huying.common import limits
from huying.common.errors import Code, HuyingError
from huying.common.masking import mask
from huying.node.web.access.audit_told import Told
from huying.node.web.schema import AUDIT, AUDIT_BASE
from huying.node.web.store import ConsoleStore

__all__ = ["Audit", "AuditCheck", "AuditRow"]

_PREFIX: Final = b"huying console audit 1\n"
_MICROS: Final = 1_000_000
_TEXTS: Final = ("actor", "action", "object", "outcome", "detail")
_VERIFIED_ROWS: Final = 5000  # in one look, during which nobody writes


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One row."""

    number: int
    time_micros: int
    actor: str  # the login; "-" for nobody
    action: str
    object_: str
    outcome: str  # done, refused or failed
    detail: str


@dataclass(frozen=True, slots=True)
class AuditCheck:
    """What verifying found: the rows that stand, and the first that does not."""

    first: int
    last: int
    head: str  # hash of the newest row, hex
    broken_at: int = 0  # 0: the chain holds
    why: str = ""

    @property
    def holds(self) -> bool:
        """Whether every row stands as it was written."""
        return self.broken_at == 0


class Audit:
    """The trail of a console. Methods raise HuyingError as `ConsoleStore` does."""

    def __init__(self, store: ConsoleStore, told: Told | None = None) -> None:
        """With `told`, each row is said on the log as well."""
        self._store = store
        self._told = told

    def write(
        self,
        now: float,
        actor: str,
        action: str,
        object_: str = "",
        *,
        outcome: str = "done",
        detail: str = "",
    ) -> None:
        """Add a row. Long texts are clipped, and phone and ID numbers in `detail` masked."""
        # An id in hex may hold the digits of a phone number, so just the words are masked.
        texts = (actor, action, object_, outcome, mask(detail).text)
        values: dict[str, Any] = dict(zip(_TEXTS, map(_clean, texts), strict=True))
        values["time_micros"] = round(now * _MICROS)
        with self._store.writing() as connection:
            number, before = _head(connection)
            values["number"] = number + 1
            connection.execute(insert(AUDIT).values(**values, hash=_digest(before, values)))
        self.tell()

    def tell(self) -> None:
        """Say on the log what others wrote meanwhile. Nothing that is written fails by it."""
        if self._told is not None:
            with contextlib.suppress(HuyingError):
                self._told.catch_up()

    def page(
        self,
        *,
        before: int = 0,
        count: int = 50,
        actor: str = "",
        action: str = "",
        object_: str = "",
        since_micros: int = 0,
        until_micros: int = limits.INTEGER_MAX,
    ) -> tuple[AuditRow, ...]:
        """Rows that fit, newest first, up to `count`; `before` is the number of the last one seen.

        Texts must fit exactly; `object_` by how it begins. Times: from, and up to but without.
        """
        query = select(AUDIT).order_by(AUDIT.c.number.desc())
        query = query.limit(max(1, min(count, limits.AUDIT_PAGE_ROWS_MAX)))
        query = query.where(AUDIT.c.time_micros >= since_micros, AUDIT.c.time_micros < until_micros)
        if before:
            query = query.where(AUDIT.c.number < before)
        if actor:
            query = query.where(AUDIT.c.actor == actor)
        if action:
            query = query.where(AUDIT.c.action == action)
        if object_:
            query = query.where(AUDIT.c.object.startswith(object_, autoescape=True))
        with self._store.reading() as connection:
            rows = connection.execute(query).mappings().all()
        return tuple(
            AuditRow(row["number"], row["time_micros"], *(row[name] for name in _TEXTS))
            for row in rows
        )

    def actions(self) -> tuple[str, ...]:
        """Every action that the trail has, by name."""
        with self._store.reading() as connection:
            found = connection.execute(select(AUDIT.c.action).distinct().order_by(AUDIT.c.action))
            return tuple(found.scalars())

    def verify(self, noted: tuple[int, str] | None = None) -> AuditCheck:
        """Compute the chain anew. `noted`: number and hash of a row that somebody wrote down.

        Commits wait for whoever reads, so a year's rows are read in several looks.
        """
        check: AuditCheck | None = None
        base = number = -1
        hash_ = b""
        while check is None:
            with self._store.reading() as connection:
                first, first_hash = _base(connection)
                if number < first:  # at the beginning, or where old rows went meanwhile
                    base, number, hash_ = first, first, first_hash
                check, number, hash_ = _verified(connection, base, number, hash_, noted)
        return check

    def prune(self, now: float, kept_seconds: float = limits.AUDIT_KEPT_SECONDS) -> int:
        """Remove the rows that are older; how many there were. What is left can be verified.

        Raises HuyingError(INVALID_ARGUMENT) for less than AUDIT_KEPT_SECONDS_MIN.
        """
        if kept_seconds < limits.AUDIT_KEPT_SECONDS_MIN:
            raise HuyingError(Code.INVALID_ARGUMENT, "audit: rows are kept for 184 days at least")
        old = round((now - kept_seconds) * _MICROS)
        with self._store.writing() as connection:
            # A clock that ran ahead once must not take the trail with it: rows end where the first
            # one stands that is young.
            young = select(func.min(AUDIT.c.number)).where(AUDIT.c.time_micros >= old)
            first_young = connection.execute(young).scalar()
            last_old = (first_young or 0) - 1
            row = connection.execute(select(AUDIT).where(AUDIT.c.number == last_old)).first()
            if row is None:
                return 0
            connection.execute(update(AUDIT_BASE).values(number=last_old, hash=row.hash))
            return connection.execute(delete(AUDIT).where(AUDIT.c.number <= last_old)).rowcount


def _clean(value: str) -> str:
    clipped = value[: limits.AUDIT_TEXT_CHARACTERS_MAX]
    return "".join(one if one.isprintable() else " " for one in clipped)


def _base(connection: Connection) -> tuple[int, bytes]:
    row = connection.execute(select(AUDIT_BASE.c.number, AUDIT_BASE.c.hash)).first()
    if row is None:
        raise HuyingError(Code.CORRUPT, "console.db: the audit trail has no beginning")
    return row.number, row.hash


def _head(connection: Connection) -> tuple[int, bytes]:
    query = select(AUDIT.c.number, AUDIT.c.hash).order_by(AUDIT.c.number.desc()).limit(1)
    row = connection.execute(query).first()
    return _base(connection) if row is None else (row.number, row.hash)


def _digest(before: bytes, values: Any) -> bytes:
    """SHA-256 over the hash before, number, time, and the texts with their lengths."""
    digest = hashlib.sha256(_PREFIX + before)
    digest.update(struct.pack(">qq", values["number"], values["time_micros"]))
    for name in _TEXTS:
        data = str(values[name]).encode("utf-8", "surrogatepass")
        digest.update(struct.pack(">I", len(data)) + data)
    return digest.digest()


def _verified(
    connection: Connection, base: int, number: int, hash_: bytes, noted: tuple[int, str] | None
) -> tuple[AuditCheck | None, int, bytes]:
    """What the rows after `number` show, None where more follow; and the last row that stands."""

    def found(broken_at: int = 0, why: str = "") -> tuple[AuditCheck, int, bytes]:
        return AuditCheck(base + 1, number, hash_.hex(), broken_at, why), number, hash_

    query = select(AUDIT).where(AUDIT.c.number > number).order_by(AUDIT.c.number)
    rows = connection.execute(query.limit(_VERIFIED_ROWS)).mappings().all()
    for row in rows:
        if row["number"] != number + 1:
            return found(number + 1, "rows are missing")
        if row["hash"] != _digest(hash_, row):
            return found(row["number"], "altered, or not our row")
        number, hash_ = row["number"], row["hash"]
        if noted is not None and noted[0] == number and noted[1].lower() != hash_.hex():
            return found(number, "not the row that was noted")
    if len(rows) == _VERIFIED_ROWS:
        return None, number, hash_
    # SQLite remembers the highest number there ever was, apart from the rows.
    ever = connection.execute(text("SELECT seq FROM sqlite_sequence WHERE name = 'audit'")).scalar()
    if (ever or 0) > number or (noted is not None and noted[0] > number):
        return found(number + 1, "the newest rows are missing")
    return found()
