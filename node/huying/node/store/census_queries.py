"""What a home reads to answer questions: those that were asked, and what changed since a count."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from google.protobuf.message import DecodeError, Message
from sqlalchemy import ColumnElement, and_, func, not_, or_, select

from huying.common.census.tally import Asked
from huying.common.codes import ancestors
from huying.common.records.registry import REGISTRY
from huying.node.store.content import message_bytes
from huying.node.store.queries import Queries
from huying.node.store.schema import ENTRIES, RECORDS, stands_at
from huying.wire.v1 import census_pb2, feed_pb2

__all__ = ["CensusQueries"]

_QUESTIONS: Final = RECORDS[feed_pb2.RECORD_TYPE_QUESTION]
_TALLIES: Final = RECORDS[feed_pb2.RECORD_TYPE_TALLY]
_PAGE_ROWS: Final = 500
_COUNTED: Final = int(census_pb2.TALLY_VERDICT_COUNTED)
_ASKED: Final = (
    _QUESTIONS.c.template,
    _QUESTIONS.c.template_version,
    _QUESTIONS.c.template_sha256,
    _QUESTIONS.c.month,
)


class CensusQueries(Queries):
    """Each reads no more than its caller can be made to read: every list is bounded."""

    def questions_mark(self) -> tuple[tuple[int, int], ...]:
        """Grows with every question that arrives: the newest place of one, by feed."""
        query = select(_QUESTIONS.c.feed_id, func.max(_QUESTIONS.c.idx)).group_by(
            _QUESTIONS.c.feed_id
        )
        with self._reading() as connection:
            return tuple(sorted((row[0], row[1]) for row in connection.execute(query)))

    def questions_known(
        self, home: str, known: Sequence[tuple[str, int, bytes]], months: Sequence[str]
    ) -> list[Asked]:
        """What a home was asked by the templates it knows (name, version, digest).

        Just for these months, so that nobody can ask for more than templates times months.
        """
        columns = _QUESTIONS.c
        of_known = or_(
            *(
                and_(
                    columns.template == name,
                    columns.template_version == version,
                    columns.template_sha256 == digest,
                )
                for name, version, digest in known
            )
        )
        query = (
            select(*_ASKED)
            .where(_for_home(home), of_known, columns.month.in_(months))
            .distinct()
            .order_by(columns.month, columns.template)
        )
        with self._reading() as connection:
            return [Asked(*row) for row in connection.execute(query)]

    def questions_other(
        self, home: str, known: Sequence[tuple[str, int, bytes]], months: Sequence[str], limit: int
    ) -> list[Asked]:
        """What it was asked beside; those that name a known template first."""
        columns = _QUESTIONS.c
        names = [name for name, _, _ in known]
        ours = [
            and_(
                columns.template == name,
                columns.template_version == version,
                columns.template_sha256 == digest,
                columns.month.in_(months),
            )
            for name, version, digest in known
        ]
        query = (
            select(*_ASKED)
            .where(_for_home(home), not_(or_(*ours)))
            .distinct()
            .order_by(columns.template.in_(names).desc(), columns.template, columns.month.desc())
            .limit(limit)
        )
        with self._reading() as connection:
            return [Asked(*row) for row in connection.execute(query)]

    def newest_count(self, home: str, template: str) -> tuple[census_pb2.Tally, int] | None:
        """The home's latest count by any version of a template, and the epoch it stands in."""
        query = (
            select(ENTRIES.c.openings, _TALLIES.c.epoch)
            .select_from(_TALLIES)
            .join(ENTRIES, stands_at(_TALLIES))
            .where(
                _TALLIES.c.home == home,
                _TALLIES.c.template == template,
                _TALLIES.c.verdict == _COUNTED,
            )
            .order_by(_TALLIES.c.epoch.desc(), _TALLIES.c.idx.desc())
            .limit(1)
        )
        with self._reading() as connection:
            row = connection.execute(query).first()
        if row is None:
            return None
        return census_pb2.Tally.FromString(message_bytes(row[0])), row[1]

    def versions_counted(self, home: str, template: str, month: str) -> list[int]:
        """The versions of a template that a home has counted by for a month."""
        query = select(_TALLIES.c.template_version).where(
            _TALLIES.c.home == home,
            _TALLIES.c.template == template,
            _TALLIES.c.month == month,
            _TALLIES.c.verdict == _COUNTED,
        )
        with self._reading() as connection:
            return list(connection.execute(query).scalars())

    def refusals_written(self, home: str) -> int:
        """How many questions the home has answered without a count."""
        query = (
            select(func.count())
            .select_from(_TALLIES)
            .where(_TALLIES.c.home == home, _TALLIES.c.verdict != _COUNTED)
        )
        with self._reading() as connection:
            return connection.execute(query).scalar_one()

    def records_touched(
        self, types: Sequence[int], home: str, epoch: int, size: int, limit: int
    ) -> int:
        """How many records of a home were put or ended after its feed had this size; to `limit`."""
        found = 0
        with self._reading() as connection:
            for record_type in types:
                table = RECORDS[record_type]
                newer = or_(
                    table.c.epoch > epoch, and_(table.c.epoch == epoch, table.c.idx >= size)
                )
                rows = select(table.c.record).where(table.c.home == home, newer).limit(limit)
                counted = select(func.count()).select_from(rows.subquery())
                found += connection.execute(counted).scalar_one()
        return min(found, limit)

    def records_held(self, record_type: int, home: str) -> Iterator[tuple[bytes, Message]]:
        """Every record of a home that has not ended, page by page."""
        table = RECORDS[record_type]
        message_class = REGISTRY[record_type].message_class
        query = (
            select(table.c.record, ENTRIES.c.openings)
            .select_from(table)
            .join(ENTRIES, stands_at(table))
            .where(table.c.home == home, table.c.kind != feed_pb2.KIND_DELETE)
            .order_by(table.c.record)
            .limit(_PAGE_ROWS)
        )
        after = b""
        while True:
            with self._reading() as connection:
                rows = connection.execute(query.where(table.c.record > after)).fetchall()
            for record, openings in rows:
                try:
                    yield record, message_class.FromString(message_bytes(openings))
                except DecodeError:
                    # What was applied once parses; a damaged row is for `huying fsck` to name.
                    yield record, message_class()
            if len(rows) < _PAGE_ROWS:
                return
            after = rows[-1].record


def _for_home(home: str) -> ColumnElement[bool]:
    """Of nodes above it, about an area that it lies in."""
    above = ancestors(home)
    return and_(
        _QUESTIONS.c.kind != feed_pb2.KIND_DELETE,
        _QUESTIONS.c.home.in_(above),
        _QUESTIONS.c.area.in_((home, *above)),
    )
