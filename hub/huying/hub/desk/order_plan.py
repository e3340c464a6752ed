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

from huying.common.audience import slot_of
from huying.common.codes import level
from huying.common.effects import DraftEntry
from huying.common.errors import Code, HuyingError
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
from huying.common.record_keys import keyed
from huying.common.records import check_write
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
    near, earlier = _near(reader, place.code, given, stored)
    for record, (row, said) in given.items():
        _plan_row(plan, place, row.order, said, stored.get(record), near.get(record, b""))
    for record, found in earlier.items():
        if (target := near.get(record)) is not None and _is_news(found, target, given, earlier):
            order = _pb.Order()
            order.CopyFrom(found.order)
            order.near_duplicate_of = target
            plan.drafts.append(order_draft(record, order, found))
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


def _plan_row(
    plan: BatchPlan,
    place: Place,
    given: _pb.Order,
    said: _pb.ImportOrdersResponse.Row,
    before: OrderRow | None,
    near: bytes,
) -> None:
    order, unchanged = _pb.Order(), False
    order.CopyFrom(given)
    if before is not None:
        if _erased(before, place.code, "source"):
            said.outcome = _pb.IMPORT_OUTCOME_ERASED
            return
        gone = before.order.contact_erased or any(
            _erased(before, place.code, name) for name in CONTACT_FIELDS
        )
        if gone:
            order.contact_erased = True
            for name in CONTACT_FIELDS:
                order.ClearField(name)
        unchanged = same_content(before.order, given, contact_erased=gone)
        if given.handler == (before.order.imported_handler or before.order.handler):
            order.handler, order.imported_handler = (
                before.order.handler,
                before.order.imported_handler,
            )
        if unchanged:
            # Once said, a likeness stays until the order itself says something else.
            near = near or before.order.near_duplicate_of
    order.near_duplicate_of = near
    said.near_duplicate_of = near
    said.without_contact = with_contact(place, said.record, order, before)
    if before is not None and unchanged and order == before.order:
        said.outcome = _pb.IMPORT_OUTCOME_SAME
        return
    said.outcome = _pb.IMPORT_OUTCOME_NEW if before is None else _pb.IMPORT_OUTCOME_CHANGED
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


def _near(
    reader: Reader,
    own: str,
    given: Mapping[bytes, tuple[_pb.ImportOrdersRequest.Row, object]],
    stored: Mapping[bytes, OrderRow],
) -> tuple[dict[bytes, bytes], dict[bytes, OrderRow]]:
    """What looks like what, and the orders imported before that were compared."""
    spans: defaultdict[str, list[int]] = defaultdict(list)
    for row, _ in given.values():
        spans[row.order.category].append(row.order.created_micros)
    earlier: dict[bytes, OrderRow] = {}
    for category, times in sorted(spans.items()):
        left = ORDER_CANDIDATES_MAX - len(earlier)
        if left <= 0:
            break
        start, stop = min(times) - _NEAR_MICROS, max(times) + _NEAR_MICROS
        for found in reader.orders_between(own, category, start, stop, left):
            if found.record not in given and not _erased(found, own, "source"):
                earlier[found.record] = found
    sightings = [sighting_of(record, row.order) for record, (row, _) in given.items()]
    sightings += [sighting_of(record, found.order) for record, found in earlier.items()]
    # A contact that was erased is compared no more, whatever the file still says.
    sightings = [
        sighting_of(one.record, stored[one.record].order)
        if one.record in stored and stored[one.record].order.contact_erased
        else one
        for one in sightings
    ]
    return near_duplicates(sightings, given.keys()), earlier


def _is_news(
    found: OrderRow,
    target: bytes,
    given: Mapping[bytes, tuple[_pb.ImportOrdersRequest.Row, object]],
    earlier: Mapping[bytes, OrderRow],
) -> bool:
    """Whether the order looks like an older one than was known."""

    def key(record: bytes) -> tuple[int, bytes] | None:
        if record in given:
            return given[record][0].order.created_micros, record
        known = earlier.get(record)
        return None if known is None else (known.order.created_micros, record)

    known = found.order.near_duplicate_of
    if not known:
        return True
    before, now = key(known), key(target)
    return before is not None and now is not None and now < before


def _erased(row: OrderRow, own: str, name: str) -> bool:
    return row.is_erased(slot_of(_pb.Order.DESCRIPTOR, int(level(own)), name))


def chunks(drafts: Sequence[DraftEntry], size: int) -> list[Sequence[DraftEntry]]:
    """The drafts, at most `size` together."""
    return [drafts[at : at + size] for at in range(0, len(drafts), size)]
