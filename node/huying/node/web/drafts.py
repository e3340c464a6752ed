"""What somebody typed and has not sent: kept while they type, and where a session ran out.

A draft belongs to one person and one form, and nobody else is ever shown it. It may hold anything
that people type, so it is dropped as soon as the form was taken, and after 30 days.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import delete, select

from huying.common import limits
from huying.common.errors import Code, HuyingError
from huying.node.web.schema import DRAFTS
from huying.node.web.store import ConsoleStore

__all__ = ["Draft", "Drafts"]


@dataclass(frozen=True, slots=True)
class Draft:
    """What was typed into one form."""

    form_key: str
    fields: Mapping[str, str]
    saved_seconds: float


class Drafts:
    """The drafts of a console. Methods raise HuyingError as `ConsoleStore` does."""

    def __init__(self, store: ConsoleStore) -> None:
        self._store = store

    def save(self, person_id: str, form_key: str, fields: Mapping[str, str], now: float) -> None:
        """Keep what was typed, instead of what was kept before; past 50 drafts the oldest goes.

        Raises HuyingError(INVALID_ARGUMENT) for more than 64 KiB.
        """
        text = json.dumps(dict(fields), ensure_ascii=True, sort_keys=True)
        if len(text) > limits.DRAFT_BYTES_MAX or len(form_key) > limits.NAME_CHARACTERS_MAX:
            raise HuyingError(
                Code.INVALID_ARGUMENT, f"draft: at most {limits.DRAFT_BYTES_MAX // 1024} KiB"
            )
        own = DRAFTS.c.account == person_id
        kept = (
            select(DRAFTS.c.form_key)
            .where(own)
            .order_by(DRAFTS.c.saved_seconds.desc(), DRAFTS.c.form_key)
            .limit(limits.DRAFTS_MAX - 1)
        )
        with self._store.writing() as connection:
            connection.execute(delete(DRAFTS).where(own, DRAFTS.c.form_key == form_key))
            connection.execute(delete(DRAFTS).where(own, DRAFTS.c.form_key.not_in(kept)))
            connection.execute(
                DRAFTS.insert().values(
                    account=person_id, form_key=form_key, fields=text, saved_seconds=now
                )
            )

    def find(self, person_id: str, form_key: str) -> Draft | None:
        """What the person typed into that form. Raises HuyingError(CORRUPT)."""
        query = select(DRAFTS.c.fields, DRAFTS.c.saved_seconds).where(
            DRAFTS.c.account == person_id, DRAFTS.c.form_key == form_key
        )
        with self._store.reading() as connection:
            row = connection.execute(query).first()
        if row is None:
            return None
        try:
            fields = {str(name): str(value) for name, value in json.loads(row.fields).items()}
        except (ValueError, AttributeError):
            raise HuyingError(Code.CORRUPT, "console.db: a draft does not parse") from None
        return Draft(form_key, fields, row.saved_seconds)

    def keys(self, person_id: str) -> tuple[str, ...]:
        """The forms that the person has drafts of, the newest first."""
        query = select(DRAFTS.c.form_key).where(DRAFTS.c.account == person_id)
        with self._store.reading() as connection:
            return tuple(
                connection.execute(query.order_by(DRAFTS.c.saved_seconds.desc())).scalars()
            )

    def drop(self, person_id: str, form_key: str) -> None:
        """Forget a draft; nothing happens where there is none."""
        with self._store.writing() as connection:
            connection.execute(
                delete(DRAFTS).where(DRAFTS.c.account == person_id, DRAFTS.c.form_key == form_key)
            )

    def forget_old(self, now: float) -> int:
        """Drop the drafts of which nothing became in 30 days; how many there were."""
        with self._store.writing() as connection:
            gone = connection.execute(
                delete(DRAFTS).where(DRAFTS.c.saved_seconds <= now - limits.DRAFT_SECONDS)
            )
            return gone.rowcount
