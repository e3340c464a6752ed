"""Reading provisions: one with everything about it, lists of them, and what is to be done next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, exists, func, or_, select, tuple_

from huying.common.codes import parse_origin
from huying.common.provisions.terms import request_record
from huying.node.store.desk_schema import (
    DEPARTMENTS,
    PROVISION_DECISIONS,
    PROVISION_RECEIPTS,
    PROVISION_REQUESTS,
)
from huying.node.store.queries import Page, pack_token, page_limit, unpack_token
from huying.node.store.record_queries import RecordQueries, RecordRow, entry_row
from huying.wire.v1 import feed_pb2, policy_pb2
from huying.wire.v1 import provision_pb2 as wire

__all__ = ["DueProvision", "Provision", "ProvisionQueries", "Told"]

_REQUESTS: Final = PROVISION_REQUESTS.c
_DECISIONS: Final = PROVISION_DECISIONS.c
_RECEIPTS: Final = PROVISION_RECEIPTS.c
_DEPARTMENTS: Final = DEPARTMENTS.c
_DECISION_TYPE: Final = int(feed_pb2.RECORD_TYPE_PROVISION_DECISION)
_RECEIPTS_SHOWN_MAX: Final = 1000  # of one provision; an honest one has a few


@dataclass(frozen=True, slots=True)
class Told:
    """A decision or a receipt, and where it stands."""

    origin: str
    index: int
    time_micros: int
    message: Any  # ProvisionDecision or ProvisionReceipt, as far as it is visible


@dataclass(frozen=True, slots=True)
class Provision:
    """A request, and all that was said of it."""

    record: bytes
    asker: str
    home: str
    origin: str
    index: int
    time_micros: int
    request: wire.ProvisionRequest
    decision: Told | None
    approval: Told | None  # the decision, or of a withdrawal what it takes back
    sealed_here: bool
    receipts: tuple[Told, ...]  # oldest first


@dataclass(frozen=True, slots=True)
class DueProvision:
    """What was given and is sealed here, or was and has no receipt that it is gone."""

    asker: str
    home: str
    record: bytes
    sealed: bool  # by the newest decision, it is held here
    withdrawn: bool
    until_micros: int


class ProvisionQueries(RecordQueries):
    """A provision's key is its request's: the home of the asking node, and the record id."""

    def get_provision(self, record: bytes) -> Provision | None:
        """The provision of that id; None where it is unknown.

        A request whose id does not follow from what it asks is passed over: whoever wrote it wants
        to be taken for another.
        """
        with self._reading() as connection:
            query = select(_REQUESTS.home, _REQUESTS.record, _REQUESTS.target)
            keys = connection.execute(query.where(_REQUESTS.record == record)).fetchall()
        return next(iter(self._provisions(keys)), None)

    def list_provisions(
        self,
        own: str,
        *,
        waiting: bool = False,
        since_micros: int = 0,
        limit: int = 0,
        page_token: bytes = b"",
    ) -> Page[Provision]:
        """Those that the node `own` asked for or decides, newest request first.

        `waiting`: just those without a decision here; `since_micros`: unix, of the request.
        Raises HuyingError(INVALID_ARGUMENT) for a token that is not ours.
        """
        wanted = page_limit(limit)
        key = (_REQUESTS.time_micros, _REQUESTS.record, _REQUESTS.home)
        query = select(_REQUESTS.home, _REQUESTS.record, _REQUESTS.target, _REQUESTS.time_micros)
        query = query.where(or_(_REQUESTS.home == own, _REQUESTS.target == own))
        if waiting:
            query = query.where(_undecided())
        if since_micros:
            query = query.where(_REQUESTS.time_micros >= since_micros)
        if page_token:
            place, home, record = unpack_token(page_token)
            query = query.where(tuple_(*key) < tuple_(place, record, home))
        ordered = query.order_by(*(column.desc() for column in key)).limit(wanted + 1)
        with self._reading() as connection:
            found = connection.execute(ordered).fetchall()
        rows = tuple(self._provisions([tuple(row)[:3] for row in found[:wanted]]))
        if len(found) <= wanted:
            return Page(rows, b"")
        last = found[wanted - 1]
        return Page(rows, pack_token(last.time_micros, last.home, last.record))

    def provisions_of(self, subject: bytes) -> list[Provision]:
        """Every provision of a record, oldest request first."""
        query = select(_REQUESTS.home, _REQUESTS.record, _REQUESTS.target)
        query = query.where(_REQUESTS.subject == subject).order_by(_REQUESTS.time_micros)
        with self._reading() as connection:
            keys = connection.execute(query).fetchall()
        return list(self._provisions(keys))

    # What is to be done.

    def undecided_provisions(self, own: str, limit: int) -> list[Provision]:
        """Requests that wait for the node `own` to decide; those that run out first come first."""
        query = _waiting_for(select(_REQUESTS.home, _REQUESTS.record, _REQUESTS.target), own)
        with self._reading() as connection:
            ordered = query.order_by(_REQUESTS.expires_micros).limit(limit)
            keys = connection.execute(ordered).fetchall()
        return list(self._provisions(keys))

    def count_undecided(self, own: str) -> int:
        """How many requests wait for the node `own` to decide."""
        query = _waiting_for(select(func.count()).select_from(PROVISION_REQUESTS), own)
        with self._reading() as connection:
            return int(connection.execute(query).scalar_one())

    def due_provisions(self, own: str, since_micros: int) -> list[DueProvision]:
        """What `own` gave, or was given, and that has not ended for all that is written here.

        That is what is sealed here still; and of what `own` was given, and ran out after
        `since_micros`, that of which no receipt says that it is gone.
        """
        dropped = exists().where(
            _RECEIPTS.request_record == _DECISIONS.record,
            _RECEIPTS.home == own,
            _RECEIPTS.use == wire.PROVISION_USE_DROPPED,
        )
        given = wire.PROVISION_VERDICT_APPROVED, wire.PROVISION_VERDICT_WITHDRAWN
        query = (
            select(
                _REQUESTS.home.label("asker"),
                _REQUESTS.target,
                _DECISIONS.record,
                _DECISIONS.sealed,
                _DECISIONS.verdict,
                _DECISIONS.expires_micros,
                _REQUESTS.expires_micros.label("asked_until"),
            )
            .select_from(PROVISION_DECISIONS)
            .join(PROVISION_REQUESTS, _answers())
            .where(_DECISIONS.verdict.in_(given))
        )
        # Two questions, so that each has an index that answers it.
        sealed = query.where(
            _DECISIONS.sealed == 1, or_(_REQUESTS.home == own, _DECISIONS.home == own)
        )
        owed = query.where(
            _DECISIONS.expires_micros > since_micros, _REQUESTS.home == own, ~dropped
        )
        found: dict[Any, None] = {}
        for one in (sealed, owed):
            with self._reading() as connection:
                found.update(dict.fromkeys(map(tuple, connection.execute(one))))
        return [
            DueProvision(
                asker=row[0],
                home=row[1],
                record=row[2],
                sealed=bool(row[3]),
                withdrawn=row[4] == wire.PROVISION_VERDICT_WITHDRAWN,
                until_micros=min(row[5], row[6]),
            )
            for row in found
        ]

    # Departments.

    def departments(self, home: str = "") -> list[tuple[RecordRow, policy_pb2.Department]]:
        """The departments of a node, or of every node, by name."""
        query = select(_DEPARTMENTS.home, _DEPARTMENTS.record)
        if home:
            query = query.where(_DEPARTMENTS.home == home)
        with self._reading() as connection:
            keys = connection.execute(
                query.order_by(_DEPARTMENTS.home, _DEPARTMENTS.name)
            ).fetchall()
        found: list[Any] = []
        for where, record in keys:
            row = self.get_record(feed_pb2.RECORD_TYPE_DEPARTMENT, where, record)
            if row is not None:
                found.append((row, policy_pb2.Department.FromString(row.message)))
        return found

    # Inside.

    def _provisions(self, keys: Iterable[Sequence[Any]]) -> Iterable[Provision]:
        for asker, record, home in keys:
            row = self.get_record(feed_pb2.RECORD_TYPE_PROVISION_REQUEST, asker, record)
            if row is None:
                continue
            request = wire.ProvisionRequest.FromString(row.message)
            if request_record(asker, request) == record:
                yield self._provision(row, request, home)

    def _provision(self, row: RecordRow, request: wire.ProvisionRequest, home: str) -> Provision:
        asker, record = row.home, row.record
        decided = self.get_record(feed_pb2.RECORD_TYPE_PROVISION_DECISION, home, record)
        decision = None if decided is None else _told(decided, wire.ProvisionDecision)
        approval = decision
        if decision is not None and decision.message.HasField("approval"):
            approval = self._told_at(home, record, decision.message.approval)
        return Provision(
            record=record,
            asker=asker,
            home=home,
            origin=row.origin,
            index=row.index,
            time_micros=row.time_micros,
            request=request,
            decision=decision,
            approval=approval,
            sealed_here=approval is not None and bool(approval.message.sealed),
            receipts=self._receipts(asker, record),
        )

    def _told_at(self, home: str, record: bytes, ref: Any) -> Told | None:
        """The decision of a record of `home` at a place; None where none is held there."""
        feed = self.feed(ref.origin)
        if feed is None or ref.index >= feed.size or parse_origin(ref.origin).code != home:
            return None
        (stored,) = self.entries(feed.feed_id, ref.index, ref.index + 1)
        row = None if stored.leaf is None else entry_row(ref.origin, home, ref.index, stored)
        if row is None or (row.type, row.record) != (_DECISION_TYPE, record):
            return None
        return _told(row, wire.ProvisionDecision)

    def _receipts(self, asker: str, record: bytes) -> tuple[Told, ...]:
        query = (
            select(_RECEIPTS.record)
            .where(_RECEIPTS.request_record == record, _RECEIPTS.home == asker)
            .order_by(_RECEIPTS.epoch, _RECEIPTS.idx)
            .limit(_RECEIPTS_SHOWN_MAX)
        )
        with self._reading() as connection:
            found = connection.execute(query).scalars().all()
        rows = [
            self.get_record(feed_pb2.RECORD_TYPE_PROVISION_RECEIPT, asker, one) for one in found
        ]
        return tuple(_told(row, wire.ProvisionReceipt) for row in rows if row is not None)


def _told(row: RecordRow, message: Any) -> Told:
    return Told(row.origin, row.index, row.time_micros, message.FromString(row.message))


def _answers() -> ColumnElement[bool]:
    """A decision is its request's: it has that one's id, and is written by whom it was sent to."""
    return and_(_DECISIONS.record == _REQUESTS.record, _DECISIONS.home == _REQUESTS.target)


def _undecided() -> ColumnElement[bool]:
    return ~exists().where(_answers())


def _waiting_for(query: Any, own: str) -> Any:
    return query.where(_REQUESTS.target == own, _undecided())
