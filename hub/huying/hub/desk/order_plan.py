"""What one batch of imported orders writes: found by reading, before anything is written.

Each row is compared with the order's newest version at this node. The version to come is whole: the
contact sealed anew where the handler's key changed or has become known, an assignment kept, a
contact that was erased left out. A draft's request id names the version that it follows, so two
imports at once write it once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from huying.common.codes import level
from huying.common.effects import DraftEntry
from huying.common.errors import Code, HuyingError
from huying.common.feed.audience import slot_of
from huying.common.limits import ENTRY_BYTES_MAX, ORDER_CANDIDATES_MAX, ORDER_NEAR_SECONDS
from huying.common.near_orders import near_duplicates, sighting_of
from huying.common.orders import (
    CONTACT_FIELDS,
    contact_of,
    is_sealed_to,
    order_record,
    same_content,
    seal_contact,
)
from huying.common.records.record_keys import keyed
from huying.common.records.registry import check_write
from huying.node.store.order_queries import OrderRow
from huying.node.store.reader import Reader
from huying.wire.v1 import feed_pb2, hotline_pb2

__all__ = ["BatchPlan", "Place", "follow_up", "order_draft", "plan_batch", "with_contact"]

_TYPE = feed_pb2.RECORD_TYPE_ORDER
_ROOM_BYTES = 1024  # of an entry, for what the node adds: a seal, the head, salts
_NEAR_MICROS = int(ORDER_NEAR_SECONDS * 1e6)
_pb = hotline_pb2


@dataclass(frozen=True, slots=True)
class Place:
    """Where the plan is made, and the handlers' HPKE keys known there, by code."""

    network: str
    code: str
    keys: Mapping[str, bytes]


@dataclass(slots=True)
class BatchPlan:
    """What is to be written, and the answer to give."""

    response: hotline_pb2.ImportOrdersResponse
    drafts: list[DraftEntry] = field(default_factory=list)
    moved: list[DraftEntry] = field(default_factory=list)  # to another handler than before


def plan_batch(reader: Reader, place: Place, request: _pb.ImportOrdersRequest) -> BatchPlan:
    """Plan one batch. What is wrong with a row is in the response; nothing is raised for it."""
    plan = BatchPlan(_pb.ImportOrdersResponse())
    given: dict[bytes, tuple[_pb.ImportOrdersRequest.Row, _pb.ImportOrdersResponse.Row]] = {}
    for row in request.rows:
        said = plan.response.rows.add(number=row.number)
        said.record = order_record(row.order.source, row.order.source_id)
        try:
            _check(row.order, place.code)
            if said.record in given:
                first = given[said.record][0].number
                raise HuyingError(
                    Code.INVALID_ARGUMENT, f"source_id: the same as in row {first}; keep one"
                )
        except HuyingError as error:
            said.outcome = _pb.IMPORT_OUTCOME_REFUSED
            said.field, _, said.detail = error.detail.partition(": ")
            continue
        given[said.record] = row, said
    stored = reader.orders_of(place.code, list(given))
    coming: dict[bytes, _pb.Order] = {}  # the versions that say something new
    for record, (row, said) in given.items():
        order = _compare(place, row.order, said, stored.get(record))
        if order is not None:
            coming[record] = order
    known = {**stored, **_candidates(reader, place.code, coming)}
    near = _near(reader, place.code, coming, known)
    for record, (_, said) in given.items():
        if said.outcome != _pb.IMPORT_OUTCOME_ERASED:
            _write(plan, place, said, coming.get(record), stored.get(record), near.get(record, b""))
    for record, target in near.items():
        if record not in given:
            order = _pb.Order()
            order.CopyFrom(known[record].order)
            order.near_duplicate_of = target
            order.contact_erased |= _contact_erased(known[record], place.code)
            plan.drafts.append(order_draft(record, order, known[record]))
            plan.response.flagged += 1
    return plan


def _check(order: _pb.Order, own: str) -> None:
    """Raises HuyingError(INVALID_ARGUMENT), the field first."""
    for name in ("sealed_contact", "near_duplicate_of", "imported_handler", "contact_erased"):
        if getattr(order, name):
            raise HuyingError(Code.INVALID_ARGUMENT, f"{name}: the node fills it; leave it out")
    if order.ByteSize() > ENTRY_BYTES_MAX - _ROOM_BYTES:
        most = ENTRY_BYTES_MAX - _ROOM_BYTES
        raise HuyingError(
            Code.INVALID_ARGUMENT, f"description: the order is over {most} bytes; shorten it"
        )
    check_write(_TYPE, feed_pb2.KIND_PUT, order, own)


def _compare(
    place: Place,
    given: _pb.Order,
    said: _pb.ImportOrdersResponse.Row,
    before: OrderRow | None,
) -> _pb.Order | None:
    """The version to come; None where the file says nothing new."""
    order = _pb.Order()
    order.CopyFrom(given)
    if before is None:
        said.outcome = _pb.IMPORT_OUTCOME_NEW
        return order
    if _erased(before, place.code, "source"):
        said.outcome = _pb.IMPORT_OUTCOME_ERASED
        return None
    gone = before.order.contact_erased or _contact_erased(before, place.code)
    if same_content(before.order, given, contact_erased=gone):
        said.outcome = _pb.IMPORT_OUTCOME_SAME
        return None
    said.outcome = _pb.IMPORT_OUTCOME_CHANGED
    if gone:
        order.contact_erased = True
        for name in CONTACT_FIELDS:
            order.ClearField(name)
    if given.handler == (before.order.imported_handler or before.order.handler):
        order.handler = before.order.handler
        order.imported_handler = before.order.imported_handler
    return order


def _write(
    plan: BatchPlan,
    place: Place,
    said: _pb.ImportOrdersResponse.Row,
    coming: _pb.Order | None,
    before: OrderRow | None,
    near: bytes,
) -> None:
    """The draft of a row, if there is anything to write: content, likeness, or a seal."""
    order = _pb.Order()
    if coming is not None:
        order.CopyFrom(coming)
        order.near_duplicate_of = near
    else:
        assert before is not None, "a row without news was here before"
        order.CopyFrom(before.order)
        order.near_duplicate_of = near or before.order.near_duplicate_of
    said.near_duplicate_of = order.near_duplicate_of
    said.without_contact = with_contact(place, said.record, order, before)
    if before is not None and order == before.order:
        return
    if before is not None:
        order.contact_erased |= _contact_erased(before, place.code)
    if said.outcome == _pb.IMPORT_OUTCOME_SAME:
        said.outcome = _pb.IMPORT_OUTCOME_CHANGED
    if before is not None and before.order.handler != order.handler:
        plan.moved.append(order_draft(said.record, order, before))
    else:
        plan.drafts.append(order_draft(said.record, order, before))


def with_contact(place: Place, record: bytes, order: _pb.Order, before: OrderRow | None) -> bool:
    """Seal the contact to the handler of `order`; True where there is one and no key for it.

    What `before` holds sealed to the same key, of the same contact, stays as it is.
    """
    contact = contact_of(order)
    order.ClearField("sealed_contact")
    if not contact.ByteSize():
        return False
    key = place.keys.get(order.handler, b"")
    if not key:
        return True
    if (
        before is not None
        and before.order.handler == order.handler
        and contact_of(before.order) == contact
        and is_sealed_to(before.order.sealed_contact, key)
    ):
        order.sealed_contact = before.order.sealed_contact
        return False
    order.sealed_contact = seal_contact(
        contact,
        key,
        network=place.network,
        home=place.code,
        record=record,
        handler=order.handler,
    )
    return False


def order_draft(record: bytes, order: _pb.Order, before: OrderRow | None) -> DraftEntry:
    """The order's next version.

    One that goes to another handler than before is addressed to both: who had it learns that it is
    not its own any more.
    """
    handlers = [order.handler]
    if before is not None and before.order.handler != order.handler:
        handlers.append(before.order.handler)
    return DraftEntry(
        kind=feed_pb2.KIND_PUT,
        type=_TYPE,
        message=order,
        record=record,
        to=tuple(f"={code}" for code in handlers),
        request_id=follow_up(record, order, before),
    )


def follow_up(record: bytes, order: _pb.Order, before: OrderRow | None) -> bytes:
    """The request id of a version: of the one before it and of what it says, but for the seal."""
    said = _pb.Order()
    said.CopyFrom(order)
    said.ClearField("sealed_contact")
    place = ("", 0) if before is None else (before.origin, before.index)
    sealed = order.sealed_contact[:8]  # to which key
    return keyed(
        "order-version", record, *place, said.SerializeToString(deterministic=True), sealed
    )


# --- near-duplicates --------------------------------------------------------------------------


def _candidates(
    reader: Reader, own: str, coming: Mapping[bytes, _pb.Order]
) -> dict[bytes, OrderRow]:
    """What was imported before and may be like what comes: category by category, within a bound."""
    times: defaultdict[str, list[int]] = defaultdict(list)
    for order in coming.values():
        times[order.category].append(order.created_micros)
    found: dict[bytes, OrderRow] = {}
    for category, created in sorted(times.items()):
        left = ORDER_CANDIDATES_MAX - len(found)
        if left <= 0:
            break
        start, stop = min(created) - _NEAR_MICROS, max(created) + _NEAR_MICROS
        for row in reader.orders_between(own, category, start, stop, left):
            if not _erased(row, own, "source"):
                found[row.record] = row
    return found


def _near(
    reader: Reader, own: str, coming: Mapping[bytes, _pb.Order], known: Mapping[bytes, OrderRow]
) -> dict[bytes, bytes]:
    """The likenesses to write: of what comes, and of what was here and looks like an older one.

    Only what comes causes any: an order that says what it said before changes no other.
    """
    sightings = [sighting_of(record, order) for record, order in coming.items()]
    sightings += [
        sighting_of(record, row.order) for record, row in known.items() if record not in coming
    ]
    found = near_duplicates(sightings, coming.keys())
    created = {one.record: one.key for one in sightings}
    said = {row.order.near_duplicate_of for row in known.values()} - created.keys() - {b""}
    for record, row in reader.orders_of(own, sorted(said)).items():
        created[record] = row.order.created_micros, record

    def is_news(record: bytes, target: bytes) -> bool:
        if record in coming:
            return True
        before = known[record].order.near_duplicate_of
        return not before or (before in created and created[target] < created[before])

    return {record: target for record, target in found.items() if is_news(record, target)}


def _contact_erased(row: OrderRow, own: str) -> bool:
    return any(_erased(row, own, name) for name in CONTACT_FIELDS)


def _erased(row: OrderRow, own: str, name: str) -> bool:
    return row.is_erased(slot_of(_pb.Order.DESCRIPTOR, int(level(own)), name))


def chunks(drafts: Sequence[DraftEntry], size: int) -> list[Sequence[DraftEntry]]:
    """The drafts, at most `size` together."""
    return [drafts[at : at + size] for at in range(0, len(drafts), size)]
