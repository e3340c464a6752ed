"""Hotline orders: their record ids, the contact that only the handler opens, and what may follow.

docs/HOTLINE.md. The caller's contact travels as `Order.sealed_contact`:

    first 8 bytes of SHA-256 of the handler's key ‖ HPKE (`huying.common.feed.hpke`)

under an `info` that names the network, the order's home, its record id, the handler and the key; so
a contact that is put into another order, or shown to another node, does not open.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from hashlib import sha256
from typing import Final

from google.protobuf.message import DecodeError

from huying.common.errors import Code, HuyingError
from huying.common.feed import hpke
from huying.common.records.record_keys import keyed
from huying.wire.v1 import hotline_pb2

__all__ = [
    "CONTACT_FIELDS",
    "OrderStep",
    "contact_of",
    "is_overdue",
    "is_sealed_to",
    "open_contact",
    "order_record",
    "same_content",
    "seal_contact",
    "status_after",
]

CONTACT_FIELDS: Final = ("contact_name", "contact_phone", "contact_address")
_KEY_ID_BYTES: Final = 8
_LABEL: Final = b"huying/order-contact/v1"
# What the importing node adds to what the file said.
_ADDED: Final = ("near_duplicate_of", "sealed_contact", "imported_handler", "contact_erased")


def order_record(source: str, source_id: str) -> bytes:
    """The record id of an order: importing it again writes its next version."""
    return keyed("order", source, source_id)


# --- the caller's contact ---------------------------------------------------------------------


def contact_of(order: hotline_pb2.Order) -> hotline_pb2.HotlineContact:
    """What the importing node keeps of the caller; empty where it keeps nothing."""
    return hotline_pb2.HotlineContact(
        name=order.contact_name, phone=order.contact_phone, address=order.contact_address
    )


def _key_id(public_key: bytes) -> bytes:
    return sha256(public_key).digest()[:_KEY_ID_BYTES]


def _info(network: str, home: str, record: bytes, handler: str, key_id: bytes) -> bytes:
    parts = (network.encode(), home.encode(), record, handler.encode(), key_id)
    return _LABEL + b"".join(b"\n%d:%s" % (len(part), part) for part in parts)


def seal_contact(
    contact: hotline_pb2.HotlineContact,
    public_key: bytes,
    *,
    network: str,
    home: str,
    record: bytes,
    handler: str,
) -> bytes:
    """What only the holder of the handler's HPKE key opens. Raises HuyingError(KEY)."""
    key_id = _key_id(public_key)
    info = _info(network, home, record, handler, key_id)
    plain = contact.SerializeToString(deterministic=True)
    return key_id + hpke.seal(plain, public_key, info)


def is_sealed_to(sealed: bytes, public_key: bytes) -> bool:
    """Whether a sealed contact says that it is for this key."""
    return bool(sealed) and sealed[:_KEY_ID_BYTES] == _key_id(public_key)


def open_contact(
    sealed: bytes,
    keys: Iterable[hpke.SealKey],
    *,
    network: str,
    home: str,
    record: bytes,
    handler: str,
) -> hotline_pb2.HotlineContact:
    """The contact, by the one of the node's keys that it was sealed to.

    Raises HuyingError(KEY) where none of them is that key, or it was sealed for another order.
    """
    for key in keys:
        if is_sealed_to(sealed, key.public_key):
            info = _info(network, home, record, handler, sealed[:_KEY_ID_BYTES])
            try:
                return hotline_pb2.HotlineContact.FromString(key.open(sealed[_KEY_ID_BYTES:], info))
            except DecodeError:
                raise HuyingError(Code.KEY, "the sealed contact does not parse") from None
    raise HuyingError(Code.KEY, "the contact is sealed to a key that is not here")


# --- versions ---------------------------------------------------------------------------------


def same_content(
    stored: hotline_pb2.Order, given: hotline_pb2.Order, *, contact_erased: bool = False
) -> bool:
    """Whether a file says of an order what it said before.

    An assignment made since is not a difference; nor is a contact that was erased since.
    """
    left, right = hotline_pb2.Order(), hotline_pb2.Order()
    left.CopyFrom(stored)
    right.CopyFrom(given)
    left.handler = stored.imported_handler or stored.handler
    for order in (left, right):
        for name in (*_ADDED, *(CONTACT_FIELDS if contact_erased else ())):
            order.ClearField(name)
    return left == right


# --- what the handler does --------------------------------------------------------------------


class OrderStep(StrEnum):
    """What a handler may do with an order."""

    TAKE = "take"  # 接收
    SETTLE = "settle"  # 办结
    RETURN = "return"  # 退回


_ORDER_STATUS = hotline_pb2.OrderStatus
_AFTER: Final = {
    OrderStep.TAKE: hotline_pb2.ORDER_STATUS_TAKEN,
    OrderStep.SETTLE: hotline_pb2.ORDER_STATUS_SETTLED,
    OrderStep.RETURN: hotline_pb2.ORDER_STATUS_RETURNED,
}
# One that was returned by mistake is taken again; a result may be put right, but not taken back.
_FROM: Final = {
    OrderStep.TAKE: (
        hotline_pb2.ORDER_STATUS_SENT,
        hotline_pb2.ORDER_STATUS_TAKEN,
        hotline_pb2.ORDER_STATUS_RETURNED,
    ),
    OrderStep.SETTLE: (
        hotline_pb2.ORDER_STATUS_SENT,
        hotline_pb2.ORDER_STATUS_TAKEN,
        hotline_pb2.ORDER_STATUS_SETTLED,
    ),
    OrderStep.RETURN: (
        hotline_pb2.ORDER_STATUS_SENT,
        hotline_pb2.ORDER_STATUS_TAKEN,
        hotline_pb2.ORDER_STATUS_RETURNED,
    ),
}


def status_after(status: int, step: OrderStep, text: str) -> hotline_pb2.OrderStatus.ValueType:
    """Where the order stands after the handler's step.

    Raises HuyingError: WRONG_STAGE from where the step does not lead on; INVALID_ARGUMENT for a
    result or a return without words.
    """
    if status not in _FROM[step]:
        name = _ORDER_STATUS.Name(status).removeprefix("ORDER_STATUS_").lower()  # type: ignore[arg-type]
        raise HuyingError(Code.WRONG_STAGE, f"the order is {name}; {step.value} does not follow")
    if step is not OrderStep.TAKE and not text.strip():
        what = "what was done" if step is OrderStep.SETTLE else "why it is returned"
        raise HuyingError(Code.INVALID_ARGUMENT, f"text: missing; say {what}")
    return _AFTER[step]


def is_overdue(order: hotline_pb2.Order, status: int, now_micros: int) -> bool:
    """Past its due time, neither settled by the handler nor closed at its source."""
    return (
        0 < order.due_micros < now_micros
        and status != hotline_pb2.ORDER_STATUS_SETTLED
        and not order.source_closed_micros
    )
