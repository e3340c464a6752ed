r"""Provisions: a field that stays at home, given to one department for a purpose and a time.

A *request* stands in the feed of the node that asks, a *decision* in the feed of the home, and a
*receipt* in the asking node's feed for every look and for the end. This module has the rules of it
as plain functions; `home` and `asker` beside it run them in the engine.

The home seals each opening that was asked for (slot, salt and body, as it stands in its store) to
the key that the signed request names, by HPKE (`huying.common.feed.hpke`), under

    info = "huying/provision/v1\n"
         ‖ u8 len(network) ‖ network ‖ u8 len(origin) ‖ origin ‖ u64 index ‖ leaf hash
         ‖ u8 slot ‖ request hash ‖ recipient key id ‖ u64 expires_micros

with the entry's origin, index and leaf hash, the leaf hash of the request's own entry, and the
decision's expiry; hashes and key ids have 32 bytes, numbers are big-endian. So a sealed opening
opens for one request, one compartment of one entry, one key and one expiry, and whoever opens it
holds it against the commitment that the home signed long before. docs/DISCLOSURE.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from google.protobuf.message import DecodeError, Message

from huying.common.codes import ancestors, parse_origin
from huying.common.errors import Code, HuyingError
from huying.common.feed import hpke
from huying.common.feed.leaf import (
    BODY_OFFSET,
    HEAD_SLOT,
    commitment,
    commitment_prefix,
    leaf_commitment,
    leaf_slots,
    unpack_openings,
)
from huying.common.feed.merkle import leaf_hash
from huying.common.late.requests import chosen_slots
from huying.common.records.record_keys import keyed
from huying.common.records.registry import REGISTRY
from huying.common.state import StoredEntry
from huying.wire.v1 import feed_pb2
from huying.wire.v1.provision_pb2 import (
    DENIAL_REASON_EXPIRED,
    DENIAL_REASON_NOT_ENTITLED,
    DENIAL_REASON_NOT_HELD,
    DENIAL_REASON_UNSPECIFIED,
    PROVISION_STAGE_APPROVED,
    PROVISION_STAGE_DENIED,
    PROVISION_STAGE_EXPIRED,
    PROVISION_STAGE_WAITING,
    PROVISION_STAGE_WITHDRAWN,
    PROVISION_VERDICT_APPROVED,
    PROVISION_VERDICT_WITHDRAWN,
    DenialReason,
    ProvisionDecision,
    ProvisionRequest,
    ProvisionStage,
    SealedOpening,
)

__all__ = [
    "HeldEntry",
    "Revealed",
    "key_id",
    "obstacle",
    "open_decision",
    "request_record",
    "seal_info",
    "seal_openings",
    "stage_of",
]

_LABEL: Final = b"huying/provision/v1\n"
_KEY_LABEL: Final = b"huying/department-key/v1\n"


@dataclass(frozen=True, slots=True)
class HeldEntry:
    """An entry whose leaf is held, with what is held of it."""

    origin: str
    index: int
    leaf: bytes
    openings: dict[int, bytes] = field(repr=False)  # by slot

    @classmethod
    def of(cls, origin: str, index: int, stored: StoredEntry) -> HeldEntry | None:
        """None where the entry is withheld whole. Raises HuyingError(CORRUPT)."""
        if stored.leaf is None:
            return None
        openings = {opening[0]: opening for opening in unpack_openings(stored.openings)}
        return cls(origin, index, stored.leaf, openings)

    @property
    def digest(self) -> bytes:
        """The leaf hash."""
        return leaf_hash(self.leaf)

    @property
    def head(self) -> feed_pb2.Head:
        """The head; an empty one where it is not held."""
        return feed_pb2.Head.FromString(self.openings.get(HEAD_SLOT, b"")[BODY_OFFSET:])

    @property
    def body(self) -> bytes:
        """The record as far as it is held."""
        shown = [self.openings[slot] for slot in sorted(self.openings) if slot != HEAD_SLOT]
        return b"".join(opening[BODY_OFFSET:] for opening in shown)


@dataclass(frozen=True, slots=True)
class Revealed:
    """What a provision gave: a value that nobody may keep."""

    record: bytes  # of the request
    record_type: int
    fields: tuple[str, ...]
    message: bytes = field(repr=False)  # protobuf of the record, with these fields alone
    expires_micros: int


def key_id(public_key: bytes) -> bytes:
    """32 bytes that name a department's key."""
    return sha256(_KEY_LABEL + public_key).digest()


def seal_info(
    request: ProvisionRequest, slot: int, request_hash: bytes, expires_micros: int
) -> bytes:
    """What one opening is sealed under. Raises HuyingError(INVALID_ARGUMENT) for no origin."""
    origin = request.entry.origin.encode("ascii", "replace")
    network = parse_origin(request.entry.origin).network.encode("ascii")
    return b"".join(
        (
            _LABEL,
            bytes((len(network),)) + network,
            bytes((len(origin),)) + origin,
            request.entry.index.to_bytes(8, "big"),
            request.leaf_hash,
            bytes((slot,)),
            request_hash,
            key_id(request.recipient_key),
            expires_micros.to_bytes(8, "big"),
        )
    )


def request_record(asker: str, request: ProvisionRequest) -> bytes:
    """The record id of a request of the node `asker`: it follows from what is asked.

    So no other node can write a request under the same id, and bar the way to the first one's
    decision, which carries it.
    """
    return keyed(
        "provision-request",
        asker,
        request.home,
        request.entry.origin,
        request.entry.index,
        request.leaf_hash,
        request.slots,
        request.department,
        request.actor,
        request.purpose,
        request.recipient_key,
        request.expires_micros,
        request.call,
    )


def stage_of(
    decision: ProvisionDecision | None, request_expires: int, now: int
) -> ProvisionStage.ValueType:
    """Where a provision stands. Times are unix microseconds by the clock of whoever looks."""
    if decision is None:
        return PROVISION_STAGE_WAITING if now < request_expires else PROVISION_STAGE_EXPIRED
    if decision.verdict == PROVISION_VERDICT_WITHDRAWN:
        return PROVISION_STAGE_WITHDRAWN
    if decision.verdict != PROVISION_VERDICT_APPROVED:
        return PROVISION_STAGE_DENIED
    until = min(decision.expires_micros, request_expires)
    return PROVISION_STAGE_APPROVED if now < until else PROVISION_STAGE_EXPIRED


# --- at the home -----------------------------------------------------------------------------


def obstacle(
    request: ProvisionRequest, asker: str, home: str, entry: HeldEntry | None, now: int
) -> DenialReason.ValueType:
    """Why the node `home` can't approve, whatever a person thinks of it; UNSPECIFIED: it can.

    `entry` is what is held of the entry that the request names, if it is one of this node's own.
    What is sealed follows from the names of the fields: slots that say something else are refused,
    so that the person who decides reads what is given.
    """
    if now >= request.expires_micros:
        return DENIAL_REASON_EXPIRED
    if asker not in ancestors(home):
        return DENIAL_REASON_NOT_ENTITLED
    if request.home != home or entry is None or entry.digest != request.leaf_hash:
        return DENIAL_REASON_NOT_HELD
    head = entry.head
    if (head.type, head.record) != (request.record_type, request.record):
        return DENIAL_REASON_NOT_HELD
    try:
        slots = chosen_slots(head.type, home, tuple(request.fields))
    except HuyingError:
        return DENIAL_REASON_NOT_HELD
    if not slots or slots != request.slots or not set(slots) <= entry.openings.keys():
        return DENIAL_REASON_NOT_HELD
    return DENIAL_REASON_UNSPECIFIED


def seal_openings(
    request: ProvisionRequest, request_hash: bytes, entry: HeldEntry, expires_micros: int
) -> list[SealedOpening]:
    """The openings asked for, sealed to the request's key; `obstacle` found none.

    Raises HuyingError(KEY) where the request's key is none.
    """
    return [
        SealedOpening(
            slot=slot,
            sealed=hpke.seal(
                entry.openings[slot],
                request.recipient_key,
                seal_info(request, slot, request_hash, expires_micros),
            ),
        )
        for slot in request.slots
    ]


# --- at the node that asked ------------------------------------------------------------------


def open_decision(
    request: ProvisionRequest,
    record: bytes,
    request_hash: bytes,
    decision: ProvisionDecision,
    entry: HeldEntry,
    key: hpke.SealKey,
) -> Revealed:
    """The value that was provided, held against the commitment in the leaf that is held here.

    `record` is the request's record id.

    1. the decision is about this very request, and brings one seal for each slot
    2. the leaf is the one that the request named
    3. each seal opens with the department's key, under the bytes of `seal_info`
    4. each opening hashes to the leaf's commitment, so it is what the home wrote then
    5. together they are the named fields of a record of that type

    Raises HuyingError: NOT_FOUND where (1) something is missing, BAD_PROOF where (1, 2) it is about
    another request or entry, KEY (3), OPENING_MISMATCH (4), BAD_RECORD (5). No detail holds
    a value.
    """
    if decision.request_hash != request_hash:
        raise HuyingError(Code.BAD_PROOF, "the decision is about another request")
    if [one.slot for one in decision.sealed] != list(request.slots):
        raise HuyingError(Code.NOT_FOUND, "the sealed value is not held here, or not whole")
    if entry.digest != request.leaf_hash:
        raise HuyingError(Code.BAD_PROOF, "the entry held here is not the one that was asked about")
    if key.public_key != request.recipient_key:
        raise HuyingError(Code.KEY, "sealed to another key than the department's: ask again")
    bodies = [_open(request, request_hash, decision.expires_micros, one, entry, key)
              for one in decision.sealed]  # fmt: skip
    return Revealed(
        record=record,
        record_type=request.record_type,
        fields=tuple(request.fields),
        message=_just(request, b"".join(bodies)),
        expires_micros=min(decision.expires_micros, request.expires_micros),
    )


def _open(
    request: ProvisionRequest,
    request_hash: bytes,
    expires_micros: int,
    one: SealedOpening,
    entry: HeldEntry,
    key: hpke.SealKey,
) -> bytes:
    """The body of one opening."""
    info = seal_info(request, one.slot, request_hash, expires_micros)
    opening = key.open(one.sealed, info)
    place = leaf_slots(entry.leaf).find(one.slot)
    fits = len(opening) >= BODY_OFFSET and opening[0] == one.slot and place >= 0
    if not fits or commitment(commitment_prefix(entry.origin), opening) != leaf_commitment(
        entry.leaf, place
    ):
        raise HuyingError(
            Code.OPENING_MISMATCH,
            f"slot {one.slot:#04x}: not what {request.home} once committed to",
        )
    return opening[BODY_OFFSET:]


def _just(request: ProvisionRequest, body: bytes) -> bytes:
    """The record with the fields that were asked for, and no other."""
    spec = REGISTRY.get(request.record_type)
    try:
        message: Any = None if spec is None else spec.message_class.FromString(body)
    except DecodeError:
        message = None
    if spec is None or message is None:
        raise HuyingError(Code.BAD_RECORD, "what was provided is no such record") from None
    for found, _ in message.ListFields():
        if found.name not in request.fields:
            message.ClearField(found.name)
    result: Message = message
    return result.SerializeToString(deterministic=True)
