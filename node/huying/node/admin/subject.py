"""What is held of one record here, who may read it by rule, who got it by which decision."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from huying.common.codes import is_within, parse_origin
from huying.common.disclosure import view
from huying.common.errors import Code, HuyingError
from huying.common.feed.leaf import BODY_OFFSET, leaf_slots, unpack_openings
from huying.common.late.grants import Grant
from huying.common.late.spans import NO_SPANS, Span, erasable
from huying.common.limits import RECORD_ID_BYTES
from huying.common.provisions.terms import stage_of
from huying.common.state import StoredEntry
from huying.node.admin import AdminNode
from huying.node.admin.related import related
from huying.node.api.entries import slot_fields
from huying.node.store.content import message_bytes, peek_head
from huying.node.store.provision_queries import Provision
from huying.node.store.reader import Reader
from huying.node.store.replay import erased_of
from huying.node.store.schema import CALLS, RECORDS
from huying.wire.v1 import admin_pb2, feed_pb2, trust_pb2
from huying.wire.v1 import provision_pb2 as wire

if TYPE_CHECKING:
    from huying.common.engine import Engine

__all__ = ["show_subject"]

_SAID = (
    int(feed_pb2.RECORD_TYPE_ERASURE),
    int(feed_pb2.RECORD_TYPE_DISCLOSURE),
    int(feed_pb2.RECORD_TYPE_ERASURE_RECEIPT),
)
# What is told of a provision, by its stage.
_PROVISIONS = {
    wire.PROVISION_STAGE_WAITING: "provide_asked",
    wire.PROVISION_STAGE_APPROVED: "provide",
    wire.PROVISION_STAGE_DENIED: "provide_denied",
    wire.PROVISION_STAGE_WITHDRAWN: "provide_withdrawn",
    wire.PROVISION_STAGE_EXPIRED: "provide_ended",
}


async def show_subject(
    node: AdminNode, request: admin_pb2.ShowSubjectRequest
) -> admin_pb2.ShowSubjectResponse:
    """Everything of a record. Raises HuyingError(INVALID_ARGUMENT or NOT_FOUND)."""
    if len(request.record) != RECORD_ID_BYTES:
        raise HuyingError(Code.INVALID_ARGUMENT, f"record: {RECORD_ID_BYTES} bytes")
    known: _Known = await node.runtime.operate(_Ask())
    return await asyncio.to_thread(_collect, node.reader, known, request.record)


@dataclass(frozen=True, slots=True)
class _Known:
    """What only the engine knows."""

    code: str
    codes: tuple[str, ...]  # of every known node, this one included
    pending: dict[tuple[str, int], frozenset[str]]  # by erase entry, who has not confirmed it
    now_micros: int  # unix


class _Ask:
    """Runs on the engine's thread; changes nothing."""

    def run(self, engine: Engine) -> _Known:
        own = engine.identity.code
        codes = {own, *(pin.code for pin in engine.roster.pins())}
        pending = engine.replica.erasures.pending()
        unconfirmed = {at: who for at, (_, who) in pending.items()}
        return _Known(own, tuple(sorted(codes)), unconfirmed, int(engine.clock.now() * 1e6))


@dataclass(frozen=True, slots=True)
class _Said:
    """A statement about entries of the home's feeds."""

    origin: str
    index: int
    head: feed_pb2.Head
    message: Any

    @property
    def target(self) -> str:
        """The feed that its ranges stand in."""
        return self.message.origin or self.origin

    def touches(self, origin: str, index: int) -> bool:
        """Whether one of its ranges holds the entry."""
        return self.target == origin and any(
            one.start <= index < one.stop for one in self.message.ranges
        )


def _collect(reader: Reader, known: _Known, record: bytes) -> admin_pb2.ShowSubjectResponse:
    with reader.snapshot() as snapshot:
        home = _home(snapshot, record) or known.code
        response = admin_pb2.ShowSubjectResponse(home=home, record=record)
        feeds = [feed for feed in snapshot.feeds() if parse_origin(feed.origin).code == home]
        feeds.sort(key=lambda feed: parse_origin(feed.origin).epoch)
        said = list(_statements(snapshot))
        places = []
        for feed in feeds:
            spans = erased_of(snapshot, feed.origin)
            for index, entry in snapshot.find_record(feed.feed_id, record):
                places.append((feed.origin, index))
                grants = _grants(said, feed.origin, index)
                shown = _entry(feed.origin, index, entry, spans.at(index), grants, known.codes)
                response.type = peek_head(entry.openings).type
                response.entries.append(shown)
        provisions = snapshot.provisions_of(record)
        response.related.extend(related(snapshot, response.type, record))
    if not response.entries:
        raise HuyingError(Code.NOT_FOUND, f"nothing is known of record {record.hex()}")
    _add_decisions(response, said, places, known)
    for one in provisions:
        if one.home == home:
            _add_provision(response, one, known.now_micros)
    return response


def _home(reader: Reader, record: bytes) -> str:
    """Whose record it is, by the projections; empty where none shows it."""
    for table in (*RECORDS.values(), CALLS):
        rows = reader.select(select(table.c.home).where(table.c.record == record).limit(1))
        if rows:
            return str(rows[0][0])
    return ""


def _statements(reader: Reader) -> Iterator[_Said]:
    origins = {feed.feed_id: feed.origin for feed in reader.feeds()}
    messages: tuple[Any, ...] = (trust_pb2.Erasure, trust_pb2.Disclosure, trust_pb2.ErasureReceipt)
    for feed_id, index, entry in reader.statements():
        head = peek_head(entry.openings)
        if head.type in _SAID:
            message = messages[_SAID.index(head.type)].FromString(message_bytes(entry.openings))
            yield _Said(origins[feed_id], index, head, message)


def _grants(said: Sequence[_Said], origin: str, index: int) -> list[Grant]:
    """The disclosures of one entry, run out or not."""
    return [
        Grant(
            Span(origin, one.start, one.stop, one.slots),
            tuple(each.message.readers),
            each.message.expires_micros / 1e6,
        )
        for each in said
        if each.head.type == feed_pb2.RECORD_TYPE_DISCLOSURE and each.target == origin
        for one in each.message.ranges
        if one.start <= index < one.stop
    ]


def _entry(
    origin: str,
    index: int,
    entry: StoredEntry,
    erased: bytes,
    grants: Sequence[Grant],
    codes: Sequence[str],
) -> admin_pb2.SubjectEntry:
    assert entry.leaf is not None, "its head is held"
    openings = unpack_openings(entry.openings)
    head = feed_pb2.Head.FromString(openings[0][BODY_OFFSET:])
    home = parse_origin(origin).code
    slots = leaf_slots(entry.leaf)
    gone = erasable(head.type, slots)
    held = {opening[0] for opening in openings}
    shown = admin_pb2.SubjectEntry(origin=origin, index=index, time_micros=head.time_micros)
    line = [c for c in codes if c == home or is_within(c, home) or is_within(home, c)]
    views = {code: view(code, home, slots, tuple(head.to)).readable for code in line}
    for slot, fields in sorted(slot_fields(head.type, home).items()):
        if slot not in slots:
            continue
        opened = [g for g in grants if slot in NO_SPANS.plus([g.span[1:]]).at(index)]
        to = {code for g in opened for code in (*g.readers, *line) if g.is_for(code)}
        state = "present" if slot in held else "withheld"
        if slot not in held and slot in erased and slot in gone:
            state = "erased"
        for name in fields:
            shown.fields.add(
                name=name,
                state=state,
                slot=slot,
                readers=[code for code in line if slot in views[code]],
                disclosed=sorted(code for code in to if slot not in views.get(code, b"")),
            )
    return shown


def _add_decisions(
    response: admin_pb2.ShowSubjectResponse,
    said: Sequence[_Said],
    places: Sequence[tuple[str, int]],
    known: _Known,
) -> None:
    """The erasures and disclosures of these entries, and who confirmed the erasures."""
    erasures = set()
    pending: set[str] = set()
    for each in said:
        place = each.origin, each.index
        if each.head.type == feed_pb2.RECORD_TYPE_ERASURE_RECEIPT:
            if any((ref.origin, ref.index) in erasures for ref in each.message.erasures):
                home = parse_origin(each.origin).code
                _decide(response, each, "receipt", parties=[home])
        elif any(each.touches(*at) for at in places):
            if each.head.type == feed_pb2.RECORD_TYPE_ERASURE:
                erasures.add(place)
                pending |= known.pending.get(place, frozenset())
                _decide(response, each, "erase", reason=each.message.reason)
            else:
                said_of = {"reason": each.message.purpose, "parties": list(each.message.readers)}
                until = each.message.expires_micros
                _decide(response, each, "disclose", expires_micros=until, **said_of)
    response.receipts_pending.extend(sorted(pending))


def _decide(response: admin_pb2.ShowSubjectResponse, said: _Said, kind: str, **more: Any) -> None:
    response.decisions.add(
        kind=kind,
        origin=said.origin,
        index=said.index,
        time_micros=said.head.time_micros,
        **more,
    )


def _add_provision(
    response: admin_pb2.ShowSubjectResponse, one: Provision, now_micros: int
) -> None:
    """Who asked for fields of it, what became of that, and every look."""
    decision = None if one.decision is None else one.decision.message
    stage = stage_of(decision, one.request.expires_micros, now_micros)
    told = one.decision
    response.decisions.add(
        kind=_PROVISIONS[stage],
        origin=one.origin if told is None else told.origin,
        index=one.index if told is None else told.index,
        time_micros=one.time_micros if told is None else told.time_micros,
        reason=f"{one.request.purpose} [{', '.join(one.request.fields)}]",
        parties=[one.asker, one.request.department],
        expires_micros=one.request.expires_micros,
    )
    for look in one.receipts:
        if look.message.use == wire.PROVISION_USE_SHOWN:
            response.decisions.add(
                kind="look",
                origin=look.origin,
                index=look.index,
                time_micros=look.message.used_micros,
                parties=[one.asker, one.request.department, look.message.actor],
            )
