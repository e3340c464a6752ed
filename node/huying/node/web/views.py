"""Saved views: a filter of a list under a name, for one person."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Final

from sqlalchemy import delete, func, insert, select, update

from huying.common import limits
from huying.common.errors import Code, HuyingError
from huying.node.web.schema import VIEWS
from huying.node.web.store import ConsoleStore

__all__ = ["SavedView", "SavedViews"]

_ID_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class SavedView:
    """One view."""

    id: str
    page: str  # the name of the page whose list it filters
    name: str
    query: str  # the page's query string, without the question mark


class SavedViews:
    """The saved views of a console. Methods raise HuyingError as `ConsoleStore` does."""

    def __init__(self, store: ConsoleStore) -> None:
        self._store = store

    def save(self, person_id: str, page: str, name: str, query: str, now: float) -> SavedView:
        """Keep a filter under a name; a view of that name on that page is replaced.

        Raises HuyingError(INVALID_ARGUMENT) for a name or query that is too long, and for more
        than 50 views.
        """
        name, query = name.strip(), query.removeprefix("?")
        if not name or len(name) > limits.NAME_CHARACTERS_MAX or not name.isprintable():
            raise HuyingError(
                Code.INVALID_ARGUMENT, f"view: 1 to {limits.NAME_CHARACTERS_MAX} characters"
            )
        if len(query) > limits.VIEW_QUERY_CHARACTERS_MAX:
            raise HuyingError(
                Code.INVALID_ARGUMENT,
                f"query: at most {limits.VIEW_QUERY_CHARACTERS_MAX} characters",
            )
        own = VIEWS.c.account == person_id
        with self._store.writing() as connection:
            same = select(VIEWS.c.id).where(own, VIEWS.c.page == page, VIEWS.c.name == name)
            found = connection.execute(same).scalar()
            if found is not None:
                connection.execute(
                    update(VIEWS).where(VIEWS.c.id == found).values(query=query, saved_seconds=now)
                )
                return SavedView(found, page, name, query)
            count = connection.execute(select(func.count()).select_from(VIEWS).where(own))
            if count.scalar_one() >= limits.SAVED_VIEWS_MAX:
                raise HuyingError(
                    Code.INVALID_ARGUMENT, f"views: at most {limits.SAVED_VIEWS_MAX}; remove one"
                )
            made = SavedView(secrets.token_hex(_ID_BYTES), page, name, query)
            connection.execute(
                insert(VIEWS).values(
                    id=made.id,
                    account=person_id,
                    page=page,
                    name=name,
                    query=query,
                    saved_seconds=now,
                )
            )
            return made

    def list(self, person_id: str, page: str) -> tuple[SavedView, ...]:
        """The person's views of a page, in the order they were made or changed."""
        query = (
            select(VIEWS)
            .where(VIEWS.c.account == person_id, VIEWS.c.page == page)
            .order_by(VIEWS.c.saved_seconds, VIEWS.c.id)
        )
        with self._store.reading() as connection:
            rows = connection.execute(query).mappings().all()
        return tuple(SavedView(row["id"], row["page"], row["name"], row["query"]) for row in rows)

    def drop(self, person_id: str, view_id: str) -> bool:
        """Remove a view; whether the person had it."""
        with self._store.writing() as connection:
            gone = connection.execute(
                delete(VIEWS).where(VIEWS.c.account == person_id, VIEWS.c.id == view_id)
            )
            return gone.rowcount == 1
