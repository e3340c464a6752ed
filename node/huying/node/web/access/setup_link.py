"""The first account: a link that works once, printed where the node is started.

While there is no account, each start draws another token, and the one before is void. Whoever opens
the link within a day chooses login and password of the first account, which administers accounts
and the node. From then on there is no link, whatever happens to the accounts.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection, delete, func, insert, select

from huying.common import limits
from huying.common.errors import Code, HuyingError
from huying.node.web.access.account_rows import insert_account, new_account, password_columns
from huying.node.web.access.passwords import Hashing
from huying.node.web.access.people import Person
from huying.node.web.access.roles import Role
from huying.node.web.schema import ACCOUNTS, SETUP
from huying.node.web.store import ConsoleStore

__all__ = ["FIRST_ROLES", "SetupLink"]

FIRST_ROLES: Final = (Role.TECHNICIAN, Role.ADMIN)
_TOKEN_BYTES: Final = 32


class SetupLink:
    """The set-up link of a console. Methods raise HuyingError as `ConsoleStore` does."""

    def __init__(self, store: ConsoleStore, hashing: Hashing | None = None) -> None:
        self._store = store
        self._hashing = hashing or Hashing()

    def issue(self, now: float) -> str | None:
        """Draw the token of a new link; None where there is an account."""
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        with self._store.writing() as connection:
            connection.execute(delete(SETUP))
            if _is_set_up(connection):
                return None
            connection.execute(
                insert(SETUP).values(
                    one=1, token_sha256=_digest(token), until=now + limits.SETUP_LINK_SECONDS
                )
            )
        return token

    def is_valid(self, token: str, now: float) -> bool:
        """Whether the first account may be made with it."""
        with self._store.reading() as connection:
            return _is_valid(connection, token, now)

    def redeem(
        self,
        token: str,
        *,
        login: str,
        name: str,
        password: str,
        now: float,
        language: str = "zh",
        words: Iterable[str] = (),
    ) -> Person:
        """Make the first account; the link is void from then on.

        Raises HuyingError: INVALID_ARGUMENT, naming the field, after which the link still works;
        NOT_FOUND where the link is void.
        """
        if not self.is_valid(token, now):
            raise _void()
        values = new_account(login=login, name=name, roles=FIRST_ROLES, now=now, language=language)
        known = (*words, values["login"], name)
        values |= password_columns(
            self._hashing, password, known, now, one_time=False, folder=self._store.folder
        )
        with self._store.writing() as connection:
            if not _is_valid(connection, token, now):  # somebody else was quicker
                raise _void()
            person = insert_account(connection, values)
            connection.execute(delete(SETUP))
        return person


def _void() -> HuyingError:
    return HuyingError(
        Code.NOT_FOUND, "the link is void: start the node again, or run huying user add"
    )


def _is_set_up(connection: Connection) -> bool:
    return connection.execute(select(func.count()).select_from(ACCOUNTS)).scalar_one() > 0


def _is_valid(connection: Connection, token: str, now: float) -> bool:
    row = connection.execute(select(SETUP.c.token_sha256, SETUP.c.until)).first()
    if row is None or row.until <= now or _is_set_up(connection):
        return False
    return hmac.compare_digest(row.token_sha256, _digest(token))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
