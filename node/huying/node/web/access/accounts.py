"""The people of one node: entering them, changing them, and asking for their passwords.

Nobody is ever removed, since the audit trail speaks of them: an account is disabled. Whatever takes
rights away, or puts another password in place, ends every session of the person in the same
transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, func, select, update
from sqlalchemy.exc import IntegrityError

from huying.common import limits
from huying.common.errors import Code, HuyingError
from huying.node.web.access.account_rows import (
    account_row,
    end_sessions,
    insert_account,
    new_account,
    pack_roles,
    password_columns,
    person_of,
    write_account,
)
from huying.node.web.access.passwords import Hashing
from huying.node.web.access.people import LANGUAGES, Person, check_person, parse_login
from huying.node.web.access.roles import Role
from huying.node.web.schema import ACCOUNTS
from huying.node.web.store import ConsoleStore

__all__ = ["Accounts"]

# A change of one of these takes something away, perhaps: the person signs in anew.
_RIGHTS: Final = frozenset({"roles", "department", "area", "actor"})
_CHANGEABLE: Final = _RIGHTS | {"name", "language"}


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
        values |= self._password_columns(password, values["login"], name, now, one_time=one_time)
        with self._store.writing() as connection:
            return insert_account(connection, values)

    def _password_columns(
        self, password: str, login: str, name: str, now: float, *, one_time: bool
    ) -> dict[str, Any]:
        known = (*self._words, login, name)
        folder = self._store.folder
        return password_columns(
            self._hashing, password, known, now, one_time=one_time, folder=folder
        )

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
            row = account_row(connection, person_id)
        if not one_time and row["password"] and self._hashing.verify(row["password"], password):
            raise HuyingError(Code.INVALID_ARGUMENT, "password: the one that is being changed")
        values = self._password_columns(password, row["login"], row["name"], now, one_time=one_time)
        values["changed_seconds"] = now
        with self._store.writing() as connection:
            write_account(connection, person_id, values)
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
            before = person_of(account_row(connection, person_id))
            after = {name: fields.get(name, getattr(before, name)) for name in _CHANGEABLE}
            check_person(
                after["name"],
                after["actor"],
                after["roles"],
                after["department"],
                after["language"],
            )
            changed = {name for name in _CHANGEABLE if after[name] != getattr(before, name)}
            values = after | {"roles": pack_roles(after["roles"]), "changed_seconds": now}
            write_account(connection, person_id, values)
            if changed & _RIGHTS:
                end_sessions(connection, person_id)
            if keep_admin:
                _keep_admin(connection)
            return person_of(account_row(connection, person_id))

    def disable(self, person_id: str, now: float, *, keep_admin: bool = True) -> None:
        """Let a person sign in no more, and end their sessions. Raises HuyingError as `change`."""
        with self._store.writing() as connection:
            account_row(connection, person_id)
            write_account(connection, person_id, {"disabled": 1, "changed_seconds": now})
            end_sessions(connection, person_id)
            if keep_admin:
                _keep_admin(connection)

    def enable(self, person_id: str, now: float) -> None:
        """Let a person sign in again. Raises HuyingError(NOT_FOUND)."""
        with self._store.writing() as connection:
            account_row(connection, person_id)
            write_account(connection, person_id, {"disabled": 0, "changed_seconds": now})

    def set_language(self, person_id: str, language: str) -> None:
        """Remember what language the person reads. Raises HuyingError(INVALID_ARGUMENT)."""
        if language not in LANGUAGES:
            raise HuyingError(Code.INVALID_ARGUMENT, f"language: {' or '.join(LANGUAGES)}")
        with self._store.writing() as connection:
            write_account(connection, person_id, {"language": language})

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
            account_row(connection, person_id)
            try:
                write_account(connection, person_id, values)
            except IntegrityError:
                raise HuyingError(
                    Code.INVALID_ARGUMENT, "subject: bound to another account"
                ) from None
            end_sessions(connection, person_id)


def _keep_admin(connection: Connection) -> None:
    enabled = select(ACCOUNTS.c.roles).where(ACCOUNTS.c.disabled == 0)
    for roles in connection.execute(enabled).scalars():
        if Role.ADMIN.value in roles.split(","):
            return
    raise HuyingError(
        Code.WRONG_STAGE, "the last account administrator: enter another one before this"
    )
