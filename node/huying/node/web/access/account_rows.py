"""Rows of accounts: made, put in, changed, and read as a person; each within a transaction."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from huying.common import limits
from huying.common.errors import Code, HuyingError
from huying.node.web.access.password_rules import check_password_choice
from huying.node.web.access.passwords import Hashing
from huying.node.web.access.people import Person, check_person, parse_login
from huying.node.web.access.roles import Role
from huying.node.web.schema import ACCOUNTS, SESSIONS

__all__ = [
    "account_row",
    "end_sessions",
    "insert_account",
    "new_account",
    "pack_roles",
    "password_columns",
    "person_of",
    "write_account",
]

_ID_BYTES: Final = 16
_ACTOR_BYTES: Final = 4
_ROLE_OF: Final = {role.value: role for role in Role}


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
        "roles": pack_roles(roles),
        "department": department,
        "area": area,
        "language": language,
        "disabled": 0,
        "totp_step": 0,
        "security_keys": 0,
        "pending_until": 0.0,
        "created_seconds": now,
        "changed_seconds": now,
        "last_login_seconds": 0.0,
    }


def password_columns(
    hashing: Hashing,
    password: str,
    known: Iterable[str],
    now: float,
    *,
    one_time: bool,
    folder: Path,
) -> dict[str, Any]:
    """The columns of a password; "" for none. Raises HuyingError(INVALID_ARGUMENT)."""
    if password and not one_time:
        check_password_choice(password, known, folder)
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
    return person_of(account_row(connection, values["id"]))


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
        has_second_factor=row["totp_secret"] is not None or row["security_keys"] > 0,
        has_password=bool(row["password"]),
    )


def pack_roles(roles: tuple[Role, ...]) -> str:
    """Roles as they are stored."""
    return ",".join(role.value for role in roles)


def account_row(connection: Connection, person_id: str) -> RowMapping:
    """The row of an account. Raises HuyingError(NOT_FOUND)."""
    row = connection.execute(select(ACCOUNTS).where(ACCOUNTS.c.id == person_id)).mappings().first()
    if row is None:
        raise HuyingError(Code.NOT_FOUND, "no such account")
    return row


def write_account(connection: Connection, person_id: str, values: Mapping[str, Any]) -> None:
    """Change columns of an account. Raises HuyingError(INVALID_ARGUMENT) for an actor in use."""
    try:
        connection.execute(update(ACCOUNTS).where(ACCOUNTS.c.id == person_id).values(**values))
    except IntegrityError:
        if "actor" not in values:
            raise
        raise HuyingError(Code.INVALID_ARGUMENT, "actor: another account has it") from None


def end_sessions(connection: Connection, person_id: str) -> int:
    """End every session of a person, within a transaction; how many there were."""
    return connection.execute(delete(SESSIONS).where(SESSIONS.c.account == person_id)).rowcount
