"""The people of one node: entering them, changing them, and asking for their passwords.

Nobody is ever removed, since the audit trail speaks of them: an account is disabled. Whatever takes
rights away, or puts another password in place, ends every session of the person in the same
transaction.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from huying.common import limits
from huying.common.errors import Code, HuyingError
from huying.node.web.password_rules import check_password_choice
from huying.node.web.passwords import Hashing
from huying.node.web.people import LANGUAGES, Person, check_person, parse_login
from huying.node.web.roles import Role
from huying.node.web.schema import ACCOUNTS, SESSIONS
from huying.node.web.store import ConsoleStore

__all__ = [
    "Accounts",
    "end_sessions",
    "insert_account",
    "new_account",
    "password_columns",
    "person_of",
]

_ID_BYTES: Final = 16
_ACTOR_BYTES: Final = 4
# A change of one of these takes something away, perhaps: the person signs in anew.
_RIGHTS: Final = frozenset({"roles", "department", "area", "actor"})
_CHANGEABLE: Final = _RIGHTS | {"name", "language"}
_ROLE_OF: Final = {role.value: role for role in Role}


class Accounts:
    """The accounts of a console. `words` are names of the place, which no password may consist of.

    Every method raises HuyingError as `ConsoleStore` does; times are unix seconds.
    """

    def __init__(
        self, store: ConsoleStore, hashing: Hashing | None = None, words: Iterable[str] = ()
    ) -> None:
        self._store = store
        self._hashing = hashing or Hashing()
        self._words = tuple(words)

    def add(
        self,
        *,
        login: str,
        name: str,
        roles: tuple[Role, ...],
        now: float,
        actor: str = "",
        department: str = "",
        area: str = "",
        language: str = "zh",
        password: str = "",
        one_time: bool = True,
    ) -> Person:
        """Enter a person. Without a password they can sign in through OpenID alone.

        Without an `actor` one is drawn. A one-time password must be changed at the first sign-in
        and is not held to the rules of choice, since it is drawn. Raises
        HuyingError(INVALID_ARGUMENT), naming the field.
        """
        values = new_account(
            login=login,
            name=name,
            roles=roles,
            now=now,
            actor=actor,
            department=department,
            area=area,
            language=language,
        )
        values |= password_columns(
            self._hashing, password, (*self._words, values["login"], name), now, one_time=one_time
        )
        with self._store.writing() as connection:
            return insert_account(connection, values)

    def by_login(self, login: str) -> Person | None:
        """Whoever has that login, however it was written."""
        try:
            wanted = parse_login(login)
        except HuyingError:
            return None
        return self._find(ACCOUNTS.c.login == wanted)

    def by_id(self, person_id: str) -> Person | None:
        """The person of an account."""
        return self._find(ACCOUNTS.c.id == person_id)

    def by_subject(self, issuer: str, subject: str) -> Person | None:
        """Whoever is bound to a subject of an OpenID provider."""
        return self._find((ACCOUNTS.c.oidc_issuer == issuer) & (ACCOUNTS.c.oidc_subject == subject))

    def _find(self, condition: Any) -> Person | None:
        with self._store.reading() as connection:
            row = connection.execute(select(ACCOUNTS).where(condition)).mappings().first()
        return None if row is None else person_of(row)

    def list(self) -> tuple[Person, ...]:
        """Everybody, by login."""
        query = select(ACCOUNTS).order_by(ACCOUNTS.c.login).limit(limits.ACCOUNTS_MAX)
        with self._store.reading() as connection:
            return tuple(person_of(row) for row in connection.execute(query).mappings())

    def last_logins(self) -> Mapping[str, float]:
        """When each person signed in last, by id; 0 for never."""
        query = select(ACCOUNTS.c.id, ACCOUNTS.c.last_login_seconds)
        with self._store.reading() as connection:
            return {row.id: row.last_login_seconds for row in connection.execute(query)}

    def count(self) -> int:
        """How many accounts there are."""
        with self._store.reading() as connection:
            return connection.execute(select(func.count()).select_from(ACCOUNTS)).scalar_one()

    def check_password(self, login: str, password: str, now: float) -> Person | None:
        """The person, if that is their password; as much work for a login that does not exist.

        None too for the disabled, and for a one-time password that is too old. A hash of another
        cost is made anew.
        """
        row = self._row_of_login(login)
        encoded = "" if row is None else str(row["password"])
        if not encoded or len(password) > limits.PASSWORD_CHARACTERS_MAX:
            self._hashing.verify_nobody(password[: limits.PASSWORD_CHARACTERS_MAX])
            return None
        assert row is not None, "an empty hash is what a login without a row has"
        right = self._hashing.verify(encoded, password)
        over = 0 < row["password_until"] <= now
        if not right or over or row["disabled"]:
            return None
        if self._hashing.is_outdated(encoded):
            self._replace_hash(row["id"], encoded, password)
        return person_of(row)

    def _row_of_login(self, login: str) -> RowMapping | None:
        try:
            wanted = parse_login(login)
        except HuyingError:
            wanted = ""
        query = select(ACCOUNTS).where(ACCOUNTS.c.login == wanted)
        with self._store.reading() as connection:
            return connection.execute(query).mappings().first()

    def _replace_hash(self, person_id: str, old: str, password: str) -> None:
        fresh = self._hashing.hash(password)
        with self._store.writing() as connection:
            connection.execute(
                update(ACCOUNTS)
                .where(ACCOUNTS.c.id == person_id, ACCOUNTS.c.password == old)
                .values(password=fresh)
            )

    def set_password(
        self, person_id: str, password: str, now: float, *, one_time: bool = False
    ) -> None:
        """Put a password in place and end every session of the person.

        One that the person chose must follow the rules and differ from the one before. Raises
        HuyingError(INVALID_ARGUMENT or NOT_FOUND).
        """
        with self._store.reading() as connection:
            row = _row(connection, person_id)
        known = (*self._words, row["login"], row["name"])
        if not one_time and row["password"] and self._hashing.verify(row["password"], password):
            raise HuyingError(Code.INVALID_ARGUMENT, "password: the one that is being changed")
        values = password_columns(self._hashing, password, known, now, one_time=one_time)
        values["changed_seconds"] = now
        with self._store.writing() as connection:
            _write(connection, person_id, values)
            end_sessions(connection, person_id)

    def change(
        self, person_id: str, now: float, *, keep_admin: bool = True, **fields: Any
    ) -> Person:
        """Change name, language, actor, roles, department or area.

        `keep_admin`: refuse to leave nobody who may enter accounts. Another role, department, area
        or actor ends the person's sessions. Raises HuyingError(INVALID_ARGUMENT, NOT_FOUND or
        WRONG_STAGE).
        """
        assert fields.keys() <= _CHANGEABLE, fields.keys() - _CHANGEABLE
        with self._store.writing() as connection:
            before = person_of(_row(connection, person_id))
            after = {name: fields.get(name, getattr(before, name)) for name in _CHANGEABLE}
            check_person(
                after["name"],
                after["actor"],
                after["roles"],
                after["department"],
                after["language"],
            )
            changed = {name for name in _CHANGEABLE if after[name] != getattr(before, name)}
            values = after | {"roles": _pack(after["roles"]), "changed_seconds": now}
            _write(connection, person_id, values)
            if changed & _RIGHTS:
                end_sessions(connection, person_id)
            if keep_admin:
                _keep_admin(connection)
            return person_of(_row(connection, person_id))

    def disable(self, person_id: str, now: float, *, keep_admin: bool = True) -> None:
        """Let a person sign in no more, and end their sessions. Raises HuyingError as `change`."""
        with self._store.writing() as connection:
            _row(connection, person_id)
            _write(connection, person_id, {"disabled": 1, "changed_seconds": now})
            end_sessions(connection, person_id)
            if keep_admin:
                _keep_admin(connection)

    def enable(self, person_id: str, now: float) -> None:
        """Let a person sign in again. Raises HuyingError(NOT_FOUND)."""
        with self._store.writing() as connection:
            _row(connection, person_id)
            _write(connection, person_id, {"disabled": 0, "changed_seconds": now})

    def set_language(self, person_id: str, language: str) -> None:
        """Remember what language the person reads. Raises HuyingError(INVALID_ARGUMENT)."""
        if language not in LANGUAGES:
            raise HuyingError(Code.INVALID_ARGUMENT, f"language: {' or '.join(LANGUAGES)}")
        with self._store.writing() as connection:
            _write(connection, person_id, {"language": language})

    def bind_subject(self, person_id: str, issuer: str, subject: str, now: float) -> None:
        """Let a subject of an OpenID provider be this person. Empty ones undo it.

        Raises HuyingError(NOT_FOUND), or INVALID_ARGUMENT where it is bound to somebody else.
        """
        values = {
            "oidc_issuer": issuer or None,
            "oidc_subject": subject or None,
            "changed_seconds": now,
        }
        with self._store.writing() as connection:
            _row(connection, person_id)
            try:
                _write(connection, person_id, values)
            except IntegrityError:
                raise HuyingError(
                    Code.INVALID_ARGUMENT, "subject: bound to another account"
                ) from None
            end_sessions(connection, person_id)


def new_account(
    *,
    login: str,
    name: str,
    roles: tuple[Role, ...],
    now: float,
    actor: str = "",
    department: str = "",
    area: str = "",
    language: str = "zh",
) -> dict[str, Any]:
    """The row of a new account, but for its password. Raises HuyingError(INVALID_ARGUMENT)."""
    actor = actor or f"p-{secrets.token_hex(_ACTOR_BYTES)}"
    check_person(name, actor, roles, department, language)
    return {
        "id": secrets.token_hex(_ID_BYTES),
        "login": parse_login(login),
        "name": name,
        "actor": actor,
        "roles": _pack(roles),
        "department": department,
        "area": area,
        "language": language,
        "disabled": 0,
        "totp_step": 0,
        "pending_until": 0.0,
        "created_seconds": now,
        "changed_seconds": now,
        "last_login_seconds": 0.0,
    }


def password_columns(
    hashing: Hashing, password: str, known: Iterable[str], now: float, *, one_time: bool
) -> dict[str, Any]:
    """The columns of a password; "" for none. Raises HuyingError(INVALID_ARGUMENT)."""
    if password and not one_time:
        check_password_choice(password, known)
    return {
        "password": hashing.hash(password) if password else "",
        "must_change": int(one_time and bool(password)),
        "password_until": now + limits.ONE_TIME_PASSWORD_SECONDS if one_time and password else 0.0,
    }


def insert_account(connection: Connection, values: Mapping[str, Any]) -> Person:
    """Put a new account in. Raises HuyingError(INVALID_ARGUMENT) for a login or actor in use."""
    count = connection.execute(select(func.count()).select_from(ACCOUNTS)).scalar_one()
    if count >= limits.ACCOUNTS_MAX:
        raise HuyingError(Code.INVALID_ARGUMENT, f"accounts: at most {limits.ACCOUNTS_MAX}")
    for field in ("login", "actor"):
        if connection.execute(
            select(ACCOUNTS.c.id).where(ACCOUNTS.c[field] == values[field])
        ).first():
            raise HuyingError(Code.INVALID_ARGUMENT, f"{field}: another account has it")
    connection.execute(insert(ACCOUNTS).values(**values))
    return person_of(_row(connection, values["id"]))


def person_of(row: RowMapping) -> Person:
    """The person of a row of accounts. Raises HuyingError(CORRUPT)."""
    try:
        roles = tuple(_ROLE_OF[value] for value in row["roles"].split(","))
    except KeyError:
        raise HuyingError(Code.CORRUPT, "console.db: an account has an unknown role") from None
    return Person(
        id=row["id"],
        login=row["login"],
        name=row["name"],
        actor=row["actor"],
        roles=roles,
        department=row["department"],
        area=row["area"],
        language="en" if row["language"] == "en" else "zh",
        disabled=bool(row["disabled"]),
        must_change=bool(row["must_change"]),
        has_second_factor=row["totp_secret"] is not None,
    )


def _pack(roles: tuple[Role, ...]) -> str:
    return ",".join(role.value for role in roles)


def _row(connection: Connection, person_id: str) -> RowMapping:
    row = connection.execute(select(ACCOUNTS).where(ACCOUNTS.c.id == person_id)).mappings().first()
    if row is None:
        raise HuyingError(Code.NOT_FOUND, "no such account")
    return row


def _write(connection: Connection, person_id: str, values: Mapping[str, Any]) -> None:
    try:
        connection.execute(update(ACCOUNTS).where(ACCOUNTS.c.id == person_id).values(**values))
    except IntegrityError:
        if "actor" not in values:
            raise
        raise HuyingError(Code.INVALID_ARGUMENT, "actor: another account has it") from None


def end_sessions(connection: Connection, person_id: str) -> int:
    """End every session of a person, within a transaction; how many there were."""
    return connection.execute(delete(SESSIONS).where(SESSIONS.c.account == person_id)).rowcount


def _keep_admin(connection: Connection) -> None:
    enabled = select(ACCOUNTS.c.roles).where(ACCOUNTS.c.disabled == 0)
    for roles in connection.execute(enabled).scalars():
        if Role.ADMIN.value in roles.split(","):
            return
    raise HuyingError(
        Code.WRONG_STAGE, "the last account administrator: enter another one before this"
    )
