"""How often a password or a code may be tried: waits that grow, and end.

Each try counts as failed before it is judged, so that many at once gain nothing; a success takes it
back. It must pass four counts: of the login from this address, of the login from everywhere, of the
address, and of all together. Nobody is locked out for good: no wait is longer than five minutes, a
try that came too early counts for nothing, and somebody who signed in from an address in the last
30 days is held, there, to the first count alone, however many strangers try the login elsewhere.

Logins are kept as hashes, since people type passwords into that field.
"""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, RowMapping, delete, func, select, text

from huying.common import limits
from huying.node.web.schema import THROTTLE
from huying.node.web.store import ConsoleStore

__all__ = ["Throttle", "ThrottleCounts"]

_KEY_BYTES: Final = 16
_IPV6_BITS: Final = 64  # one customer has as many addresses
_EXPONENT_MAX: Final = 16


@dataclass(frozen=True, slots=True)
class _Rule:
    free: int  # failures without a wait
    delay_seconds_max: float
    forget_seconds: float  # one failure is forgotten in so long


_PAIR: Final = _Rule(limits.LOGIN_FAILURES_MAX, limits.LOGIN_DELAY_SECONDS_MAX, 900.0)
_LOGIN: Final = _Rule(limits.LOGIN_SPREAD_FAILURES_MAX, limits.LOGIN_SPREAD_DELAY_SECONDS_MAX, 60.0)
_ADDRESS: Final = _Rule(limits.LOGIN_SPREAD_FAILURES_MAX, limits.LOGIN_DELAY_SECONDS_MAX, 60.0)
_ALL: Final = _Rule(limits.LOGIN_MINUTE_FAILURES_MAX, limits.LOGIN_ALL_DELAY_SECONDS_MAX, 1.0)
_ALL_KEY: Final = "all"


@dataclass(frozen=True, slots=True)
class ThrottleCounts:
    """Since console.db was made."""

    failures: int
    refused: int  # tries that came while they had to wait


class Throttle:
    """The counts of a console. Methods raise HuyingError as `ConsoleStore` does."""

    def __init__(self, store: ConsoleStore) -> None:
        self._store = store

    def admit(self, login: str, address: str, now: float) -> float:
        """Seconds to wait before a password may be tried; 0: now, and it counts until `passed`."""
        keys = _keys(login, address)
        with self._store.writing() as connection:
            rows = _rows(connection, [key for key, _ in keys])
            pair = rows.get(keys[0][0])
            held = keys[:1] if pair is not None and pair["known_until"] > now else keys
            wait = max(_wait(rows.get(key), rule, now) for key, rule in held)
            if wait > 0:
                _count(connection, "total_refused", now)
                return wait
            for key, rule in held:
                _fail(connection, key, rule, rows.get(key), now)
            _count(connection, "total_failures", now)
            _make_room(connection)
        return 0.0

    def passed(self, login: str, address: str, now: float) -> None:
        """The password was right: the try is taken back, and the address known for a while."""
        keys = _keys(login, address)
        with self._store.writing() as connection:
            rows = _rows(connection, [key for key, _ in keys])
            known = now + limits.KNOWN_ADDRESS_SECONDS
            was_known = keys[0][0] in rows and rows[keys[0][0]]["known_until"] > now
            _put(connection, keys[0][0], 0, now, 0.0, known)
            for key, _rule in () if was_known else keys[1:]:
                if (row := rows.get(key)) is not None:
                    failures = max(0, row["failures"] - 1)
                    _put(connection, key, failures, row["seen_seconds"], 0.0, 0.0)
            _count(connection, "total_failures", now, -1)

    def admit_factor(self, person_id: str, now: float) -> float:
        """As `admit`, for a code of the second factor, or the password of one who is signed in."""
        key = f"factor:{person_id}"
        with self._store.writing() as connection:
            row = _rows(connection, [key]).get(key)
            wait = _wait(row, _PAIR, now)
            if wait > 0:
                _count(connection, "total_refused", now)
                return wait
            _fail(connection, key, _PAIR, row, now)
            _count(connection, "total_failures", now)
        return 0.0

    def passed_factor(self, person_id: str, now: float) -> None:
        """The code was right."""
        with self._store.writing() as connection:
            connection.execute(delete(THROTTLE).where(THROTTLE.c.key == f"factor:{person_id}"))
            _count(connection, "total_failures", now, -1)

    def forget(self, login: str, person_id: str) -> None:
        """Let a person try again at once, from wherever: an administrator gave a new password."""
        stem = _login_key(login)
        with self._store.writing() as connection:
            connection.execute(
                delete(THROTTLE).where(
                    (THROTTLE.c.key == f"login:{stem}")
                    | (THROTTLE.c.key == f"factor:{person_id}")
                    | THROTTLE.c.key.startswith(f"pair:{stem}:", autoescape=True)
                )
            )

    def counts(self) -> ThrottleCounts:
        """Failures and refusals so far."""
        with self._store.reading() as connection:
            row = _rows(connection, [_ALL_KEY]).get(_ALL_KEY)
        return ThrottleCounts(*(row["total_failures"], row["total_refused"]) if row else (0, 0))


def _keys(login: str, address: str) -> list[tuple[str, _Rule]]:
    stem, place = _login_key(login), _address_key(address)
    return [
        (f"pair:{stem}:{place}", _PAIR),
        (f"login:{stem}", _LOGIN),
        (f"address:{place}", _ADDRESS),
        (_ALL_KEY, _ALL),
    ]


def _login_key(login: str) -> str:
    folded = login.strip().casefold().encode("utf-8", "surrogatepass")
    return hashlib.sha256(folded).hexdigest()[: 2 * _KEY_BYTES]


def _address_key(address: str) -> str:
    """An IPv4 address whole, of an IPv6 address the customer's part."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((int(found), _IPV6_BITS), strict=False).network_address)
    return str(found)


def _rows(connection: Connection, keys: list[str]) -> dict[str, RowMapping]:
    query = select(THROTTLE).where(THROTTLE.c.key.in_(keys))
    return {row["key"]: row for row in connection.execute(query).mappings()}


def _wait(row: RowMapping | None, rule: _Rule, now: float) -> float:
    if row is None:
        return 0.0
    # A clock that was set back must not make a wait longer than it ever was.
    left: float = row["until_seconds"] - now
    return max(0.0, min(left, rule.delay_seconds_max))


def _fail(
    connection: Connection, key: str, rule: _Rule, row: RowMapping | None, now: float
) -> None:
    before, seen, known = 0, now, 0.0
    if row is not None:
        known = row["known_until"]
        forgotten = int(max(0.0, now - row["seen_seconds"]) / rule.forget_seconds)
        before = max(0, row["failures"] - forgotten)
        if before:  # what is left of the time counts towards the next one to be forgotten
            seen = min(now, row["seen_seconds"] + forgotten * rule.forget_seconds)
    failures = before + 1
    until = 0.0
    if failures >= rule.free:
        exponent = min(failures - rule.free, _EXPONENT_MAX)
        until = now + min(rule.delay_seconds_max, 2.0**exponent)
    _put(connection, key, failures, seen, until, known)


def _put(
    connection: Connection, key: str, failures: int, seen: float, until: float, known: float
) -> None:
    connection.execute(
        text(
            "INSERT INTO throttle VALUES (:key, :failures, :seen, :until, :known, 0, 0)"
            " ON CONFLICT (key) DO UPDATE SET failures = :failures, seen_seconds = :seen,"
            " until_seconds = :until, known_until = :known"
        ),
        {"key": key, "failures": failures, "seen": seen, "until": until, "known": known},
    )


def _count(connection: Connection, column: str, now: float, by: int = 1) -> None:
    connection.execute(
        text(
            "INSERT INTO throttle VALUES (:key, 0, :now, 0, 0, 0, 0) ON CONFLICT (key) DO NOTHING"
        ),
        {"key": _ALL_KEY, "now": now},
    )
    connection.execute(
        THROTTLE.update()
        .where(THROTTLE.c.key == _ALL_KEY)
        .values({column: func.max(0, THROTTLE.c[column] + by)})
    )


def _make_room(connection: Connection) -> None:
    """Forget what was quiet longest where there are too many rows; known addresses go last."""
    count = connection.execute(select(func.count()).select_from(THROTTLE)).scalar_one()
    excess = count - limits.THROTTLE_ROWS_MAX
    if excess > 0:
        oldest = (
            select(THROTTLE.c.key)
            .where(THROTTLE.c.key != _ALL_KEY)
            .order_by(THROTTLE.c.known_until, THROTTLE.c.seen_seconds)
            .limit(excess)
        )
        connection.execute(delete(THROTTLE).where(THROTTLE.c.key.in_(oldest)))
