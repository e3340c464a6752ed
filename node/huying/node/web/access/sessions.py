"""Who is signed in: sessions on the server, known by a random token that the browser keeps.

Of a token just its SHA-256 is stored, so whoever reads console.db can't take a session over. One
is drawn at each sign-in and again when the password or the second factor was given, so a token that
was planted before is worthless (session fixation). A session ends when nothing was done for a
while, after a time in any case, when its person signs out, and when the account changes.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from huying.common import limits
from huying.common.errors import Code, HuyingError
from huying.node.web.access.account_rows import end_sessions, person_of
from huying.node.web.access.people import Person
from huying.node.web.schema import ACCOUNTS, SESSIONS
from huying.node.web.store import ConsoleStore

__all__ = ["SessionRow", "Sessions", "SignedIn"]

_TOKEN_BYTES: Final = 32
_ID_BYTES: Final = 16
_AGENT_CHARACTERS_MAX: Final = 200
_ADDRESS_CHARACTERS_MAX: Final = 64
# A machine's clock may be set right by as much; set back further, a session would live too long.
_CLOCK_SECONDS_MAX: Final = 300.0


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session that is alive, and whose it is."""

    person: Person
    session_id: str
    pending_factor: bool  # the password was right; the second factor is still to come
    reauthenticated_at: float  # unix seconds of the last time that the password was given

    def is_fresh(self, now: float) -> bool:
        """Whether the password was given so lately that a sensitive deed needs no other."""
        return 0 <= now - self.reauthenticated_at < limits.REAUTHENTICATED_SECONDS


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session as its owner sees it in a list; times in unix seconds."""

    id: str
    began_seconds: float
    seen_seconds: float
    address: str
    agent: str


class Sessions:
    """The sessions of a console. Methods raise HuyingError as `ConsoleStore` does."""

    def __init__(
        self, store: ConsoleStore, idle_seconds: float = 1800, absolute_seconds: float = 43200
    ) -> None:
        self._store = store
        self._idle = idle_seconds
        self._absolute = absolute_seconds

    def begin(
        self,
        person_id: str,
        now: float,
        *,
        second_factor_pending: bool = False,
        address: str = "",
        agent: str = "",
    ) -> str:
        """Begin a session and return its token. Raises HuyingError(NOT_FOUND) for the disabled."""
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        login = ACCOUNTS.c.last_login_seconds if second_factor_pending else now
        with self._store.writing() as connection:
            updated = connection.execute(
                update(ACCOUNTS)
                .where(ACCOUNTS.c.id == person_id, ACCOUNTS.c.disabled == 0)
                .values(last_login_seconds=login)
            )
            if updated.rowcount != 1:
                raise HuyingError(Code.NOT_FOUND, "no such account, or disabled")
            self._make_room(connection, person_id)
            connection.execute(
                insert(SESSIONS).values(
                    id=secrets.token_hex(_ID_BYTES),
                    token_sha256=_digest(token),
                    account=person_id,
                    began_seconds=now,
                    seen_seconds=now,
                    reauthenticated_seconds=now,
                    pending_factor=int(second_factor_pending),
                    address=address[:_ADDRESS_CHARACTERS_MAX],
                    agent=agent[:_AGENT_CHARACTERS_MAX],
                )
            )
        return token

    def find(self, token: str, now: float, *, used: bool = True) -> SignedIn | None:
        """Whose session that is; None where it is over, or its person disabled.

        `used=False`: a page asked by itself, so the session grows old as if nobody had.
        """
        row = self._row(token)
        if row is None or row["disabled"] or self._is_over(row, now):
            return None
        if used and now - row["seen_seconds"] >= limits.SESSION_TOUCH_SECONDS:
            # On a full disk people still read; their session ends sooner.
            with contextlib.suppress(HuyingError):
                self._touch(row["session"], now)
        pending = bool(row["pending_factor"])
        return SignedIn(person_of(row), row["session"], pending, row["reauthenticated_seconds"])

    def last_person(self, token: str, now: float) -> str | None:
        """Whose session has just run out, so that what was typed in it is kept as their draft.

        None where it was ended on purpose, or a day ago.
        """
        row = self._row(token)
        if row is None or row["disabled"] or row["pending_factor"]:
            return None
        if now - row["seen_seconds"] >= self._idle + limits.SESSION_REMEMBERED_SECONDS:
            return None
        return str(row["id"])

    def _row(self, token: str) -> RowMapping | None:
        own = [column for column in SESSIONS.c if column.name != "id"]
        query = (
            select(ACCOUNTS, *own, SESSIONS.c.id.label("session"))
            .join(ACCOUNTS, ACCOUNTS.c.id == SESSIONS.c.account)
            .where(SESSIONS.c.token_sha256 == _digest(token))
        )
        with self._store.reading() as connection:
            return connection.execute(query).mappings().first()

    def _is_over(self, row: RowMapping, now: float) -> bool:
        age: float = now - row["began_seconds"]
        quiet: float = now - row["seen_seconds"]
        longest = limits.SECOND_FACTOR_SECONDS if row["pending_factor"] else self._absolute
        return age >= longest or quiet >= self._idle or age < -_CLOCK_SECONDS_MAX

    def _touch(self, session_id: str, now: float) -> None:
        with self._store.writing() as connection:
            connection.execute(
                update(SESSIONS).where(SESSIONS.c.id == session_id).values(seen_seconds=now)
            )

    def renew(self, token: str, now: float) -> str:
        """Give a session another token, since its person has just proven who they are.

        It then waits for no second factor, and counts as begun now. Raises HuyingError(NOT_FOUND)
        where it is over.
        """
        found = self.find(token, now)
        if found is None:
            raise HuyingError(Code.NOT_FOUND, "the session is over: sign in again")
        fresh = secrets.token_urlsafe(_TOKEN_BYTES)
        values: dict[str, object] = {
            "token_sha256": _digest(fresh),
            "pending_factor": 0,
            "seen_seconds": now,
            "reauthenticated_seconds": now,
        }
        if found.pending_factor:
            values["began_seconds"] = now
        with self._store.writing() as connection:
            renewed = connection.execute(
                update(SESSIONS).where(SESSIONS.c.token_sha256 == _digest(token)).values(**values)
            )
            if renewed.rowcount != 1:
                raise HuyingError(Code.NOT_FOUND, "the session is over: sign in again")
            if found.pending_factor:
                connection.execute(
                    update(ACCOUNTS)
                    .where(ACCOUNTS.c.id == found.person.id)
                    .values(last_login_seconds=now)
                )
        return fresh

    def end(self, token: str) -> None:
        """End a session; nothing happens where it is over."""
        with self._store.writing() as connection:
            connection.execute(delete(SESSIONS).where(SESSIONS.c.token_sha256 == _digest(token)))

    def end_one(self, person_id: str, session_id: str) -> bool:
        """End one session of a person, as their list has it; whether there was one."""
        with self._store.writing() as connection:
            gone = connection.execute(
                delete(SESSIONS).where(SESSIONS.c.id == session_id, SESSIONS.c.account == person_id)
            )
            return gone.rowcount == 1

    def end_all(self, person_id: str) -> int:
        """End every session of a person; how many there were."""
        with self._store.writing() as connection:
            return end_sessions(connection, person_id)

    def list(self, person_id: str, now: float) -> tuple[SessionRow, ...]:
        """The living sessions of a person, the one used last first."""
        query = (
            select(SESSIONS)
            .where(SESSIONS.c.account == person_id, SESSIONS.c.pending_factor == 0)
            .order_by(SESSIONS.c.seen_seconds.desc())
        )
        with self._store.reading() as connection:
            rows = connection.execute(query).mappings().all()
        return tuple(
            SessionRow(
                row["id"], row["began_seconds"], row["seen_seconds"], row["address"], row["agent"]
            )
            for row in rows
            if not self._is_over(row, now)
        )

    def forget_over(self, now: float) -> int:
        """Remove the sessions that have been over for a day; how many there were."""
        long_ago = now - limits.SESSION_REMEMBERED_SECONDS
        with self._store.writing() as connection:
            gone = connection.execute(
                delete(SESSIONS).where(
                    (SESSIONS.c.began_seconds <= long_ago - self._absolute)
                    | (SESSIONS.c.seen_seconds <= long_ago - self._idle)
                )
            )
            return gone.rowcount

    def _make_room(self, connection: Connection, person_id: str) -> None:
        kept = (
            select(SESSIONS.c.id)
            .where(SESSIONS.c.account == person_id)
            .order_by(SESSIONS.c.seen_seconds.desc())
            .limit(limits.SESSIONS_MAX - 1)
        )
        connection.execute(
            delete(SESSIONS).where(SESSIONS.c.account == person_id, SESSIONS.c.id.not_in(kept))
        )


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
